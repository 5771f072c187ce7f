# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations of a data folder: the live one, the next one, the kept ones, and the switch between them.

On disk, ``data`` being the live folder (a real folder: it is bind-mounted into containers)::

    data/                         the live generation, its receipt in data/.anno-receipt.json
    .data.anno/lock               who works here
    .data.anno/journal.json       a switch that has begun and not ended
    .data.anno/next/              the generation that is being built, complete once it has a receipt
    .data.anno/generations/000007.<id>/   what was live before, in the order of retirement

Where ``data`` is a mount point the state folder is ``data/.anno/``, on the same file system.

A generation is *full* (a whole data folder, switched by one exchange, or by two renames) or *partial* (only the parts
that differ, named in ``.anno-partial.json``, switched by two renames each): the latter where the file system or its
permissions do not allow hard links, or ``data`` cannot be renamed. Whatever a kill leaves behind, :func:`recover`
finishes or undoes from the journal before anything else happens.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import lock, sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    Ownership,
    exchange,
    remove_tree,
    sync_filesystem,
    sync_folder,
    write_atomic,
)

RECEIPT = ".anno-receipt.json"
PARTIAL = ".anno-partial.json"
EXCHANGE, RENAMES, PACKAGES = "exchange", "renames", "packages"

_RECORD_KEYS = {"name", "destination", "version", "timestamp", "source", "ready", "archive"}
_STAMP_KEYS = {"path", "size", "mtime_ns", "sha256", "destinations"}
_KEPT = re.compile(r"(\d{6})\.(.+)")
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_RECORD = Ownership(0o664)


class GenerationError(AnnoError):
    """The data folder or its generations are not as a switch needs them."""


class Kept(NamedTuple):
    """A generation that can be returned to; ``order`` counts retirements, the largest is the latest."""

    order: int
    id: str
    path: str

    @property
    def base(self) -> str | None:
        """The id of the generation that a partial one differs from; None for a full one."""
        try:
            with open(os.path.join(self.path, PARTIAL), encoding="utf-8") as stream:
                return str(json.load(stream)["base"])
        except FileNotFoundError:
            return None


class Part(NamedTuple):
    """One thing that a partial switch moves: a path below the data folder, a ``file`` or a folder; whether the live
    folder has one that goes, and whether one comes in its place."""

    path: str
    file: bool
    goes: bool
    comes: bool


class Store(NamedTuple):
    """The paths of one data folder. ``parent`` is the folder whose entry the switch changes."""

    data: str
    state: str

    @property
    def next(self) -> str:
        return os.path.join(self.state, "next")

    @property
    def generations(self) -> str:
        return os.path.join(self.state, "generations")

    @property
    def lock(self) -> str:
        return os.path.join(self.state, "lock")

    @property
    def inside(self) -> bool:
        """Whether the state lies within the data folder, which then is a mount point."""
        return os.path.dirname(self.state) == self.data

    @property
    def _journal(self) -> str:
        return os.path.join(self.state, "journal.json")

    @property
    def _trash(self) -> str:
        return os.path.join(self.state, "trash")


def open_store(data: str) -> Store:
    """The store of a data folder. Raises GenerationError where there is none."""
    path = os.path.realpath(data)
    parent, name = os.path.split(path)
    beside = os.path.join(parent, f".{name}.anno")
    if not os.path.isdir(path):
        store = Store(path, beside)
        if not os.path.lexists(path) and os.path.exists(store._journal):
            return store  # killed between two renames: recover() brings it back
        found = "it is no folder" if os.path.lexists(path) else "there is no such folder"
        todo = "Check the inventory; make the folder, owned by the service user, if this is the first deployment."
        raise GenerationError(data, found, "the data folder of the instance", todo)
    return Store(path, os.path.join(path, ".anno") if _is_mount_point(path) else beside)


