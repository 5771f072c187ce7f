# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package a folder of a data archive belongs to: the archive does not say it, so it is told from what it says."""

from __future__ import annotations

import difflib
import functools
import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source

# Below this, two names have too little in common to call one the other's.
_ALIKE = 0.6


class DatasetsError(AnnoError):
    """The file is no ``datasets.json``."""


class Ready(NamedTuple):
    """What ``DATA_READY`` says; None where it does not say it."""

    version: str | None
    timestamp: str | None


def read_destinations(datasets: Sequence[str]) -> dict[str, str]:
    """Package → destination, from ``datasets.json`` files (ella-anno, anno-targets)."""
    destinations: dict[str, str] = {}
    for path in datasets:
        with open(path, encoding="utf-8") as stream:
            try:
                content = json.load(stream)
            except ValueError as error:
                raise DatasetsError(path, f"it is not JSON: {error}", "a datasets.json", "Check the path.") from None
        if not isinstance(content, dict):
            raise DatasetsError(path, "it holds no JSON object", "a datasets.json", "Check the path.")
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
        if _is_alike(name, folder):
            settle(name, folder)
    for name, folder in _only_pairs(
        open_names,
        free,
        lambda n, f: sources[n].version in (ready[f].version, None) and _is_alike(n, f),
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
    of_name, of_folder = (Counter(edge[end] for edge in edges) for end in (0, 1))
    return [(name, folder) for name, folder in edges if of_name[name] == of_folder[folder] == 1]


def _folder_of(file: str, folders: Iterable[str]) -> str | None:
    path = posixpath.normpath(file)
    return next((folder for folder in folders if path.startswith(folder + "/")), None)


def _is_alike(name: str, folder: str) -> bool:
    """Whether a package name is like a part of a folder's path; every name is compared with every folder."""
    plain = _letters(name)
    for part in map(_letters, folder.split("/")):
        if plain and part and (plain in part or part in plain):
            return True
        matcher = _matcher(part)
        matcher.set_seq1(plain)
        # The first two are upper bounds of the third, and cost a fraction of it.
        if all(ratio() >= _ALIKE for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)):
            return True
    return False


@functools.cache
def _matcher(part: str) -> difflib.SequenceMatcher[str]:
    """Indexing the second text is most of the work."""
    return difflib.SequenceMatcher(None, "", part)


@functools.cache
def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
