# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What unpacking a data archive would do: ``inspect`` looks at the data folder and the archive, ``plan`` tells what the
next generation is to be. Both only read; a dry run is these two.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    archive_tables,
    data_folder,
    data_place,
    data_switch,
    former_folder,
    generation,
    sources_json,
    unowned,
    vcfanno_config,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    ArchiveIndex,
    ArchivePackage,
    inspect_archive,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import (
    Change,
    Contents,
    is_untouched,
    source_digest,
)
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    Ownership,
    is_there,
)
from ansible_collections.ousamg.anno.plugins.module_utils.former_folder import Former
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Store
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, HARDLINK
from ansible_collections.ousamg.anno.plugins.module_utils.unowned import Unowned

AUTO = "auto"
STRATEGIES = (AUTO, data_switch.RENAMES, data_switch.PACKAGES)

_SHA256 = re.compile(r"[0-9a-f]{64}")


class UnpackError(AnnoError):
    """The archive and the data folder do not go together."""


class Request(NamedTuple):
    """What is wanted.

    ``packages`` is a subset by name, None for all; ``activate`` says whether to switch, or only to make the next
    generation ready; ``keep_generations`` is the number of former ones to keep, None to remove none; ``validate``
    whether tables that would annotate wrongly are refused.
    """

    src: str
    data: str
    ownership: Ownership
    sha256: str | None = None
    packages: tuple[str, ...] | None = None
    datasets: tuple[str, ...] = ()
    activate: bool = True
    keep_generations: int | None = 2
    strategy: str = AUTO
    progress: str | None = None
    validate: bool = False


class Stamp(NamedTuple):
    """An archive as it was when it was unpacked, and the package folders that it held."""

    path: str
    size: int
    mtime_ns: int
    sha256: str
    destinations: tuple[str, ...]


class Situation(NamedTuple):
    """What inspect found. ``archive`` is None where every wanted package is already in place; ``kept`` are the ids of
    the former generations, the latest first."""

    store: Store
    live: Contents
    archive: ArchiveIndex | None
    kept: tuple[str, ...]


class Plan(NamedTuple):
    """What is to be done. ``extract`` are the packages to unpack; the two texts are those of the next generation.

    ``reasons`` is empty when there is nothing to do; ``removed`` are the former generations that are to go, by id;
    ``former`` are the folders that packages lie in which come to another place; ``unowned`` is what no package owns,
    and is taken over as it is; ``doubts`` are about the archive's tables.
    """

    reasons: tuple[str, ...]
    changes: tuple[Change, ...]
    extract: tuple[ArchivePackage, ...]
    sources_text: str
    config_text: str
    files: int
    bytes: int
    removed: tuple[str, ...]
    former: tuple[Former, ...]
    unowned: Unowned
    doubts: tuple[str, ...]


def inspect(request: Request) -> Situation:
    """Read the data folder, its receipt, and the archive's table of contents unless all of it is in place."""
    if request.sha256 is not None and not _SHA256.fullmatch(request.sha256):
        todo = "Take it from the release manifest, or leave it out."
        raise UnpackError("sha256", f"{request.sha256!r} is no SHA-256", "64 hexadecimal digits in lower case", todo)
    store = generation.open_store(request.data)
    live = data_folder.read_contents(store.data)
    index = None if _in_place(request, live, store) else _index(request)
    return Situation(store, live, index, tuple(former.id for former in generation.kept(store)))


