"""The modules ledger_entry and ledger_info."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def args(path: Path, deployment: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "path": str(path), "deployment": deployment, "site": "TSD", "env": "prod", "release": "v3.2.0a",
        "manifest": "aa", "entries": list(entries), "by": "ola", "from": "control", "controller_pid": 7,
    }  # fmt: skip


def test_check_mode_predicts_what_the_run_then_does(tmp_path: Path, run_module: Run) -> None:
    path = tmp_path / "deployments.jsonl"
    switch = {"event": "switch", "what": "data", "before": None, "after": {"a": 1}, "comment": "by hand"}
    wanted = args(path, "d1", {"event": "start"}, switch)
    predicted = run_module("ledger_entry", wanted, check=True, diff=True)
    assert list(tmp_path.iterdir()) == []
    done = run_module("ledger_entry", wanted, diff=True)
    assert predicted["changed"] is done["changed"] is True
    for result in (predicted, done):
        assert result["diff"]["after"] == "".join(json.dumps(entry) + "\n" for entry in result["entries"])
        for entry in result["entries"]:
            del entry["time"]
    assert predicted["entries"] == done["entries"]
    assert [entry["message"] for entry in done["entries"]] == [None, "by hand"]
    for check in (True, False):
        again = run_module("ledger_entry", wanted, check=check)
        assert (again["changed"], again["entries"]) == (False, [])


def test_the_holder_is_told(tmp_path: Path, run_module: Run) -> None:
    path = tmp_path / "deployments.jsonl"
    run_module("ledger_entry", args(path, "d1", {"event": "start"}))
    for check in (True, False):
        result = run_module("ledger_entry", args(path, "d2", {"event": "start"}), check=check)
        assert result.failed
        assert result["holder"]["deployment"] == "d1"
        assert f"rm {path}.lock" in result["todo"]
    taken = run_module("ledger_entry", args(path, "d2", {"event": "start"}) | {"takeover": "d1"})
    assert taken["interrupted"] == "d1"


def test_an_operating_system_error_is_a_message(tmp_path: Path, run_module: Run) -> None:
    result = run_module("ledger_entry", args(tmp_path / "none" / "x.jsonl", "d1", {"event": "start"}))
    assert result.failed
    assert "ENOENT" in result["found"]


def test_info(tmp_path: Path, run_module: Run) -> None:
    path = tmp_path / "deployments.jsonl"
    empty = run_module("ledger_info", {"path": str(path)})
    assert {key: empty[key] for key in ("changed", "entries", "damaged", "live", "open", "holder")} == {
        "changed": False, "entries": [], "damaged": [], "live": None, "open": None, "holder": None
    }  # fmt: skip

    run_module("ledger_entry", args(path, "d1", {"event": "start"}))
    run_module("ledger_entry", args(path, "d1", {"event": "end", "outcome": "ok"}))
    with path.open("a", encoding="utf-8") as stream:
        stream.write("torn")
    run_module("ledger_entry", args(path, "d2", {"event": "start"}))
    result = run_module("ledger_info", {"path": str(path)}, check=True)
    assert [entry["event"] for entry in result["entries"]] == ["start", "end", "start"]
    assert result["damaged"] == [3]
    assert (result["live"]["deployment"], result["live"]["release"]) == ("d1", "v3.2.0a")
    assert (result["open"]["deployment"], result["holder"]["deployment"]) == ("d2", "d2")

    for last, count in ((0, 0), (1, 1), (99, 3)):
        shown = run_module("ledger_info", {"path": str(path), "last": last})
        assert len(shown["entries"]) == count
        assert shown["live"] == result["live"]
    assert run_module("ledger_info", {"path": str(path), "last": -1}).failed
