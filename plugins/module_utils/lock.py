# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker at a time, on one host or on several that share a file system.

The lock is a symbolic link whose target, which leads nowhere, is JSON that tells who took it. Making a link is one step
that also NFS and GPFS keep atomic: a lock is there with all that it says or not at all, also after a kill, a full disk
or a power cut; a file would be empty first. flock(2) alone would not do: it may be local to a host. It serves here to
let processes of one host take over a dead one's lock without racing.

A lock is taken over only where its process is certainly gone: it was one of this boot of this host and of this pid
namespace, and no process has its number and start time any more; or it was one of an earlier boot of this machine.
Everything else (another host, a container, a lock that says nothing) is reported with the way to clear it.
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

_BOOT = "/proc/sys/kernel/random/boot_id"  # random(4): another one after each boot
_MACHINE = "/etc/machine-id"  # machine-id(5)
_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of linux/proc_ns.h
_ATTEMPTS = 3


class LockError(AnnoError):
    """Somebody else works here."""


@contextlib.contextmanager
def held(path: str, purpose: str) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs. Raises LockError naming host, user, pid and since when."""
    mine = _me(purpose)
    with _one_of_this_host(os.path.dirname(path)):
        _take(path, mine)
    try:
        yield
    finally:
        # The work is done. A lock that stays is that of a process which is gone, and is taken over. One that was
        # removed by hand meanwhile may be somebody else's by now.
        with contextlib.suppress(OSError):
            if read(path) == mine:
                os.unlink(path)


def _take(path: str, mine: Mapping[str, Any]) -> None:
    for _ in range(_ATTEMPTS):
        if check(path):
            os.unlink(path)
        try:
            write(path, mine)
        except FileExistsError:
            continue  # another host was faster
        return
    raise refusal(path, {})


def write(path: str, holder: Mapping[str, Any]) -> None:
    """Make the lock in one step. Raises FileExistsError where one is there."""
    try:
        os.symlink(json.dumps(holder), path)
    except OSError as error:
        # It names the target too, which is no path.
        raise OSError(error.errno, error.strerror, path) from None


def read(path: str) -> dict[str, Any] | None:
    """Who holds the lock: ``host``, ``user``, ``pid``, ``since``, ``purpose``; None where nobody does. What no engine
    has made gives an empty dict."""
    try:
        holder = json.loads(os.readlink(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: it is no link
            raise
        return {}
    return holder if isinstance(holder, dict) else {}


def check(path: str) -> bool:
    """Raise LockError where somebody holds the lock who may be alive; else whether a dead one's is there. A dry run
    takes none."""
    holder = read(path)
    if holder is not None and not is_gone(holder):
        raise refusal(path, holder)
    return holder is not None


def refusal(path: str, holder: Mapping[str, Any]) -> LockError:
    expected = "nobody else at work"
    if not holder:
        found = f"something is here that does not say whose it is{_made(path)}"
        todo = f"When nobody deploys here, on this host or another, remove the file: rm {path}"
        return LockError(path, found, expected, todo)
    who = f"{holder.get('user', 'somebody')}@{holder.get('host', 'an unknown host')}"
    found = f"{who} (pid {holder.get('pid', '?')}) works here since {holder.get('since', '?')}"
    purpose = f": {holder['purpose']}" if holder.get("purpose") else ""
    todo = f"Wait for it, or, when that process is certainly gone, remove the file: rm {path}"
    if _on_this_boot(holder) and holder.get("pid_namespace") != _pid_namespace():
        found += " (in a container, or outside of this one)"
    return LockError(path, found + purpose, expected, todo)


def _made(path: str) -> str:
    try:
        status = os.lstat(path)
    except OSError:
        return ""
    moment = datetime.fromtimestamp(status.st_mtime, timezone.utc).isoformat(timespec="seconds")
    return f" (made by {_name(status.st_uid)} at {moment})"


def _me(purpose: str) -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "user": _name(os.geteuid()),
        "pid": os.getpid(),
        "start": _start_time(os.getpid()),
        "pid_namespace": _pid_namespace(),
        "boot": _text_of(_BOOT),
        "machine": _text_of(_MACHINE),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "purpose": purpose[:200],  # XFS has 1,024 bytes for a link
    }


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container
        return str(uid)


def is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether the holder is certainly no more; where that cannot be told, it is not."""
    pid, namespace = holder.get("pid"), holder.get("pid_namespace")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    if namespace is None or namespace != _pid_namespace():
        return False  # a pid says nothing outside of its namespace
    if not _on_this_boot(holder):
        # Before a reboot of this machine, or on another one of the same name. The number of a container's namespace may
        # come again by chance, that of the first one is always the same.
        boots = (holder.get("boot"), _text_of(_BOOT))
        same = holder.get("machine") is not None and holder["machine"] == _text_of(_MACHINE)
        return None not in boots and same and namespace == _FIRST_NAMESPACE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's
    start = _start_time(pid)
    # The same pid with another start time is another process. A hidden one (proc(5), hidepid) may be the same.
    return start is not None and start != holder.get("start")


def _on_this_boot(holder: Mapping[str, Any]) -> bool:
    boot = holder.get("boot")
    return boot is not None and boot == _text_of(_BOOT)


def _pid_namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _text_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip() or None
    except (OSError, ValueError):
        return None


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