@contextlib.contextmanager
def locked(store: Store, purpose: str) -> Iterator[None]:
    """Hold the store's lock, with whatever an interrupted run left behind brought in order first.

    The state folder is made for it, and removed again if nothing was left in it. Raises LockError.
    """
    with contextlib.ExitStack() as stack:
        stack.callback(_rmdir_if_empty, store.state)
        while True:
            os.makedirs(store.state, 0o775, exist_ok=True)
            try:
                stack.enter_context(lock.held(store.lock, purpose))
                break
            except FileNotFoundError:
                continue  # another run removed the empty state folder just now
        stack.callback(_rmdir_if_empty, store.generations)
        recover(store)
        with contextlib.suppress(OSError):  # not in the way
            remove_tree(store._trash)
        yield


def _rmdir_if_empty(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)


def read_receipt(folder: str) -> dict[str, Any] | None:
    """The receipt of a generation; None where it has none (made by hand) or one that cannot be read as such."""
    try:
        with open(os.path.join(folder, RECEIPT), encoding="utf-8") as stream:
            receipt = json.load(stream)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return receipt if _is_receipt(receipt) else None


def _is_receipt(value: Any) -> bool:
    """Whether it has what this version of the engine writes (see data_unpack, which fills it)."""
    if not isinstance(value, dict) or not isinstance(value.get("generation"), str):
        return False
    packages = value.get("packages", [])
    if not isinstance(packages, list) or not all(isinstance(package, dict) for package in packages):
        return False
    archives = [value.get("archive"), *(package.get("archive") for package in packages)]
    return all(package.keys() >= _RECORD_KEYS for package in packages) and all(
        archive is None or (isinstance(archive, dict) and archive.keys() == _STAMP_KEYS) for archive in archives
    )


def write_receipt(folder: str, receipt: Mapping[str, Any], ownership: Ownership) -> None:
    """Written last: a generation with a receipt is complete."""
    content = json.dumps(receipt, indent=2, ensure_ascii=False) + "\n"
    write_atomic(os.path.join(folder, RECEIPT), content.encode(), ownership)


def kept(store: Store) -> list[Kept]:
    """The generations that can be returned to, the latest first."""
    try:
        names = os.listdir(store.generations)
    except FileNotFoundError:
        return []
    matches = (match for match in map(_KEPT.fullmatch, names) if match)
    found = (Kept(int(match[1]), match[2], os.path.join(store.generations, match[0])) for match in matches)
    return sorted(found, reverse=True)


def id_of(folder: str) -> str:
    """A generation's id: that of its receipt; one made by hand is named after the time of its sources.json, which is
    the same before and after it was kept."""
    receipt = read_receipt(folder)
    if receipt is not None:
        return str(receipt["generation"])
    try:
        changed = os.stat(os.path.join(folder, sources_json.FILE_NAME)).st_mtime
    except FileNotFoundError:
        changed = os.stat(folder).st_mtime
    return f"adopted-{_stamp(datetime.fromtimestamp(changed, timezone.utc))}"


def timestamp() -> str:
    """UTC now, for ids: ``20261124T031500123Z``."""
    return _stamp(datetime.now(timezone.utc))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S%f")[:-3] + "Z"


def switch(store: Store, incoming: str, *, keep: bool = True, allow_exchange: bool = True) -> tuple[str, str]:
    """Make the complete, synced generation in the folder ``incoming`` the live one.

    What was live becomes the latest kept generation, or with ``keep=False`` the next one again.
    Returns the strategy that was used and the id under which the former generation is kept.
    """
    former = id_of(store.data)
    if keep:
        os.makedirs(store.generations, 0o775, exist_ok=True)
        order = max([generation.order for generation in kept(store)], default=0) + 1
        retired = os.path.join(store.generations, f"{order:06d}.{former}")
    else:
        remove_next(store)
        retired = store.next
    journal: dict[str, Any] = {
        "incoming": incoming,
        "retired": retired,
        "new": os.stat(incoming).st_ino,
        "generation": id_of(incoming),
    }
    parts = _incoming_parts(store, incoming) if os.path.lexists(os.path.join(incoming, PARTIAL)) else None
    if parts is not None:
        journal["parts"] = [part._asdict() for part in parts]
    try:
        write_atomic(store._journal, (json.dumps(journal, indent=2) + "\n").encode(), _RECORD)
        if parts is not None:
            strategy = PACKAGES
            _switch_parts(store, incoming, retired, parts, journal["generation"])
        else:
            strategy = _switch_whole(store, incoming, retired, allow_exchange)
        _settle(store)
    except OSError:
        with contextlib.suppress(OSError):
            _undo(store, journal)
        raise
    with contextlib.suppress(OSError):  # tried again by whoever comes next
        remove_tree(store._trash)
    return strategy, former