def plan(request: Request, situation: Situation) -> Plan:
    """From what is and what is wanted to what is to be done. Reads the data folder's shape, changes nothing.

    Raises UnpackError or PlaceError where the archive cannot go into this data folder.
    """
    store, live, index, _kept = situation
    if index is None:
        records = sorted(_wanted_records(request, live), key=_label)
        wanted = {record["name"]: live.sources[record["name"]] for record in records if record["name"]}
        config = _config(store, live, wanted, {record["name"]: record["destination"] for record in records})
        changes = tuple(Change(_label(r), r["destination"], r["version"], r["version"]) for r in records)
        chosen: tuple[ArchivePackage, ...] = ()
        sources = dict(live.sources)
        former: tuple[Former, ...] = ()
        doubts: list[str] = []
    else:
        chosen = _chosen(request, index)
        for package in chosen:
            data_place.check_place(store, package, index.path)
        names = index.names if request.packages is None else request.packages
        wanted = {name: index.sources[name] for name in names}
        sources = {**live.sources, **wanted}
        destinations = {package.name: package.destination for package in chosen if package.name}
        _check_tables(index, wanted, destinations)
        former = former_folder.inspect(store.data, live, chosen)
        config = _config(store, live, wanted, destinations, former_folder.gone(former))
        doubts = archive_tables.check(index.path, tables_of(chosen)) if request.validate else []
        changes = tuple(Change(p.label, p.destination, _before(live, p), p.version) for p in chosen)
    sources_text = live.sources_text if _same(sources, live.sources) else sources_json.render(sources)
    total = sum(package.bytes for package in chosen)
    files = sum(package.files for package in chosen)
    if index is not None and chosen and not is_ready(request, store, index, chosen):
        data_place.check_space(store, files, total)
    data_place.check_rights(store)
    if chosen and why_by_packages(request, store):
        data_place.check_parts(store, [*(package.destination for package in chosen), *former_folder.gone(former)])
    reasons = [f"{change.name}: {change.before or 'new'} → {change.after}" for change in changes if chosen]
    reasons += former_folder.reasons(former)
    if not chosen and config != live.config_text:
        reasons.append(f"{vcfanno_config.FILE_NAME} does not have the tables of the deployed packages")
    if reasons:
        data_place.check_ownership(request.ownership)
    removed = _to_go(request, situation, bool(reasons))
    left = unowned.inspect(store.data, live, [package.destination for package in chosen])
    return Plan(
        tuple(reasons), changes, chosen, sources_text, config, files, total, removed, former, left, tuple(doubts)
    )  # fmt: skip


def _to_go(request: Request, situation: Situation, switched: bool) -> tuple[str, ...]:
    """The former generations that are more than are to be kept; a switch makes one more."""
    if not request.activate or request.keep_generations is None:
        return ()
    live = generation.id_of(situation.store.data)
    former = (live, *situation.kept) if switched else situation.kept
    # What is built now is newer than all of them.
    order = generation.retention("" if switched else live, former)
    return tuple(former[number] for number in sorted(order[request.keep_generations :]))


def why_by_packages(request: Request, store: Store) -> str | None:
    """Why it goes package by package, as far as that is known before anything was tried."""
    if request.strategy == data_switch.PACKAGES:
        return data_switch.asked_for(request.strategy)
    if store.inside:
        return f"{store.data} is a mount point, which can be neither exchanged nor renamed"
    mounts = generation.mounts_below(store.data)
    return f"{mounts[0]} is a mount point, which an exchange would take along" if mounts else None


def is_ready(request: Request, store: Store, index: ArchiveIndex, chosen: Sequence[ArchivePackage]) -> bool:
    """Whether an earlier run has left the next generation complete, with exactly these packages of this archive."""
    receipt = generation.read_receipt(store.next)
    if receipt is None or not receipt.get("archive") or receipt.get("ownership") != request.ownership._asdict():
        return False
    stamp = Stamp(**receipt["archive"])
    same = (stamp.size, stamp.mtime_ns) == (index.size, index.mtime_ns)
    extracted = {package.destination for package in chosen}
    return same and request.sha256 in (None, stamp.sha256) and set(receipt.get("extracted", [])) == extracted


def _index(request: Request) -> ArchiveIndex:
    if not is_there(request.src):
        todo = "Upload the data archive, or correct its path; deploy looks in the archive and in incoming."
        raise UnpackError(request.src, "there is no such file", "the data archive", todo)
    return inspect_archive(request.src, request.datasets)


def _in_place(request: Request, live: Contents, store: Store) -> bool:
    """Whether the receipt and the folder agree that every wanted package came from this very archive."""
    stamp = _stamp_of(request, live)
    if stamp is None:
        return False
    records = _wanted_records(request, live)
    if request.packages is None:
        wanted = set(stamp.destinations)
        found = {record["destination"] for record in records}
    else:
        wanted = set(request.packages)
        found = {record["name"] for record in records}
    return wanted <= found and all(is_untouched(record, live, store.data) for record in records)


