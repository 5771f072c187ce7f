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
SIGNED = IMAGES / "signed/anno-v3.2.0.sif"
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


def stand_in(folder: Path, body: str) -> str:
    """Runs shell code in the place of Singularity."""
    program = folder / "singularity"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A stand-in that answers for an image with ella-anno v2.7.1a and anno-targets v3.1.0."""
    (tmp_path / "ella_anno").write_text('{"tag": "v2.7.1a"}')
    (tmp_path / "anno_targets").write_text("v3.1.0")
    return stand_in(tmp_path, f"exec cat {tmp_path}/ella_anno - {tmp_path}/anno_targets")


def test_versions_are_read_with_singularity(run_module: Run, program: str) -> None:
    result = run_module("sif_info", {"path": str(V310), "singularity": program})
    assert result["versions"] == {"ella_anno": "v2.7.1a", "anno_targets": "v3.1.0"}
    assert (result["versions_checked"], result["versions_reason"]) == (False, "no versions are expected")


def test_versions_are_compared(run_module: Run, program: str) -> None:
    args = {"path": str(V310), "singularity": program}
    expected = {"ella_anno": "v2.7.1a", "anno_targets": "v3.1.0"}
    result = run_module("sif_info", {**args, "expect": {"versions": expected}})
    assert (result["versions_checked"], result["versions_reason"]) == (True, None)
    # What the manifest does not know is not compared.
    result = run_module("sif_info", {**args, "expect": {"versions": {"ella_anno": None, "anno_targets": "v3.1.0"}}})
    assert result["versions_checked"] is True
    result = run_module("sif_info", {**args, "expect": {"versions": None}})
    assert result["versions_checked"] is False


def test_other_versions_fail_and_both_are_named(run_module: Run, program: str) -> None:
    expect = {"versions": {"ella_anno": "v2.7.1a", "anno_targets": "v3.2.0"}}
    result = run_module("sif_info", {"path": str(V310), "singularity": program, "expect": expect})
    assert result.failed
    assert result["found"] == "holds anno_targets v3.1.0, ella_anno v2.7.1a"
    assert result["expected"] == "anno_targets v3.2.0, ella_anno v2.7.1a"
    assert "versions_checked" not in result


@pytest.mark.parametrize("body", ["exit 255", "echo two words"])
def test_an_image_that_cannot_tell_its_versions_fails(run_module: Run, tmp_path: Path, body: str) -> None:
    result = run_module("sif_info", {"path": str(V310), "singularity": stand_in(tmp_path, body)})
    assert result.failed
    assert "/anno/version" in result["found"]


@pytest.mark.parametrize(
    ("singularity", "reason"),
    [
        (None, "no executable of Singularity is given"),
        ("/nowhere/singularity", "there is no /nowhere/singularity on this host"),
    ],
)
def test_without_singularity_nothing_passes_as_compared(
    run_module: Run, singularity: str | None, reason: str
) -> None:
    args = {"path": str(V310), "singularity": singularity, "expect": {"versions": {"anno_targets": "v9.9.9"}}}
    result = run_module("sif_info", args)
    assert not result.failed
    assert (result["versions"], result["versions_checked"], result["versions_reason"]) == (None, False, reason)


def test_an_image_for_another_architecture_is_told_and_not_run(
    run_module: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    result = run_module("sif_info", {"path": str(V310)})
    assert (result["arch"], result["host_arch"], result["runs_here"]) == ("amd64", "arm64", False)
    for args in (
        {"expect": {"arch": "host"}},
        {"singularity": stand_in(tmp_path, f"touch {tmp_path}/was-run")},
    ):
        result = run_module("sif_info", {"path": str(V310), **args})
        assert result.failed
        assert (result["found"], result["expected"]) == ("is an image for amd64", "one for arm64")
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"size": 40961}, ["has 40960 bytes", "Expected: 40961 bytes"]),
        ({"sha256": "0" * 64}, ["has the SHA-256", f"Expected: {'0' * 64}"]),
        ({"arch": "arm64"}, ["is an image for amd64", "Expected: one for arm64"]),
    ],
)
def test_another_image_than_expected_fails(run_module: Run, expect: dict[str, Any], words: list[str]) -> None:
    result = run_module("sif_info", {"path": str(V310), "expect": expect})
    assert result.failed
    assert all(word in result["msg"] for word in words)


def test_the_image_of_the_manifest_passes(run_module: Run) -> None:
    digest = hashlib.sha256(V310.read_bytes()).hexdigest()
    expect = {"size": 40960, "sha256": digest.upper(), "arch": "amd64", "versions": None}
    result = run_module("sif_info", {"path": str(V310), "expect": expect})
    assert not result.failed
    assert result["sha256"] == digest


def test_signatures_are_told(run_module: Run) -> None:
    result = run_module("sif_info", {"path": str(SIGNED)})
    (signature,) = result["signature"]["signatures"]
    assert signature["covers"] == [1, 2, 3]
    assert len(signature["entity"]) == 40
    assert result["signature"] | {"signatures": []} == {
        "state": "signed",
        "signatures": [],
        "uncovered": [],
        "digests_match": None,
        "verified": None,
        "reason": "it was not asked for",
    }
    assert run_module("sif_info", {"path": str(SIGNED), "signature": "digests"})["signature"]["digests_match"] is True
    unsigned = run_module("sif_info", {"path": str(V310), "signature": "digests"})["signature"]
    assert (unsigned["state"], unsigned["digests_match"]) == ("unsigned", None)


def test_a_signed_image_with_a_changed_byte_fails_without_a_manifest(run_module: Run, tmp_path: Path) -> None:
    path = tmp_path / "anno.sif"
    content = bytearray(SIGNED.read_bytes())
    content[40000] ^= 1
    path.write_bytes(content)
    assert not run_module("sif_info", {"path": str(path)}).failed
    result = run_module("sif_info", {"path": str(path), "signature": "digests"})
    assert result.failed
    assert result["found"] == "data object 3 (FS) is not what was signed"


@pytest.mark.parametrize(
    ("image", "body", "verified", "reason"),
    [
        (SIGNED, "exit 0", True, None),
        (SIGNED, "echo 'FATAL: unknown entity' >&2; exit 255", False, "FATAL: unknown entity"),
        (V310, "exit 0", None, "nothing is signed"),
    ],
)
def test_singularity_verifies(
    run_module: Run, tmp_path: Path, image: Path, body: str, verified: bool | None, reason: str | None
) -> None:
    program = stand_in(tmp_path, f'[ "$1" != verify ] || {{ {body}; }}\nprintf v1; cat; printf v2')
    result = run_module("sif_info", {"path": str(image), "signature": "verify", "singularity": program})
    assert (result["signature"]["verified"], result["signature"]["reason"]) == (verified, reason)


def test_a_verification_without_singularity_is_not_done(run_module: Run) -> None:
    for singularity, reason in ((None, "no executable"), ("/nowhere/s", "there is no /nowhere/s on this host")):
        args = {"path": str(SIGNED), "signature": "verify", "singularity": singularity}
        found = run_module("sif_info", args)["signature"]
        assert found["verified"] is None
        assert found["reason"].startswith(reason)
        assert found["digests_match"] is True
