"""The whole ``deploy.yml`` in the sandbox, run again where nothing is to be done."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from sandbox import __main__ as sandbox
from sandbox import service

from benchmark.rows import Row, seconds

REPOSITORY = Path(__file__).resolve().parents[2]
SITES = {"one site": "tsd", "two sites": "tsd,nsc"}


def measure(scratch: Path, rounds: int) -> list[Row]:
    """Deploy into both sites, then time ``deploy.yml`` with one and with both, in turn."""
    root = scratch / "sandbox"
    sandbox.make(root)
    service.start(root)
    try:
        _deploy(root, SITES["two sites"])
        # Ansible names the file of each module that it runs on a host.
        runs = _deploy(root, SITES["one site"], "-vvv").count("\nUsing module file ")
        times: dict[str, list[float]] = {name: [] for name in SITES}
        for _ in range(rounds):
            for name, sites in SITES.items():
                start = time.perf_counter()
                _deploy(root, sites)
                times[name].append(time.perf_counter() - start)
    finally:
        sandbox.remove(root)
    return [
        Row("no-op deploy.yml, one site", seconds(times["one site"])),
        Row("no-op deploy.yml, two sites", seconds(times["two sites"])),
        Row("module runs on the host", str(runs)),
    ]


def _deploy(root: Path, sites: str, *options: str) -> str:
    command = ["ansible-playbook", "-i", "inventories/sandbox", "deploy.yml", "-l", sites, "-e", "env=staging"]
    return subprocess.run(
        [*command, *options],
        cwd=REPOSITORY,
        env={**os.environ, "ANNO_SANDBOX": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
