"""``data_unpack`` of 2 GB against GNU tar, which verifies nothing, against tar and md5sum together, and against
``ansible.builtin.unarchive``, which calls tar."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

from sandbox.archive import make_archive
from sandbox.packages import RECIPES, data_folder, make_package

from benchmark.rows import Row, compare
from benchmark.work import module, remove, run, timed

LARGE_FILES, LARGE_BYTES = 2, 960_000_000
SMALL_FILES, SMALL_BYTES, PER_FOLDER = 20_000, 4_000, 100
PACKAGES = {"gnomad": "3.0", "seqrepo": "2024-01-01"}
# The engine as the module runs it; VmHWM is the peak of this process alone, in KiB (proc(5)).
ENGINE = """
import sys
from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
data_unpack.apply(unpack_plan.Request(sys.argv[1], sys.argv[2], Ownership(0o774)))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
# Ansible, too, starts a Python for each module.
MODULE = "ansible_collections.ousamg.anno.plugins.modules.data_unpack"
UNARCHIVE = "ansible.modules.unarchive"


def measure(scratch: Path, rounds: int) -> list[Row]:
    """Time tar into an empty folder, and data_unpack into a data folder with one other package, in turn."""
    archive = _make_archive(scratch)
    extracted, instance = scratch / "extracted", scratch / "instance"
    request = {"src": str(archive), "data": str(instance / "data")}
    times: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        if number == 1:
            times.clear()  # the first round fills the page cache
        extracted.mkdir()
        times["tar"].append(timed(extracted, "tar", "-xf", archive))
        # Only now it is on disk; and md5sum is not slowed down by write-back.
        times["sync"].append(timed(extracted, "sync", "-f", "."))
        folders = [extracted / RECIPES[name].destination for name in PACKAGES]
        times["md5sum"].append(sum(timed(folder, "md5sum", "-c", "--quiet", "MD5SUM") for folder in folders))
        remove(extracted)

        extracted.mkdir()
        arguments = {"src": str(archive), "dest": str(extracted), "remote_src": True}
        for name in ("unarchive", "unarchive again"):
            times[name].append(timed(extracted, *module(UNARCHIVE, arguments)))
        remove(extracted)

        _make_instance(instance)
        start = time.perf_counter()
        peak = run(instance, sys.executable, "-c", ENGINE, *request.values())
        times["unpack"].append(time.perf_counter() - start)
        times["KiB"].append(float(peak))
        times["again"].append(timed(instance, *module(MODULE, request)))
        remove(instance)

    _make_instance(instance)
    command = ["ansible", "localhost", "-m", "ousamg.anno.data_unpack", "-a", json.dumps(request)]
    by_ansible = [timed(Path.cwd(), *command) for _ in range(2)]
    remove(instance)
    archive.unlink()

    tar, unpack = times["tar"], times["unpack"]
    synced = [a + b for a, b in zip(tar, times["sync"])]
    checked = [a + b for a, b in zip(tar, times["md5sum"])]
    return [
        compare(f"data_unpack, {LARGE_FILES} large + {SMALL_FILES} small files, 2 GB", unpack, "tar -xf", tar),
        compare("the same", unpack, "tar -xf && sync -f", synced),
        compare("the same", unpack, "tar -xf && md5sum -c", checked),
        compare("the same", unpack, "unarchive", times["unarchive"]),
        Row("the same, by `ansible` (once)", f"{by_ansible[0]:.2f} s"),
        Row("the same, peak memory", f"{max(times['KiB']) / 1024:.0f} MiB"),
        compare("data_unpack again, nothing to do", times["again"], "unarchive again", times["unarchive again"]),
        Row("the same, by `ansible` (once)", f"{by_ansible[1]:.2f} s"),
    ]


def make_data(data: Path) -> None:
    """A data folder of incompressible files: one package of large ones, one of small ones."""
    noise = os.urandom(16 << 20)
    for number in range(LARGE_FILES):
        path = data / RECIPES["gnomad"].destination / f"large.{number}.vcf.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            for begin in range(0, LARGE_BYTES, len(noise)):
                stream.write(noise[: LARGE_BYTES - begin])
    for number in range(SMALL_FILES):
        path = data / RECIPES["seqrepo"].destination / str(number // PER_FOLDER) / f"{number}.fa.bgz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise[number : number + SMALL_BYTES])
    for name, version in PACKAGES.items():
        make_package(data, name, version)


def _make_archive(scratch: Path) -> Path:
    """Its archive, packed by GNU tar as ella-anno does."""
    data, archive = scratch / "source", scratch / "gnomad-seqrepo.tar"
    make_data(data)
    make_archive(archive, data, tuple(PACKAGES))
    remove(data)
    return archive


def _make_instance(folder: Path) -> None:
    data_folder(folder / "data", {"clinvar": "20230504"})
    run(folder, "sync", "-f", ".")
