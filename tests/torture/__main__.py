"""``python -m torture FOLDER``: every interruption at every point; prints a report, fails where there is a problem."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from torture import matrix, mounts, trace
from torture.matrix import Tally

# Of each line's problems so many are told.
_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__.partition(";")[0])
    parser.add_argument("folder", type=Path, help="power cuts happen on a disk image in it, removed afterwards")
    parser.add_argument("--points", type=int, help="at most about so many points of each kind (default: all)")
    args = parser.parse_args()
    if why := trace.missing():
        print(f"Nothing can be interrupted here: {why}")
        return 1
    began = time.monotonic()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as disk, _memory(args.folder) as memory:
        tallies = list(_all(Path(disk), Path(memory), args.points))
    reads = sum(sum(tally.seen.values()) for tally in tallies)
    minutes = (time.monotonic() - began) / 60
    points = sum(tally.points for tally in tallies)
    problems = sum(len(tally.problems) for tally in tallies)
    print(f"\n{points} interruptions, {reads} reads meanwhile, {problems} problems, {minutes:.0f} min")
    return 1 if problems else 0


def _all(disk: Path, memory: Path, points: int | None) -> Iterator[Tally]:
    """As many at a time as there are processors; each is printed when it is done."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs: list[Future[list[Tally]]] = []
        if why := mounts.missing():
            print(f"Without power cuts and full file systems: {why}")
        else:
            jobs += [pool.submit(mounts.run, what, disk, points) for what in (mounts.POWER, mounts.FULL)]
        jobs += [
            pool.submit(matrix.interruptions, memory, variant, work, points)
            for variant in matrix.VARIANTS
            for work in matrix.WORKS
        ]
        for job in as_completed(jobs):
            for tally in job.result():
                print(tally.line(), *tally.problems[:_SHOWN], sep="\n  ", flush=True)
                yield tally


def _memory(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """Kills and errors need no disk."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else folder)


if __name__ == "__main__":
    sys.exit(main())
