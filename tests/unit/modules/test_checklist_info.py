"""modules/checklist_info.py: the thin end, and what goes to the controller."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support_checklist import TRACKS, Deployed, make_deployed
from support_tree import differences, snapshot

Run = Callable[..., Any]


def arguments(deployed: Deployed, **changes: Any) -> dict[str, Any]:
    instances = {env: Deployed(deployed.root, env).instance() for env in ("staging", "prod")}
    releases = str(deployed.images)
    return {"instances": instances, "releases": [releases], "images": releases, "tracks": TRACKS} | changes


def test_all_instances_or_those_that_are_named(run_module: Run, tmp_path: Path) -> None:
    deployed = make_deployed(tmp_path)
    before = snapshot(tmp_path)
    result = run_module("checklist_info", arguments(deployed), check=True)
    assert (result.failed, result["changed"]) == (False, False)
    assert differences(before, snapshot(tmp_path)) == set()
    staging, prod = result["instances"]
    assert (staging["env"], prod["env"]) == ("staging", "prod")
    assert staging["staging"] is None and prod["staging"]["tests"]
    lines = deployed.lines(staging)
    assert {line.state for line in lines.values()} <= {"ok", "not_checked"}
    assert "track gnomad.genomes" in lines

    result = run_module("checklist_info", arguments(deployed, envs=["prod"], tracks=[]))
    assert [facts["env"] for facts in result["instances"]] == ["prod"]
    assert result["instances"][0]["tracks"] == []


def test_where_the_images_lie_beside_the_link(run_module: Run, tmp_path: Path) -> None:
    deployed = make_deployed(tmp_path)
    result = run_module("checklist_info", arguments(deployed, images=None, envs=["staging"]))
    assert result["instances"][0]["image"]["images"] == str(deployed.link.parent)


def test_a_missing_path_is_named(run_module: Run, tmp_path: Path) -> None:
    result = run_module("checklist_info", {"instances": {"prod": {"data": "/x"}}, "releases": []})
    assert result.failed
    assert result["msg"] == "instances.prod: image_link, ledger is missing. What to do: add it."
    assert run_module("checklist_info", {"instances": {}, "releases": [], "envs": ["prod"]}).failed
    paths = dict.fromkeys(("data", "image_link", "ledger"), "/x")
    for known, words in (
        (None, "data, image_link, ledger"),
        ("/x", "data, image_link, ledger"),
        (paths | {"supervisor": {"url": "http://127.0.0.1:1"}}, "supervisor.program"),
        (paths | {"supervisor": "http://127.0.0.1:1"}, "supervisor.url, supervisor.program"),
    ):
        result = run_module("checklist_info", {"instances": {"staging": known}, "releases": []})
        assert result["msg"] == f"instances.staging: {words} is missing. What to do: add it."


def test_a_wrong_mode_is_refused(run_module: Run, tmp_path: Path) -> None:
    result = run_module("checklist_info", {"instances": {}, "releases": [], "mode": "774"})
    assert result.failed and "leading 0" in result["msg"]


def test_the_password_is_not_returned(run_module: Run, tmp_path: Path) -> None:
    given = arguments(make_deployed(tmp_path), username="svc", password="s3cret-8713")
    given["instances"]["staging"]["supervisor"] = {"url": "http://127.0.0.1:1", "program": "anno"}
    result = run_module("checklist_info", given)
    assert "not reachable" in result["instances"][0]["service"]["error"]["found"]
    assert "s3cret-8713" not in json.dumps(result["instances"])
