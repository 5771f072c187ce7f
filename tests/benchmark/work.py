"""Works that are timed, each a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path


def remove(folder: Path) -> None:
    """Nothing of it is left to be written when the next work is timed."""
    shutil.rmtree(folder)
    run(folder.parent, "sync", "-f", ".")


def timed(folder: Path, *command: str | Path) -> float:
    start = time.perf_counter()
    run(folder, *command)
    return time.perf_counter() - start


def run(folder: Path, *command: str | Path) -> str:
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout
