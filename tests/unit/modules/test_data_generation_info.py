"""modules/data_generation_info.py after real unpacks and a rollback; the sizes are tested with the module_util."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_data import FASTA, make_site
from support_tree import snapshot

Run = Callable[..., Any]


@pytest.mark.parametrize("strategy", ["auto", "packages"])
def test_after_two_unpacks_and_a_rollback(run_module: Run, tmp_path: Path, strategy: str) -> None:
    site = make_site(tmp_path)
    data = {"data": str(site.data)}
    for packages in (["clinvar"], ["fasta"]):
        assert run_module("data_unpack", {**data, "src": str(site.archive), "packages": packages, "strategy": strategy})
    back = run_module("data_rollback", data)
    before = snapshot(tmp_path)
    found = run_module("data_generation_info", data, check=True)
    assert (found["changed"], found["live"]) == (False, back["generation"])
    assert snapshot(tmp_path) == before
    live, latest, oldest = found["generations"]
    assert [g["order"] for g in (live, latest, oldest)] == [None, 3, 1]
    assert (latest["id"], latest["returnable"], latest["obstacle"]) == (back["previous"], True, None)
    assert {"name": "fasta", "version": "37", "destination": FASTA} in latest["packages"]
    assert "fasta" not in {package["name"] for package in live["packages"]}
    assert (live["returnable"], live["obstacle"]) == (False, "it is live")
    # What is told to be returnable is; a partial one from its base.
    assert oldest["returnable"] and oldest["base"] == (live["id"] if strategy == "packages" else None)
    assert run_module("data_rollback", {**data, "to": oldest["id"]}, check=True)["generation"] == oldest["id"]
    assert (found["interrupted"], found["lock"], found["leftovers"]) == (None, None, [])
    alone = sum(g["exclusive_bytes"] for g in found["generations"])
    # Partial generations share no file, and a file system in memory counts no folder.
    assert alone <= found["disk_bytes"] if strategy == "packages" else alone < found["disk_bytes"]


def test_what_is_wrong_is_told(run_module: Run, tmp_path: Path) -> None:
    missing = run_module("data_generation_info", {"data": str(tmp_path / "gone")})
    assert missing.failed and missing["todo"]
