"""``python -m benchmark FOLDER``: measure, print one table."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmark import deployment, growth, pack, reading, rollback, unpack
from benchmark.rows import table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark", description="Measure, print one table.")
    parser.add_argument("folder", type=Path, help="the files are made below it, about 8 GB, and removed afterwards")
    parser.add_argument("--rounds", type=int, default=5, help="how often each work is timed (%(default)s)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="run.", dir=args.folder))
    try:
        parts = (unpack, growth, reading, pack, rollback, deployment)
        rows = [row for part in parts for row in part.measure(scratch, args.rounds)]
    finally:
        shutil.rmtree(scratch)
    print(f"Medians of {args.rounds} rounds; what is compared was timed in turn.\n")
    print(table(rows))


if __name__ == "__main__":
    main()
