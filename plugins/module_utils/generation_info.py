# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All generations of a data folder: what is in them, what they take on disk, and which can be returned to.

Generations share their files by hard links, so their sizes do not add up. Three figures are told, in bytes: the
content (``bytes``, as a reader sees it), what removing just this generation would give back (``exclusive_bytes``), and
what all of it together takes on disk. The latter two count allocated blocks, folders included, as du(1) does.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_folder,
    data_rollback,
    data_switch,
    generation,
    lock,
)
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Kept, Store

LIVE, KEPT, READY, BUILDING = "live", "kept", "ready", "building"
_BLOCK = 512  # st_blocks is in these, whatever the file system's own


class Package(NamedTuple):
    """``destination`` is None where it cannot be told (a generation made by hand, a package without tables)."""

    name: str
    version: str | None
    destination: str | None


class Usage(NamedTuple):
    """A tree on disk: files and links (each once, whatever its names), and sizes in bytes; ``unreadable`` are the
    folders that could not be looked into, relative to the tree."""

    files: int
    bytes: int
    exclusive_bytes: int
    unreadable: tuple[str, ...]


class Generation(NamedTuple):
    """One generation. ``id`` is None while it is built; ``order`` counts retirements, None for one that is not kept;
    ``created`` is UTC, that of the receipt or else the time of its ``sources.json``; ``base`` is the id of the
    generation that a partial one differs from. ``obstacle`` says why it cannot be returned to, None where it can;
    ``problem`` is the error text of what could not be read."""

    id: str | None
    state: str
    path: str
    order: int | None
    created: str | None
    base: str | None
    packages: tuple[Package, ...]
    usage: Usage
    obstacle: str | None
    problem: str | None


class Leftover(NamedTuple):
    """Something else in the state folder; ``bytes`` on disk are what removing it would give back."""

    path: str
    bytes: int


class Report(NamedTuple):
    """The live generation first, then the next one, then those that are kept, the latest first. ``interrupted`` tells
    of the journal of a switch, ``holder`` of the lock (None: there is none)."""

    generations: tuple[Generation, ...]
    disk_bytes: int
    interrupted: str | None
    holder: Mapping[str, Any] | None
    leftovers: tuple[Leftover, ...]


class Disk:
    """Counts trees of one file system, each inode once over all of them; nothing on another file system counts."""

    def __init__(self) -> None:
        self.bytes = 0
        # Only inodes with several names are kept in mind.
        self._seen: set[int] = set()

    def add(self, top: str, *, without: Sequence[str] = ()) -> Usage:
        """Walk one tree, but not the folders ``without`` (paths). What vanishes meanwhile is not counted."""
        files = content = exclusive = 0
        unreadable: list[str] = []
        # Of each inode with several names: how many of them were not met yet in this tree.
        missing: dict[int, int] = {}
        for status in _walk(top, without, unreadable):
            blocks, number = status.st_blocks * _BLOCK, status.st_ino
            if stat.S_ISDIR(status.st_mode):
                self.bytes += blocks
                exclusive += blocks
                continue
            if number not in missing:
                files += 1
                content += status.st_size
                self.bytes += 0 if number in self._seen else blocks
            left = missing.pop(number, status.st_nlink) - 1
            if left:
                missing[number] = left
                self._seen.add(number)
            else:
                exclusive += blocks
        return Usage(files, content, exclusive, tuple(sorted(os.path.relpath(path, top) for path in unreadable)))


def inspect(data: str) -> Report:
    """Read everything that is there; each tree is walked once, nothing is locked. Raises GenerationError, OSError."""
    store = generation.open_store(data)
    disk = Disk()
    found = []
    live_id = None
    if os.path.isdir(store.data):  # else a kill has left it between two renames
        live_id = generation.id_of(store.data)
        found.append(_generation(disk, store, live_id, LIVE, store.data, "it is live"))
    if os.path.isdir(store.next):
        ready = generation.read_receipt(store.next) is not None
        name = generation.id_of(store.next) if ready else None
        obstacle = "it has not been live yet: data_unpack switches to it" if ready else "it is half built"
        found.append(_generation(disk, store, name, READY if ready else BUILDING, store.next, obstacle))
    kept = generation.kept(store)
    found += [_kept(disk, store, live_id, former) for former in kept]
    known = {store.lock, store.journal, store.next, *(former.path for former in kept)}
    leftovers = []
    for folder in (store.state, store.generations):
        if os.path.isdir(folder):
            paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
            disk.add(folder, without=paths)
            others = [path for path in paths if path not in known and path != store.generations]
            leftovers += [Leftover(path, disk.add(path).exclusive_bytes) for path in others]
    for path in (store.lock, store.journal):
        if os.path.lexists(path):
            disk.add(path)
    return Report(tuple(found), disk.bytes, _interrupted(store), lock.read(store.lock), tuple(leftovers))


