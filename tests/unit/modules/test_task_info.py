"""The module task_info."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("check", [False, True])
def test_running_tasks(tmp_path: Path, run_module: Callable[..., Any], check: bool) -> None:
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ACTIVE").touch()
    (tmp_path / "3" / "SUCCESS").touch()
    result = run_module("task_info", {"work": str(tmp_path)}, check=check)
    assert result["changed"] is False
    assert result["count"] == 2
    assert [task["id"] for task in result["running"]] == ["1", "2"]
    assert set(result["running"][0]) == {"id", "since", "step", "status", "source"}


def test_a_missing_work_folder_is_a_message(tmp_path: Path, run_module: Callable[..., Any]) -> None:
    result = run_module("task_info", {"work": str(tmp_path / "work")})
    assert result.failed
    assert result["where"] == str(tmp_path / "work")
    assert "ENOENT" in result["found"]


def test_an_unreachable_api_is_a_message(tmp_path: Path, run_module: Callable[..., Any]) -> None:
    result = run_module("task_info", {"work": str(tmp_path), "api": "http://127.0.0.1:1"})
    assert result.failed
    assert "not reachable" in result["found"]
