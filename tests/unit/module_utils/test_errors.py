"""module_utils/errors.py: every failure in its four parts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def test_an_error_has_four_parts() -> None:
    error = AnnoError("/data", "it is a file", "a folder", "Move it.")
    assert str(error) == "/data: it is a file. Expected: a folder. What to do: Move it."
    assert failure(error) == {
        "msg": str(error), "where": "/data", "found": "it is a file", "expected": "a folder", "todo": "Move it.",
    }  # fmt: skip


def test_a_real_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "gone").read_text()
    found = failure(caught.value)
    assert found["where"] == str(tmp_path / "gone")
    assert found["found"] == "No such file or directory (ENOENT)"
    assert found["todo"] == "Check the path and the inventory."


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "free space"), (errno.EDQUOT, "free quota"), (errno.EACCES, "the right"),
        (errno.EROFS, "a writable file system"), (errno.EIO, "disk"), (errno.ELOOP, "the system allows this"),
    ],
)  # fmt: skip
def test_advice(number: int, expected: str) -> None:
    found = failure(OSError(number, os.strerror(number), "/data"))
    assert expected in found["expected"]
    assert errno.errorcode[number] in found["found"]


def test_two_names() -> None:
    assert failure(OSError(errno.EXDEV, "Cross-device link", "/a", None, b"/b"))["where"] == "/a -> /b"


def test_an_error_without_anything() -> None:
    found = failure(OSError("timed out"))
    assert (found["where"], found["found"]) == ("operating system", "timed out (0)")
