# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ELLA's tracks against the live data: links, files, indexes and what users read about them. Reads only.

``tracks/`` holds ``<name>-current.vcf.gz`` and ``.tbi``, links to the files of one version. ELLA's configuration lies
beside that folder: ``track_config.json`` or, where that is missing, ``track_config_default.json``; its keys are regular
expressions that are matched from the beginning against ``STATIC/<file name>``, later ones win.
"""

from __future__ import annotations

import filecmp
import fnmatch
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import read_text
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure

_CONFIGS = ("track_config.json", "track_config_default.json")
UPDATE = "Copy file and index from the data folder, point both links to them, and correct the description."


class TrackError(AnnoError):
    """ELLA's configuration of tracks cannot be read."""


class Source(NamedTuple):
    """A package of the live data: its version and its annotation files by their paths below the data folder."""

    version: str | None
    files: Sequence[str]


class Place(NamedTuple):
    """Where a link of ``tracks/`` leads: the file's name, its size in bytes and its time in nanoseconds."""

    name: str
    size: int
    mtime_ns: int


class Track(NamedTuple):
    """What was found. ``source`` is the name of the live file (None: no such package, or not one file), of which
    ``size`` is the size in bytes; ``file`` and ``tbi`` are None where they lead to nothing; ``same_index``: the index
    has the bytes of the live file's. ``config`` is the file that ``description`` is from, ``error`` why there is none.
    """

    name: str
    package: str
    link: str
    version: str | None
    source: str | None
    size: int | None
    file: Place | None
    tbi: Place | None
    same_index: bool
    config: str | None
    description: str | None
    error: str | None


def inspect(
    tracks: str, table: Sequence[Mapping[str, str]], data: str, sources: Mapping[str, Source]
) -> list[Track]:
    """Look at each track of the table.

    :param table: for each track ``name`` (``clinvar``), ``package`` and ``file``, a pattern (``*exomes*``) that one
        annotation file of the package matches.
    """
    folder = os.path.dirname(os.path.normpath(tracks))
    config, rules, error = _config(folder)
    found = []
    for row in table:
        link = os.path.join(tracks, f"{row['name']}-current.vcf.gz")
        source = sources.get(row["package"])
        names = fnmatch.filter(source.files, f"*/{row['file']}") if source else []
        path = os.path.join(data, names[0]) if len(names) == 1 else None
        live = _place(path) if path else None
        description, problem = None, error
        if rules is not None:
            try:
                description = describe(rules, f"STATIC/{os.path.basename(link)}")
            except re.error as wrong:
                problem = f"{config}: {wrong.pattern!r} is no regular expression ({wrong})"
        track = Track(
            row["name"], row["package"], link, source.version if source else None,
            os.path.basename(path) if path else None, live.size if live else None,
            _place(link), _place(f"{link}.tbi"), bool(path and _same(f"{path}.tbi", f"{link}.tbi")),
            config, description, problem,
        )  # fmt: skip
        found.append(track)
    return found


def describe(rules: Mapping[str, Any], track: str) -> str | None:
    """What users read about a track, by ELLA's rules. Raises re.error."""
    description = None
    for pattern, value in rules.items():
        if re.match(pattern, track) and isinstance(value, dict) and "description" in value:
            description = str(value["description"])
    return description


def problems(track: Track) -> list[tuple[str, str]]:
    """What is wrong with a track whose source is live: what was found and what was expected instead."""
    wrong = []
    expected, name = track.source or "", os.path.basename(track.link)
    if track.file is None:
        wrong.append((f"{name} leads to no file", f"a link to {expected}"))
    elif track.file.name != expected:
        wrong.append((f"{name} leads to {track.file.name}", expected))
    elif track.file.size != track.size:
        wrong.append((f"{track.file.name} has {track.file.size} bytes", f"{track.size} bytes as in the data folder"))
    if track.tbi is None:
        wrong.append((f"{name}.tbi leads to no file", f"a link to {expected}.tbi"))
    elif track.tbi.name != f"{expected}.tbi":
        wrong.append((f"{name}.tbi leads to {track.tbi.name}", f"{expected}.tbi"))
    elif track.file and track.tbi.mtime_ns < track.file.mtime_ns:
        wrong.append((f"{track.tbi.name} is older than its file", "an index that was made after its file"))
    elif not track.same_index:
        wrong.append((f"{track.tbi.name} is another index than that in the data folder", "the one of its file"))
    if track.error:
        wrong.append((track.error, "ELLA's configuration of tracks"))
    elif track.description is None:
        wrong.append((f"{track.config} describes no such track", f"a description with {track.version}"))
    elif not names_version(track.description, track.version or ""):
        wrong.append((f"the description is {track.description!r}", f"one with {track.version}"))
    return wrong


def names_version(text: str, version: str) -> bool:
    """Whether a text names this very version: 2023.1 is not in "2023.12"."""
    return re.search(rf"(?<![0-9A-Za-z.])v?{re.escape(version)}(?![0-9A-Za-z]|\.[0-9])", text) is not None


def _config(folder: str) -> tuple[str | None, Mapping[str, Any] | None, str | None]:
    """The path of the configuration, what is in it, and why it cannot be read."""
    try:
        for name in _CONFIGS:
            path = os.path.join(folder, name)
            if os.path.lexists(path):
                return path, _rules(path), None
    except (AnnoError, OSError) as error:
        return path, None, failure(error)["msg"]
    return None, None, f"{folder} has neither {' nor '.join(_CONFIGS)}"


def _rules(path: str) -> Mapping[str, Any]:
    try:
        rules = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise TrackError(path, f"is no JSON ({error})", "ELLA's configuration of tracks", "Mend the file.") from None
    if not isinstance(rules, dict):
        raise TrackError(path, "is no JSON object", "ELLA's configuration of tracks", "Mend the file.")
    return rules


def _same(one: str, other: str) -> bool:
    """Whether two indexes have the same bytes; they hold where the records lie, so it is that of the same file."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _place(path: str) -> Place | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Place(os.path.basename(os.path.realpath(path)), status.st_size, status.st_mtime_ns)
