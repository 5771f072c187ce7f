# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a package lay that an archive brings to another place: that folder goes, where it is certain whose it is.

It is the package's where the receipt has a record that still holds, or where the annotation files of its entry in
``sources.json`` lie in just one folder with a ``DATA_READY``. What could be another package's, too, is kept and told.
"""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import generation
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import DATA_READY, ArchivePackage
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Contents, is_untouched
from ansible_collections.ousamg.anno.plugins.module_utils.files import is_folder, is_there
from ansible_collections.ousamg.anno.plugins.module_utils.package_folder import inner_package


class Former(NamedTuple):
    """A folder that a package lies in and an archive brings to ``destination``; ``folder`` is below the data folder,
    ``obstacle`` says in a clause why it is kept, None where it goes."""

    name: str
    folder: str
    destination: str
    obstacle: str | None


def inspect(data: str, live: Contents, packages: Sequence[ArchivePackage]) -> tuple[Former, ...]:
    """The former folders of an archive's packages, except those that other packages of it take the place of."""
    replaced = {package.destination for package in packages}
    recorded = defaultdict(list)
    for record in live.records.values():
        recorded[record["name"]].append(record)
    found = []
    for package in packages:
        if package.name is None:
            continue
        folders: dict[str, str | None] = {}
        for record in recorded[package.name]:
            changed = "it is not as it was deployed, so it may be another package's by now"
            folders[posixpath.normpath(record["destination"])] = None if is_untouched(record, live, data) else changed
        by_tables = _folder_of_tables(data, live, package.name)
        if by_tables is not None:
            folders[by_tables] = None
        for folder in sorted(folders.keys() - replaced):
            if is_folder(os.path.join(data, folder)):
                why = folders[folder] or _obstacle(data, folder, _others(live, package.name, replaced))
                found.append(Former(package.name, folder, package.destination, why))
    return tuple(found)


def gone(found: Iterable[Former]) -> list[str]:
    """The folders that are not in the next generation any more."""
    return [former.folder for former in found if former.obstacle is None]


def reasons(found: Iterable[Former]) -> list[str]:
    """What goes, a line each."""
    return [f"{f.name}: moves to {f.destination}, its former folder {f.folder} goes" for f in found if not f.obstacle]


def notes(found: Iterable[Former]) -> list[str]:
    """What is kept, a sentence each."""
    return [
        f"{f.name} moves to {f.destination}; its former folder {f.folder} is kept: {f.obstacle}. It can be removed by "
        "hand when nothing needs it."
        for f in found
        if f.obstacle
    ]


def _folder_of_tables(data: str, live: Contents, name: str) -> str | None:
    """The one complete package folder that all annotation files of a package lie in; None where there is none."""
    tables = live.sources[name].vcfanno if name in live.sources else []
    folders = {_complete_folder(data, posixpath.normpath(table["file"])) for table in tables}
    return folders.pop() if len(folders) == 1 else None


def _complete_folder(data: str, file: str) -> str | None:
    return next((folder for folder in _above(file) if is_there(os.path.join(data, folder, DATA_READY))), None)


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the innermost first; none of what leads out of the data folder."""
    if path.startswith(("/", "../")):
        return
    folder = posixpath.dirname(path)
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def _others(live: Contents, name: str, replaced: set[str]) -> Iterator[str]:
    """The folders and annotation files of all other packages, and those that come."""
    yield from replaced
    yield from (place for place, record in live.records.items() if record["name"] != name)
    for other, source in live.sources.items():
        if other != name:
            yield from (posixpath.normpath(table["file"]) for table in source.vcfanno)


def _obstacle(data: str, folder: str, others: Iterable[str]) -> str | None:
    """Why a folder may not be removed with all that is in it, None where it may."""
    if folder.startswith(("/", "..")) or folder == ".":
        return "it is not in the data folder"
    path = os.path.join(data, folder)
    around = [*_above(folder)]
    for other in others:
        if other == folder or other.startswith(folder + "/"):
            return f"{other} of another package lies there"
        if other in around:
            return f"it lies in {other}, which is another package's"
    for place in around:
        if is_there(os.path.join(data, place, DATA_READY)):
            return f"it lies in {place}, which is a package's folder itself"
        if not is_folder(os.path.join(data, place)):
            return f"{place} is a symbolic link"
    if any(generation.is_mount_point(os.path.join(data, place)) for place in (folder, *around)):
        return "it lies on a file system of its own"
    mounts = generation.mounts_below(path)
    if mounts:
        return f"{mounts[0]} is a mount point"
    inner = inner_package(path)
    return f"{os.path.relpath(inner, data)} is another package's folder" if inner else None
