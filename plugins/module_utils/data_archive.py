# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data archive as ella-anno's ``make tar-data`` writes it: what is in it, and whether it is whole.

Members: ``sources.json`` (of the whole folder it was made from), one folder per package, ``PACKAGES`` (one name per
line). GNU tar's ``-u`` may add a name more than once: the last one counts. The archive does not say which folder
belongs to which package; see ``folder_names``.
"""

from __future__ import annotations

import binascii
import io
import itertools
import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFile, open_archive
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.folder_names import Ready, name_folders, read_destinations
from ansible_collections.ousamg.anno.plugins.module_utils.members import MemberTable
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import (
    FILE,
    FOLDER,
    HARDLINK,
    SYMLINK,
    read_members,
)

PACKAGES = "PACKAGES"
DATA_READY = "DATA_READY"
MD5SUM = "MD5SUM"

# Small text files are kept; together they are not larger.
_MAX_TEXT = 64 << 20
_TEXTS = (PACKAGES, sources_json.FILE_NAME, DATA_READY, MD5SUM)
_MAX_MEMBERS = 500_000
_MD5_LINE = re.compile(rb"\\?([0-9a-fA-F]{32})[ \t]+\*?(.+)")
_READY_LINE = re.compile(r"([A-Za-z_]+):[ \t]*(.*?)[ \t]*")
# What lies beside the package folders: in the archive, and in a data folder only.
_LISTS = (PACKAGES, sources_json.FILE_NAME)
_CONFIG = "vcfanno_config.toml"

_REMAKE = "Make the archive anew with ella-anno's `make tar-data`."


class ArchiveError(AnnoError):
    """The file is no data archive, or not a whole one."""


class ArchivePackage(NamedTuple):
    """One package folder of an archive.

    ``name`` is None where the archive does not tell which package the folder belongs to; ``destination`` is the
    folder below the data folder; ``bytes`` counts the content of its ``files`` regular files; ``source`` is the
    entry of ``sources.json``.
    """

    name: str | None
    destination: str
    version: str | None
    timestamp: str | None
    files: int
    bytes: int
    source: Source | None

    @property
    def label(self) -> str:
        return self.name or self.destination


class ArchiveIndex(NamedTuple):
    """An archive's table of contents. ``members`` are those that count (of duplicates the last), in file order, each
    file with the MD5 that it is to have; ``names`` are the packages of ``PACKAGES``; ``size`` and ``mtime_ns`` are the
    file's own."""

    path: str
    size: int
    mtime_ns: int
    names: tuple[str, ...]
    packages: tuple[ArchivePackage, ...]
    sources: Mapping[str, Source]
    members: MemberTable


def inspect_archive(path: str, datasets: Sequence[str] = ()) -> ArchiveIndex:
    """Read an archive's headers and its small text files, not its data.

    :param path: the archive, a regular file. A compressed one is decompressed for it from beginning to end.
    :param datasets: paths of ``datasets.json`` files, which name each package's destination.
    Raises an AnnoError (of this util, and those of the utils that it reads with) or OSError; what it returns is whole
    and may be unpacked.
    """
    known = read_destinations(datasets)
    with open_archive(path) as file:
        try:
            return _Index(file).build(known)
        except OSError as error:
            error.filename = error.filename or path
            raise


def summary(index: ArchiveIndex) -> list[dict[str, Any]]:
    """The packages as a module returns them."""
    keys = ("name", "version", "timestamp", "files", "bytes", "destination")
    return [{key: getattr(package, key) for key in keys} for package in index.packages]


def parse_ready(text: str) -> Ready:
    """Read a ``DATA_READY``: YAML of plain ``key: value`` lines, as ella-anno writes it."""
    values = {}
    for line in text.splitlines():
        match = _READY_LINE.fullmatch(line)
        if match:
            values[match[1]] = match[2].strip("'\"")
    return Ready(values.get("version"), values.get("timestamp"))


def md5_lines(content: bytes, path: str) -> Iterator[tuple[str, bytes]]:
    """Yield what an ``MD5SUM`` has, as md5sum(1) writes it: relative path and digest (16 bytes). ``path`` is for the
    error text. Raises ArchiveError."""
    for number, line in enumerate(io.BytesIO(content), 1):
        match = _MD5_LINE.match(line)
        if match:
            try:
                name = match[2].strip().decode()
            except UnicodeDecodeError:
                raise ArchiveError(path, f"line {number} is not UTF-8", "text", _REMAKE) from None
            # Few names need it, and it takes longer than all the rest.
            if "./" in name or "//" in name or name.endswith(("/", ".")):
                name = posixpath.normpath(name)
            yield name, binascii.unhexlify(match[1])
        elif line.strip():
            found = f"line {number} is no checksum: {line[:80]!r}"
            raise ArchiveError(path, found, "lines of an MD5 and a path", _REMAKE)


