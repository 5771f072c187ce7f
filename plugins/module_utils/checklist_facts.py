# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reviewer's checklist is answered from: everything that is to be read on the target, and nothing judged.

Each part is read by itself, so that what cannot be read hides nothing of the rest. The facts are plain JSON on their
way to the controller, which alone can read a release manifest (see ``checklist``).
"""

from __future__ import annotations

import os
import posixpath
import stat
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_validate,
    image_link,
    ledger,
    permissions,
    sif,
    singularity,
    sources_json,
    supervisor,
    track_check,
    vcfanno_config,
)
from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import AnnoVersion, VersionError
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import is_untouched
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import sha256_of
from ansible_collections.ousamg.anno.plugins.module_utils.generation import id_of
from ansible_collections.ousamg.anno.plugins.module_utils.image_expect import look_inside
from ansible_collections.ousamg.anno.plugins.module_utils.manifest_search import list_manifests, read_manifest
from ansible_collections.ousamg.anno.plugins.module_utils.problems import printable

# A release without an image (or data) leaves those of the one before live; further back nobody looks.
_RELEASES = 20
_SECONDS = 15.0  # for each call to supervisord


class Instance(NamedTuple):
    """One env of a site. ``images`` is the folder of the images, ``releases`` those of the manifests, ``supervisor``
    has ``url`` and ``program`` (None: no service), ``tracks`` is ELLA's folder (None: no tracks)."""

    env: str
    data: str
    image_link: str
    images: str
    ledger: str
    releases: Sequence[str]
    supervisor: Mapping[str, str] | None
    tracks: str | None


class Tools(NamedTuple):
    """What is the same for all instances: credentials of Supervisor, the executable of Singularity (None: images are
    not run), the permission bits and the table of tracks."""

    username: str | None
    password: str | None
    singularity: str | None
    mode: int
    tracks: Sequence[Mapping[str, str]]


class LedgerFacts(NamedTuple):
    """``deployments`` are those that ended well, newest last; ``unwell`` is the last end since then that may have left
    something of another release; ``generation`` what the data were switched to last by one that ended well;
    ``switched`` is the time of the last switch; ``open`` the start of one that has not ended; ``tests`` the tests in
    this ledger."""

    path: str
    deployments: Sequence[Mapping[str, Any]]
    unwell: Mapping[str, Any] | None
    generation: str | None
    switched: str | None
    open: Mapping[str, Any] | None
    damaged: Sequence[int]
    tests: Sequence[Mapping[str, Any]]


class ImageFacts(NamedTuple):
    """``target`` is the text of the link (None: no link), ``resolved`` where it leads, ``linked`` when it was made, in
    seconds since 1970; ``images`` is the real path of the folder of images. ``mode`` and ``size`` are None where there
    is no such file; ``damage`` says why it is no image, and is None where it is one, which has the digest ``sha256``.
    ``versions`` are the tags inside, ``program`` what they were read with (None: this host has none)."""

    link: str
    target: str | None
    resolved: str | None
    linked: float | None
    images: str
    mode: int | None
    size: int | None
    damage: Mapping[str, Any] | None
    sha256: str | None
    program: str | None
    versions: Mapping[str, str] | None
    unread: Mapping[str, Any] | None


class DataFacts(NamedTuple):
    """``modes`` of the two lists (None: not there), ``versions`` by package, ``wanted`` the annotation files of each
    package by ``sources.json``, ``used`` those that ``vcfanno_config.toml`` has; the problems of data_validate.
    ``generation`` is the id of what is live, ``replaced`` are the packages that are not those of its receipt."""

    data: str
    generation: str
    replaced: Sequence[str]
    modes: Mapping[str, int | None]
    versions: Mapping[str, str | None]
    wanted: Mapping[str, Sequence[str]]
    used: Mapping[str, Sequence[str]]
    problems: Sequence[Mapping[str, str]]


class ServiceFacts(NamedTuple):
    """Seconds since 1970: ``start`` and ``now`` by Supervisor's clock, ``here`` by that of this host, which also is the
    ledger's."""

    url: str
    program: str
    statename: str
    start: int
    now: int
    here: float


def inspect(instance: Instance, staging: str | None, tools: Tools) -> dict[str, Any]:
    """All facts of one env; a part that cannot be read is ``{"error": …}``, one that the site has not is None.

    :param staging: the ledger of the site's staging, where an env that is none has its test.
    """
    facts: dict[str, Any] = {"env": instance.env}
    facts["ledger"] = _part(lambda: _ledger(instance.ledger)._asdict())
    facts["staging"] = _part(lambda: _ledger(staging)._asdict()) if staging else None
    facts["manifests"] = _manifests(instance.releases, facts["ledger"])
    facts["image"] = _part(lambda: _image(instance, tools.singularity)._asdict())
    facts["permissions"] = _part(lambda: permissions.check(instance.data, tools.mode)._asdict())
    facts["data"] = _part(lambda: _data(instance.data)._asdict())
    facts["service"] = facts["tracks"] = None
    if instance.supervisor:
        known = instance.supervisor
        facts["service"] = _part(lambda: _service(known, tools)._asdict())
    if instance.tracks:
        facts["tracks"] = _tracks(instance.tracks, tools.tracks, facts["data"])
    return facts