def _stamp_of(request: Request, live: Contents) -> Stamp | None:
    """The receipt's stamp of the wanted archive: by SHA-256 where one is asked for, else by size and time."""
    try:
        status = os.stat(request.src)
    except FileNotFoundError:
        status = None
    for record in live.records.values():
        stamp = Stamp(**record["archive"])
        if request.sha256 is not None:
            if stamp.sha256 == request.sha256:
                return stamp
        elif status is not None and (status.st_size, status.st_mtime_ns) == (stamp.size, stamp.mtime_ns):
            return stamp
    return None


def _wanted_records(request: Request, live: Contents) -> list[Mapping[str, Any]]:
    stamp = _stamp_of(request, live)
    return [
        record
        for record in live.records.values()
        if stamp is not None
        and record["archive"]["sha256"] == stamp.sha256
        and (request.packages is None or record["name"] in request.packages)
    ]


def _same(a: Mapping[str, Source], b: Mapping[str, Source]) -> bool:
    return {n: source_digest(s) for n, s in a.items()} == {n: source_digest(s) for n, s in b.items()}


def _label(record: Mapping[str, Any]) -> str:
    return str(record["name"] or record["destination"])


def _chosen(request: Request, index: ArchiveIndex) -> tuple[ArchivePackage, ...]:
    if request.packages is None:
        return index.packages
    by_name = {package.name: package for package in index.packages}
    for name in request.packages:
        if name not in index.names:
            expected = f"some of {', '.join(index.names)}"
            raise UnpackError(index.path, f"the package {name} is not in the archive", expected, "Correct packages.")
        if name not in by_name:
            todo = "Name a datasets.json that tells (datasets), or unpack the whole archive."
            raise UnpackError(index.path, f"which folder is {name} cannot be told", "a clear folder", todo)
    return tuple(by_name[name] for name in sorted(request.packages))


def tables_of(packages: Sequence[ArchivePackage]) -> list[Mapping[str, Any]]:
    """The annotation tables of packages."""
    return [table for package in packages if package.source for table in package.source.vcfanno]


def _check_tables(index: ArchiveIndex, wanted: Mapping[str, Source], destinations: Mapping[str, str]) -> None:
    for name, source in wanted.items():
        for table in source.vcfanno:
            member = index.members.get(posixpath.normpath(table["file"]))
            if member is None or member.kind not in (FILE, HARDLINK):
                found = f"the vcfanno list of {name} names {table['file']}, which is not in the archive"
                todo = "Make the package anew, then the archive."
                raise UnpackError(index.path, found, "every annotation file in its package", todo)
        if source.vcfanno and name not in destinations:
            found = f"which folder is {name} cannot be told, and it has annotation tables"
            todo = "Name a datasets.json that tells (datasets)."
            raise UnpackError(index.path, found, "one folder with all annotation files of the package", todo)


def _before(live: Contents, package: ArchivePackage) -> str | None:
    if package.name is not None and package.name in live.sources:
        return live.sources[package.name].version
    record = live.records.get(package.destination)
    return str(record["version"]) if record else None


def _config(
    store: Store,
    live: Contents,
    wanted: Mapping[str, Source],
    destinations: Mapping[str, str],
    gone: Sequence[str] = (),
) -> str:
    """The next vcfanno_config.toml. Where there is none yet, it is made for every package that has tables. No table is
    left for what lies in the folders ``gone``."""
    path = os.path.join(store.data, vcfanno_config.FILE_NAME)
    updates = []
    if not live.config_text:
        others = [source.vcfanno for name, source in live.sources.items() if name not in wanted and source.vcfanno]
        updates += [vcfanno_config.Update(posixpath.dirname(tables[0]["file"]), tables) for tables in others]
    for name, source in wanted.items():
        former = live.sources.get(name)
        if name in destinations and (source.vcfanno or (former and former.vcfanno)):
            files = tuple(str(table["file"]) for table in former.vcfanno) if former else ()
            updates.append(vcfanno_config.Update(destinations[name], source.vcfanno, files))
    updates += [vcfanno_config.Update(folder, ()) for folder in gone]
    return vcfanno_config.rebuild(live.config_text, updates, path)
