"""modules/instance_info.py and filter/live_table.py: the thin ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.ousamg.anno.plugins.filter.live_table import FilterModule
from sandbox.sites import make, tsd_instance

Run = Callable[..., Any]


def test_both_envs_are_told(run_module: Run, tmp_path: Path) -> None:
    make(tmp_path)
    instances = {
        env: {
            "data": str(tsd_instance(tmp_path, env).data),
            "image_link": str(tsd_instance(tmp_path, env).image_link),
            "ledger": str(tmp_path / f"{env}.jsonl"),
            "supervisor": {"url": "ignored"},
        }
        for env in ("staging", "prod")
    }
    result = run_module("instance_info", {"instances": instances}, check=True)
    assert not result.failed
    assert result["changed"] is False
    assert {live["image"] for live in result["instances"].values()} == {"anno-v3.1.0.sif"}
    table = FilterModule().filters()["live_table"]
    text = table([{"site": "TSD", "instances": result["instances"]}, {"site": "NSC", "instances": None}])
    assert text.splitlines()[0].split("  ")[0] == "instance"
    assert "TSD staging" in text
    assert "not asked" in text


def test_a_missing_path_is_named(run_module: Run) -> None:
    result = run_module("instance_info", {"instances": {"prod": {"data": "/x", "image_link": "/y"}}})
    assert result.failed
    assert result["msg"].startswith("instances.prod: ledger is missing")