def recover(store: Store) -> None:
    """Finish or undo the switch that the journal tells of; nothing where there is no journal."""
    journal = _read_journal(store)
    if journal is None:
        return
    incoming, retired = journal["incoming"], journal["retired"]
    if "parts" in journal:
        parts = [Part(**part) for part in journal["parts"]]
        _switch_parts(store, incoming, retired, parts, journal["generation"])
    elif not os.path.lexists(store.data):
        os.rename(incoming, store.data)
    elif os.stat(store.data).st_ino == journal["new"] and os.path.lexists(incoming):
        os.rename(incoming, retired)
    _settle(store)


def check_recovered(store: Store) -> None:
    """Raise GenerationError where a switch was interrupted; for a dry run, which may not mend it."""
    if os.path.exists(store._journal):
        found = "a switch was interrupted here (its journal is there)"
        todo = "Run the deployment or the rollback (not the dry run): it brings this in order first."
        raise GenerationError(store._journal, found, "no journal", todo)


def prune(store: Store, keep: int) -> list[str]:
    """Remove the oldest kept generations until ``keep`` are left; returns the ids of those removed.

    Each is renamed first, so that an interrupted removal leaves no half generation to return to.
    """
    surplus = kept(store)[keep:]
    for generation in surplus:
        remove_tree(store._trash)
        os.rename(generation.path, store._trash)
        remove_tree(store._trash)
    return [generation.id for generation in surplus]


def find(store: Store, to: str | None) -> Kept:
    """The kept generation ``to``, or the latest. Raises GenerationError where it cannot be returned to."""
    generations = kept(store)
    names = ", ".join(generation.id for generation in generations) or "none"
    if not generations:
        found = "no earlier generation is kept"
        raise GenerationError(store.data, found, "one to return to", "Deploy the release that is wanted instead.")
    chosen = next((g for g in generations if to in (None, g.id)), None)
    if chosen is None:
        todo = "Choose one of those that are kept."
        raise GenerationError(store.data, f"the generation {to} is not kept", f"one of: {names}", todo)
    base = chosen.base
    if base not in (None, id_of(store.data)):
        found = f"the generation {chosen.id} holds only what differs from {base}, which is not live"
        raise GenerationError(store.data, found, f"one of: {names}", f"Return to {base} first, where it is kept.")
    return chosen


