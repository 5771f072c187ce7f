"""Whether a test may mount something, in a mount namespace of its own."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

UNSHARE = ("unshare", "--mount")


@functools.cache
def missing() -> str | None:
    """Why nothing can be mounted here; None where it can."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "mounting takes root and unshare (util-linux)"
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"nothing may be mounted here: {done.stderr.strip()}"


NEEDS_MOUNT = pytest.mark.skipif(missing() is not None, reason=str(missing()))
