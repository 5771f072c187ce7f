"""Works that are timed, each a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def module(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """The command of an Ansible module, as a process of its own."""
    return [sys.executable, "-m", name, json.dumps({"ANSIBLE_MODULE_ARGS": arguments})]


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
