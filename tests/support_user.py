"""Becoming another user for a while, where root runs the tests."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def world_folder() -> Iterator[Path]:
    """A folder that every user may reach; pytest's own ones are private."""
    with tempfile.TemporaryDirectory(prefix="anno-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
