"""modules/data_prune.py: the oldest go, the dry run names the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_tree import snapshot

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


def test_none_need_be_kept(run_module: Run, data: Path) -> None:
    run_module("data_prune", {"data": str(data), "keep": 0})
    assert not (data.parent / ".data.anno").exists()
    assert data.is_dir()


def test_what_is_wrong_is_told(run_module: Run, data: Path) -> None:
    assert "negative" in run_module("data_prune", {"data": str(data), "keep": -1})["msg"]
    missing = run_module("data_prune", {"data": str(data) + "-gone"})
    assert missing.failed
    assert "no such folder" in missing["msg"]
