"""``data_archive`` of 2 GB against GNU tar, which verifies nothing, and against tar, md5sum and sha256sum together; and
from storage that is slower than the processor."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from sandbox.packages import RECIPES

from benchmark.rows import Row, compare, seconds
from benchmark.storage import forget, slow_reads
from benchmark.unpack import LARGE_FILES, PACKAGES, SMALL_FILES, make_data
from benchmark.work import module, remove, run, timed

# The engine as the module runs it, with its sync or without; VmHWM is the peak of this process alone, in KiB (proc(5)).
ENGINE = """
import os, sys
from ansible_collections.ousamg.anno.plugins.module_utils import data_pack
data, dest, sync = sys.argv[1:]
if sync == "no":
    os.fsync = lambda fd: None
data_pack.apply(data_pack.Request(data, dest))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
# Bytes a second, as a good file server gives them.
STORAGE = 300_000_000
MODULE = "ansible_collections.ousamg.anno.plugins.modules.data_archive"


def measure(scratch: Path, rounds: int) -> list[Row]:
    """Time tar and data_archive of the same folders, into a new file, in turn."""
    data, place = scratch / "data", scratch / "packed"
    make_data(data)
    archive = place / "gnomad-seqrepo.tar"
    engine = (sys.executable, "-c", ENGINE, data, archive)
    folders = [RECIPES[name].destination for name in PACKAGES]
    times: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        if number == 1:
            times.clear()  # the first round fills the page cache
        place.mkdir()
        times["tar"].append(timed(data, "tar", "-cf", archive, "sources.json", *folders))
        times["sync"].append(timed(place, "sync", archive))
        # What it takes to know what data_archive knows of the files and of the archive.
        times["sums"].append(sum(timed(data / folder, "md5sum", "-c", "--quiet", "MD5SUM") for folder in folders))
        times["sums"][-1] += timed(place, "sha256sum", archive)
        remove(place)

        place.mkdir()
        times["unsynced"].append(timed(place, *engine, "no"))
        remove(place)

        place.mkdir()
        times["pack"].append(timed(place, *engine, "yes"))
        times["again"].append(timed(place, *module(MODULE, {"data": str(data), "dest": str(archive)})))
        remove(place)
    place.mkdir()
    peak = int(run(place, *engine, "yes"))
    remove(place)
    with slow_reads(scratch, STORAGE) as slowly:
        for _ in range(rounds if slowly else 0):
            place.mkdir()
            forget(scratch)
            times["slow tar"].append(timed(data, *slowly("tar", "-cf", archive, "sources.json", *folders)))
            remove(place)
            place.mkdir()
            forget(scratch)
            times["slow pack"].append(timed(place, *slowly(*engine, "no")))
            remove(place)
    remove(data)

    synced = [a + b for a, b in zip(times["tar"], times["sync"])]
    checked = [a + b for a, b in zip(synced, times["sums"])]
    work = f"data_archive, {LARGE_FILES} large + {SMALL_FILES} small files, 2 GB"
    slow = f"the same, not synced, from storage of {STORAGE // 10**6} MB/s"
    return [
        compare(work, times["pack"], "tar -cf && sync", synced),
        compare("the same, not synced", times["unsynced"], "tar -cf", times["tar"]),
        compare("the same, synced", times["pack"], "tar -cf && sync && md5sum -c && sha256sum", checked),
        compare(slow, times["slow pack"], "tar -cf", times["slow tar"])
        if times["slow tar"]
        else Row(slow, "-", "needs root and cgroups"),
        Row("the same, peak memory", f"{peak / 1024:.0f} MiB"),
        Row("data_archive again, nothing to do", seconds(times["again"])),
    ]