def result(report: Report) -> dict[str, Any]:
    """What the module returns."""
    holder = report.holder
    return {
        "changed": False,
        "live": next((found.id for found in report.generations if found.state == LIVE), None),
        "generations": [_as_dict(found) for found in report.generations],
        "disk_bytes": report.disk_bytes,
        "interrupted": report.interrupted,
        "lock": None
        if holder is None
        else {
            **{key: holder.get(key) for key in ("host", "user", "pid", "since", "purpose")},
            "gone": lock.is_gone(holder),
        },
        "leftovers": [leftover._asdict() for leftover in report.leftovers],
    }


def _as_dict(found: Generation) -> dict[str, Any]:
    fields = found._asdict()
    usage: Usage = fields.pop("usage")
    return {
        **fields,
        **usage._asdict(),
        "packages": [package._asdict() for package in found.packages],
        "returnable": found.obstacle is None,
    }


def _kept(disk: Disk, store: Store, live_id: str | None, former: Kept) -> Generation:
    try:
        obstacle = data_rollback.obstacle(store, live_id or "", former)
    except (AnnoError, OSError) as error:
        obstacle = failure(error)["msg"]
    return _generation(disk, store, former.id, KEPT, former.path, obstacle, former.order)


def _generation(
    disk: Disk, store: Store, name: str | None, state: str, path: str, obstacle: str | None, order: int | None = None
) -> Generation:
    receipt = generation.read_receipt(path) or {}
    created = receipt.get("created")
    if created is None and name is not None and name.startswith(generation.ADOPTED):
        created = name[len(generation.ADOPTED) :]
    packages: tuple[Package, ...] = ()
    base = problem = None
    try:
        partial = generation.read_partial(path)
        base = partial.base if partial else None
        packages = tuple(_packages(path))
    except (AnnoError, OSError) as error:
        problem = failure(error)["msg"]
        # What cannot be read cannot be planned with.
        obstacle = obstacle or problem
    usage = disk.add(path, without=[store.state])
    return Generation(name, state, path, order, created, base, packages, usage, obstacle, problem)


def _packages(folder: str) -> Iterator[Package]:
    """Those of sources.json, each with its folder as the receipt or else its annotation tables tell it; then those that
    only the receipt knows, by their folders."""
    contents = data_folder.read_contents(folder)
    folders = {record["name"]: place for place, record in contents.records.items()}
    for name, source in sorted(contents.sources.items()):
        by_table = posixpath.dirname(source.vcfanno[0]["file"]) if source.vcfanno else None
        yield Package(name, source.version, folders.get(name) or by_table or None)
    for place, record in sorted(contents.records.items()):
        if record["name"] not in contents.sources:
            yield Package(record["name"] or place, record["version"], place)


def _interrupted(store: Store) -> str | None:
    try:
        journal = data_switch.read_journal(store)
    except AnnoError as error:
        return error.text()
    if journal is None:
        return None
    return f"a switch to {journal['generation']} was interrupted: the next run finishes or undoes it"


def _walk(top: str, without: Sequence[str], unreadable: list[str]) -> Iterator[os.stat_result]:
    """Everything in a tree, its top first, as far as it is on the same file system."""
    status = os.lstat(top)
    device = status.st_dev
    yield status
    folders = [top] if stat.S_ISDIR(status.st_mode) else []
    while folders:
        folder = folders.pop()
        try:
            entries = os.scandir(folder)
        except PermissionError:
            unreadable.append(folder)
            continue
        except (FileNotFoundError, NotADirectoryError):  # replaced meanwhile
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except (FileNotFoundError, PermissionError):
                    continue
                if status.st_dev != device or entry.path in without:
                    continue
                yield status
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.path)
