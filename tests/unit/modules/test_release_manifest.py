"""The module release_manifest, the target's half: what it finds, and its errors in four parts."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

IMAGE = Path(__file__).resolve().parents[2] / "fixtures" / "images" / "anno-v3.2.0.sif"
Run = Callable[..., Any]


@pytest.mark.parametrize("check", [True, False])
def test_a_manifest_is_found(tmp_path: Path, run_module: Run, check: bool) -> None:
    (tmp_path / "v3.2.0.yml").write_text("version: v3.2.0\n")
    result = run_module("release_manifest", {"search": [str(tmp_path)]}, check=check)
    # Ansible adds the owner and mode of whatever is called path.
    expected = {
        "changed": False,
        "available": ["v3.2.0"],
        "path": str(tmp_path / "v3.2.0.yml"),
        "text": "version: v3.2.0\n",
        "reason": f"newest of 1 in {tmp_path}",
        "archive": None,
        "image": None,
    }
    assert {key: result[key] for key in expected} == expected


def test_an_image_is_described(tmp_path: Path, run_module: Run) -> None:
    shutil.copy(IMAGE, tmp_path)
    args = {"search": [str(tmp_path)], "artifact_search": [str(tmp_path)], "image": IMAGE.name}
    result = run_module("release_manifest", args)
    assert not result["changed"]
    assert result["image"]["sha256"] == hashlib.sha256(IMAGE.read_bytes()).hexdigest()
    assert result["path"] is None


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({}, "{folder}"),
        ({"release": "v9.9.9"}, "{folder}"),
        ({"release": "newest"}, "'newest'"),
        ({"image": "/nowhere/anno-v3.2.0.sif"}, "/nowhere/anno-v3.2.0.sif"),
        ({"data_archive": "x.tar", "release": "v3.2.0a", "artifact_search": ["{folder}"]}, "{folder}/x.tar"),
    ],
)
def test_errors_have_four_parts(tmp_path: Path, run_module: Run, args: dict[str, Any], path: str) -> None:
    (tmp_path / "x.tar").write_text("no archive")
    if "artifact_search" in args:
        args = {**args, "artifact_search": [str(tmp_path)]}
    result = run_module("release_manifest", {"search": [str(tmp_path)], **args})
    assert result.failed
    assert result["where"] == path.format(folder=tmp_path)
    assert result["found"]
    assert result["expected"]
    assert result["todo"]
