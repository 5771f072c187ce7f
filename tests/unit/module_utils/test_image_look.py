"""The order of the looks: a wrong image is told before anything that costs much is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import image_look
from ansible_collections.ousamg.anno.plugins.module_utils.image_expect import ImageExpectationError
from ansible_collections.ousamg.anno.plugins.module_utils.image_look import Expected, look

V310 = str(Path(__file__).resolve().parents[2] / "fixtures/images/anno-v3.1.0.sif")


@pytest.mark.parametrize("expected", [Expected(size=1, sha256="0"), Expected(arch="s390x", sha256="0")])
def test_the_size_and_the_architecture_go_before_the_checksum(
    expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(image_look, "check_sha256", lambda path, _expected: read.append(path))
    with pytest.raises(ImageExpectationError):
        look(V310, expected, sha256=True, signature="digests", program=None)
    assert not read


def test_only_what_is_asked_for_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_look, "sha256_of", lambda path: f"digest of {path}")
    found = look(V310, Expected(), sha256=False, signature="described", program=None)
    assert found["sha256"] is None
    found = look(V310, Expected(), sha256=True, signature="described", program=None)
    assert found["sha256"] == f"digest of {V310}"