class _Index:
    """The steps from headers to packages; each refuses what the next could not rely on."""

    def __init__(self, file: ArchiveFile) -> None:
        self._file = file
        self._path = file.path
        self._members = MemberTable()
        self._texts: dict[str, bytes] = {}
        # Each folder that something lies in → the package folder that it is or lies in.
        self._owners: dict[str, str | None] = {"": None}
        # Names with capitals, by what they are on a file system that ignores case.
        self._folded: dict[str, str] = {}

    def build(self, destinations: Mapping[str, str]) -> ArchiveIndex:
        self._collect()
        names = self._package_names()
        sources = self._sources(names)
        folders = self._folders(names)
        sizes = self._assign(folders)
        self._check_case()
        # Its content, not only its name, makes a folder a package: read all before naming them.
        ready = {folder: parse_ready(self._text(f"{folder}/{DATA_READY}")) for folder in folders}
        self._check_links()
        for folder in folders:
            self._read_md5sum(folder)
        self._check_sums(folders)
        named = name_folders(names, sources, ready, destinations)
        packages = []
        for folder, package in named.items():
            source = sources[package] if package else None
            version, timestamp = ready[folder]
            if source:
                version, timestamp = source.version or version, source.timestamp or timestamp
            packages.append(ArchivePackage(package, folder, version, timestamp, *sizes[folder], source))
        packages.sort(key=lambda package: package.label)
        file = self._file
        return ArchiveIndex(file.path, file.size, file.mtime_ns, names, tuple(packages), sources, self._members)

    def _collect(self) -> None:
        """Read all headers, and the small texts on the way: a compressed archive has no way back."""
        room = _MAX_TEXT
        for count, member in enumerate(read_members(self._file), 1):
            if count > _MAX_MEMBERS:
                raise self._error(f"it has more than {_MAX_MEMBERS} entries", "a data archive", _REMAKE)
            if not member.name:
                continue
            self._members.add(member)
            if member.name.endswith(_TEXTS):
                room += len(self._texts.pop(member.name, b""))
                if member.kind == FILE and member.size <= room:
                    self._texts[member.name] = self._file.read(member.offset, member.size)
                    room -= member.size

    def _package_names(self) -> tuple[str, ...]:
        if PACKAGES not in self._members:
            todo = f"{_REMAKE} A tar without the list cannot be told from half of one."
            raise self._error(f"it has no member {PACKAGES}", f"the list of its packages in {PACKAGES}", todo)
        names = [line.strip() for line in self._text(PACKAGES).splitlines() if line.strip()]
        if not names:
            raise self._error(f"its {PACKAGES} is empty", "one package name per line", _REMAKE)
        if len(set(names)) != len(names):
            raise self._error(f"its {PACKAGES} lists a package twice", "each package once", _REMAKE)
        return tuple(names)

    def _sources(self, names: Iterable[str]) -> dict[str, Source]:
        name = sources_json.FILE_NAME
        if name not in self._members:
            raise self._error(f"it has no member {name}", "the versions of its packages", _REMAKE)
        sources = sources_json.parse(self._text(name), f"{self._path}:{name}")
        for package in names:
            if package not in sources:
                found = f"{PACKAGES} lists {package}, and {name} has no entry for it"
                raise self._error(found, "an entry for each package", _REMAKE)
        return sources

    def _folders(self, names: Sequence[str]) -> list[str]:
        """The package folders: those with a DATA_READY at their root."""
        found = (name.rpartition("/") for name, _kind, _size in self._members.shapes() if name.endswith(DATA_READY))
        folders = sorted(folder for folder, _slash, name in found if name == DATA_READY)
        places = set(folders)
        for folder in folders:
            if not folder:
                raise self._error(f"{DATA_READY} lies outside of any folder", "it inside a package folder", _REMAKE)
            if folder.startswith(".") or folder.split("/")[0] == _CONFIG:
                found_there = f"the package folder {folder} has a name that the data folder itself needs"
                raise self._error(found_there, "the destination of a package", _REMAKE)
            for outer in _parents(folder):
                if outer in places:
                    inside = f"the package folder {folder} lies inside the package folder {outer}"
                    raise self._error(inside, "folders beside each other", _REMAKE)
        if len(folders) != len(names):
            lists = (
                f"{PACKAGES} lists {len(names)} packages ({', '.join(names)}), and {len(folders)} folders "
                f"have a {DATA_READY} ({', '.join(folders) or 'none'})"
            )
            raise self._error(lists, "one complete folder for each package", _REMAKE)
        return folders

    def _assign(self, folders: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Everything but the two lists lies in a package folder, or is a folder on the way to one. Returns how many
        files each package has, and their bytes."""
        files, sizes = dict.fromkeys(folders, 0), dict.fromkeys(folders, 0)
        way = {*folders, *(parent for folder in folders for parent in _parents(folder))}
        for name, kind, size in self._members.shapes():
            place, _slash, base = name.rpartition("/")
            if place not in self._owners:
                self._enter(place, way, files)
            self._note_case(name, base)
            package = self._owners[place]
            if package is not None:
                if kind in (FILE, HARDLINK):
                    files[package] += 1
                    sizes[package] += size
            elif name in _LISTS:
                if kind != FILE:
                    raise self._error(f"{name} is a {kind}", "a file", _REMAKE)
            elif name not in way:
                expected = f"only {PACKAGES}, {sources_json.FILE_NAME} and the folders of complete packages"
                found = f"the entry {name!r} lies outside of the packages (no {DATA_READY} at the root of its folder?)"
                raise self._error(found, expected, _REMAKE)
            elif kind != FOLDER:
                raise self._error(f"the package folder {name} is a {kind}", "a folder", _REMAKE)
        return {folder: (files[folder], sizes[folder]) for folder in folders}

    def _enter(self, place: str, way: Container[str], folders: Container[str]) -> None:
        """Note who owns a folder. Nothing is written through a file or a link that the archive itself planted."""
        above, _slash, base = place.rpartition("/")
        if above not in self._owners:
            self._enter(above, way, folders)
        member = self._members.get(place)
        if member is not None and member.kind != FOLDER:
            if place in way:
                raise self._error(f"the package folder {place} is a {member.kind}", "a folder", _REMAKE)
            found = f"something lies below {place!r}, which is a {member.kind}"
            raise self._error(found, "a folder", _REMAKE)
        self._note_case(place, base)
        self._owners[place] = place if place in folders else self._owners[above]

    def _note_case(self, name: str, base: str) -> None:
        """Only the last part of a name is looked at: the folders that it lies in have their own turn."""
        folded = base.casefold()
        if folded != base:
            other = self._folded.setdefault(name[: len(name) - len(base)] + folded, name)
            if other != name:
                raise self._case_error(name, other)

    def _check_case(self) -> None:
        for folded, name in self._folded.items():
            if folded in self._members or folded in self._owners:
                raise self._case_error(name, folded)

    def _check_links(self) -> None:
        for link in self._members.links():
            folder = self._owners[posixpath.dirname(link.name)] or ""
            if link.kind == SYMLINK:
                if not stays_inside(link.name, link.link, folder):
                    found = f"the symbolic link {link.name!r} points out of its package, to {link.link!r}"
                    raise self._error(found, "targets inside the package", _REMAKE)
                continue
            original = self._members.get(link.link)
            if not link.link.startswith(folder + "/") or original is None or original.kind != FILE:
                found = f"the hard link {link.name!r} points to {link.link!r}"
                raise self._error(found, "a file of the same package", _REMAKE)
            if original.offset > link.offset:
                found = f"the hard link {link.name!r} stands before its file {link.link!r}"
                raise self._error(found, "the file first", _REMAKE)

    def _read_md5sum(self, folder: str) -> None:
        place = f"{folder}/{MD5SUM}"
        if place not in self._members:
            raise self._error(f"the package folder {folder} has no {MD5SUM}", "the checksums of its files", _REMAKE)
        for path, md5 in md5_lines(self._content(place), f"{self._path}:{place}"):
            name = f"{folder}/{path}"
            if not self._members.expect(name, md5):
                member = self._members.get(name)
                if member is None or member.kind not in (FILE, HARDLINK):
                    found = f"{place} lists {path!r}, which is not in the archive"
                    raise self._error(found, "every listed file", _REMAKE)
                raise self._error(f"{place} lists {path!r} with two checksums", "one for each file", _REMAKE)

    def _check_sums(self, folders: Sequence[str]) -> None:
        """Each file has a checksum. A hard link is one more name of a file that is read once: both have the same."""
        without = {f"{folder}/{name}" for folder in folders for name in (MD5SUM, DATA_READY)}
        for name in self._members.unchecked():
            if name not in without and name not in _LISTS:
                found = f"{name} is not in the {MD5SUM} of its package, so nothing says whether it is whole"
                raise self._error(found, "a checksum for every file", _REMAKE)
        for link in self._members.links():
            if link.kind == HARDLINK and link.md5 != (md5 := self._members[link.link].md5):
                found = f"{MD5SUM} has {link.md5.hex()} for {link.name!r}, a hard link to {link.link!r}"
                raise self._error(found, f"{md5.hex()}, as for that", _REMAKE)

    def _text(self, name: str) -> str:
        try:
            return self._content(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._error(f"{name} is not UTF-8 (byte {error.start})", "text", _REMAKE) from None

    def _content(self, name: str) -> bytes:
        if name not in self._texts:
            member = self._members[name]
            raise self._error(f"{name} is a {member.kind} of {member.size} bytes", "a small text file", _REMAKE)
        return self._texts.pop(name)

    def _case_error(self, name: str, other: str) -> ArchiveError:
        found = f"the names {min(name, other)!r} and {max(name, other)!r} differ only in case"
        return self._error(found, "names that differ on every file system", _REMAKE)

    def _error(self, found: str, expected: str, todo: str) -> ArchiveError:
        return ArchiveError(self._path, found, expected, todo)


def _parents(name: str) -> Iterable[str]:
    """``a/b/c`` → ``a/b``, ``a``."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def stays_inside(name: str, link: str, folder: str) -> bool:
    """Whether a symbolic link's target lies in its package. ``..`` may only come first: after a name it would be taken
    from wherever that name, being a link itself, leads to."""
    parts = [part for part in link.split("/") if part not in ("", ".")]
    downwards = itertools.dropwhile(lambda part: part == "..", parts)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link))
    return ".." not in downwards and (target + "/").startswith(folder + "/")
