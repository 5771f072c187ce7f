# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generations of a data folder: the live one, the next one and the kept ones; data_switch goes from one to another.

On disk, ``data`` being the live folder (a real folder: it is bind-mounted into containers)::

    data/                         the live generation, its receipt in data/.anno-receipt.json
    .data.anno/lock               who works here
    .data.anno/journal.json       a switch that has begun and not ended
    .data.anno/next/              the generation that is being built, complete once it has a receipt
    .data.anno/generations/000007.<id>/   what was live before, in the order of retirement

Where ``data`` is a mount point the state folder is ``data/.anno/``, on the same file system.

A generation is *full* (a whole data folder, switched by one exchange, or by two renames) or *partial* (only the parts
that differ, named in ``.anno-partial.json``, switched by two renames each): the latter where the file system or its
permissions do not allow hard links, or ``data`` cannot be renamed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    Ownership,
    is_folder,
    is_there,
    write_atomic,
)

RECEIPT = ".anno-receipt.json"
PARTIAL = ".anno-partial.json"
# Where the state folder was when a generation was built, as its receipt tells.
BESIDE, WITHIN = "beside", "within"
# How the id of a generation without a receipt begins.
ADOPTED = "adopted-"
RECORD = Ownership(0o664)

_RECORD_KEYS = {"name", "destination", "version", "timestamp", "source", "ready", "archive"}
_STAMP_KEYS = {"path", "size", "mtime_ns", "sha256", "destinations"}
# Blanks and the like in a path of mountinfo.
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_TIME = re.compile(rf"(?:{ADOPTED})?(\d{{8}}T\d{{9}}Z)")
_KEPT = re.compile(r"(\d{6,})\.(.+)")


class GenerationError(AnnoError):
    """The data folder or its generations are not as a switch needs them."""


class Kept(NamedTuple):
    """A generation that can be returned to; ``order`` counts retirements, the largest is the latest."""

    order: int
    id: str
    path: str


class Partial(NamedTuple):
    """What a partial generation holds: files and folders, by paths below the data folder. All else is as in the
    generation ``base``; ``why`` it is not a full one, as a clause."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    base: str
    why: str


class Store(NamedTuple):
    """The paths of one data folder: its own, the real one, and its state folder's."""

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
    def journal(self) -> str:
        return os.path.join(self.state, "journal.json")


def open_store(data: str) -> Store:
    """The store of a data folder. Raises GenerationError where there is none."""
    path = os.path.realpath(data)
    beside, within = _states(path)
    if not is_folder(path):
        store = Store(path, beside)
        if not is_there(path) and is_there(store.journal):
            return store  # killed between two renames: recover() brings it back
        found = "it is no folder" if is_there(path) else "there is no such folder"
        todo = "Check the inventory; make the folder, owned by the service user, if this is the first deployment."
        raise GenerationError(data, found, "the data folder of the instance", todo)
    # Where another host or a container has mounted it, the lock and the kept generations lie in it.
    return Store(path, within if is_mount_point(path) or is_there(within) else beside)


def _states(data: str) -> tuple[str, str]:
    """The two places that a state folder may have: beside the data folder, and within it."""
    parent, name = os.path.split(data)
    return os.path.join(parent, f".{name}.anno"), os.path.join(data, ".anno")


def check_alone(store: Store) -> None:
    """The state folder is the only one. Two would be two locks: who sees a mount point has his within the data folder,
    and may not see the one that another host has beside it. Raises GenerationError."""
    beside, within = _states(store.data)
    if not store.inside:
        if is_there(within):
            found = f"another host or a container, where {store.data} is a mount point, has begun to work in it"
            todo = "Run again: all hosts then use that state folder. Its lock tells who works there."
            raise GenerationError(within, found, f"one state folder, {beside}", todo)
        return
    if is_there(beside):
        found = f"there is a second state folder, {within}: two deployments could be at work at once"
        todo = (
            "When nobody deploys here, on this host or another, remove the former one, with the generations and the "
            f"journal in it: rm -r {beside} (or rm -r {within}, where {store.data} is a mount point nowhere any more)"
        )
        raise GenerationError(beside, found, "one state folder", todo)
    receipt = read_receipt(store.data) or {}
    if receipt.get("state") == BESIDE and not is_there(within):
        found = "it is a mount point, and was deployed where it is none: another host may be at work on it"
        todo = f"Deploy there. Where it is a mount point now on every host that deploys: mkdir {within}"
        raise GenerationError(store.data, found, "a folder that is deployed from here", todo)


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
    if not isinstance(value, dict) or not isinstance(value.get("generation"), str) or "/" in value["generation"]:
        return False
    packages = value.get("packages", [])
    return (
        isinstance(packages, list)
        and all(map(_is_record, packages))
        and (value.get("archive") is None or _is_stamp(value["archive"]))
    )


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() >= _RECORD_KEYS
        and isinstance(value["destination"], str)
        and _is_stamp(value["archive"])
    )


