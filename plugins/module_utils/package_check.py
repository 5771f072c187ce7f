# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of a data folder: ``sources.json``, the folders, their ``MD5SUM`` and ``DATA_READY``, and the tables of
``vcfanno_config.toml``, all of which tell the same story."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import unowned, vcfanno_config
from ansible_collections.ousamg.anno.plugins.module_utils.annotation_file import unreadable
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    DATA_READY,
    MD5SUM,
    ArchiveError,
    md5_lines,
    parse_ready,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Contents, FolderError, read_text
from ansible_collections.ousamg.anno.plugins.module_utils.data_tree import Tree
from ansible_collections.ousamg.anno.plugins.module_utils.files import BLOCK
from ansible_collections.ousamg.anno.plugins.module_utils.folder_names import Ready, name_folders
from ansible_collections.ousamg.anno.plugins.module_utils.problems import Problem, listed, problem
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import FILE_NAME as SOURCES
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source

_AGAIN = "Unpack the data archive of the package again."
_INDEXES = (".tbi", ".csi", ".bai")
# What looks like a version: a date, or numbers with a separator. A short number alone may be anything (GRCh37).
_VERSION = re.compile(r"\d{4,}|\d+(?:[._-]\d+)+")


class Packages(NamedTuple):
    """``ready`` are the complete folders with what their ``DATA_READY`` says, ``folders`` those of the packages in
    ``sources.json`` (as far as it can be told), ``md5`` the digests of each folder's ``MD5SUM`` by path below the data
    folder, and ``unowned`` what belongs to no package."""

    ready: Mapping[str, Ready]
    folders: Mapping[str, str]
    md5: Mapping[str, Mapping[str, bytes]]
    unowned: unowned.Unowned
    problems: tuple[Problem, ...]


def inspect(data: str, contents: Contents, tree: Tree, table_files: Sequence[str]) -> Packages:
    """Find the packages and read their small texts. ``table_files`` are the files that the configuration names."""
    problems: list[Problem] = []
    ready: dict[str, Ready] = {}
    md5: dict[str, Mapping[str, bytes]] = {}
    for folder in _complete_folders(tree):
        try:
            ready[folder] = parse_ready(read_text(os.path.join(data, folder, DATA_READY)))
        except (FolderError, OSError) as error:
            ready[folder] = Ready(None, None)
            problems.append(_text_problem(f"{folder}/{DATA_READY}", "package-unready", error))
        place = f"{folder}/{MD5SUM}"
        if place not in tree.files:
            found = "the package has no list of checksums, so nothing tells whether it is whole"
            problems.append(problem("md5sum-missing", folder, found, f"a file {MD5SUM}", _AGAIN))
            continue
        try:
            lines = md5_lines(read_text(os.path.join(data, place)).encode(), place)
            md5[folder] = {posixpath.normpath(f"{folder}/{name}"): digest for name, digest in lines}
        except (ArchiveError, FolderError, OSError) as error:
            problems.append(_text_problem(place, "md5sum-damaged", error))
    packaged = {posixpath.normpath(table["file"]) for source in contents.sources.values() for table in source.vcfanno}
    local = [file + end for file in table_files if file not in packaged for end in ("", *_INDEXES)]
    found_unowned = unowned.inspect(data, contents, local)
    return Packages(ready, _name(contents, ready), md5, found_unowned, tuple(problems))


