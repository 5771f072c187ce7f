"""Kills and errors at the N-th step of work that changes files.

A step is a call that changes names or contents: of ``os``, and the engine's own exchange of two folders.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from unittest import mock

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, files

_STEPS = ("link", "mkdir", "open", "rename", "rmdir", "symlink", "unlink", "write")
_TAKES_ROOM = ("link", "mkdir", "open", "symlink", "write")


@contextlib.contextmanager
def _before_each_step(act: Callable[[int, str], None]) -> Iterator[None]:
    """Call ``act`` with the number (from 1) and the name of each step before it is done."""
    count = 0

    def wrap(name: str, function: Any) -> Any:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            if name != "open" or args[1] & os.O_CREAT:
                count += 1
                act(count, name)
            return function(*args, **kwargs)

        return step

    with contextlib.ExitStack() as stack:
        for name in _STEPS:
            stack.enter_context(mock.patch.object(os, name, wrap(name, getattr(os, name))))
        stack.enter_context(mock.patch.object(data_switch, "exchange", wrap("exchange", files.exchange)))
        yield


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory, where there is one: thousands of small steps take long on a busy disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="anno-test-", dir=memory) as folder:
        yield Path(folder)


def run_and_kill(work: Callable[[], Any], number: int) -> bool:
    """Do the work in a process that dies just before its step ``number``; whether it had ended before."""

    def die(count: int, _: str) -> None:
        if count == number:
            os._exit(9)

    pid = os.fork()
    if pid == 0:
        try:
            with _before_each_step(die):
                work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9), "the work failed by itself"
    return code == 0


@contextlib.contextmanager
def broken_disk(number: int) -> Iterator[Callable[[], bool]]:
    """The step ``number`` fails with EIO, all others do not; yields whether it came to that."""
    reached = []

    def fail(count: int, name: str) -> None:
        if count == number:
            reached.append(name)
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    with _before_each_step(fail):
        yield lambda: bool(reached)


@contextlib.contextmanager
def full_disk(number: int) -> Iterator[Callable[[], bool]]:
    """From the step ``number`` on, what takes room fails with ENOSPC; yields whether it came to that."""
    reached = []

    def fail(count: int, name: str) -> None:
        if count >= number and name in _TAKES_ROOM:
            reached.append(name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    with _before_each_step(fail):
        yield lambda: bool(reached)


def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system has a byte left, as far as one asks."""
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        values = list(real(path))
        values[4] = 0  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)
