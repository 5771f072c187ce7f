"""Becoming another user for a while, where root runs the tests."""

from __future__ import annotations

import codecs
import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """What is imported meanwhile must be there: that user may not be able to reach the checkout, or Python itself."""
    for path in (Path(__file__).parents[1] / "plugins/modules").glob("*.py"):
        importlib.import_module(f"ansible_collections.ousamg.anno.plugins.modules.{path.stem}")
    codecs.lookup("ascii")
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