def _part(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read()
    except (AnnoError, OSError) as error:
        return {"error": failure(error)}


def _ledger(path: str) -> LedgerFacts:
    found = ledger.read(path)
    switches = [entry.time for entry in found.entries if entry.event == ledger.SWITCH]
    ends = [entry for entry in found.entries if entry.event == ledger.END]
    well = [entry for entry in ends if entry.outcome == "ok"]
    since = ends[ends.index(well[-1]) + 1 :] if well else ends
    unwell = [entry.as_dict() for entry in since if entry.outcome != "rolled_back"]
    return LedgerFacts(
        path,
        [entry.as_dict() for entry in well[-_RELEASES:]],
        unwell[-1] if unwell else None,
        _generation(found.entries, {entry.deployment for entry in well}),
        switches[-1] if switches else None,
        ledger.unfinished(found.entries),
        found.damaged,
        [entry.as_dict() for entry in found.entries if entry.event == ledger.TEST],
    )


def _generation(entries: Sequence[ledger.Entry], well: Set[str]) -> str | None:
    """What the last of these deployments that switched the data has switched them to; None where that is not said."""
    for entry in reversed(entries):
        if entry.event == ledger.SWITCH and entry.what == "data" and entry.deployment in well:
            generation = entry.after.get("generation") if isinstance(entry.after, dict) else None
            return generation if isinstance(generation, str) else None
    return None


def _manifests(releases: Sequence[str], record: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of the manifests of the releases on record, by release; None for one that has none."""
    found: dict[str, Any] = {}
    names = {str(end["release"]) for end in record.get("deployments", [])}
    try:
        shelf = list_manifests(releases)
    except OSError as error:
        return {name: {"error": failure(error)} for name in names}
    for name in names:
        try:
            manifest = read_manifest(shelf, AnnoVersion.parse(name))
            found[name] = {"path": manifest.path, "text": manifest.text} if manifest else None
        except VersionError:
            found[name] = None
        except (AnnoError, OSError) as error:
            found[name] = {"error": failure(error)}
    return found


def _image(instance: Instance, executable: str | None) -> ImageFacts:
    link = image_link.inspect_link(instance.image_link)
    images = os.path.realpath(instance.images)
    # Ansible takes no text that is not UTF-8.
    target, resolved = (printable(path) if path else None for path in (link.target, link.resolved))
    linked = os.lstat(link.path).st_mtime if link.target else None
    facts = ImageFacts(link.path, target, resolved, linked, images, None, None, None, None, None, None, None)
    if link.resolved is None or not os.path.exists(link.resolved):
        return facts
    status = os.stat(link.resolved)
    facts = facts._replace(mode=stat.S_IMODE(status.st_mode), size=status.st_size)
    try:
        info = sif.inspect_sif(link.resolved)
        # Reads all of it, as nothing else tells a changed byte: some seconds for each gigabyte.
        facts = facts._replace(sha256=sha256_of(link.resolved))
    except (AnnoError, OSError) as error:
        return facts._replace(damage=failure(error))
    program = singularity.find(executable) if executable else None
    if program is None:
        return facts
    try:
        return facts._replace(program=program, versions=look_inside(info, program, {}).versions)
    except (AnnoError, OSError) as error:
        return facts._replace(program=program, unread=failure(error))


def _data(data: str) -> DataFacts:
    situation = data_validate.inspect(data)
    modes: dict[str, int | None] = {}
    for name in (sources_json.FILE_NAME, vcfanno_config.FILE_NAME):
        path = os.path.join(data, name)
        modes[name] = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else None
    contents = situation.contents
    sources = contents.sources
    wanted = {
        name: sorted({posixpath.normpath(str(table.get("file"))) for table in source.vcfanno})
        for name, source in sources.items()
    }
    used = {
        name: [file for file in situation.files if file.startswith(f"{folder}/")]
        for name, folder in situation.packages.folders.items()
    }
    return DataFacts(
        data,
        id_of(data),
        [r["name"] or r["destination"] for r in contents.records.values() if not is_untouched(r, contents, data)],
        modes,
        {name: source.version for name, source in sources.items()},
        wanted,
        used,
        [
            {"code": problem.code, "severity": problem.severity, "path": problem.path, "message": problem.message}
            for problem in data_validate.judge(situation)
        ],
    )


def _service(known: Mapping[str, str], tools: Tools) -> ServiceFacts:
    server = supervisor.Server(known["url"], tools.username, tools.password, _SECONDS)
    program = supervisor.inspect(server, known["program"])
    return ServiceFacts(server.url, program.name, program.statename, program.start, program.now, time.time())


def _tracks(folder: str, table: Sequence[Mapping[str, str]], data: Mapping[str, Any]) -> list[dict[str, Any]]:
    sources = {
        name: track_check.Source(version, data["wanted"].get(name, []))
        for name, version in data.get("versions", {}).items()
    }
    found = track_check.inspect(folder, table, str(data.get("data", "")), sources)
    return [
        track._asdict()
        | {name: place._asdict() if place else None for name, place in (("file", track.file), ("tbi", track.tbi))}
        for track in found
    ]
