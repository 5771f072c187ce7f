"""module_utils/trash.py: what cannot be removed is out of the way all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, generation, trash
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Store
from support_user import NOBODY, as_nobody, world_folder

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")


@pytest.fixture
def store() -> Iterator[Store]:
    """A store of an ordinary user."""
    with world_folder() as top:
        (top / "data").mkdir()
        found = generation.open_store(str(top / "data"))
        Path(found.generations).mkdir(parents=True)
        for path in (top, *top.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield found


def roots(path: str) -> str:
    """A folder of root with a file in it, which nobody else may remove."""
    Path(path, "p").mkdir(parents=True)
    Path(path, "p/file").write_text("root's")
    return path


@AS_ROOT
def test_a_next_generation_that_root_has_built_is_in_nobodys_way(store: Store) -> None:
    generation.write_receipt(roots(store.next), {"generation": "g"}, Ownership(0o664))
    with as_nobody():
        trash.remove_next(store)
        assert not os.path.lexists(store.next)
        assert trash.paths(store) == [store.state + "/trash.next"]
    roots(store.next)
    with as_nobody():
        trash.remove_next(store)
    assert trash.paths(store) == [store.state + "/trash.next", store.state + "/trash.next.2"]
    trash.empty(store)
    assert trash.paths(store) == []


@AS_ROOT
def test_a_generation_of_root_is_pruned_where_it_lies(store: Store) -> None:
    """Another user may not move it into another folder: that would write into it (rename(2), ..)."""
    roots(store.generations + "/000001.old")
    with as_nobody():
        assert data_switch.prune(store, 0) == ["old"]
        assert generation.kept(store) == []
        (left,) = trash.paths(store)
        assert left == store.generations + "/trash.000001.old"
        assert left in trash.warning([left]) and "root" in trash.warning([left])
        assert data_switch.prune(store, 0) == []


def test_a_folder_is_found_by_its_number(store: Store) -> None:
    number = os.stat(store.generations).st_ino
    assert trash.find(store, number) is None
    trash.discard(store, store.generations)
    assert trash.find(store, number) == store.state + "/trash.generations"


def test_only_what_was_discarded_from_there_is_removed(store: Store) -> None:
    for name in ("next", "000001.old"):
        roots(f"{store.state}/trash.{name}")
    trash.empty(store, store.next)
    assert trash.paths(store) == [store.state + "/trash.000001.old"]


def test_what_cannot_be_looked_at_is_not_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that is live by then is no failure because of it."""
    place = os.path.join(store.state, "trash.next")
    os.mkdir(place)
    assert trash.left(store) == [place]

    def broken(path: str) -> None:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(os, "listdir", broken)
    assert trash.left(store) == []
    trash.empty(store)
