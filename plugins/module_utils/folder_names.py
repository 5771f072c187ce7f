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
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
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
    of_names, of_folders = defaultdict(list), defaultdict(list)
    for name in open_names:
        of_names[sources[name].version].append(name)
    for folder in free:
        of_folders[ready[folder].version].append(folder)
    for version, same in of_names.items():
        if len(same) == len(of_folders[version]) == 1 and _alike(same[0], of_folders[version][0]):
            settle(same[0], of_folders[version].pop())
    everywhere = sorted(free)
    candidates = {
        name: everywhere if sources[name].version is None else of_folders[sources[name].version] for name in open_names
    }
    for name, folder in _only_pairs(candidates, _alike):
        settle(name, folder)
    # What is left over belongs together only where there is a folder for each name, as in an archive.
    if len(names) == len(ready) and len(open_names) == 1:
        (folder,) = free
        if sources[open_names[0]].version == ready[folder].version:
            settle(open_names[0], folder)
    return found


def _only_pairs(
    candidates: Mapping[str, Sequence[str]], fits: Callable[[str, str], bool]
) -> list[tuple[str, str]]:
    """The pairs in which name and folder fit each other and nobody else, of names and the folders that may be theirs.

    Whether two fit is slow to tell: it is not asked where both fit several already.
    """
    of_name: Counter[str] = Counter()
    of_folder: Counter[str] = Counter()
    edges = []
    for name, folders in candidates.items():
        for folder in folders:
            if (of_name[name] < 2 or of_folder[folder] < 2) and fits(name, folder):
                edges.append((name, folder))
                of_name[name] += 1
                of_folder[folder] += 1
    return [(name, folder) for name, folder in edges if of_name[name] == of_folder[folder] == 1]


def _folder_of(file: str, folders: Container[str]) -> str | None:
    """The folder that a file lies in, directly or not; folders lie beside each other."""
    folder = posixpath.dirname(posixpath.normpath(file))
    while folder and folder != "/" and folder not in folders:
        folder = posixpath.dirname(folder)
    return folder if folder in folders else None


def _alike(name: str, folder: str) -> bool:
    """Whether a package name and a part of a folder's path have enough in common."""
    plain = _letters(name)
    for part in map(_letters, folder.split("/")):
        if plain and part and (plain in part or part in plain):
            return True
        # Twice what both have over all there is: no need to compare what differs in length too much.
        if 2 * min(len(plain), len(part)) >= _ALIKE * (len(plain) + len(part)):
            matcher = _matcher(part)
            matcher.set_seq1(plain)
            if matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE:
                return True
    return False


@functools.lru_cache(maxsize=4096)
def _matcher(part: str) -> difflib.SequenceMatcher[str]:
    """What it learns of its second text serves for every first one."""
    return difflib.SequenceMatcher(None, "", part)


@functools.lru_cache(maxsize=4096)
def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
