"""The module sif_info on real images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

IMAGES = Path(__file__).resolve().parents[2] / "fixtures" / "images"
V310 = IMAGES / "anno-v3.1.0.sif"
Run = Callable[..., Any]


def test_an_image_is_described(run_module: Run) -> None:
    result = run_module("sif_info", {"path": str(V310)})
    assert not result.failed
    assert result["changed"] is False
    assert (result["valid"], result["arch"], result["created"]) == (True, "amd64", "2026-11-24T03:13:08Z")
    assert (result["size"], result["sha256"], result["versions"]) == (40960, None, None)
    assert [item["type"] for item in result["descriptors"]] == ["Def.FILE", "JSON.Generic", "FS"]
    assert result["primary"] == 3
    assert result["descriptors"][2]["fs_type"] == "Squashfs"


def test_the_checksum_is_computed_on_request(run_module: Run) -> None:
    result = run_module("sif_info", {"path": str(V310), "sha256": True})
    assert result["sha256"] == hashlib.sha256(V310.read_bytes()).hexdigest()


def test_check_mode_gives_the_same_answer(run_module: Run) -> None:
    args = {"path": str(V310), "sha256": True}
    assert run_module("sif_info", args, check=True, diff=True) == run_module("sif_info", args)


def test_a_truncated_image_fails_with_the_four_parts(run_module: Run, tmp_path: Path) -> None:
    path = tmp_path / "anno.sif"
    path.write_bytes(V310.read_bytes())
    os.truncate(path, 40000)
    result = run_module("sif_info", {"path": str(path)})
    assert result.failed
    assert result["valid"] is False
    assert result["where"] == str(path)
    assert result["found"] == "is truncated: 960 bytes of data object 3 (FS) are missing"
    assert result["expected"] == "at least 40960 bytes, not 40000"
    assert all(part in result["msg"] for part in (result["found"], result["expected"], result["todo"]))
    assert "exception" not in result


def test_a_missing_image_fails_with_the_four_parts(run_module: Run, tmp_path: Path) -> None:
    result = run_module("sif_info", {"path": str(tmp_path / "anno.sif")})
    assert result.failed
    assert (result["valid"], result["where"]) == (False, str(tmp_path / "anno.sif"))
    assert "ENOENT" in result["found"]
    assert "exception" not in result


def test_versions_are_read_with_singularity(run_module: Run, tmp_path: Path) -> None:
    # A stand-in that answers as Singularity would for an image with these two files.
    program = tmp_path / "singularity"
    program.write_text(
        '#!/bin/sh\ncase "$1 $3 $4" in\n'
        "'exec cat /anno/version') echo '{\"tag\": \"v2.7.1a\"}';;\n"
        "'exec cat /anno-targets/version') echo v3.1.0;;\n*) exit 1;;\nesac\n"
    )
    program.chmod(0o755)
    result = run_module("sif_info", {"path": str(V310), "singularity": str(program)})
    assert result["versions"] == {"ella_anno": "v2.7.1a", "anno_targets": "v3.1.0"}


@pytest.mark.parametrize("body", ["exit 255", "echo two words"])
def test_an_image_that_cannot_tell_its_versions_fails(run_module: Run, tmp_path: Path, body: str) -> None:
    program = tmp_path / "singularity"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    result = run_module("sif_info", {"path": str(V310), "singularity": str(program)})
    assert result.failed
    assert "/anno/version" in result["found"]


def test_a_missing_singularity_fails_with_its_name(run_module: Run, tmp_path: Path) -> None:
    result = run_module("sif_info", {"path": str(V310), "singularity": str(tmp_path / "nothing")})
    assert result.failed
    assert str(tmp_path / "nothing") in result["msg"]
