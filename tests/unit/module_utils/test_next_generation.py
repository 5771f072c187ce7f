"""module_utils/next_generation.py: what is built, and when it is not. The whole of it: test_data_unpack.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import generation, next_generation, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.data_switch import EXCHANGE
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import UnpackError
from support_tree import snapshot
from support_unpack import apply, make, make_archive, request


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "a.tar")


def test_an_archive_that_changes_while_it_is_read(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path / "site")
    before = snapshot(tmp_path / "site")
    really = next_generation.extract

    def changing(*args: Any) -> Any:
        done = really(*args)
        os.utime(archive, (1, 1))
        return done

    monkeypatch.setattr(next_generation, "extract", changing)
    with pytest.raises(UnpackError, match="it was changed while it was read"):
        apply(request(archive, data, EXCHANGE))
    assert snapshot(tmp_path / "site") == before


def test_the_receipt(tmp_path: Path, archive: Path) -> None:
    data = make(tmp_path / "site")
    outcome = apply(request(archive, data, unpack_plan.AUTO))
    receipt = generation.read_receipt(str(data))
    assert receipt is not None
    assert (receipt["generation"], receipt["previous"]) == (outcome.generation, outcome.previous)
    assert receipt["archive"]["size"] == archive.stat().st_size
    (package,) = receipt["packages"]
    assert (package["name"], package["destination"], package["version"]) == ("p", "p", "2")
