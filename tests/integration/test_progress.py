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
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import support_sshd
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import lock

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


def unpack(archive: Path, data: Path, connection: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(data.parent / "home"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    # A line that waits in a buffer is no progress: who runs a play does not have this set.
    environment.pop("PYTHONUNBUFFERED", None)
    variables = {"ansible_connection": "local", **(connection or {}), "ansible_python_interpreter": sys.executable}
    command = [
        "ansible", "tsd", "-i", "tsd,", "-e", json.dumps(variables),
        "-m", "ousamg.anno.data_unpack", "-a", f"src={archive} data={data}",
    ]  # fmt: skip
    # Not a pipe: ssh's master, which outlives the command, would keep it open.
    with output_of(data).open("wb") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)


def output_of(data: Path) -> Path:
    return data.with_name("output.txt")


def end(run: subprocess.Popen[bytes], data: Path) -> str:
    """Wait for it, and return what it said."""
    run.wait(120)
    return output_of(data).read_text()


def holder(top: Path) -> int:
    """The process that holds the lock."""
    found = lock.read(str(top / ".data.anno/lock"))
    assert found
    return int(found["pid"])


def wait_for(condition: Callable[[], bool], run: subprocess.Popen[bytes], data: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if run.poll() is not None or time.monotonic() > deadline:
            run.kill()
            pytest.fail(f"waited in vain: {end(run, data)}")
        time.sleep(0.01)


def test_a_killed_process_is_told_and_the_next_run_converges(archive: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    run = unpack(archive, data)
    written = tmp_path / ".data.anno/next/big/zeros"
    wait_for(written.exists, run, data)
    os.kill(holder(tmp_path), signal.SIGKILL)
    output = end(run, data)
    assert run.returncode != 0
    assert "ended without a result" in output
    assert "run again: it converges" in output
    assert "Traceback" not in output
    assert list(data.iterdir()) == []

    again = unpack(archive, data)
    output = end(again, data)
    assert again.returncode == 0, output
    assert re.search(r"\[tsd\] unpack .*: \d+ %, .* of 1\.1 GB, .*/s", output), output
    assert (data / "big/zeros").stat().st_size == SIZE
    assert os.listdir(tmp_path / ".data.anno/generations")
    assert not written.exists()


@pytest.mark.skipif(support_sshd.missing() is not None, reason=str(support_sshd.missing()))
def test_work_goes_on_without_its_connection(archive: Path, tmp_path: Path) -> None:
    """The ssh sessions are killed and the server is away for a while: the work does not notice, the play says so."""
    data = tmp_path / "data"
    data.mkdir()
    written = tmp_path / ".data.anno/next/big/zeros"
    with support_sshd.Server(tmp_path / "sshd") as server:
        run = unpack(archive, data, server.variables())
        # By then it has told how far it is.
        wait_for(lambda: written.exists() and written.stat().st_size > 16 << 20, run, data)
        worker = holder(tmp_path)
        os.kill(worker, signal.SIGSTOP)
        try:
            wait_for(lambda: "[tsd] unpack big" in output_of(data).read_text(), run, data)
            server.stop()
            lost = "[tsd] the connection is lost, the work goes on there; trying again …"
            wait_for(lambda: lost in output_of(data).read_text(), run, data)
        finally:
            os.kill(worker, signal.SIGCONT)
        server.start()
        output = end(run, data)
    assert run.returncode == 0, output
    assert re.search(r"\[tsd\] connected again after \d+ s", output), output
    assert "Traceback" not in output
    assert (data / "big/zeros").stat().st_size == SIZE
    assert not written.exists()
