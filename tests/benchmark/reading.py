"""A dry run of ``data_unpack`` against ``tar -tf``: sparse archives of 100 GB, of many members and of one."""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import support_tar as tar
from sandbox.packages import RECIPES, data_folder

from benchmark.rows import Row, compare, seconds
from benchmark.unpack import MODULE
from benchmark.work import module, timed

MEMBERS = 100_000
BYTES = 100_000_000_000
PACKAGE, VERSION = "seqrepo", "2024-01-01"


def measure(scratch: Path, rounds: int) -> list[Row]:
    """List both archives with tar and look into them with the module, in turn; and start Python for nothing."""
    # A dry run refuses what does not fit on the disk; how large the holes are makes no difference.
    total = min(BYTES, shutil.disk_usage(scratch).free // 2)
    archives = {count: scratch / f"{count}.tar" for count in (MEMBERS, 1)}
    data_folder(scratch / "data", {"clinvar": "20230504"})
    times: defaultdict[str, list[float]] = defaultdict(list)
    for count, archive in archives.items():
        _make_archive(archive, count, total // count)
    for number in range(rounds + 1):
        if number == 1:
            times.clear()  # the first round fills the page cache
        for count, archive in archives.items():
            request = {"src": str(archive), "data": str(scratch / "data"), "_ansible_check_mode": True}
            times[f"tar {count}"].append(timed(scratch, "tar", "-tf", archive))
            times[f"dry run {count}"].append(timed(scratch, *module(MODULE, request)))
        times["start"].append(timed(scratch, sys.executable, "-c", f"import {MODULE}"))
    for archive in archives.values():
        archive.unlink()
    shutil.rmtree(scratch / "data")
    what = f"{total // 10**9} GB (sparse)"
    rows = [
        compare(f"dry run, {count} members of {what}", times[f"dry run {count}"], "tar -tf", times[f"tar {count}"])
        for count in archives
    ]
    return [*rows, Row("of that, Python and its imports", seconds(times["start"]))]


def _make_archive(path: Path, count: int, size: int) -> None:
    """A package of so many files; of their contents there are only the holes."""
    place = RECIPES[PACKAGE].destination
    names = [f"{VERSION}/sequences/{number // 1000:04d}/{number:08d}.fa.bgz" for number in range(count)]
    sums = "".join(f"{tar.md5(b'')}  {name}\n" for name in names)
    large = size >= 8 << 30
    field = b"\x80" + size.to_bytes(11, "big") if large else b"%011o\0" % size
    with path.open("wb") as stream:
        stream.write(tar.entry("sources.json", json.dumps({PACKAGE: tar.source(VERSION)})))
        for name in names:
            stream.write(tar.header(f"{place}/{name}", field, magic=b"ustar  \0"))
            stream.seek(-(-size // 512) * 512, 1)
        stream.write(tar.entry(f"{place}/MD5SUM", sums))
        stream.write(tar.entry(f"{place}/DATA_READY", f"version: '{VERSION}'\n"))
        stream.write(tar.entry("PACKAGES", f"{PACKAGE}\n") + tar.END)
