# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages as entries of a data archive with their contents: from a data folder, or from an archive that is there.

What is packed depends on nothing but packages and ``sources.json``: entries are sorted, and files keep their time in
whole seconds. What has none that a copy keeps carries that of ``DATA_READY``: folders and links that of their package,
the two lists the newest. A file with more than one name is packed under each, so that links on disk do not count.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import package_folder, sources_json, tar_writer
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFileError, open_archive
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    DATA_READY,
    MD5SUM,
    PACKAGES,
    ArchiveIndex,
    ArchivePackage,
    inspect_archive,
)
from ansible_collections.ousamg.anno.plugins.module_utils.pack import Item, Region, Stamp
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, FOLDER, HARDLINK, SYMLINK
from ansible_collections.ousamg.anno.plugins.module_utils.tar_writer import Entry


class Package(NamedTuple):
    """One package to pack, from the data folder or from the archive that is there."""

    name: str
    destination: str
    version: str | None
    source: Source
    items: tuple[Item, ...]

    @property
    def files(self) -> int:
        return sum(item.entry.kind == FILE for item in self.items)

    @property
    def bytes(self) -> int:
        return sum(item.entry.size for item in self.items)

    @property
    def ready_time(self) -> int:
        """When it was made, in seconds since 1970."""
        name = f"{self.destination}/{DATA_READY}"
        return next(item.entry.mtime for item in self.items if item.entry.name == name)


class Archive(NamedTuple):
    """The archive that is there: its table of contents, its small texts by member name, its permission bits, and its
    stamp."""

    listing: ArchiveIndex
    texts: Mapping[str, bytes]
    mode: int
    stamp: Stamp


def from_folder(data: str, name: str, place: str, source: Source) -> Package:
    """A package of the data folder ``data``, in its folder ``place``. Raises what ``read_package`` raises."""
    folder = package_folder.read_package(data, place)
    ready = next(node.status for node in folder.nodes if node.name == f"{place}/{DATA_READY}")
    items = []
    for node in folder.nodes:
        if stat.S_ISREG(node.status.st_mode):
            seconds = tar_writer.whole_seconds(node.status.st_mtime_ns)
            region = Region(os.path.join(data, node.name), 0, Stamp.of(node.status), folder.md5.get(node.name))
            content = folder.texts.get(node.name, region)
            length = len(content) if isinstance(content, bytes) else node.status.st_size
            items.append(Item(Entry(node.name, FILE, length, seconds), content))
        else:
            kind = FOLDER if stat.S_ISDIR(node.status.st_mode) else SYMLINK
            items.append(Item(Entry(node.name, kind, 0, tar_writer.whole_seconds(ready.st_mtime_ns), node.link)))
    return Package(name, place, source.version or folder.ready.version, source, _sorted(items))


def read_archive(path: str, datasets: Sequence[str]) -> Archive:
    """An archive that is there, its data excepted. Raises what ``inspect_archive`` raises, and ArchiveFileError for a
    compressed one: its data cannot be taken over as they lie there."""
    with open_archive(path) as file:
        if file.compressed:
            todo = "Decompress it first, or name another file."
            raise ArchiveFileError(path, "it is compressed", "a plain tar", todo)
    index = inspect_archive(path, datasets)
    texts = {}
    wanted = {sources_json.FILE_NAME, PACKAGES}
    wanted.update(f"{package.destination}/{name}" for package in index.packages for name in (MD5SUM, DATA_READY))
    with open(path, "rb") as stream:
        status = os.fstat(stream.fileno())
        for member in index.members:
            if member.name in wanted:
                texts[member.name] = os.pread(stream.fileno(), member.size, member.offset)
    return Archive(index, texts, stat.S_IMODE(status.st_mode), Stamp.of(status))


def from_archive(archive: Archive, package: ArchivePackage, name: str, source: Source) -> Package:
    """A package of the archive; its contents are verified when they are packed again."""
    path, place = archive.listing.path, package.destination
    members = {m.name: m for m in archive.listing.members if m.name == place or m.name.startswith(place + "/")}
    ready = tar_writer.whole_seconds(members[f"{place}/{DATA_READY}"].mtime)
    items = []
    for member in members.values():
        if member.kind in (FILE, HARDLINK):
            # A hard link's content is that of the file which it is one more name of.
            original = members[member.link] if member.kind == HARDLINK else member
            entry = Entry(member.name, FILE, original.size, tar_writer.whole_seconds(original.mtime))
            region = Region(path, original.offset, archive.stamp, original.md5 or None)
            items.append(Item(entry, archive.texts.get(member.name, region)))
        else:
            items.append(Item(Entry(member.name, member.kind, 0, ready, member.link)))
    return Package(name, place, package.version, source, _sorted(items))


def all_items(packages: Sequence[Package], sources_text: str) -> tuple[Item, ...]:
    """All entries in their order. The list comes last: what has none is half an archive."""
    newest = max(package.ready_time for package in packages)
    names = "".join(f"{name}\n" for name in sorted(package.name for package in packages))
    first, last = (
        Item(Entry(name, FILE, len(text), newest), text)
        for name, text in ((sources_json.FILE_NAME, sources_text.encode()), (PACKAGES, names.encode()))
    )
    return (first, *(item for package in packages for item in package.items), last)


def _sorted(items: Iterable[Item]) -> tuple[Item, ...]:
    """By the parts of their names: what is in a folder follows it at once."""
    return tuple(sorted(items, key=lambda item: item.entry.name.split("/")))
