"""modules/data_permissions.py: the thin end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from support_tree import differences, snapshot

Run = Callable[..., Any]


def make(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    (data / "one").touch()
    (data / "one").chmod(0o600)
    data.chmod(0o775)
    return data


def test_a_dry_run_predicts_and_a_second_run_changes_nothing(run_module: Run, tmp_path: Path) -> None:
    data = make(tmp_path)
    before = snapshot(tmp_path)
    predicted = run_module("data_permissions", {"data": str(data)}, check=True, diff=True)
    assert differences(before, snapshot(tmp_path)) == set()
    done = run_module("data_permissions", {"data": str(data)}, diff=True)
    assert predicted == done
    assert (done["changed"], done["lacking"], done["repaired"], done["left"]) == (True, 1, 1, [])
    assert done["findings"] == [{"path": "one", "mode": "0600"}]
    assert (done["diff"]["before"], done["diff"]["after"]) == ("one: 0600\n", "one: 0774\n")
    assert (data / "one").stat().st_mode & 0o7777 == 0o774
    again = run_module("data_permissions", {"data": str(data)})
    assert (again["changed"], again["lacking"]) == (False, 0)


def test_another_mode(run_module: Run, tmp_path: Path) -> None:
    data = make(tmp_path)
    assert run_module("data_permissions", {"data": str(data), "mode": "0600"})["changed"] is False
    assert run_module("data_permissions", {"data": str(data), "mode": "600"}).failed


def test_no_such_folder(run_module: Run, tmp_path: Path) -> None:
    result = run_module("data_permissions", {"data": str(tmp_path / "gone")})
    assert result.failed
    assert "gone" in result["msg"] and "What to do" in result["msg"]
