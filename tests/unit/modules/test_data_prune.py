"""modules/data_prune.py: the oldest go, the dry run names the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import generation, lock
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from support_tree import snapshot
from support_user import NOBODY, as_nobody, world_folder

Run = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for number in (1, 2, 10):
        folder = tmp_path / ".data.anno/generations" / f"{number:06d}.g{number}"
        folder.mkdir(parents=True)
        (folder / "sources.json").write_text("{}\n")
    return tmp_path / "data"


def test_the_oldest_go(run_module: Run, data: Path) -> None:
    before = snapshot(data.parent)
    predicted = run_module("data_prune", {"data": str(data), "keep": 1}, check=True)
    assert snapshot(data.parent) == before
    done = run_module("data_prune", {"data": str(data), "keep": 1})
    assert predicted == done
    assert (done["changed"], done["removed"], done["kept"]) == (True, ["g2", "g1"], ["g10"])
    assert [path.name for path in (data.parent / ".data.anno/generations").iterdir()] == ["000010.g10"]
    again = run_module("data_prune", {"data": str(data), "keep": 1})
    assert (again["changed"], again["removed"]) == (False, [])


def test_a_dry_run_of_what_replaces_the_live_one_names_what_the_run_removes(run_module: Run, tmp_path: Path) -> None:
    """Rolled back from v3 to v2, and v4 is deployed: v3 goes. Of what is there now alone it would be v1."""
    v1, v2, v3, v4 = (f"2026112{day}T031500123Z-5891b5b5" for day in range(1, 5))
    data = tmp_path / "data"

    def lay(live: str, *former: str) -> None:
        for number, name in enumerate(former, 1):
            folder = tmp_path / ".data.anno/generations" / f"{number:06d}.{name}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "sources.json").write_text("{}\n")
        data.mkdir(exist_ok=True)
        generation.write_receipt(str(data), {"generation": live}, Ownership(0o664))

    lay(v2, v1, v3)
    request = {"data": str(data), "keep": 2, "replaced": v2}
    predicted = run_module("data_prune", request, check=True)
    assert predicted["removed"] == [v3]
    assert run_module("data_prune", request)["removed"] == []  # only looks ahead
    lay(v4, v1, v3, v2)
    assert run_module("data_prune", request, check=True)["removed"] == [v3]
    assert run_module("data_prune", request)["removed"] == [v3]


def test_all_are_kept(run_module: Run, data: Path) -> None:
    done = run_module("data_prune", {"data": str(data), "keep": -1})
    assert (done["changed"], done["kept"]) == (False, ["g10", "g2", "g1"])


def test_what_a_killed_run_left_is_removed(run_module: Run, data: Path) -> None:
    left = data.parent / ".data.anno/trash.000001.g1"
    left.mkdir()
    (left / "x").touch()
    found = run_module("data_prune", {"data": str(data), "keep": 3}, check=True)
    assert (found["changed"], found["left"]) == (False, [str(left)])
    assert run_module("data_prune", {"data": str(data), "keep": 3})["left"] == []
    assert not left.exists()


def test_an_interrupted_switch_is_ended_first(run_module: Run, data: Path) -> None:
    """Killed between the exchange and the retirement of what was live."""
    following = data.parent / ".data.anno/next"
    following.mkdir()
    (following / "sources.json").write_text("{}\n")
    retired = data.parent / ".data.anno/generations/000011.former"
    journal = {"incoming": str(following), "retired": str(retired), "new": data.stat().st_ino, "generation": "new"}
    (data.parent / ".data.anno/journal.json").write_text(json.dumps(journal))
    before = snapshot(data.parent)
    assert "a switch was interrupted" in run_module("data_prune", {"data": str(data), "keep": 9}, check=True)["found"]
    assert snapshot(data.parent) == before
    done = run_module("data_prune", {"data": str(data), "keep": 9})
    assert (done["changed"], done["removed"], done["kept"][0]) == (True, [], "former")
    assert (retired / "sources.json").exists()
    assert not run_module("data_prune", {"data": str(data), "keep": 9})["changed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_what_another_user_has_put_into_it_stays_and_is_told(run_module: Run) -> None:
    with world_folder() as top:
        data = top / "data"
        former = top / ".data.anno/generations/000001.g1"
        foreign = former / "foreign"
        foreign.mkdir(parents=True)
        data.mkdir()
        (former / "own").mkdir()
        (former / "own/x").touch()
        for path in (top, data, former.parent.parent, former.parent, former, former / "own", former / "own/x"):
            os.chown(path, NOBODY, NOBODY)
        (former / "own").chmod(0o555)
        (foreign / "x").touch()
        with as_nobody():
            done = run_module("data_prune", {"data": str(data), "keep": 0})
        left = str(top / ".data.anno/trash.000001.g1")
        assert (done["changed"], done["removed"], done["kept"], done["left"]) == (True, ["g1"], [], [left])
        assert left in done.warned[0]
        assert os.listdir(left) == ["foreign"], "also a read-only folder of its own is no obstacle"
        with as_nobody():
            again = run_module("data_prune", {"data": str(data), "keep": 0})
        assert (again["changed"], again["left"]) == (False, [left])


def test_somebody_else_at_work(run_module: Run, data: Path) -> None:
    holder = {**lock._me("unpack other.tar"), "host": "beta"}
    (data.parent / ".data.anno/lock").symlink_to(json.dumps(holder))
    for check in (True, False):
        assert "@beta" in run_module("data_prune", {"data": str(data), "keep": 0}, check=check)["found"]


def test_none_need_be_kept(run_module: Run, data: Path) -> None:
    run_module("data_prune", {"data": str(data), "keep": 0})
    assert not (data.parent / ".data.anno").exists()
    assert data.is_dir()


def test_what_is_wrong_is_told(run_module: Run, data: Path) -> None:
    assert "negative" in run_module("data_prune", {"data": str(data), "keep": -2})["msg"]
    missing = run_module("data_prune", {"data": str(data) + "-gone"})
    assert missing.failed
    assert "no such folder" in missing["msg"]
