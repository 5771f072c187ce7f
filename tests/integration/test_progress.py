"""Long work as a person sees it: lines of progress, and a word when the process is killed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import support_tar as tar

ROOT = Path(__file__).resolve().parents[2]
SIZE = 1 << 30


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """1 GiB of zeros, sparse on disk: long enough to look at it while it is unpacked."""
    digest = hashlib.md5(usedforsecurity=False)
    block = bytes(1 << 20)
    for _ in range(SIZE >> 20):
        digest.update(block)
    path = tmp_path / "big_1.tar"
    small = [
        tar.entry("sources.json", json.dumps({"big": {"version": "1", "timestamp": "2024-01-01"}})),
        tar.entry("PACKAGES", "big\n"),
        tar.entry("big/DATA_READY", "timestamp: 2024-01-01\nversion: '1'\n"),
        tar.entry("big/MD5SUM", f"{digest.hexdigest()}  zeros\n"),
        tar.header("big/zeros", SIZE),
    ]
    with path.open("wb") as stream:
        stream.write(b"".join(small))
        stream.truncate(stream.tell() + SIZE + 1024)
    return path


def unpack(archive: Path, data: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(data.parent / "home"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = [
        "ansible", "localhost", "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}",
        "-m", "ousamg.anno.data_unpack", "-a", f"src={archive} data={data}",
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_a_killed_process_is_told_and_the_next_run_converges(archive: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    run = unpack(archive, data)
    written = tmp_path / ".data.anno/next/big/zeros"
    deadline = time.monotonic() + 60
    while not written.exists():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()[0]
        time.sleep(0.01)
    os.kill(json.loads((tmp_path / ".data.anno/lock").read_text())["pid"], signal.SIGKILL)
    output, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    assert "ended without a result" in output
    assert "run again: it converges" in output
    assert "Traceback" not in output
    assert list(data.iterdir()) == []

    again = unpack(archive, data)
    output, _ = again.communicate(timeout=120)
    assert again.returncode == 0, output
    assert re.search(r"\[localhost\] unpack .*: \d+ %, .* of 1\.1 GB, .*/s", output), output
    assert (data / "big/zeros").stat().st_size == SIZE
    assert os.listdir(tmp_path / ".data.anno/generations")
    assert not written.exists()
