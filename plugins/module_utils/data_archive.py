# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data archive as ella-anno's ``make tar-data`` writes it: what is in it, and whether it is whole.

Members: ``sources.json`` (of the whole folder it was made from), one folder per package, ``PACKAGES`` (one name per
line). GNU tar's ``-u`` may add a name more than once: the last one counts. The archive does not say which folder
belongs to which package; see :func:`name_folders`.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import (
    FILE,
    FOLDER,
    HARDLINK,
    SYMLINK,
    Member,
    read_members,
)

PACKAGES = "PACKAGES"
DATA_READY = "DATA_READY"
MD5SUM = "MD5SUM"

# Small text files are read whole; nothing that claims to be one is larger.
_MAX_TEXT = 64 << 20
_MAX_MEMBERS = 500_000
_MD5_LINE = re.compile(r"\\?([0-9a-fA-F]{32})[ \t]+\*?(.+)")
_READY_LINE = re.compile(r"([A-Za-z_]+):[ \t]*(.*?)[ \t]*")
# Below this, two names have too little in common to call one the other's.
_ALIKE = 0.6

_REMAKE = "Make the archive anew with ella-anno's `make tar-data`."


class ArchiveError(AnnoError):
    """The file is no data archive, or not a whole one."""


class Ready(NamedTuple):
    """What ``DATA_READY`` says; None where it does not say it."""

    version: str | None
    timestamp: str | None


class ArchivePackage(NamedTuple):
    """One package folder of an archive.

    ``name`` is None where the archive does not tell which package the folder belongs to; ``destination`` is the
    folder below the data folder; ``bytes`` counts the content of its ``files`` regular files; ``source`` is the
    entry of ``sources.json``; ``md5`` maps the paths below the folder to their MD5 as hexadecimal digits.
    """

    name: str | None
    destination: str
    version: str | None
    timestamp: str | None
    files: int
    bytes: int
    source: Source | None
    md5: Mapping[str, str]

    @property
    def label(self) -> str:
        return self.name or self.destination


class ArchiveIndex(NamedTuple):
    """An archive's table of contents. ``members`` are those that count (of duplicates the last), in file order;
    ``names`` are the packages of ``PACKAGES``; ``size`` and ``mtime_ns`` are the file's own."""

    path: str
    size: int
    mtime_ns: int
    names: tuple[str, ...]
    packages: tuple[ArchivePackage, ...]
    sources: Mapping[str, Source]
    members: tuple[Member, ...]