def judge(contents: Contents, tree: Tree, packages: Packages) -> list[Problem]:
    """Whether ``sources.json`` and the folders say the same."""
    problems = list(packages.problems)
    unnamed = sorted(set(packages.ready) - set(packages.folders.values()))
    unplaced = [name for name in contents.sources if name not in packages.folders]
    unready = {posixpath.dirname(t["file"]) for name in unplaced for t in contents.sources[name].vcfanno}
    for name in unplaced:
        if unnamed:
            found = f"which folder is that of {name} cannot be told: {listed(unnamed)} belong to no other package"
            problems.append(problem("package-unclear", SOURCES, found, "a folder that is like its name", "Look there."))
        elif not unready & set(packages.unowned.unready):
            found = f"it has the package {name}, and no folder with a {DATA_READY} is that of {name}"
            todo = f"{_AGAIN} Or remove its entry, if it is not used any more."
            problems.append(problem("package-missing", SOURCES, found, "every package that it names", todo))
    for folder in unnamed if not unplaced else ():
        found = f"it is a complete package, and {SOURCES} has no entry for it: nobody sees that it is used"
        problems.append(problem("package-unlisted", folder, found, "an entry for each package", _AGAIN))
    for folder in packages.unowned.unready:
        found = f"it has no {DATA_READY}, which is written last: it may not be complete"
        problems.append(problem("package-unready", folder, found, "a complete package", _AGAIN))
    for name, folder in packages.folders.items():
        problems += _versions(name, folder, contents.sources[name], packages.ready[folder])
    inside = _by_folder(tree, packages.md5)
    for folder, digests in packages.md5.items():
        problems += _listing(folder, digests, inside[folder], tree.links)
    if packages.unowned.paths:
        paths = packages.unowned.paths
        found = f"files and folders of no package and no table: {len(paths)} ({listed(paths)})"
        todo = "Remove what is not needed; nothing updates it or tells its version."
        problems.append(problem("file-unknown", ".", found, "packages, and files of tables", todo))
    return problems


def judge_tables(contents: Contents, tables: Sequence[Mapping[str, Any]], packages: Packages) -> list[Problem]:
    """Whether the configuration has the tables that ``sources.json`` says; ``tables`` are those with a file."""
    problems: list[Problem] = []
    left: dict[str, list[dict[str, Any]]] = {}
    for table in map(_normal, tables):
        left.setdefault(table["file"], []).append(table)
    path = vcfanno_config.FILE_NAME
    lacking: list[tuple[str, dict[str, Any]]] = []
    for name, source in contents.sources.items():
        for table in map(_normal, source.vcfanno):
            if table in left.get(table["file"], ()):
                left[table["file"]].remove(table)
            else:
                lacking.append((name, table))
    for name, table in lacking:
        file = table["file"]
        if left.get(file):
            difference = _difference(table, left[file].pop(0))
            found = f"the table of {file} is not the one that {SOURCES} has for {name}: {difference}"
            todo = f"Find out which one is right. {_AGAIN}"
            problems.append(problem("table-differs", path, found, f"the table of {SOURCES}", todo))
        else:
            found = f"it has no table for {file}, which {SOURCES} has for {name}: nothing is annotated from it"
            problems.append(problem("table-missing", path, found, "every table of every package", _AGAIN))
    for file in (file for file, tables_of in left.items() for _table in tables_of):
        owner = next((n for n, folder in packages.folders.items() if file.startswith(folder + "/")), None)
        if owner is None:
            continue  # a local one
        if contents.sources[owner].vcfanno:
            found = f"it has a table for {file}, which {SOURCES} does not have for {owner}: the next update removes it"
            problems.append(problem("table-unlisted", path, found, f"the tables of {SOURCES}", _AGAIN))
        else:
            found = f"it has a table for {file}, and by {SOURCES} the package {owner} has no tables"
            todo = "Have the package name its tables (vcfanno in datasets.json), or remove the table."
            problems.append(problem("table-surplus", path, found, "tables that their package knows of", todo))
    return problems


def check_sums(data: str, tree: Tree, packages: Packages, progress_path: str | None) -> list[Problem]:
    """Read every file that has a checksum, all of it."""
    wanted = [(n, md5) for digests in packages.md5.values() for n, md5 in sorted(digests.items()) if n in tree.files]
    labels = {folder: name for name, folder in packages.folders.items()}
    progress = Progress(progress_path, "check", sum(tree.files[name] for name, _digest in wanted), labels)
    problems, done = [], 0
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    for name, expected in wanted:
        progress.what = name
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with open(os.path.join(data, name), "rb", buffering=0) as stream:
                while count := stream.readinto(buffer):
                    digest.update(view[:count])
                    done += count
                    progress.update(done)
        except OSError as error:
            problems.append(unreadable(name, error))
            continue
        if digest.digest() != expected:
            found = f"its MD5 is {digest.hexdigest()}: it was damaged or changed"
            problems.append(problem("checksum-mismatch", name, found, f"{expected.hex()}, as in its {MD5SUM}", _AGAIN))
    return problems


def _complete_folders(tree: Tree) -> list[str]:
    """Those with a DATA_READY; a hidden one at the top is no package's."""
    folders = {posixpath.dirname(name) for name in tree.files if posixpath.basename(name) == DATA_READY}
    return sorted(folder for folder in folders if folder and not folder.startswith("."))


