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


RACE = """
import sys
from ansible_collections.ousamg.anno.plugins.module_utils import lock
for line in sys.stdin:
    try:
        with lock.held(sys.argv[1], "race"):
            print("held", flush=True)
            sys.stdin.readline()
        print("released", flush=True)
    except lock.LockError as error:
        print(error.text(), flush=True)
        sys.stdin.readline()
        print("-", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def write(path: str, **changes: Any) -> None:
    """The lock of this very process, with changes."""
    holder = {**lock._me("unpack a.tar"), **changes}
    Path(path).unlink(missing_ok=True)
    Path(path).symlink_to(json.dumps(holder))


def start(script: str, path: str, *wrapper: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", script, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def holder_process(path: str) -> subprocess.Popen[str]:
    process = start(HOLD, path)
    assert hear(process) == "held"
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
    assert not os.path.lexists(path)


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


@pytest.mark.parametrize("left", [False, True])
def test_of_two_that_race_one_wins_and_the_other_is_told(path: str, left: bool) -> None:
    """Also where both find the lock of a dead process."""
    gone = dead_pid()
    racers = [start(RACE, path) for _ in range(2)]
    wins = [0, 0]
    for _ in range(50):
        if left:
            write(path, pid=gone)
        for racer in racers:
            tell(racer)
        said = [hear(racer) for racer in racers]
        assert sorted(text == "held" for text in said) == [False, True], said
        winner = said.index("held")
        wins[winner] += 1
        who = f"{getpass.getuser()}@{socket.gethostname()} (pid {racers[winner].pid}) works here since 20"
        assert who in said[1 - winner]
        for racer in racers:
            tell(racer)
        assert sorted(hear(racer) for racer in racers) == ["-", "released"]
        assert not os.path.lexists(path)
    assert sum(wins) == 50
    for racer in racers:
        racer.communicate("", timeout=10)


def test_the_lock_of_a_killed_process_is_taken_over(path: str) -> None:
    process = holder_process(path)
    process.kill()
    process.wait()
    assert os.path.lexists(path)
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


def test_a_lock_from_before_a_reboot_is_taken_over(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pid and start time may be those of a process of this boot."""
    monkeypatch.setattr(lock, "_FIRST_NAMESPACE", lock._pid_namespace())
    # A minimal system has no machine-id.
    Path(f"{path}.machine").write_text("3d1219c7")
    monkeypatch.setattr(lock, "_MACHINE", f"{path}.machine")
    write(path, boot="another-boot")
    lock.check(path)
    with lock.held(path, "second"):
        assert (lock.read(path) or {})["boot"] != "another-boot"


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": "another-boot", "machine": "a-machine-of-the-same-name"},
        {"boot": "another-boot", "machine": None},
        {"boot": None},
        {"boot": "another-boot", "pid_namespace": "pid:[4026532999]"},
        {"pid_namespace": "pid:[4026532999]"},
        {"pid_namespace": None},
    ],
)
def test_what_may_be_a_machine_or_a_container_of_the_same_name_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(lock, "_FIRST_NAMESPACE", lock._pid_namespace())
    write(path, pid=dead_pid(), **changes)
    for attempt in (lambda: lock.check(path), lambda: lock.held(path, "second").__enter__()):
        with pytest.raises(LockError, match=f"rm {path}"):
            attempt()
    assert os.path.lexists(path)


def test_a_reboot_of_a_container_cannot_be_told(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of its namespace may be that of another container now."""
    monkeypatch.setattr(lock, "_FIRST_NAMESPACE", "pid:[0]")
    write(path, boot="another-boot", pid=dead_pid())
    with pytest.raises(LockError):
        lock.check(path)


@pytest.mark.parametrize("missing", ["_BOOT", "_MACHINE"])
def test_a_host_that_does_not_say_who_it_is_takes_over_no_other_boots(
    path: str, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(lock, "_FIRST_NAMESPACE", lock._pid_namespace())
    monkeypatch.setattr(lock, missing, f"{path}.none")
    write(path, boot="another-boot", pid=dead_pid())
    with pytest.raises(LockError):
        lock.check(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a pid namespace")
def test_two_containers_do_not_take_over_each_others_lock(path: str) -> None:
    """The same host name and file system, each with pids of its own: a real pid namespace."""
    process = start(HOLD, path, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    if hear(process) != "held":
        pytest.skip(f"no pid namespace here: {process.communicate()[1]}")
    holder = lock.read(path) or {}
    assert holder["host"] == socket.gethostname() and holder["pid"] < 10
    for _ in ("it runs", "it is dead"):
        with pytest.raises(LockError, match=r"\(in a container, or outside of this one\)"):
            lock.check(path)
        process.kill()
        process.wait()
    process = start(HOLD, path, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    assert hear(process) == "", "another container does not take it over either"
    assert "LockError" in process.communicate()[1]
    assert os.path.lexists(path)


def test_the_lock_of_another_host_is_refused_with_the_way_out(path: str) -> None:
    write(path, host="beta", pid=dead_pid(), user="service")
    with pytest.raises(LockError, match="service@beta") as caught, lock.held(path, "x"):
        pass
    assert f"rm {path}" in caught.value.todo
    assert os.path.lexists(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": 1, "pid": "x"}'])
@pytest.mark.parametrize("as_link", [True, False])
def test_what_no_engine_has_made_is_refused(path: str, text: str, as_link: bool) -> None:
    if as_link:
        Path(path).symlink_to(text or "elsewhere")
    else:
        Path(path).write_text(text, encoding="utf-8")
    os.utime(path, (0, 0), follow_symlinks=False)
    for attempt in (lambda: lock.check(path), lambda: lock.held(path, "x").__enter__()):
        with pytest.raises(LockError, match=f"rm {path}") as caught:
            attempt()
        if "host" not in text or not as_link:
            assert f"does not say whose it is (made by {getpass.getuser()} at 1970-01-01T00:00:00" in caught.value.found
            assert "on this host or another" in caught.value.todo
    assert not os.path.exists(os.path.join(os.path.dirname(path), "elsewhere"))


def test_a_lock_that_another_host_takes_in_that_instant(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not there when it was looked for: making the link tells, and the other one is named and keeps it."""
    check = lock.check

    def late(path: str) -> bool:
        found = check(path)
        write(path, host="beta")
        return found

    monkeypatch.setattr(lock, "check", late)
    with pytest.raises(LockError, match="@beta"), lock.held(path, "x"):
        pass
    assert (lock.read(path) or {})["host"] == "beta"


def test_a_folder_that_is_no_more_names_the_lock_and_not_what_it_says(tmp_path: Path) -> None:
    place = str(tmp_path / "gone/lock")
    with pytest.raises(FileNotFoundError) as caught:
        lock.write(place, {"host": "here"})
    assert (caught.value.filename, caught.value.filename2) == (place, None)


def test_a_long_purpose_fits_into_a_link(path: str) -> None:
    with lock.held(path, "unpack " + "x" * 5000):
        assert len(os.readlink(path)) < 1024


def test_a_lock_that_was_removed_by_hand_is_no_failure(path: str) -> None:
    with lock.held(path, "x"):
        os.unlink(path)
    with lock.held(path, "x"):
        write(path, host="beta")
    assert (lock.read(path) or {})["host"] == "beta", "that of who came next stays"


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
