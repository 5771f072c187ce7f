# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data archive into a data folder: inspect what is there, plan the next generation, build and verify it, switch.

``inspect`` and ``plan`` only read; a dry run is these two. ``apply`` builds the next generation beside the live one:
the archive's packages extracted, everything else hard-linked, ``sources.json`` and ``vcfanno_config.toml`` written
anew. Nothing live changes before all of it was verified and is on disk.
"""

from __future__ import annotations

import contextlib
import errno
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
    lock,
    mirror,
    sources_json,
    trash,
    unowned,
    vcfanno_config,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    DATA_READY,
    ArchiveIndex,
    ArchivePackage,
    inspect_archive,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import (
    LISTS,
    Change,
    Contents,
    is_untouched,
    ready_digest,
    source_digest,
)
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.extract import Extraction, extract
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    Ownership,
    is_there,
    remove_tree,
    sync_filesystem,
    write_atomic,
)
from ansible_collections.ousamg.anno.plugins.module_utils.former_folder import Former
from ansible_collections.ousamg.anno.plugins.module_utils.generation import RECEIPT, Partial, Store
from ansible_collections.ousamg.anno.plugins.module_utils.members import Selection
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, HARDLINK
from ansible_collections.ousamg.anno.plugins.module_utils.unowned import Unowned

AUTO = "auto"
STRATEGIES = (AUTO, data_switch.RENAMES, data_switch.PACKAGES)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 50  # of the paths that belong to no package


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


class Outcome(NamedTuple):
    """What apply did. ``generation`` is the one that is live now, or the next one where it was only made ready;
    ``caveat`` is what could not be promised by the switch, None for the exchange."""

    generation: str
    previous: str | None
    strategy: str | None
    reused: bool
    removed: tuple[str, ...]
    caveat: str | None = None


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
        doubts = archive_tables.check(index.path, _tables(chosen)) if request.validate else []
        changes = tuple(Change(p.label, p.destination, _before(live, p), p.version) for p in chosen)
    sources_text = live.sources_text if _same(sources, live.sources) else sources_json.render(sources)
    total = sum(package.bytes for package in chosen)
    files = sum(package.files for package in chosen)
    if index is not None and chosen and not _is_ready(request, store, index, chosen):
        data_place.check_space(store, files, total)
    data_place.check_rights(store)
    if chosen and _why_by_packages(request, store):
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


def diff(plan: Plan, live: Contents) -> list[dict[str, str]]:
    """The plan as Ansible prints differences."""
    changes = list(plan.changes) if plan.extract else []
    for former in plan.former:
        if former.obstacle is None:
            version = live.sources[former.name].version
            changes.append(Change(f"{former.name} in {former.folder}", former.folder, version or "there", None))
    return data_folder.diff(changes, live, plan.sources_text, plan.config_text)


def result(request: Request, situation: Situation, plan: Plan, outcome: Outcome | None) -> dict[str, Any]:
    """What the module returns; ``outcome`` is None for a dry run."""
    planned = bool(plan.reasons or plan.removed)
    surplus = [] if plan.reasons else [f"generation {name}: kept → removed" for name in plan.removed]
    live_id = generation.id_of(situation.store.data)
    strategy = caveat = None
    if outcome is not None:
        strategy, caveat = outcome.strategy, outcome.caveat
    elif plan.reasons and request.activate:
        strategy, caveat = _foreseen(request, situation.store)
    return {
        "changed": planned,
        "planned": planned,
        "reasons": [*plan.reasons, *surplus],
        "packages": [change._asdict() for change in plan.changes],
        "files": plan.files,
        "bytes": plan.bytes,
        "generation": outcome.generation if outcome else (None if plan.reasons else live_id),
        "previous": outcome.previous if outcome else (live_id if plan.reasons and request.activate else None),
        "strategy": strategy,
        "caveat": caveat,
        "moved": [former._asdict() for former in plan.former],
        "unowned": list(plan.unowned.paths[:_SHOWN]),
        "unowned_count": len(plan.unowned.paths),
        "unready": list(plan.unowned.unready),
        "notes": [*former_folder.notes(plan.former), *unowned.notes(plan.unowned), *plan.doubts],
        "reused": bool(outcome and outcome.reused),
        "removed": list(outcome.removed if outcome else plan.removed),
        "left": trash.paths(situation.store),
        # What is only made ready changes nothing that is live.
        "diff": diff(plan, situation.live) if request.activate else [],
    }


def _why_by_packages(request: Request, store: Store) -> str | None:
    """Why it goes package by package, as far as that is known before anything was tried."""
    if request.strategy == data_switch.PACKAGES:
        return data_switch.asked_for(request.strategy)
    if store.inside:
        return f"{store.data} is a mount point, which can be neither exchanged nor renamed"
    mounts = generation.mounts_below(store.data)
    return f"{mounts[0]} is a mount point, which an exchange would take along" if mounts else None


def _foreseen(request: Request, store: Store) -> tuple[str | None, str | None]:
    """The strategy and its caveat as a dry run can tell them. Whether a file system has exchange and hard links shows
    only when they are tried: then it is None, or what an earlier run has found when it made the next generation."""
    why = _why_by_packages(request, store)
    if why is None and generation.read_receipt(store.next):
        partial = generation.read_partial(store.next)
        why = partial.why if partial else None
    if why is not None:
        return data_switch.PACKAGES, data_switch.caveat(data_switch.PACKAGES, why)
    if request.strategy == data_switch.RENAMES:
        return request.strategy, data_switch.caveat(request.strategy, data_switch.asked_for(request.strategy))
    return None, None


def check(request: Request) -> tuple[Situation, Plan]:
    """A dry run: the plan of what :func:`apply` would do now. Raises what apply would raise before it starts."""
    store = generation.open_store(request.data)
    lock.check(store.lock)
    data_switch.check_recovered(store)
    situation = inspect(request)
    return situation, plan(request, situation)


def apply(request: Request) -> tuple[Situation, Plan, Outcome]:
    """Do it. On any failure the live generation is as it was, and what was half built is removed."""
    store = generation.open_store(request.data)
    with data_switch.locked(store, f"unpack {os.path.basename(request.src)}"):
        trash.empty(store)  # its room is needed
        former_receipt = generation.read_receipt(store.data)
        situation = inspect(request)
        planned = plan(request, situation)
        removed: list[str] = []
        if not planned.reasons:
            if request.activate and request.keep_generations is not None:
                removed = data_switch.prune(store, request.keep_generations)
            return situation, planned, Outcome(generation.id_of(store.data), None, None, False, tuple(removed))
        index = situation.archive
        reused = index is not None and _is_ready(request, store, index, planned.extract)
        try:
            built = _build(request, store, situation, planned, reused)
            # Hours may have passed. Who has the data folder mounted has another state folder, and so another lock.
            generation.check_alone(store)
            if generation.read_receipt(store.data) != former_receipt:
                found = "another release was deployed here while the next generation was built"
                todo = "Find out who else works here, then run again."
                raise UnpackError(store.data, found, "nobody else at work", todo)
        except BaseException:
            trash.remove_next(store)
            raise
        if not request.activate:
            return situation, planned, Outcome(built, None, None, reused, ())
        allow = request.strategy == AUTO
        strategy, former, caveat = data_switch.switch(store, store.next, allow_exchange=allow)
        if request.keep_generations is not None:
            # The new generation is live: what cannot be removed now is for the next run to tell.
            with contextlib.suppress(OSError):
                removed = data_switch.prune(store, request.keep_generations)
        return situation, planned, Outcome(built, former, strategy, reused, tuple(removed), caveat)


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


def _tables(packages: Sequence[ArchivePackage]) -> list[Mapping[str, Any]]:
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


def _is_ready(request: Request, store: Store, index: ArchiveIndex, chosen: Sequence[ArchivePackage]) -> bool:
    """Whether an earlier run has left the next generation complete, with exactly these packages of this archive."""
    receipt = generation.read_receipt(store.next)
    if receipt is None or not receipt.get("archive") or receipt.get("ownership") != request.ownership._asdict():
        return False
    stamp = Stamp(**receipt["archive"])
    same = (stamp.size, stamp.mtime_ns) == (index.size, index.mtime_ns)
    extracted = {package.destination for package in chosen}
    return same and request.sha256 in (None, stamp.sha256) and set(receipt.get("extracted", [])) == extracted


def _build(request: Request, store: Store, situation: Situation, planned: Plan, reused: bool) -> str:
    """Make the next generation complete on disk; returns its id."""
    former = generation.read_receipt(store.data) or {}
    destinations = [package.destination for package in planned.extract]
    staged = generation.read_receipt(store.next) if reused else None
    if staged is not None:
        stamp: dict[str, Any] | None = staged["archive"]
    else:
        trash.remove_next(store)
        os.mkdir(store.next, 0o700)
        stamp = _unpack(request, store, situation.archive, planned) if situation.archive else former.get("archive")
    if situation.archive is not None and request.validate:
        archive_tables.check(situation.archive.path, _tables(planned.extract), store.next)
    # What it is not to have may be there from an earlier run, which could not know that it goes.
    gone = former_folder.gone(planned.former)
    for folder in gone:
        remove_tree(os.path.join(store.next, folder))
    replaced = [*destinations, *gone]
    why = _why_by_packages(request, store) or _take_over(store, replaced)
    mirror.copy_attributes(store.data, store.next)
    for name, text in zip(LISTS, (planned.sources_text, planned.config_text)):
        if text:
            write_atomic(os.path.join(store.next, name), text.encode(), request.ownership)
    if why is not None:
        data_place.check_parts(store, replaced)
        partial = Partial((*LISTS, RECEIPT), tuple(replaced), generation.id_of(store.data), why)
        generation.mark_partial(store.next, partial)
    name = staged["generation"] if staged else _new_id(stamp)
    receipt = {
        "generation": name,
        "created": generation.timestamp(),
        "previous": generation.id_of(store.data),
        "archive": stamp,
        "ownership": request.ownership._asdict(),
        "extracted": destinations,
        "packages": _records(store, situation, planned, stamp),
        "state": generation.WITHIN if store.inside else generation.BESIDE,
    }
    sync_filesystem(store.next)
    generation.write_receipt(store.next, receipt, request.ownership)
    return str(name)


def _new_id(stamp: Mapping[str, Any] | None) -> str:
    return f"{generation.timestamp()}-{stamp['sha256'][:8] if stamp else 'config'}"


def _unpack(request: Request, store: Store, index: ArchiveIndex, planned: Plan) -> dict[str, Any]:
    """Extract and verify the chosen packages; returns the archive's stamp."""
    members = Selection(index.members, [package.destination for package in planned.extract])
    labels = {package.destination: package.label for package in planned.extract}
    progress = Progress(request.progress, "unpack", index.size, labels)
    done: Extraction = extract(index.path, store.next, members, request.ownership, progress)
    progress.what = "(sync to disk)"
    progress.update(index.size)
    if request.sha256 not in (None, done.sha256):
        todo = "Fetch the archive again; if it stays so, the release manifest belongs to another archive."
        raise UnpackError(index.path, f"its sha256 is {done.sha256}", f"{request.sha256}", todo)
    after = os.stat(index.path)
    if (after.st_size, after.st_mtime_ns) != (index.size, index.mtime_ns):
        todo = "Leave the archive alone while it is unpacked; run again."
        raise UnpackError(index.path, "it was changed while it was read", "the same file", todo)
    folders = tuple(package.destination for package in index.packages)
    return Stamp(os.path.abspath(index.path), index.size, index.mtime_ns, done.sha256, folders)._asdict()


