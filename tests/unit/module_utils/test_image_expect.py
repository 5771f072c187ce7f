"""What is expected of an image, and what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.image_expect import (
    ImageExpectationError,
    check_arch,
    host_arch,
    look_inside,
    runs_on,
)
from ansible_collections.ousamg.anno.plugins.module_utils.sif import UNKNOWN, inspect_sif

V310 = inspect_sif(str(Path(__file__).resolve().parents[2] / "fixtures/images/anno-v3.1.0.sif"))


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("i686", "386"), ("ppc64le", "ppc64le")]
)
def test_a_machine_has_the_name_that_images_use(machine: str, arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert host_arch() == arch


def test_a_machine_runs_its_own_programs_and_those_of_its_predecessor() -> None:
    assert runs_on("amd64", "amd64")
    assert runs_on("386", "amd64")
    assert not runs_on("amd64", "386")
    assert not runs_on("arm64", "amd64")


def test_an_image_of_an_unknown_architecture_is_what_nobody_asked_for() -> None:
    with pytest.raises(ImageExpectationError, match="is an image for unknown"):
        check_arch(V310._replace(arch=UNKNOWN), "amd64")


def test_an_image_that_does_not_state_its_architecture_is_tried(tmp_path: Path) -> None:
    program = tmp_path / "singularity"
    program.write_text("#!/bin/sh\nprintf v1; cat; printf v2\n")
    program.chmod(0o755)
    inside = look_inside(V310._replace(arch=UNKNOWN), str(program), {"ella_anno": "v1"})
    assert inside == ({"ella_anno": "v1", "anno_targets": "v2"}, True, None)
