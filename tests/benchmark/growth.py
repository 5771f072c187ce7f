"""What must not grow with the data: the time to see that an archive is deployed already, and memory."""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

from ansible_collections.ousamg.anno.plugins.module_utils.generation import RECEIPT
from sandbox.archive import make_archive
from sandbox.packages import RECIPES, data_folder, make_package

from benchmark.rows import Row, seconds
from benchmark.unpack import ENGINE, MODULE
from benchmark.work import module, run, timed

SMALL_BYTES, LARGE_BYTES = 200_000_000, 100_000_000_000
FILES, PER_FOLDER = 100_000, 1000


def measure(scratch: Path, rounds: int) -> list[Row]:
    """A second run for an archive of 200 MB, and for one that the receipt says is of 100 GB and that lies there as a
    hole: a second run that read it would find nothing in it."""
    top = scratch / "growth"
    instance, archive = top / "instance", top / "clinvar.tar"
    data_folder(instance / "data", {"clinvar": "20230504"})
    padding = top / "source" / RECIPES["clinvar"].destination / "padding"
    padding.parent.mkdir(parents=True)
    with padding.open("wb") as stream:
        stream.truncate(SMALL_BYTES)
    make_package(top / "source", "clinvar", "20240107")
    make_archive(archive, top / "source", ["clinvar"])
    request = {"src": str(archive), "data": str(instance / "data")}
    run(top, *module(MODULE, request))

    times: defaultdict[str, list[float]] = defaultdict(list)
    for name in ("200 MB", "100 GB"):
        if name == "100 GB":
            _grow(archive, instance / "data" / RECEIPT)
        for _ in range(rounds):
            times[name].append(timed(instance, *module(MODULE, request)))
    shutil.rmtree(top)
    return [
        *(Row(f"data_unpack again, an archive of {name}", seconds(times[name])) for name in times),
        Row(f"data_unpack of {FILES} files of 1 kB, peak memory", f"{_peak(scratch) / 1024:.0f} MiB"),
    ]


def _grow(archive: Path, receipt: Path) -> None:
    with archive.open("r+b") as stream:
        stream.truncate(0)
        stream.truncate(LARGE_BYTES)
    status = archive.stat()
    content = json.loads(receipt.read_text())
    for stamp in (content["archive"], *(package["archive"] for package in content["packages"])):
        stamp.update(size=status.st_size, mtime_ns=status.st_mtime_ns)
    receipt.write_text(json.dumps(content))


def _peak(scratch: Path) -> int:
    """VmHWM of the process that unpacks, in KiB."""
    top = scratch / "many"
    source, archive = top / "source", top / "seqrepo.tar"
    for number in range(FILES):
        path = source / RECIPES["seqrepo"].destination / str(number // PER_FOLDER) / f"{number}.fa.bgz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big") * 250)
    make_package(source, "seqrepo", "2024-01-01")
    make_archive(archive, source, ["seqrepo"])
    data_folder(top / "data", {"clinvar": "20230504"})
    peak = int(run(top, sys.executable, "-c", ENGINE, archive, top / "data"))
    shutil.rmtree(top)
    return peak