def _records(
    store: Store, situation: Situation, planned: Plan, stamp: Mapping[str, Any] | None
) -> list[Mapping[str, Any]]:
    # A package lies in one place: a record of its former folder, kept or gone, holds no longer.
    names = {package.name for package in planned.extract if package.name}
    records = {place: record for place, record in situation.live.records.items() if record["name"] not in names}
    for package in planned.extract:
        folder = os.path.join(store.next, package.destination)
        if not is_there(os.path.join(folder, DATA_READY)):
            found = f"the {DATA_READY} of {package.label} has gone since it was unpacked"
            raise UnpackError(folder, found, "the whole package", "Leave this folder alone; run again.")
        records[package.destination] = {
            "name": package.name,
            "destination": package.destination,
            "version": package.version,
            "timestamp": package.timestamp,
            "source": source_digest(package.source),
            "ready": ready_digest(folder),
            "archive": stamp,
        }
    return [records[destination] for destination in sorted(records)]


def _take_over(store: Store, replaced: Sequence[str]) -> str | None:
    """Make everything in the next generation that is not replaced a hard link to the live one's, and nothing more.

    Where links are not to be had (the file system has none, or the kernel refuses them for files of another user),
    nothing but the replaced packages is left in the next generation, and the clause that says why is returned.
    """
    try:
        mirror.link_tree(store.data, store.next, keep={*replaced, *LISTS, RECEIPT})
    except mirror.ClosedFolderError as error:
        mirror.remove_others(store.next, keep=set(replaced))
        return f"this user may not look into {error.filename} (EACCES), so what is in it cannot be hard-linked"
    except mirror.NoLinksError as error:
        mirror.remove_others(store.next, keep=set(replaced))
        why = f"hard links to what is live are not to be had ({errno.errorcode[error.errno or 0]} at {error.filename})"
        if error.errno == errno.EPERM:
            # proc(5), protected_hardlinks; also chattr +i
            why += ": the kernel refuses them for files that this user neither owns nor may write"
        return why
    return None
