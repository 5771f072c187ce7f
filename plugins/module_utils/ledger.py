# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of deployments of one instance: one JSON object per line, appended and never rewritten.

From ``start`` to ``end`` a deployment holds ``<ledger>.lock``, a lock (see lock.py) with the keys
deployment, by, from, pid, since. Whoever appends or reads holds flock(2) on the ledger for that moment.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import lock
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import sync_folder

START, SWITCH, TEST, END = "start", "switch", "test", "end"

_MODE = 0o664
# Fields whose key in the file is a Python keyword.
_KEYS = {"host": "from", "target_user": "as"}
_FIELDS = {key: field for field, key in _KEYS.items()}
# What a file system without flock(2) says; one write(2) with O_APPEND has to do there.
_NO_FLOCK = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


class Entry(NamedTuple):
    """One line. ``time`` is ISO 8601 in UTC with milliseconds; ``before`` and ``after`` are any JSON.

    ``by`` and ``host`` (key ``from``) are user and host of the controller, ``target_user`` (key ``as``) is the user
    on the target.
    """

    time: str
    deployment: str
    event: str
    site: str | None = None
    env: str | None = None
    release: str | None = None
    manifest: str | None = None
    what: str | None = None
    before: Any = None
    after: Any = None
    outcome: str | None = None
    message: str | None = None
    by: str | None = None
    host: str | None = None
    target_user: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {_KEYS.get(field, field): value for field, value in self._asdict().items()}


class Request(NamedTuple):
    """What to append: the words that all its entries share, and of each its own (fields of Entry).

    ``host`` and ``pid`` are the controller's. ``takeover`` is a deployment that the controller knows to be dead.
    """

    deployment: str
    entries: Sequence[dict[str, Any]]
    site: str | None = None
    env: str | None = None
    release: str | None = None
    manifest: str | None = None
    by: str | None = None
    host: str | None = None
    pid: int | None = None
    takeover: str | None = None


class Holder(NamedTuple):
    """Who holds the lock; all None where the lock file cannot be understood."""

    deployment: str | None = None
    by: str | None = None
    host: str | None = None
    pid: int | None = None
    since: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {_KEYS.get(field, field): value for field, value in self._asdict().items()}


class Ledger(NamedTuple):
    """What is there. ``damaged`` are line numbers, counted from 1; ``torn``: the last line has no newline."""

    entries: list[Entry]
    damaged: list[int]
    torn: bool
    holder: Holder | None


class Plan(NamedTuple):
    """``lines`` to append, the deployment that they declare ``interrupted``, and whether to take or free the lock."""

    lines: list[Entry]
    interrupted: str | None
    take: bool
    free: bool

    @property
    def changes(self) -> bool:
        return bool(self.lines) or self.take or self.free


class LedgerError(AnnoError):
    """Another deployment holds the ledger: ``holder``."""

    def __init__(self, path: str, holder: Holder) -> None:
        self.holder = holder
        run = f"from {holder.host}, pid {holder.pid}, since {holder.since}"
        super().__init__(
            path,
            f"held by deployment {holder.deployment} of {holder.by}, {run}"
            if holder.deployment
            else "held by a lock that cannot be read",
            "no other deployment of this instance",
            f"Wait until it has ended. If that run is gone: rm {_lock(path)}",
        )

    def result(self) -> dict[str, Any]:
        return super().result() | {"holder": self.holder.as_dict()}