def remove_next(store: Store) -> None:
    """Remove a generation that was being built: first its receipt, so that half of it never counts as complete."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(os.path.join(store.next, RECEIPT))
    remove_tree(store.next)


def mark_partial(folder: str, files: Sequence[str], folders: Sequence[str], base: str) -> None:
    """Write down that a generation holds only these files and folders, all else being as in the generation ``base``."""
    content = json.dumps({"files": list(files), "folders": list(folders), "base": base}, indent=2) + "\n"
    write_atomic(os.path.join(folder, PARTIAL), content.encode(), _RECORD)


def _switch_whole(store: Store, incoming: str, retired: str, allow_exchange: bool) -> str:
    if allow_exchange:
        try:
            exchange(incoming, store.data)
        except OSError as error:
            if error.errno not in _NO_EXCHANGE:
                raise
        else:
            sync_folder(os.path.dirname(store.data))
            os.rename(incoming, retired)
            return EXCHANGE
    os.rename(store.data, retired)
    os.rename(incoming, store.data)
    sync_folder(os.path.dirname(store.data))
    return RENAMES


def _incoming_parts(store: Store, incoming: str) -> list[Part]:
    """Folders first, the receipt last: it tells that the rest is in place."""
    with open(os.path.join(incoming, PARTIAL), encoding="utf-8") as stream:
        content = json.load(stream)
    files = [path for path in content["files"] if path != RECEIPT] + [RECEIPT]
    return [
        Part(
            path,
            path in files,
            os.path.lexists(os.path.join(store.data, path)),
            os.path.lexists(os.path.join(incoming, path)),
        )
        for path in (*content["folders"], *files)
    ]


def _switch_parts(store: Store, incoming: str, retired: str, parts: Sequence[Part], base: str) -> None:
    """Move part by part; each step looks at what is there, so that it can be done again after a kill."""
    os.makedirs(retired, 0o775, exist_ok=True)
    mark_partial(retired, [p.path for p in parts if p.file], [p.path for p in parts if not p.file], base)
    for part in parts:
        live, old, new = (os.path.join(base, part.path) for base in (store.data, retired, incoming))
        if part.goes and not os.path.lexists(old):
            os.makedirs(os.path.dirname(old), 0o775, exist_ok=True)
            if part.file and part.comes:
                # A copy: the file is replaced by one rename and never missing.
                shutil.copy2(live, old + ".new", follow_symlinks=False)
                os.rename(old + ".new", old)
            else:
                os.rename(live, old)
        if part.comes and os.path.lexists(new):
            os.makedirs(os.path.dirname(live), 0o775, exist_ok=True)
            os.rename(new, live)
    sync_filesystem(store.data)
    if os.path.lexists(incoming):  # emptied: it is no generation any longer
        remove_tree(store._trash)
        os.rename(incoming, store._trash)


def _undo(store: Store, journal: Mapping[str, Any]) -> None:
    """After an error in a switch, not a kill: back to what was live. What cannot be undone stays in the journal."""
    incoming, retired = journal["incoming"], journal["retired"]
    if "parts" in journal and not os.path.lexists(incoming):
        os.rename(store._trash, incoming)
    for part in reversed([Part(**part) for part in journal.get("parts", [])]):
        live, old, new = (os.path.join(base, part.path) for base in (store.data, retired, incoming))
        if part.comes and not os.path.lexists(new):
            os.rename(live, new)
        if part.goes and os.path.lexists(old):
            os.rename(old, live)
    if "parts" in journal:
        remove_tree(retired)
    elif not os.path.lexists(store.data):
        os.rename(retired, store.data)
    elif os.stat(store.data).st_ino == journal["new"] and os.path.lexists(incoming):
        exchange(incoming, store.data)
    elif os.stat(store.data).st_ino == journal["new"]:
        os.rename(store.data, incoming)
        os.rename(retired, store.data)
    _settle(store)


def _read_journal(store: Store) -> dict[str, Any] | None:
    try:
        with open(store._journal, encoding="utf-8") as stream:
            journal: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError as error:
        # It is renamed into place complete: somebody else has written it.
        found = f"the journal of a switch cannot be read: {error}"
        todo = "Compare the data folder with its generations, then remove the journal."
        raise GenerationError(store._journal, found, "the JSON that a switch writes", todo) from None
    return journal


def _settle(store: Store) -> None:
    """The switch is done: make it durable, then forget the journal."""
    for folder in (store.generations, store.state, os.path.dirname(store.data)):
        if os.path.isdir(folder):
            sync_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(store._journal)
    sync_folder(store.state)


def _is_mount_point(path: str) -> bool:
    """os.path.ismount misses bind mounts of one file system; the kernel's list does not (proc(5), mountinfo)."""
    if os.path.ismount(path):
        return True
    try:
        with open("/proc/self/mountinfo", "rb") as stream:
            places = {line.split(b" ")[4] for line in stream}
    except FileNotFoundError:
        return False
    escaped = os.fsencode(path).replace(b"\\", b"\\134").replace(b" ", b"\\040").replace(b"\t", b"\\011")
    return escaped.replace(b"\n", b"\\012") in places
