# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next generation, built beside the live one: the archive's packages extracted and verified, everything else
hard-linked, ``sources.json`` and ``vcfanno_config.toml`` written anew, and a receipt last.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ousamg.anno.plugins.module_utils import (
    archive_tables,
    data_place,
    former_folder,
    generation,
    mirror,
    trash,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    DATA_READY,
    ArchiveIndex,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import (
    LISTS,
    ready_digest,
    source_digest,
)
from ansible_collections.ousamg.anno.plugins.module_utils.extract import Extraction, extract
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    is_there,
    remove_tree,
    sync_filesystem,
    write_atomic,
)
from ansible_collections.ousamg.anno.plugins.module_utils.generation import RECEIPT, Partial, Store
from ansible_collections.ousamg.anno.plugins.module_utils.members import Selection
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import (
    Plan,
    Request,
    Situation,
    Stamp,
    UnpackError,
    tables_of,
    why_by_packages,
)


def build(request: Request, store: Store, situation: Situation, planned: Plan, reused: bool) -> str:
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
        archive_tables.check(situation.archive.path, tables_of(planned.extract), store.next)
    # What it is not to have may be there from an earlier run, which could not know that it goes.
    gone = former_folder.gone(planned.former)
    for folder in gone:
        remove_tree(os.path.join(store.next, folder))
    replaced = [*destinations, *gone]
    why = why_by_packages(request, store) or _take_over(store, replaced)
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
