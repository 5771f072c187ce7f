# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a data folder into a data archive, as ella-anno's ``make tar-data`` does: inspect, plan, write, rename.

The archive's bytes depend on nothing but its packages and ``sources.json`` (see ``pack_items``, ``tar_writer``). So
whether the one that is there is the one that would be written is known without reading its data.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import lock, pack, package_folder, sources_json, tar_writer
from ansible_collections.ousamg.anno.plugins.module_utils.artifacts import archive_name
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    DATA_READY,
    PACKAGES,
    inspect_archive,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Change, read_text, source_digest
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import replacing, temporary_name
from ansible_collections.ousamg.anno.plugins.module_utils.folder_names import name_folders, read_destinations
from ansible_collections.ousamg.anno.plugins.module_utils.pack import Item, Stamp
from ansible_collections.ousamg.anno.plugins.module_utils.pack_items import (
    Archive,
    Package,
    all_items,
    from_archive,
    from_folder,
    read_archive,
)
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress, size
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, Member

_NAME_DATASETS = "Name a datasets.json that tells (datasets)"


class DataPackError(AnnoError):
    """The packages cannot be packed, or not there."""


class Request(NamedTuple):
    """What is wanted.

    ``dest`` is the archive, or a folder in which it is named after its packages; ``packages`` are names, None for all
    that are complete; with ``update`` the other packages of an archive that is there stay in it; ``mode`` are the
    permission bits that the archive has at least.
    """

    data: str
    dest: str
    packages: tuple[str, ...] | None = None
    datasets: tuple[str, ...] = ()
    update: bool = False
    mode: int = 0o774
    progress: str | None = None


class Situation(NamedTuple):
    """What inspect found. ``archive`` is the path; ``before`` is what is there, None where nothing is; ``left_out`` are
    packages of sources.json without a complete folder; ``free`` are bytes."""

    archive: str
    before: Archive | None
    packages: tuple[Package, ...]
    sources_text: str
    left_out: tuple[str, ...]
    free: int


class Plan(NamedTuple):
    """What is to be done. ``reasons`` is empty when there is nothing to do; ``rewrite`` says whether that is more than
    the archive's ``mode``; ``size`` is that of the archive, ``files`` and ``bytes`` count what is in it."""

    reasons: tuple[str, ...]
    changes: tuple[Change, ...]
    items: tuple[Item, ...]
    rewrite: bool
    size: int
    mode: int
    files: int
    bytes: int


def inspect(request: Request) -> Situation:
    """Read the data folder's lists, the packages' folders and the archive that is there; not the data themselves."""
    sources_path = os.path.join(request.data, sources_json.FILE_NAME)
    sources_text = read_text(sources_path)
    if not sources_text:
        found = f"it has no {sources_json.FILE_NAME}" if os.path.isdir(request.data) else "there is no such folder"
        raise DataPackError(request.data, found, "a data folder", "Correct the path, or make its data first.")
    sources = sources_json.parse(sources_text, sources_path)
    places, left_out = _places(request, sources)
    for name in places:
        _check_name(name, sources_path)
    packages = [from_folder(request.data, name, place, sources[name]) for name, place in places.items()]
    path = _archive_path(request, packages)
    before = _archive(path, request.datasets)
    taken = _taken_over(before, packages) if request.update and before else []
    # The archive's own entry stays with what stays in it.
    sources_text = _sources_text(sources_text, sources, taken)
    everything = tuple(sorted([*packages, *taken], key=lambda package: package.destination))
    package_folder.check_apart((package.destination for package in everything), path)
    for package in everything:
        _check_tables(package, request.data)
    return Situation(path, before, everything, sources_text, left_out, _free(path))


def plan(request: Request, situation: Situation) -> Plan:
    """From what is and what is wanted to what is to be done. Raises DataPackError where it does not fit the disk.

    An archive is left as it is where its entries have the names, sizes, times, targets and places that they would get,
    and ``sources.json``, ``PACKAGES`` and each ``MD5SUM`` and ``DATA_READY`` are the same byte for byte. Data files are
    not read for this.
    """
    packages, before = situation.packages, situation.before
    items = all_items(packages, situation.sources_text)
    members, total = tar_writer.layout(item.entry for item in items)
    rewrite = before is None or not _is_same(before, members, total, items)
    if rewrite and total > situation.free:
        todo = "Free space on this file system: older archives are the first to look at."
        found = f"{size(situation.free)} are free on its file system"
        raise DataPackError(situation.archive, found, size(total), todo)
    changes = _changes(before, packages)
    reasons = [f"{c.name}: {c.before or 'new'} → {c.after or 'gone'}" for c in changes if c.before != c.after]
    if rewrite and not reasons:
        reasons.append("its files, lists or form are not those of the data folder")
    mode = request.mode if before is None else before.mode | request.mode
    if before is not None and mode != before.mode:
        reasons.append(f"mode {before.mode:04o} → {mode:04o}")
    files, content = sum(package.files for package in packages), sum(package.bytes for package in packages)
    return Plan(tuple(reasons), changes, items, rewrite, total, mode, files, content)


