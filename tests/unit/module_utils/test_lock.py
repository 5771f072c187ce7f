"""module_utils/lock.py with real processes."""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import lock
from ansible_collections.ousamg.anno.plugins.module_utils.lock import LockError

HOLD = """
import sys
from ansible_collections.ousamg.anno.plugins.module_utils import lock
with lock.held(sys.argv[1], "unpack a.tar"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def write(path: str, **changes: Any) -> None:
    """The lock of this very process, with changes."""
    holder = {**lock._me("unpack a.tar"), **changes}
    Path(path).write_text(json.dumps(holder), encoding="utf-8")


def holder_process(path: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_it_says_who_holds_it_and_is_gone_afterwards(path: str) -> None:
    assert lock.read(path) is None
    with lock.held(path, "rollback"):
        holder = lock.read(path)
        assert holder is not None
        assert (holder["host"], holder["pid"], holder["purpose"]) == (socket.gethostname(), os.getpid(), "rollback")
    assert not os.listdir(os.path.dirname(path))


def test_it_is_gone_after_a_failure(path: str) -> None:
    with pytest.raises(ZeroDivisionError), lock.held(path, "x"):
        raise ZeroDivisionError
    assert not os.path.exists(path)


def test_a_living_holder_is_named(path: str) -> None:
    process = holder_process(path)
    for attempt in (lambda: lock.check(path), lambda: lock.held(path, "second").__enter__()):
        with pytest.raises(LockError) as caught:
            attempt()
        text = caught.value.text()
        user = getpass.getuser()
        assert f"{user}@{socket.gethostname()} (pid {process.pid}) works here since 20" in text
        assert "unpack a.tar" in text and f"rm {path}" in text
    process.communicate("")
    lock.check(path)
    with lock.held(path, "second"):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(path: str) -> None:
    process = holder_process(path)
    process.kill()
    process.wait()
    assert os.path.exists(path)
    lock.check(path)
    with lock.held(path, "second"):
        assert (lock.read(path) or {})["pid"] == os.getpid()


def test_another_process_with_the_same_pid_is_another(path: str) -> None:
    write(path, start="1")
    lock.check(path)
    write(path, pid=dead_pid())
    lock.check(path)
    write(path)
    with pytest.raises(LockError):
        lock.check(path)


def test_a_process_that_is_hidden_may_be_alive(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with /proc mounted with hidepid, where a process of another user has no folder there."""
    write(path, pid=1)
    monkeypatch.setattr(lock, "_start_time", lambda pid: None)
    with pytest.raises(LockError):
        lock.check(path)
    write(path, pid=dead_pid())
    lock.check(path)


def test_the_lock_of_another_host_is_refused_with_the_way_out(path: str) -> None:
    write(path, host="beta", pid=dead_pid(), user="service")
    with pytest.raises(LockError, match="service@beta") as caught, lock.held(path, "x"):
        pass
    assert f"rm {path}" in caught.value.todo
    assert os.path.exists(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": 1, "pid": "x"}'])
def test_a_lock_that_says_nothing_is_refused(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")
    with pytest.raises(LockError, match="rm "), lock.held(path, "x"):
        pass


def test_a_full_disk_leaves_no_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space"), lock.held(path, "x"):
        pass
    assert not os.path.exists(path)


def test_a_lock_that_was_removed_by_hand_is_no_failure(path: str) -> None:
    with lock.held(path, "x"):
        os.unlink(path)


def test_a_link_in_its_place_is_refused(path: str, tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(LockError), lock.held(path, "x"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_user_may_have_no_name(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with lock.held(path, "x"):
        assert (lock.read(path) or {})["user"] == str(os.geteuid())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock(path: str, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def without(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without)
    with lock.held(path, "x"), pytest.raises(LockError), lock.held(path, "y"):
        pass
