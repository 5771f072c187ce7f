# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a data folder and belongs to no package: taken over as it is, and told.

A path belongs to a package that lies in or below the folder of a record of the receipt, the folder of an annotation
file that ``sources.json`` names, or a folder with a ``DATA_READY``. Only folders on the way to these are looked into.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import DATA_READY
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import LISTS, Contents

# Where ella-anno's own script puts the folders that it replaces.
SCRIPT_FOLDER = ".tmp"

_OWN = ".anno"  # how the engine's own names in a data folder begin
_INDEXES = ("", ".tbi", ".csi")
_DEPTH = 3  # a destination has no more parts than this
_SHOWN = 5


class Unowned(NamedTuple):
    """Paths below the data folder, sorted: those of no package (a folder once, not what is in it), and package folders
    without a ``DATA_READY``."""

    paths: tuple[str, ...]
    unready: tuple[str, ...]


def inspect(data: str, contents: Contents, replaced: Collection[str] = ()) -> Unowned:
    """Look through a data folder. ``replaced`` are the folders that an archive's packages take the place of."""
    tables = {posixpath.normpath(t["file"]) for source in contents.sources.values() for t in source.vcfanno}
    folders = {*contents.records, *replaced}
    places = folders | {posixpath.dirname(table) for table in tables}
    files = set()
    for table in tables:
        place = posixpath.dirname(table)
        if place in folders or (place and not any(other.startswith(place + "/") for other in places)):
            folders.add(place)
        else:  # packages lie side by side in that folder: just the file is this one's
            files |= {table + index for index in _INDEXES}
    unready: list[str] = []
    paths = _look(data, "", folders | files, unready) or []
    return Unowned(tuple(sorted(paths)), tuple(sorted(set(unready) - set(replaced) - files)))


def notes(found: Unowned) -> list[str]:
    """What is to be told about it, a sentence each."""
    told = []
    if found.paths:
        names = ", ".join(found.paths[:_SHOWN])
        more = f" and {len(found.paths) - _SHOWN} more" if len(found.paths) > _SHOWN else ""
        told.append(f"Of no package, kept as it is: {names}{more}.")
    if SCRIPT_FOLDER in found.paths:
        told.append(
            f"{SCRIPT_FOLDER} was probably left by ella-anno's own script, which moves the folders that it replaces "
            "there and was stopped half-way: a package that is missing may lie in it. It can be removed when none is."
        )
    if found.unready:
        told.append(f"Without {DATA_READY}, so perhaps not complete, kept as it is: {', '.join(found.unready)}.")
    return told


def _look(folder: str, below: str, known: Collection[str], unready: list[str]) -> list[str] | None:
    """The paths of no package in a folder; None where nothing in it is a package's."""
    found: list[str] = []
    owned = not below
    try:
        with os.scandir(folder) as scan:
            entries = list(scan)
    except OSError:  # another user's; whatever it is, it is taken over
        return None
    for entry in entries:
        path = below + entry.name
        if not below and (entry.name in LISTS or entry.name.startswith(_OWN)):
            continue
        # What is hidden is no package, whatever lies in it.
        visible = not (entry.name.startswith(".") or entry.is_file(follow_symlinks=False))
        ready = visible and os.path.lexists(os.path.join(entry.path, DATA_READY))
        if path in known or ready:
            owned = True
            if not ready:
                unready.append(path)
            continue
        deeper = visible and entry.is_dir(follow_symlinks=False) and path.count("/") + 1 < _DEPTH
        inner = _look(entry.path, path + "/", known, unready) if deeper else None
        if inner is None:
            found.append(path)
        else:
            owned = True
            found += inner
    return found if owned else None