def _name(contents: Contents, ready: Mapping[str, Ready]) -> dict[str, str]:
    """Package → folder."""
    destinations = {record["name"]: folder for folder, record in contents.records.items() if record["name"]}
    named = name_folders(list(contents.sources), contents.sources, ready, destinations)
    found = {name: folder for folder, name in named.items() if name}
    # A version that differs is to be told; so once more by the likeness of the names alone.
    names = [name for name in contents.sources if name not in found]
    rest = {folder: says for folder, says in ready.items() if named[folder] is None}
    without = {name: contents.sources[name]._replace(version=None) for name in names}
    again = name_folders(names, without, rest, {}) if names and rest else {}
    return {**found, **{name: folder for folder, name in again.items() if name}}


def _versions(name: str, folder: str, source: Source, ready: Ready) -> list[Problem]:
    problems = []
    version = source.version
    if version is not None and ready.version is not None and version != ready.version:
        found = f"{SOURCES} says that {name} is {version}, and the {DATA_READY} of its folder says {ready.version}"
        todo = f"Find out which one is there. {_AGAIN}"
        problems.append(problem("package-version", folder, found, "one version", todo))
    for file in sorted({posixpath.normpath(table["file"]) for table in source.vcfanno}):
        other = _other_version(posixpath.basename(file), version or "")
        if other:
            found = f"by its name it is of version {other}, and {SOURCES} says that {name} is {version}"
            problems.append(problem("file-version", file, found, f"a file of {version}", _AGAIN))
    return problems


def _other_version(base: str, version: str) -> str | None:
    """What stands in a file name in place of the version: something of the same shape, and not the version."""
    if not _VERSION.fullmatch(version):
        return None
    if version.isdigit():
        shape = rf"\d{{{len(version)}}}"
    else:
        shape = re.sub(r"\d+", lambda _number: r"\d+", re.escape(version))
    found = re.findall(rf"(?<![\d.]){shape}(?!\d|\.\d)", base)
    return found[0] if found and version not in found else None


def _by_folder(tree: Tree, folders: Collection[str]) -> dict[str, set[str]]:
    """The files of each package folder."""
    found: dict[str, set[str]] = {folder: set() for folder in folders}
    owners: dict[str, str] = {"": ""}

    def owner(place: str) -> str:
        if place not in owners:
            owners[place] = place if place in found else owner(posixpath.dirname(place))
        return owners[place]

    for name in tree.files:
        folder = owner(posixpath.dirname(name))
        if folder:
            found[folder].add(name)
    return found


def _listing(folder: str, digests: Mapping[str, bytes], inside: set[str], links: Collection[str]) -> list[Problem]:
    problems = []
    known = {f"{folder}/{name}" for name in (MD5SUM, DATA_READY)}
    gone = sorted(set(digests) - inside - set(links))
    if gone:
        found = f"files that it lists and that are not there: {len(gone)} ({listed(gone)})"
        problems.append(problem("md5sum-file-missing", f"{folder}/{MD5SUM}", found, "every file that it lists", _AGAIN))
    extra = sorted(inside - set(digests) - known)
    if extra:
        found = f"files that are not in its {MD5SUM}: {len(extra)} ({listed(extra)})"
        todo = "Remove them where they do not belong to the package; nothing tells whether they are whole."
        problems.append(problem("file-unlisted", folder, found, "a checksum for every file", todo))
    return problems


def _normal(table: Mapping[str, Any]) -> dict[str, Any]:
    return {**table, "file": posixpath.normpath(table["file"])}


def _difference(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The first difference of two tables, in words."""
    for key in sorted({*wanted, *found}):
        one, other = wanted.get(key), found.get(key)
        if isinstance(one, list) and isinstance(other, list):
            for number, (a, b) in enumerate(zip(one, other), 1):
                if a != b:
                    return f"{key} number {number} is {b!r} and not {a!r}"
            if len(one) != len(other):
                return f"it has {len(other)} {key} and not {len(one)}"
        elif one != other:
            return f"{key} is {other!r:.80} and not {one!r:.80}"
    return "the same values in another form"


def _text_problem(path: str, code: str, error: FolderError | ArchiveError | OSError) -> Problem:
    if isinstance(error, OSError):
        return unreadable(path, error)
    return problem(code, path, error.found, error.expected, _AGAIN)
