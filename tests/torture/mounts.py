"""What needs a file system of its own, and so root: a disk that is really full, and a power cut.

Runs in a private mount namespace (``python -m torture.mounts WORK FOLDER COUNT``), so that nothing stays mounted in
whatever way it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import support_mount

from torture import matrix, worker
from torture.judge import NEW, OLD
from torture.matrix import VARIANTS, Bench, Tally, sample
from torture.scene import Scene
from torture.trace import Point

FULL, POWER = "full", "power"
# EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (Linux, fs/ext4/ext4.h): from now on nothing reaches the disk, not
# even the journal.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_IMAGE_BYTES = 64 << 20
# A power cut takes two mounts: of each phase so many points, evenly, are all that is asked for.
_MOST_CUTS = 100
_NO_SYNC = ("inject=syncfs:retval=0", "inject=fsync:retval=0")


def missing() -> str | None:
    """Why this cannot be done here; None where it can."""
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is not there (apt-get install e2fsprogs)"
    return support_mount.missing()


def run(what: str, folder: Path, count: int | None) -> list[Tally]:
    """Do it in a private mount namespace; ``count`` limits the points, None: all."""
    command = [*support_mount.UNSHARE, sys.executable, "-m", "torture.mounts", what, str(folder), str(count or 0)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [Tally.read(tally) for tally in json.loads(done.stdout)]


def main() -> None:
    work = {FULL: full_disks, POWER: power_cuts}[sys.argv[1]]
    folder = Path(sys.argv[2], sys.argv[1])
    folder.mkdir()
    print(json.dumps([vars(tally) for tally in work(folder, int(sys.argv[3]) or None)]))


def full_disks(folder: Path, count: int | None) -> list[Tally]:
    """A tmpfs with too few bytes, or too few names, for what is to be unpacked; then with enough."""
    tallies = []
    for variant in VARIANTS:
        with matrix.bench(folder, variant, worker.UNPACK) as bench, _mounted(bench.run, "tmpfs", "none") as remount:
            used = _used(bench)
            tally = Tally(f"{variant.name}, unpack, tmpfs with a limit")
            limits = [f"size={used[0] + blocks * 4096}" for blocks in range(0, 64, 2)]
            limits += [f"nr_inodes={used[1] + names}" for names in range(4, 64, 2)]
            for limit in limits[:: max(1, len(limits) // count) if count else 1]:
                remount("size=1g,nr_inodes=1m")
                scene = _fresh(bench)
                remount(limit)
                done = bench.tracer.run(bench.original.arguments(scene), variant.forced)
                found = bench.judge.look(scene.data)
                tally.points += 1
                tally.rest[found] += 1
                if done.returncode == worker.FAILED and ("room" in done.stdout or "space" in done.stdout):
                    problems = [] if found == OLD else [f"it failed and {found} is live"]
                else:
                    problems = [] if found == NEW and done.returncode == 0 else [f"{done.returncode}: {done.stdout}"]
                remount("size=1g,nr_inodes=1m")
                tally.problems += [f"{limit}: {problem}" for problem in (*problems, *bench.converges(scene))]
            tallies.append(tally)
    return tallies


def power_cuts(folder: Path, count: int | None) -> list[Tally]:
    """At a point the work is killed and nothing more reaches the disk: after the next mount one release is there.
    Right after success it is the new one; without the engine's syncs it is not, which tells that this test can tell."""
    tallies = []
    for variant, work in itertools.product(VARIANTS, (worker.UNPACK, worker.ROLLBACK)):
        with matrix.bench(folder, variant, work) as elsewhere:
            name = f"{variant.name}, {work}"
            disk = folder / "disk.img"
            pristine = folder / "pristine.img"
            bench = _on_image(elsewhere, pristine, disk)
            tally = Tally(f"{name}, power cut")
            half = max(1, count // 2) if count else _MOST_CUTS
            for point in (*sample(bench.building(), half), *sample(bench.switch(), half)):
                _cut(bench, pristine, disk, tally, point)
            after = Tally(f"{name}, power cut after success")
            for _ in range(count or 20):
                _cut(bench, pristine, disk, after, None)
            if set(after.rest) != {NEW}:
                after.problems.append(f"success was reported, and after the power cut there is {dict(after.rest)}")
            careless = Tally(f"{name}, the same without any sync")
            _cut(bench, pristine, disk, careless, None, _NO_SYNC)
            careless.problems = ["it survived: this test shows nothing"] if careless.rest[NEW] else []
            tallies += [tally, after, careless]
            for image in (disk, pristine):
                image.unlink()
    return tallies


def _cut(
    bench: Bench, pristine: Path, disk: Path, tally: Tally, point: Point | None, more: tuple[str, ...] = ()
) -> None:
    subprocess.run(["cp", "--sparse=always", pristine, disk], check=True)
    scene = Scene(bench.run / "scene")
    injected = [point.inject("signal=KILL")] if point else more
    with _mounted(bench.run, "ext4", str(disk), "loop"):
        done = bench.tracer.run(bench.original.arguments(scene), bench.expressions(injected))
        fd = os.open(bench.run, os.O_RDONLY)
        fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        os.close(fd)
    expected = matrix.KILLED if point else (0,)
    with _mounted(bench.run, "ext4", str(disk), "loop"):
        found = bench.judge.look(scene.data)
        tally.points += 1
        tally.rest[found] += 1
        problems = [] if done.returncode in expected else [f"it ended with {done.returncode}: {done.stdout}"]
        if found not in bench.variant.allowed:
            problems.append(f"after the power cut it is {found}")
        where = f"at {point.name} {point.number} ({point.text[:80]})" if point else "after success"
        tally.problems += [f"{where}: {problem}" for problem in (*problems, *bench.converges(scene))]


def _on_image(bench: Bench, pristine: Path, disk: Path) -> Bench:
    """Make the image with the scene. The points are those of the work there: how a folder is listed depends on the file
    system."""
    with pristine.open("wb") as stream:
        stream.truncate(_IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", pristine], check=True)
    with _mounted(bench.run, "ext4", str(pristine), "loop"):
        scene = bench.original.copy(bench.run / "scene")
    subprocess.run(["cp", "--sparse=always", pristine, disk], check=True)
    with _mounted(bench.run, "ext4", str(disk), "loop"):
        return bench._replace(points=bench.tracer.points(bench.original.arguments(scene), bench.variant.forced))


def _fresh(bench: Bench) -> Scene:
    return bench.original.copy(bench.run / "scene")


def _used(bench: Bench) -> tuple[int, int]:
    """Bytes and names that the scene takes by itself."""
    _fresh(bench)
    status = os.statvfs(bench.run)
    return (status.f_blocks - status.f_bfree) * status.f_frsize, status.f_files - status.f_ffree


@contextlib.contextmanager
def _mounted(place: Path, kind: str, source: str, options: str = "defaults") -> Iterator[Callable[[str], None]]:
    """Mount it, and yield what mounts it anew with other options."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    subprocess.run(["mount", "-t", kind, "-o", options, source, place], check=True)

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["umount", place], check=True)


if __name__ == "__main__":
    main()