def check(request: Request) -> tuple[Situation, Plan]:
    """A dry run: the plan of what :func:`apply` would do now. Raises what apply would raise before it starts."""
    situation = inspect(request)
    planned = plan(request, situation)
    if planned.reasons:
        lock.check(_lock(situation))
    return situation, planned


def apply(request: Request) -> tuple[Situation, Plan, str | None]:
    """Do it. On any failure what was there is as it was. Returns the SHA-256 too, None where nothing was written."""
    situation = inspect(request)
    planned = plan(request, situation)
    sha256 = None
    if planned.reasons:
        with lock.held(_lock(situation), f"pack {os.path.basename(situation.archive)}"):
            _check_unchanged(situation)
            if planned.rewrite:
                sha256 = _write(request, situation, planned)
            else:
                os.chmod(situation.archive, planned.mode)
    return situation, planned, sha256


def result(situation: Situation, plan: Plan, sha256: str | None) -> dict[str, Any]:
    """What the module returns. No key is ``dest``: Ansible would replace the size by that of what lies there."""
    former = situation.before.listing.packages if situation.before else ()
    before = [(p.label, p.version, p.files, p.bytes) for p in former]
    after = [(p.name, p.version, p.files, p.bytes) for p in situation.packages]
    return {
        "changed": bool(plan.reasons),
        "reasons": list(plan.reasons),
        "archive": situation.archive,
        "size": plan.size,
        "sha256": sha256,
        "packages": [change._asdict() for change in plan.changes],
        "files": plan.files,
        "bytes": plan.bytes,
        "left_out": list(situation.left_out),
        "diff": _diff(situation.archive, before, after) if plan.rewrite else [],
    }