def _is_stamp(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _STAMP_KEYS


def write_receipt(folder: str, receipt: Mapping[str, Any], ownership: Ownership) -> None:
    """Written last: a generation with a receipt is complete."""
    content = json.dumps(receipt, indent=2, ensure_ascii=False) + "\n"
    write_atomic(os.path.join(folder, RECEIPT), content.encode(), ownership)


def kept(store: Store) -> list[Kept]:
    """The generations that are kept to be returned to, the latest first."""
    try:
        names = os.listdir(store.generations)
    except FileNotFoundError:
        return []
    matches = (match for match in map(_KEPT.fullmatch, names) if match)
    found = (Kept(int(match[1]), match[2], os.path.join(store.generations, match[0])) for match in matches)
    return sorted(found, reverse=True)


def retention(live: str, former: Sequence[str]) -> list[int]:
    """In which order kept generations are worth keeping, as positions in ``former`` (ids, the latest retired first).

    First the one that a rollback returns to. Then, the latest first, those that a deployment has replaced; last those
    that were rolled back from: retired before, or by, one that is older than they are, as the times in the ids tell.
    """
    made = [_made(name) for name in (live, *former)]
    withdrawn = [any("" < other < mine for other in made[:number]) for number, mine in enumerate(made)]
    return sorted(range(len(former)), key=lambda number: (number > 0, withdrawn[number + 1], number))


def _made(name: str) -> str:
    match = _TIME.match(name)
    return match[1] if match else ""


def surplus(store: Store, keep: int, replaced: str | None = None) -> list[Kept]:
    """The kept generations that go where only ``keep`` are to stay, the latest first.

    :param replaced: the id of a generation that is to be replaced before that: while it is live it counts as such.
    """
    former = kept(store)
    if len(former) < keep:
        return []
    live, ids = id_of(store.data), [generation.id for generation in former]
    ahead = live == replaced
    order = retention("", [live, *ids]) if ahead else retention(live, ids)
    return [former[number - ahead] for number in sorted(order[keep:]) if number >= ahead]


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
    return f"{ADOPTED}{_stamp(datetime.fromtimestamp(changed, timezone.utc))}"


def timestamp() -> str:
    """UTC now, for ids: ``20261124T031500123Z``."""
    return _stamp(datetime.now(timezone.utc))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S%f")[:-3] + "Z"


def find(store: Store, to: str | None) -> Kept:
    """The kept generation ``to``, or the latest. Raises GenerationError where it is not kept."""
    generations = kept(store)
    if not generations:
        found = "no earlier generation is kept"
        raise GenerationError(store.data, found, "one to return to", "Deploy the release that is wanted instead.")
    chosen = next((g for g in generations if to in (None, g.id)), None)
    if chosen is None:
        names = ", ".join(generation.id for generation in generations)
        todo = "Choose one of those that are kept."
        raise GenerationError(store.data, f"the generation {to} is not kept", f"one of: {names}", todo)
    return chosen


def mark_partial(folder: str, partial: Partial) -> None:
    """Write down that a generation is a partial one."""
    content = json.dumps(partial._asdict(), indent=2) + "\n"
    write_atomic(os.path.join(folder, PARTIAL), content.encode(), RECORD)


def read_partial(folder: str) -> Partial | None:
    """What :func:`mark_partial` wrote; None for a full generation. Raises GenerationError."""
    path = os.path.join(folder, PARTIAL)
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
        return Partial(tuple(content["files"]), tuple(content["folders"]), str(content["base"]), str(content["why"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        found = "what this partial generation holds cannot be read"
        todo = "Leave this generation alone, and return to another or deploy the release that is wanted."
        raise GenerationError(path, found, "the JSON that a switch writes", todo) from None


def is_mount_point(path: str) -> bool:
    """Whether something is mounted on a folder, given by its real path.

    os.path.ismount misses bind mounts of one file system; the kernel's list does not (proc(5), mountinfo).
    """
    return os.path.ismount(path) or path in _mounts()


def mounts_below(path: str) -> list[str]:
    """What is mounted in a folder, given by its real path."""
    return sorted(place for place in _mounts() if place.startswith(path + "/"))


def _mounts() -> set[str]:
    try:
        with open("/proc/self/mountinfo", "rb") as stream:
            places = [line.split(b" ")[4] for line in stream]
    except FileNotFoundError:
        return set()
    return {os.fsdecode(_ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), place)) for place in places}
