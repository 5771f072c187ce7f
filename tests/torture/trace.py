"""strace: which system calls a process makes, and what happens when one of them is not made or fails.

``inject=NAME:…:when=N`` counts the calls of one name from the start of the process, so a point is a name and its
number; the numbers are the same in each run of the same work.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torture import worker

# All that touches names and descriptors, and syncfs(2).
_CALLS = "%file,%desc,syncfs"
_LINE = re.compile(r"(\w+)\((.*)")
_LIMIT_SECONDS = 60


class Point(NamedTuple):
    """The ``number``-th call of ``name`` since the process began; ``text`` are its arguments; ``counts`` tells how
    often each name was called before."""

    name: str
    number: int
    text: str
    counts: dict[str, int]

    def inject(self, what: str, when: str = "") -> str:
        return f"inject={self.name}:{what}:when={self.number}{when}"


class Tracer(NamedTuple):
    """Runs the worker under strace; ``scratch`` holds its compiled Python and its traces, outside of the scene."""

    scratch: Path

    def points(self, arguments: Sequence[str], forced: Sequence[str]) -> list[Point]:
        """Do the work and list its calls, without those of Python's start and end."""
        trace = self.scratch / "trace.txt"
        done = self.run(arguments, forced, trace)
        if done.returncode != 0:
            raise RuntimeError(f"undisturbed work failed: {done.stdout}{done.stderr}")
        found: list[Point] = []
        counts: Counter[str] = Counter()
        inside = False
        for line in trace.read_text(errors="replace").splitlines():
            match = _LINE.match(line)
            if not match:
                continue
            if worker.END in line:
                break
            if inside:
                found.append(Point(match[1], counts[match[1]] + 1, match[2], dict(counts)))
            counts[match[1]] += 1
            inside = inside or worker.BEGIN in line
        return found

    def run(
        self, arguments: Sequence[str], expressions: Sequence[str], trace: Path = Path(os.devnull)
    ) -> subprocess.CompletedProcess[str]:
        """Do the work with calls failing or killing as the expressions of ``strace -e`` say."""
        chosen = [part for expression in expressions for part in ("-e", expression)]
        command = [sys.executable, "-m", "torture.worker", *arguments]
        environment = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONPYCACHEPREFIX": str(self.scratch / "pyc"),
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
            "PATH": os.environ["PATH"],
        }
        return subprocess.run(
            ["strace", "-qq", "-o", str(trace), "-e", f"trace={_CALLS}", *chosen, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )


def missing() -> str | None:
    """Why nothing can be traced here; None where it can."""
    if shutil.which("strace") is None:
        return "strace is not there (apt-get install strace)"
    done = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"
