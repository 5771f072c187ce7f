# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker at a time, on one host or on several that share a file system.

The lock is a file made with O_EXCL, which also NFS and GPFS keep atomic, holding who took it. flock(2) alone would not
do: it may be local to a host. It serves here to let processes of one host take over a dead one's lock without racing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError


class LockError(AnnoError):
    """Somebody else works here."""


@contextlib.contextmanager
def held(path: str, purpose: str) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs. Raises LockError naming host, user, pid and since when.

    The lock of a process of this host that is gone is taken over. That of another host is not: nobody here can tell
    whether it still runs.
    """
    with _one_of_this_host(os.path.dirname(path)):
        holder = read(path)
        if holder is not None and is_gone(holder):
            os.unlink(path)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o664)
        except FileExistsError:
            raise refusal(path, read(path) or {}) from None
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as stream:
                json.dump(_me(purpose), stream)
        except BaseException:
            os.unlink(path)  # a full disk: an empty lock would be in everybody's way
            raise
    try:
        yield
    finally:
        # The work is done. A lock that stays is that of a process which is gone, and is taken over.
        with contextlib.suppress(OSError):
            os.unlink(path)


def read(path: str) -> dict[str, Any] | None:
    """Who holds the lock: ``host``, ``user``, ``pid``, ``since``, ``purpose``; None where nobody does. A file that
    says nothing (its writer died just then) gives an empty dict."""
    try:
        with open(path, encoding="utf-8") as stream:
            holder = json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def check(path: str) -> None:
    """Raise LockError where somebody alive holds the lock; for a dry run, which takes none."""
    holder = read(path)
    if holder is not None and not is_gone(holder):
        raise refusal(path, holder)


def refusal(path: str, holder: dict[str, Any]) -> LockError:
    who = f"{holder.get('user', 'somebody')}@{holder.get('host', 'an unknown host')}"
    found = f"{who} (pid {holder.get('pid', '?')}) works here since {holder.get('since', '?')}"
    purpose = f": {holder['purpose']}" if holder.get("purpose") else ""
    todo = f"Wait for it, or, when that process is certainly gone, remove the file: rm {path}"
    return LockError(path, found + purpose, "nobody else at work", todo)


def _me(purpose: str) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "user": _user(),
        "pid": os.getpid(),
        "start": _start_time(os.getpid()),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "purpose": purpose,
    }


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container
        return str(os.geteuid())


def is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether the holder is certainly no more."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's
    start = _start_time(pid)
    # The same pid with another start time is another process. A hidden one (proc(5), hidepid) may be the same.
    return start is not None and start != holder.get("start")


def _start_time(pid: int) -> str | None:
    """When the process began, in ticks since boot (field 22 of proc(5)'s stat); None where that is not shown."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return None


@contextlib.contextmanager
def _one_of_this_host(folder: str) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        yield
    finally:
        os.close(fd)