def inspect_archive(path: str, datasets: Sequence[str] = ()) -> ArchiveIndex:
    """Read an archive's headers and its small text files, not its data.

    :param path: the archive, a regular file.
    :param datasets: paths of ``datasets.json`` files, which name each package's destination.
    Raises TarError, ArchiveError, SourcesError or OSError; what it returns is whole and may be unpacked.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(path, "it is no regular file", "a data archive", "Check the path.")
        if status.st_size == 0:
            todo = "Fetch the archive again and compare its size with the release manifest."
            raise ArchiveError(path, "it is empty (0 bytes)", "a data archive", todo)
        return _Index(fd, path, status).build(read_destinations(datasets))
    except OSError as error:
        error.filename = error.filename or path
        raise
    finally:
        os.close(fd)


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


def parse_md5sum(text: str, path: str) -> dict[str, str]:
    """Read an ``MD5SUM``, as md5sum(1) writes it: relative path → digest. ``path`` is for the error text."""
    digests = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _MD5_LINE.fullmatch(line)
        if not match:
            found = f"line {number} is no checksum: {line[:80]!r}"
            raise ArchiveError(path, found, "lines of an MD5 and a path", _REMAKE)
        digests[posixpath.normpath(match[2].strip())] = match[1].lower()
    return digests


class _Index:
    """The steps from headers to packages; each refuses what the next could not rely on."""

    def __init__(self, fd: int, path: str, status: os.stat_result) -> None:
        self._fd = fd
        self._path = path
        self._status = status
        self._winners: dict[str, Member] = {}

    def build(self, destinations: Mapping[str, str]) -> ArchiveIndex:
        self._collect()
        names = self._package_names()
        sources = self._sources(names)
        folders = self._folders(names)
        self._assign_members(folders)
        self._check_parents()
        # Its content, not only its name, makes a folder a package: read all before naming them.
        ready = {folder: parse_ready(self._text(f"{folder}/{DATA_READY}")) for folder in folders}
        named = name_folders(names, sources, ready, destinations)
        members = tuple(sorted(self._winners.values(), key=lambda member: member.offset))
        self._check_links(folders)
        packages = self._packages(named, ready, sources)
        return ArchiveIndex(
            self._path, self._status.st_size, self._status.st_mtime_ns, names, packages, sources, members
        )

    def _collect(self) -> None:
        for count, member in enumerate(read_members(self._fd, self._path), 1):
            if count > _MAX_MEMBERS:
                raise self._error(f"it has more than {_MAX_MEMBERS} entries", "a data archive", _REMAKE)
            if member.name:
                self._winners[member.name] = member

    def _package_names(self) -> tuple[str, ...]:
        if PACKAGES not in self._winners:
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
        if name not in self._winners:
            raise self._error(f"it has no member {name}", "the versions of its packages", _REMAKE)
        sources = sources_json.parse(self._text(name), f"{self._path}:{name}")
        for package in names:
            if package not in sources:
                found = f"{PACKAGES} lists {package}, and {name} has no entry for it"
                raise self._error(found, "an entry for each package", _REMAKE)
        return sources

    def _folders(self, names: Sequence[str]) -> list[str]:
        """The package folders: those with a DATA_READY at their root."""
        folders = sorted(posixpath.dirname(name) for name in self._winners if posixpath.basename(name) == DATA_READY)
        if "" in folders:
            raise self._error(f"{DATA_READY} lies outside of any folder", "it inside a package folder", _REMAKE)
        for inner in folders:
            for outer in _parents(inner):
                if outer in folders:
                    found = f"the package folder {inner} lies inside the package folder {outer}"
                    raise self._error(found, "folders beside each other", _REMAKE)
        if len(folders) != len(names):
            found = (
                f"{PACKAGES} lists {len(names)} packages ({', '.join(names)}), and {len(folders)} folders "
                f"have a {DATA_READY} ({', '.join(folders) or 'none'})"
            )
            raise self._error(found, "one complete folder for each package", _REMAKE)
        return folders

    def _assign_members(self, folders: Sequence[str]) -> None:
        """Everything but the two lists lies in a package folder, or is a folder on the way to one."""
        roots = set(folders)
        way = {parent for folder in folders for parent in _parents(folder)}
        for name, member in self._winners.items():
            if name in (PACKAGES, sources_json.FILE_NAME):
                if member.kind != FILE:
                    raise self._error(f"{name} is a {member.kind}", "a file", _REMAKE)
            elif (name in roots or name in way) and member.kind != FOLDER:
                raise self._error(f"the package folder {name} is a {member.kind}", "a folder", _REMAKE)
            elif name not in roots and name not in way and not any(p in roots for p in _parents(name)):
                expected = f"only {PACKAGES}, {sources_json.FILE_NAME} and the folders of complete packages"
                found = f"the entry {name!r} lies outside of the packages (no {DATA_READY} at the root of its folder?)"
                raise self._error(found, expected, _REMAKE)

    def _check_parents(self) -> None:
        """Nothing is written through a file or a link that the archive itself planted."""
        checked: set[str] = set()
        for name in self._winners:
            for parent in _parents(name):
                if parent in checked:
                    break
                checked.add(parent)
                if parent in self._winners and self._winners[parent].kind != FOLDER:
                    kind = self._winners[parent].kind
                    raise self._error(f"{name!r} lies below {parent!r}, which is a {kind}", "a folder", _REMAKE)

    def _check_links(self, folders: Sequence[str]) -> None:
        for name, member in self._winners.items():
            if member.kind not in (SYMLINK, HARDLINK):
                continue
            folder = next(f for f in folders if name.startswith(f + "/"))
            if member.kind == SYMLINK:
                if not stays_inside(name, member.link, folder):
                    found = f"the symbolic link {name!r} points out of its package, to {member.link!r}"
                    raise self._error(found, "targets inside the package", _REMAKE)
                continue
            original = self._winners.get(member.link)
            if not member.link.startswith(folder + "/") or original is None or original.kind != FILE:
                found = f"the hard link {name!r} points to {member.link!r}"
                raise self._error(found, "a file of the same package", _REMAKE)
            if original.offset > member.offset:
                found = f"the hard link {name!r} stands before its file {member.link!r}"
                raise self._error(found, "the file first", _REMAKE)

    def _check_link_sums(self, folder: str, md5: Mapping[str, str]) -> None:
        """A hard link is one more name of a file that is read once: both names must have the same checksum."""
        for name, member in self._winners.items():
            if member.kind == HARDLINK and name.startswith(folder + "/"):
                ours, original = (md5.get(path[len(folder) + 1 :]) for path in (name, member.link))
                if ours != original:
                    found = f"{folder}/{MD5SUM} has {ours} for {name!r}, a hard link to {member.link!r}"
                    raise self._error(found, f"{original}, as for that", _REMAKE)

    def _packages(
        self, named: Mapping[str, str | None], ready: Mapping[str, Ready], sources: Mapping[str, Source]
    ) -> tuple[ArchivePackage, ...]:
        files = dict.fromkeys(named, 0)
        sizes = dict.fromkeys(named, 0)
        present: dict[str, set[str]] = {folder: set() for folder in named}
        for name, member in self._winners.items():
            folder = next((parent for parent in _parents(name) if parent in named), None)
            if folder is not None and member.kind in (FILE, HARDLINK):
                files[folder] += 1
                sizes[folder] += member.size
                present[folder].add(name[len(folder) + 1 :])
        packages = []
        for folder, package in named.items():
            md5 = self._md5(folder, present[folder])
            self._check_link_sums(folder, md5)
            source = sources[package] if package else None
            version, timestamp = ready[folder]
            if source:
                version, timestamp = source.version or version, source.timestamp or timestamp
            packages.append(
                ArchivePackage(package, folder, version, timestamp, files[folder], sizes[folder], source, md5)
            )
        return tuple(sorted(packages, key=lambda package: package.label))

    def _md5(self, folder: str, present: set[str]) -> dict[str, str]:
        place = f"{folder}/{MD5SUM}"
        if MD5SUM not in present:
            raise self._error(f"the package folder {folder} has no {MD5SUM}", "the checksums of its files", _REMAKE)
        digests = parse_md5sum(self._text(place), f"{self._path}:{place}")
        listed = set(digests)
        for missing in sorted(listed - present):
            raise self._error(f"{place} lists {missing!r}, which is not in the archive", "every listed file", _REMAKE)
        for surplus in sorted(present - listed - {MD5SUM, DATA_READY}):
            found = f"{folder}/{surplus} is not in {place}, so nothing says whether it is whole"
            raise self._error(found, "a checksum for every file", _REMAKE)
        return digests

    def _text(self, name: str) -> str:
        member = self._winners[name]
        if member.kind != FILE or member.size > _MAX_TEXT:
            raise self._error(f"{name} is a {member.kind} of {member.size} bytes", "a small text file", _REMAKE)
        content = os.pread(self._fd, member.size, member.offset)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._error(f"{name} is not UTF-8 (byte {error.start})", "text", _REMAKE) from None

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


def read_destinations(datasets: Sequence[str]) -> dict[str, str]:
    """Package → destination, from ``datasets.json`` files (ella-anno, anno-targets)."""
    destinations: dict[str, str] = {}
    for path in datasets:
        with open(path, encoding="utf-8") as stream:
            try:
                content = json.load(stream)
            except ValueError as error:
                raise ArchiveError(path, f"it is not JSON: {error}", "a datasets.json", "Check the path.") from None
        if not isinstance(content, dict):
            raise ArchiveError(path, "it holds no JSON object", "a datasets.json", "Check the path.")
        for name, entry in content.items():
            if isinstance(entry, dict) and isinstance(entry.get("destination"), str):
                destinations[name] = posixpath.normpath(entry["destination"])
    return destinations


def name_folders(
    names: Sequence[str], sources: Mapping[str, Source], ready: Mapping[str, Ready], destinations: Mapping[str, str]
) -> dict[str, str | None]:
    """Folder → package name, None where it stays ambiguous.

    What is certain comes first: the paths of the package's vcfanno tables, then ``datasets.json``, then a version
    that only one name and one folder share, then the likeness of names, and one left over on each side.
    """
    free = set(ready)
    open_names = list(names)
    found: dict[str, str | None] = dict.fromkeys(sorted(ready))

    def settle(name: str, folder: str) -> None:
        found[folder] = name
        free.discard(folder)
        open_names.remove(name)

    for name in names:
        inside = {_folder_of(str(table["file"]), ready) for table in sources[name].vcfanno}
        if len(inside) == 1 and (folder := inside.pop()) in free and folder:
            settle(name, folder)
        elif destinations.get(name) in free:
            settle(name, destinations[name])
    for name, folder in _only_pairs(open_names, free, lambda n, f: sources[n].version == ready[f].version):
        if _likeness(name, folder) >= _ALIKE:
            settle(name, folder)
    for name, folder in _only_pairs(
        open_names,
        free,
        lambda n, f: _likeness(n, f) >= _ALIKE and sources[n].version in (ready[f].version, None),
    ):
        settle(name, folder)
    # What is left over belongs together only where there is a folder for each name, as in an archive.
    if len(names) == len(ready) and len(open_names) == 1:
        (folder,) = free
        if sources[open_names[0]].version == ready[folder].version:
            settle(open_names[0], folder)
    return found


def _only_pairs(
    names: Sequence[str], folders: Iterable[str], fits: Callable[[str, str], bool]
) -> list[tuple[str, str]]:
    """The pairs in which name and folder fit each other and nobody else."""
    edges = [(name, folder) for name in names for folder in folders if fits(name, folder)]
    return [
        (name, folder)
        for name, folder in edges
        if sum(name == n for n, f in edges) == 1 and sum(folder == f for n, f in edges) == 1
    ]


def _folder_of(file: str, folders: Iterable[str]) -> str | None:
    path = posixpath.normpath(file)
    return next((folder for folder in folders if path.startswith(folder + "/")), None)


def _likeness(name: str, folder: str) -> float:
    """How alike a package name and a folder's path are, 0 to 1: the best of the path's parts."""
    plain = _letters(name)
    scores = []
    for part in map(_letters, folder.split("/")):
        contained = bool(plain and part) and (plain in part or part in plain)
        scores.append(1.0 if contained else difflib.SequenceMatcher(None, plain, part).ratio())
    return max(scores)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