def read(path: str) -> Ledger:
    """The ledger and its lock. A missing ledger is an empty one; a line that is no entry is damaged."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return Ledger([], [], torn=False, holder=_holder(path))
    with _flocked(fd, fcntl.LOCK_SH):
        return _inspect(path, fd)


def append(path: str, request: Request, *, check: bool = False) -> Plan:
    """Append the entries and take or free the lock, durably. Returns what was done, or would be with ``check``.

    Raises LedgerError for a start while another deployment holds the lock. The entries of a call that were the
    last ones of their deployment already are not appended again, so a call may be repeated after a lost connection.
    """
    if check:
        return plan(path, read(path), request, _now(), _user())
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _MODE)
    with _flocked(fd, fcntl.LOCK_EX):
        ledger = _inspect(path, fd)
        todo = plan(path, ledger, request, _now(), _user())
        _apply(path, fd, ledger, todo, request)
    return todo


def plan(path: str, ledger: Ledger, request: Request, now: str, user: str) -> Plan:
    """What ``append`` has to do. ``now``: the time of the new entries; ``user``: the one on the target."""
    common: dict[str, Any] = {
        "time": now,
        "deployment": request.deployment,
        "site": request.site,
        "env": request.env,
        "release": request.release,
        "manifest": request.manifest,
        "by": request.by,
        "host": request.host,
        "target_user": user,
    }
    lines = [Entry(**common, **entry) for entry in request.entries]
    own = [entry for entry in ledger.entries if entry.deployment == request.deployment]
    if [_said(entry) for entry in own[-len(lines) :]] == [_said(entry) for entry in lines]:
        lines = []
    starts = any(entry.event == START for entry in lines)
    ends = any(entry.event == END for entry in lines or own)
    ours = ledger.holder is not None and ledger.holder.deployment == request.deployment

    interrupted = None
    if starts and not ours:
        interrupted = _left_behind(path, ledger, request.takeover)
        if interrupted is not None:
            lines.insert(0, _interruption(ledger, interrupted, common))
    return Plan(lines, interrupted, take=starts and not ends and not ours, free=ends and ours)


def live(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """The last deployment that ended well, and whether the last test of its manifest since then passed."""
    for number in range(len(entries) - 1, -1, -1):
        end = entries[number]
        if end.event == END and end.outcome == "ok":
            tests = [e for e in entries[number:] if e.event == TEST and e.manifest == end.manifest]
            known = end.as_dict()
            keys = ("deployment", "site", "env", "release", "manifest", "time", "by", "from")
            return {key: known[key] for key in keys} | {"tested": bool(tests) and tests[-1].outcome == "ok"}
    return None


def unfinished(entries: Sequence[Entry]) -> dict[str, Any] | None:
    """The start of the last deployment, if that has no end, and under ``switched`` what it did since."""
    start = _open_start(entries)
    if start is None:
        return None
    switches = [e.as_dict() for e in entries if e.event == SWITCH and e.deployment == start.deployment]
    return start.as_dict() | {"switched": switches}


def as_lines(entries: Sequence[Entry]) -> str:
    """The text that is written for them: ASCII, so that no locale can spoil it."""
    return "".join(json.dumps(entry.as_dict()) + "\n" for entry in entries)


def _apply(path: str, fd: int, ledger: Ledger, todo: Plan, request: Request) -> None:
    if todo.take:
        if ledger.holder is not None:  # that of an ended or interrupted deployment
            os.unlink(_lock(path))
        _take(path, request)
    try:
        if todo.lines:
            _write(path, fd, ("\n" if ledger.torn else "") + as_lines(todo.lines))
    except BaseException:
        if todo.take:
            os.unlink(_lock(path))
        raise
    if todo.free:
        os.unlink(_lock(path))
    if todo.changes:
        sync_folder(os.path.dirname(path) or ".")


def _write(path: str, fd: int, text: str) -> None:
    data = text.encode("ascii")
    # One call, so that lines of two writers never mix, not even where flock(2) is missing.
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    os.fsync(fd)


def _take(path: str, request: Request) -> None:
    lock.write(_lock(path), Holder(request.deployment, request.by, request.host, request.pid, _now()).as_dict())


def _left_behind(path: str, ledger: Ledger, takeover: str | None) -> str | None:
    """The deployment that never ended and whose place a start takes; LedgerError if it may still run."""
    holder = ledger.holder
    if holder is None:
        start = _open_start(ledger.entries)
        return start.deployment if start else None
    if any(entry.event == END and entry.deployment == holder.deployment for entry in ledger.entries):
        return None  # killed after its last word, before it removed the lock
    if holder.deployment is not None and holder.deployment == takeover:
        return takeover
    raise LedgerError(path, holder)


def _interruption(ledger: Ledger, deployment: str, common: dict[str, Any]) -> Entry:
    """The end of a deployment that could not record it itself, in the name of the one who found it."""
    old = next((entry for entry in ledger.entries if entry.deployment == deployment), None)
    return Entry(
        time=common["time"],
        deployment=deployment,
        event=END,
        site=old.site if old else common["site"],
        env=old.env if old else common["env"],
        release=old.release if old else None,
        manifest=old.manifest if old else None,
        outcome="failed",
        message="interrupted",
        by=common["by"],
        host=common["host"],
        target_user=common["target_user"],
    )


def _open_start(entries: Sequence[Entry]) -> Entry | None:
    starts = [entry for entry in entries if entry.event == START]
    ended = {entry.deployment for entry in entries if entry.event == END}
    return starts[-1] if starts and starts[-1].deployment not in ended else None


def _said(entry: Entry) -> Entry:
    """The entry without the moment and the user of its writing."""
    return entry._replace(time="", target_user=None, before=_plain(entry.before), after=_plain(entry.after))


def _plain(value: Any) -> Any:
    """As it comes back from the file."""
    return json.loads(json.dumps(value))


def _inspect(path: str, fd: int) -> Ledger:
    chunks = []
    os.lseek(fd, 0, os.SEEK_SET)
    while chunk := os.read(fd, 1 << 20):
        chunks.append(chunk)
    content = b"".join(chunks)
    lines = content.split(b"\n")
    torn = bool(lines[-1])
    if not torn:
        lines.pop()
    entries, damaged = [], []
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is None:
            damaged.append(number)
        else:
            entries.append(entry)
    return Ledger(entries, damaged, torn, _holder(path))


def _entry(line: bytes) -> Entry | None:
    words = _object(line)
    fields = {_FIELDS.get(key, key): value for key, value in words.items()}
    known: dict[str, Any] = {field: fields[field] for field in Entry._fields if field in fields}
    if not all(isinstance(known.get(field), str) for field in ("time", "deployment", "event")):
        return None
    return Entry(**known)


def _holder(path: str) -> Holder | None:
    words = lock.read(_lock(path))
    if words is None:
        return None
    fields = {_FIELDS.get(key, key): value for key, value in words.items()}
    return Holder(**{field: fields.get(field) for field in Holder._fields})


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; an empty one if it is none."""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _lock(path: str) -> str:
    return f"{path}.lock"


@contextlib.contextmanager
def _flocked(fd: int, operation: int) -> Iterator[None]:
    """Hold flock(2) on an open ledger, set the mode of a new one, and close it afterwards."""
    try:
        try:
            fcntl.flock(fd, operation)
        except OSError as error:
            if error.errno not in _NO_FLOCK:
                raise
        found = os.fstat(fd)
        if operation == fcntl.LOCK_EX and not found.st_size and found.st_uid == os.geteuid():
            os.fchmod(fd, _MODE)
        yield
    finally:
        os.close(fd)


def _now() -> str:
    return datetime.now(tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _user() -> str:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
