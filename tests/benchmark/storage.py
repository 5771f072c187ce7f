"""Storage that gives no more than so many bytes a second, and whose files are not in memory.

A disk of two gigabytes a second measures the processor; annotation data lie on file servers.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmark.work import run

CACHES = Path("/proc/sys/vm/drop_caches")
_CGROUP = Path("/sys/fs/cgroup")
# Joins the group that it is given and becomes the command.
_ENTER = 'echo $$ > "$1" && shift && exec "$@"'


@contextlib.contextmanager
def slow_reads(folder: Path, rate: int) -> Iterator[Callable[..., list[str]] | None]:
    """What makes of a command one that reads the folder's disk at so many bytes a second, by the kernel's control
    groups (version 1 or 2); None where this user or this machine cannot."""
    device = _disk(folder)
    first = _CGROUP / "blkio"
    top, setting, value = (first, "blkio.throttle.read_bps_device", f"{device} {rate}")
    if not first.is_dir():
        top, setting, value = (_CGROUP, "io.max", f"{device} rbps={rate}")
    try:
        group = Path(tempfile.mkdtemp(prefix="benchmark.", dir=top))
    except OSError:
        yield None
        return
    try:
        try:
            (group / setting).write_text(value)
        except OSError:
            yield None
            return
        yield lambda *command: ["sh", "-c", _ENTER, "sh", str(group / "cgroup.procs"), *map(str, command)]
    finally:
        group.rmdir()


def forget(folder: Path) -> None:
    """Nothing of the disk's files stays in memory."""
    run(folder, "sync", "-f", ".")
    CACHES.write_text("3\n")


def _disk(folder: Path) -> str:
    """The number of the whole disk that a folder is on, as ``8:0``: only these have a limit."""
    number = os.stat(folder).st_dev
    place = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    if (place / "partition").exists():
        place = place.parent
    known = place / "dev"
    return known.read_text().strip() if known.exists() else "0:0"
