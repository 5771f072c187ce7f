"""``data_rollback`` of 20,000 small files and 2 GB, against the time that it takes only to look at all of them."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback, generation
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from sandbox.packages import data_folder

from benchmark.rows import Row

SMALL_FILES, PER_FOLDER = 20_000, 100
SPARSE_BYTES = 2_000_000_000
# As the module runs it: in a Python of its own.
MODULE = """
import sys
from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback
data_rollback.apply(sys.argv[1], None, True)
"""


def measure(scratch: Path, rounds: int) -> list[Row]:
    """Return to the former generation and back again, in turn with ``du``, which walks both."""
    data = scratch / "instance" / "data"
    data_folder(data, {"clinvar": "20230504"})
    store = generation.open_store(str(data))
    former = Path(store.generations, "000001.20230504T000000000Z-00000000")
    data_folder(former, {"clinvar": "20240107"})
    for folder in (data, former):
        _fill(folder)
    receipt = {"generation": "20230504T000000000Z-00000000", "created": generation.timestamp(), "packages": []}
    generation.write_receipt(str(former), receipt, Ownership(0o664))
    times: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        start = time.perf_counter()
        data_rollback.apply(str(data), None, True)
        times["rollback"].append(time.perf_counter() - start)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", MODULE, data], check=True)
        times["process"].append(time.perf_counter() - start)
        start = time.perf_counter()
        subprocess.run(["du", "-s", data, store.state], stdout=subprocess.DEVNULL, check=True)
        times["du"].append(time.perf_counter() - start)
    shutil.rmtree(scratch / "instance")
    work = f"data_rollback, {SMALL_FILES} small files + 2 GB in each generation"
    ratio = statistics.median(times["rollback"]) / statistics.median(times["du"])
    return [
        Row(work, _milliseconds(times["rollback"]), "du -s of both", _milliseconds(times["du"]), f"{ratio:.2f}"),
        Row("the same, with the start of Python", _milliseconds(times["process"])),
    ]


def _milliseconds(times: Sequence[float]) -> str:
    return f"{1000 * statistics.median(times):.1f} ms"


def _fill(data: Path) -> None:
    for number in range(SMALL_FILES):
        path = data / "seqrepo" / str(number // PER_FOLDER) / f"{number}.fa.bgz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with (data / "seqrepo" / "large").open("wb") as stream:
        stream.truncate(SPARSE_BYTES)