def _places(request: Request, sources: Mapping[str, Source]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The wanted packages with their folders, and the packages that are left out."""
    ready = package_folder.find_packages(request.data)
    destinations = read_destinations(request.datasets)
    named = name_folders(list(sources), sources, ready, destinations)
    places = {name: folder for folder, name in named.items() if name is not None}
    nameless = sorted(folder for folder, name in named.items() if name is None)
    if request.packages is None:
        if nameless:
            found = f"which package it is cannot be told from {sources_json.FILE_NAME} and {DATA_READY}"
            todo = f"{_NAME_DATASETS}, or name the packages to pack (packages)."
            raise DataPackError(os.path.join(request.data, nameless[0]), found, "one package's folder", todo)
        if not places:
            todo = "Make or download the data first."
            raise DataPackError(request.data, f"no folder has a {DATA_READY}", "at least one complete package", todo)
        return places, tuple(sorted(sources.keys() - places.keys()))
    if not request.packages:
        raise DataPackError("packages", "is empty", "names of packages, or nothing for all", "Name the packages.")
    there = f"some of {', '.join(sorted(places))}"
    for name in request.packages:
        if name not in sources:
            found = f"{sources_json.FILE_NAME} has no package {name}"
            raise DataPackError(request.data, found, there, "Correct packages, or make the data first.")
        if name not in places:
            tables = (posixpath.dirname(table["file"]) for table in sources[name].vcfanno)
            place = destinations.get(name) or next(tables, "")
            found = f"the package {name} has no folder with a {DATA_READY}: it is not complete"
            todo = "Make the package anew."
            if nameless:
                found, todo = f"which folder is {name} cannot be told ({', '.join(nameless)})", f"{_NAME_DATASETS}."
            raise DataPackError(os.path.join(request.data, place), found, there, todo)
    return {name: places[name] for name in request.packages}, ()


def _check_name(name: str, path: str) -> None:
    if name.split() != [name]:
        found = f"it has a package {name!r}, and {PACKAGES} has one name a line"
        raise DataPackError(path, found, "names of one word", "Correct the name.")


def _archive_path(request: Request, packages: Sequence[Package]) -> str:
    path = os.path.abspath(request.dest)
    if os.path.isdir(path):
        if request.update:
            found = "it is a folder, and names change with the versions of their packages"
            raise DataPackError(path, found, "the archive to update", "Name the file.")
        path = os.path.join(path, archive_name([package._asdict() for package in packages]))
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise DataPackError(path, "it is there and is no regular file", "an archive, or nothing", "Name another dest.")
    folder = os.path.dirname(path)
    for package in packages:
        place = os.path.join(request.data, package.destination)
        if (os.path.realpath(folder) + "/").startswith(os.path.realpath(place) + "/"):
            found = f"it lies inside the package {package.name} ({place})"
            raise DataPackError(path, found, "a place outside of what is packed", "Name another dest.")
    os.stat(folder)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        todo = f"Run as the service user, or have the owner run: chmod u+rwx,g+rwx {folder}"
        raise DataPackError(folder, "this user may not write there", "a folder of the service user", todo)
    return path


def _archive(path: str, datasets: Sequence[str]) -> Archive | None:
    if not os.path.lexists(path):
        return None
    try:
        return read_archive(path, datasets)
    except AnnoError as error:
        todo = "Nothing but a data archive is replaced: remove it, or name another dest."
        raise DataPackError(error.path, error.found, error.expected, todo) from None


def _taken_over(before: Archive, packages: Iterable[Package]) -> list[Package]:
    """The packages of the archive that stay in it. Raises DataPackError where their folders cannot be told."""
    index = before.listing
    names, places = set(), set()
    for package in packages:
        names.add(package.name)
        places.add(package.destination)
    taken = []
    for found in index.packages:
        if found.name is None or found.source is None:
            what = f"which package the folder {found.destination} is cannot be told"
            raise DataPackError(index.path, what, "one package's folder", f"{_NAME_DATASETS}.")
        if found.name not in names and found.destination not in places:
            taken.append(from_archive(before, found, found.name, found.source))
    return taken


def _sources_text(text: str, sources: Mapping[str, Source], taken: Iterable[Package]) -> str:
    """The data folder's own, as ella-anno packs it, unless packages that stay in the archive have other entries."""
    others = {p.name: p.source for p in taken if source_digest(sources.get(p.name)) != source_digest(p.source)}
    return sources_json.render({**sources, **others}) if others else text


def _check_tables(package: Package, data: str) -> None:
    """What unpacking asks for: every annotation file in its package's archive."""
    files = {item.entry.name for item in package.items if item.entry.kind == FILE}
    for table in package.source.vcfanno:
        if posixpath.normpath(table["file"]) not in files:
            found = f"the vcfanno list of {package.name} names {table['file']}, which is not in its folder"
            raise DataPackError(data, found, "every annotation file in its package", "Make the package anew.")


def _free(path: str) -> int:
    """Bytes that are free for the archive, with those of what an earlier run left half-written."""
    status = os.statvfs(os.path.dirname(path))
    try:
        left = os.lstat(temporary_name(path)).st_blocks * 512
    except FileNotFoundError:
        left = 0
    return status.f_bavail * status.f_frsize + left


def _is_same(before: Archive, members: Iterable[Member], total: int, items: Iterable[Item]) -> bool:
    index = before.listing
    return (
        index.size == total
        and [member[:6] for member in index.members] == [member[:6] for member in members]
        and all(before.texts.get(entry.name) == text for entry, text in items if entry.size and isinstance(text, bytes))
    )


def _changes(before: Archive | None, packages: Iterable[Package]) -> tuple[Change, ...]:
    former = {package.label: package for package in before.listing.packages} if before else {}
    now = {package.name: package for package in packages}
    changes = []
    for name in sorted({*former, *now}):
        old, new = former.get(name), now.get(name)
        place = new.destination if new else former[name].destination
        changes.append(Change(name, place, old.version if old else None, new.version if new else None))
    return tuple(changes)


def _diff(path: str, before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]]) -> list[dict[str, str]]:
    line = "{}: version {}, {} files, {} bytes\n"
    texts = ("".join(line.format(*package) for package in sorted(packages)) for packages in (before, after))
    return [{"before_header": path, "after_header": path, "before": next(texts), "after": next(texts)}]


def _lock(situation: Situation) -> str:
    folder, name = os.path.split(situation.archive)
    return os.path.join(folder, f".{name}.lock")


def _check_unchanged(situation: Situation) -> None:
    """Nobody has made, replaced or removed the archive since it was looked at."""
    now = Stamp.of(os.lstat(situation.archive)) if os.path.lexists(situation.archive) else None
    if now != (situation.before.stamp if situation.before else None):
        raise DataPackError(situation.archive, "it was changed meanwhile", "the same file", "Run again.")


def _write(request: Request, situation: Situation, planned: Plan) -> str:
    path = situation.archive
    labels = {change.destination: change.name for change in planned.changes if change.destination}
    progress = Progress(request.progress, "pack", planned.size, labels)
    try:
        with replacing(path) as fd:
            sha256 = pack.write(fd, planned.items, progress)
            os.fchmod(fd, planned.mode)
            progress.what = "(sync to disk)"
            progress.update(planned.size)
            os.fsync(fd)
            _read_back(path, request.datasets)
            _check_unchanged(situation)
    except OSError as error:
        # Writes by descriptor do not name their file.
        error.filename = error.filename or path
        raise
    return sha256


def _read_back(path: str, datasets: Sequence[str]) -> None:
    """What a deployment would refuse is not made, whatever the reader that it uses refuses."""
    try:
        inspect_archive(temporary_name(path), datasets)
    except AnnoError as error:
        todo = "Correct the package; a deployment would refuse such an archive."
        raise DataPackError(path, error.found, error.expected, todo) from None
