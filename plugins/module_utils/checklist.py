# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reviewer's checklist of the procedure: from the facts of an instance to one line for each thing to be checked.

Pure: what was read on the target (see ``checklist_facts``) and what the release manifests say goes in, lines come out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import permissions, sources_json, track_check, vcfanno_config
from ansible_collections.ousamg.anno.plugins.module_utils.checklist_facts import (
    DataFacts,
    ImageFacts,
    LedgerFacts,
    ServiceFacts,
)
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.problems import listed
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import ReleaseManifest

OK, FAILED, NOT_CHECKED, WARNING = "ok", "failed", "not_checked", "warning"

_DEPLOY = "Deploy the release again, or find out who changed it."
_CHMOD = "Run verify.yml with -e fix_permissions=true as the owner, or have the owner change it."
# Supervisor counts in whole seconds, and a question takes a moment: a smaller difference of two clocks is none.
_SECONDS = 2.0


class Line(NamedTuple):
    """One line of the checklist. ``evidence`` says what was looked at and is never empty; where the line is not ok,
    ``found``, ``expected`` and ``todo`` say why and what next."""

    line: str
    state: str
    evidence: str
    found: str | None = None
    expected: str | None = None
    todo: str | None = None


class Manifests(NamedTuple):
    """The manifests of the releases on record, by release, and for those that could not be had the error."""

    known: Mapping[str, ReleaseManifest]
    errors: Mapping[str, str]


class _Release(NamedTuple):
    """What is to be live by the ledger. ``image`` and ``data`` are the manifests that these two parts come from: a
    release without one leaves that of the release before in place. None where that is not known."""

    image: ReleaseManifest | None
    data: ReleaseManifest | None


def read_manifests(found: Mapping[str, Any], load: Callable[[str, str], ReleaseManifest]) -> Manifests:
    """Read the texts that the target has sent; ``load`` is :func:`release_manifest.load`."""
    known: dict[str, ReleaseManifest] = {}
    errors: dict[str, str] = {}
    for release, part in found.items():
        if part is None:
            continue
        if "error" in part:
            errors[release] = part["error"]["msg"]
            continue
        try:
            known[release] = load(part["text"], part["path"])
        except AnnoError as error:
            errors[release] = error.text()
    return Manifests(known, errors)


def judge(facts: Mapping[str, Any], manifests: Manifests, mode: int) -> list[Line]:
    """The whole checklist of one env. ``mode``: the permission bits that everything has at least."""
    record = _known(LedgerFacts, facts["ledger"])
    first, release = _release(facts["ledger"], record, manifests)
    lines = [first, *_image(facts["image"], release.image, mode), *_data(facts["data"], release.data, mode)]
    lines += [_generation(facts["data"], record, release.data), _permissions(facts["permissions"], mode)]
    lines.append(_validated(facts["data"]))
    if facts["service"] is not None:
        lines.append(_service(facts["service"], record, _known(ImageFacts, facts["image"])))
    lines += [_track(found, facts["data"]) for found in facts["tracks"] or []]
    lines.append(_test(facts["env"], record, facts["staging"]))
    return lines


def _known(kind: Any, part: Mapping[str, Any]) -> Any:
    return None if "error" in part else kind(**part)


def _broken(name: str, error: Mapping[str, Any]) -> Line:
    return Line(name, FAILED, error["where"], f"{error['where']}: {error['found']}", error["expected"], error["todo"])


def _unchecked(name: str, evidence: str, todo: str | None = None) -> Line:
    return Line(name, NOT_CHECKED, evidence, todo=todo)


def _release(
    part: Mapping[str, Any], record: LedgerFacts | None, manifests: Manifests
) -> tuple[Line, _Release]:
    name, nothing = "release", _Release(None, None)
    if record is None:
        return _broken(name, part["error"]), nothing
    if not record.deployments:
        found, evidence = "no deployment that ended well is on record", f"nothing in {record.path}"
        return Line(name, FAILED, evidence, found, "a release that is live", "Deploy a release."), nothing
    ends = list(reversed(record.deployments))
    live = ends[0]
    version = str(live["release"])
    evidence = f"{version}, deployed {_moment(live['time'])} by {live['by']}"
    if version not in manifests.known:
        found = manifests.errors.get(version, "there is no manifest of this release")
        todo = f"Put {version}.yml back beside the images."
        return Line(name, FAILED, evidence, found, "the manifest that was deployed", todo), nothing
    if manifests.known[version].digest != live["manifest"]:
        found = f"{version}.yml is not the manifest that was deployed: its digest is {manifests.known[version].digest}"
        todo = "Find out who changed the manifest; put the former one back, or deploy the release again."
        return Line(name, FAILED, evidence, found, f"the digest on record, {live['manifest']}", todo), nothing
    release = _Release(_holder(ends, manifests, "image"), _holder(ends, manifests, "archive"))
    if record.open:
        found = f"deployment {record.open['deployment']} has begun {_moment(record.open['time'])} and not ended"
        todo = "Wait until it has ended; if it was killed, run it again."
        return Line(name, FAILED, evidence, found, "no deployment under way", todo), release
    if record.unwell:
        # Whether something of it is live is told by the other lines.
        other, outcome = record.unwell, record.unwell["outcome"]
        found = f"a deployment of {other['release']} has ended as {outcome} since, {_moment(other['time'])}"
        todo = "Look at its log; where another line has failed, deploy the release again."
        return Line(name, WARNING, evidence, found, "no deployment since, or one that was rolled back", todo), release
    if record.damaged:
        found = f"{record.path}: lines that are no entries: {listed([str(number) for number in record.damaged])}"
        return Line(name, WARNING, evidence, found, "a whole record", "Find out who wrote into it."), release
    return Line(name, OK, evidence), release


def _holder(ends: Sequence[Mapping[str, Any]], manifests: Manifests, part: str) -> ReleaseManifest | None:
    """The newest deployed manifest that has this part; None where one in between cannot be read as it was deployed."""
    for end in ends:
        manifest = manifests.known.get(str(end["release"]))
        if manifest is None or manifest.digest != end["manifest"]:
            return None
        if getattr(manifest, part) is not None:
            return manifest
    return None


def _image(part: Mapping[str, Any], manifest: ReleaseManifest | None, mode: int) -> list[Line]:
    names = ("image", "image permissions", "image file", "image versions")
    facts: ImageFacts | None = _known(ImageFacts, part)
    if facts is None:
        return [_broken(names[0], part["error"]), *(_unchecked(name, "there is no link") for name in names[1:])]
    if facts.resolved is None or facts.size is None or facts.mode is None:
        found = f"{facts.link} leads to {facts.target}, which is not there" if facts.target else "there is no link"
        line = Line(names[0], FAILED, facts.link, found, "a link to the image of the release", _DEPLOY)
        return [line, *(_unchecked(name, "there is no image") for name in names[1:])]
    lines = [_image_link(facts, manifest)]
    evidence = f"{facts.mode:04o}"
    lines.append(
        Line(names[1], OK, evidence)
        if facts.mode & mode == mode
        else Line(
            names[1],
            FAILED,
            evidence,
            f"{facts.resolved} has the mode {facts.mode:04o}",
            f"at least {mode:04o}",
            f"Run `chmod {facts.mode | mode:04o} {facts.resolved}` as its owner.",
        )
    )
    return [*lines, _image_file(facts, manifest, lines[0].state), _image_versions(facts, manifest, lines[0].state)]


def _image_link(facts: ImageFacts, manifest: ReleaseManifest | None) -> Line:
    name = "image"
    evidence = f"{posixpath.basename(facts.resolved or '')}, {facts.link}"
    if manifest is None or manifest.image is None:
        return _unchecked(name, f"{evidence}; no manifest says what it should be")
    wanted = f"{facts.images}/{manifest.image.file}"
    if facts.resolved == wanted:
        return Line(name, OK, evidence)
    found = f"{facts.link} leads to {facts.resolved}"
    return Line(name, FAILED, evidence, found, f"{wanted} ({manifest.version})", _DEPLOY)


def _image_file(facts: ImageFacts, manifest: ReleaseManifest | None, link: str) -> Line:
    name = "image file"
    if facts.damage:
        return _broken(name, facts.damage)
    evidence = f"a whole SIF of {facts.size:,} bytes"
    if link != OK or manifest is None or manifest.image is None:
        return _unchecked(name, f"{evidence}, but it is not known to be the image of the release")
    if facts.size != manifest.image.size:
        found = f"{facts.resolved} has {facts.size} bytes"
        return Line(name, FAILED, evidence, found, f"{manifest.image.size} bytes", "Fetch or copy the image again.")
    if facts.sha256 != manifest.image.sha256:
        found = f"{facts.resolved} has the SHA-256 {facts.sha256}"
        todo = "Fetch or copy the image again, and find out who changed it."
        return Line(name, FAILED, evidence, found, f"{manifest.image.sha256} ({manifest.version})", todo)
    return Line(name, OK, f"{evidence} with the manifest's SHA-256")


def _image_versions(facts: ImageFacts, manifest: ReleaseManifest | None, link: str) -> Line:
    name = "image versions"
    if facts.damage:
        return _unchecked(name, "the image cannot be run")
    if facts.program is None:
        return _unchecked(
            name, "there is no Singularity to run it with",
            "On a host that has it: singularity exec anno.sif cat /anno/version /anno-targets/version",
        )  # fmt: skip
    if facts.versions is None:
        return _broken(name, facts.unread or {})
    evidence = f"ella-anno {facts.versions['ella_anno']}, anno-targets {facts.versions['anno_targets']}"
    wanted = manifest.image.versions if manifest and manifest.image else None
    if link != OK or wanted is None:
        return _unchecked(name, f"{evidence}; no manifest says what they should be")
    if dict(facts.versions) != dict(wanted):
        expected = f"ella-anno {wanted['ella_anno']}, anno-targets {wanted['anno_targets']}"
        todo = "Fetch the image of the release again, or mend the release manifest."
        return Line(name, FAILED, evidence, evidence, expected, todo)
    return Line(name, OK, evidence)


def _data(part: Mapping[str, Any], manifest: ReleaseManifest | None, mode: int) -> list[Line]:
    facts: DataFacts | None = _known(DataFacts, part)
    names = (sources_json.FILE_NAME, vcfanno_config.FILE_NAME)
    if facts is None:
        return [_unchecked(name, "the data folder cannot be read") for name in names]
    return [
        _list(names[0], facts, manifest, mode, _version_problems),
        _list(names[1], facts, manifest, mode, _table_problems),
    ]


def _list(name: str, facts: DataFacts, manifest: ReleaseManifest | None, mode: int, compare: Any) -> Line:
    """One of the two files: there, permissions, and what it says of the packages of the manifest."""
    path, found_mode = f"{facts.data}/{name}", facts.modes[name]
    if found_mode is None:
        todo = "Unpack the data archive of the release again."
        return Line(name, FAILED, path, f"{path}: there is no such file", "the file", todo)
    damage = [p for p in facts.problems if p["path"] == name and p["code"].endswith("-syntax")]
    if damage:
        found, _, rest = damage[0]["message"].partition(". Expected: ")
        expected, _, todo = rest.partition(". What to do: ")
        return Line(name, FAILED, path, found, expected, todo)
    evidence, problems = compare(facts, manifest) if manifest else ("no manifest says what should be in it", [])
    evidence = f"{evidence}; {found_mode:04o}"
    if found_mode & mode != mode:
        problems = [(f"the mode {found_mode:04o}", f"at least {mode:04o}"), *problems]
        todo = _CHMOD if len(problems) == 1 else _DEPLOY
    elif manifest is None:
        return _unchecked(name, evidence)
    else:
        todo = _DEPLOY
    if not problems:
        return Line(name, OK, evidence)
    return Line(name, FAILED, evidence, _both(problems, 0), _both(problems, 1), todo)


def _version_problems(facts: DataFacts, manifest: ReleaseManifest) -> tuple[str, list[tuple[str, str]]]:
    problems = [
        (f"{package.name} {facts.versions.get(package.name) or 'is missing'}", f"{package.name} {package.version}")
        for package in manifest.packages
        if facts.versions.get(package.name) != str(package.version)
    ]
    return ", ".join(f"{package.name} {package.version}" for package in manifest.packages), problems


def _table_problems(facts: DataFacts, manifest: ReleaseManifest) -> tuple[str, list[tuple[str, str]]]:
    """Whether the configuration uses exactly the annotation files of each package at the version of the manifest."""
    problems: list[tuple[str, str]] = []
    names: list[str] = []
    for package in manifest.packages:
        wanted, used = facts.wanted.get(package.name), sorted(facts.used.get(package.name, []))
        if wanted is None or facts.versions.get(package.name) != str(package.version):
            problems.append((f"{package.name} {facts.versions.get(package.name)}", f"{package.name} {package.version}"))
        elif wanted and sorted(wanted) != used:
            problems.append((f"{package.name} uses {_names(used)}", f"{package.name} with {_names(wanted)}"))
        names += wanted or []
    return _names(names), problems


def _generation(part: Mapping[str, Any], record: LedgerFacts | None, manifest: ReleaseManifest | None) -> Line:
    """The data folder is the very one that was switched to, as its receipt tells: versions may be alike. A package of
    an earlier release may have been replaced on purpose before this one."""
    name = "data generation"
    facts: DataFacts | None = _known(DataFacts, part)
    if facts is None:
        return _unchecked(name, "the data folder cannot be read")
    evidence = facts.generation
    if record and record.generation and facts.generation != record.generation:
        return Line(name, FAILED, evidence, f"{facts.data} is {evidence}", f"{record.generation}, on record", _DEPLOY)
    if facts.replaced:
        found = f"replaced by hand: {listed(facts.replaced)}"
        ours = manifest is None or any(package.name in facts.replaced for package in manifest.packages)
        state = FAILED if ours else WARNING
        return Line(name, state, evidence, found, "packages and entries as they were deployed", _DEPLOY)
    if record is None or record.generation is None:
        return _unchecked(name, f"{evidence}; no switch to a generation is on record")
    return Line(name, OK, f"{evidence}, as on record")


def _permissions(part: Mapping[str, Any], mode: int) -> Line:
    name = "data permissions"
    if "error" in part:
        return _broken(name, part["error"])
    found = permissions.Permissions(**part)
    evidence = f"{found.folders:,} folders, {found.files:,} files"
    problems = []
    if found.lacking:
        first = [f"{path} {bits:04o}" for path, bits, _wanted in found.findings]
        problems.append(f"{found.lacking:,} with less: {', '.join(first)}{_more(found.lacking, first)}")
    if found.closed:
        first = list(found.closed_first)
        problems.append(f"{_count(found.closed, 'unreadable folder')}: {', '.join(first)}{_more(found.closed, first)}")
    if not problems:
        return Line(name, OK, f"{evidence}, all at least {mode:04o}")
    expected = f"everything readable and at least {mode:04o}"
    return Line(name, FAILED, evidence, "; ".join(problems), expected, _CHMOD)


def _validated(part: Mapping[str, Any]) -> Line:
    name = "data"
    facts: DataFacts | None = _known(DataFacts, part)
    if facts is None:
        return _broken(name, part["error"])
    # Permissions have their own line.
    problems = [problem for problem in facts.problems if problem["code"] != "permissions"]
    errors = [problem for problem in problems if problem["severity"] == "error"]
    evidence = f"data_validate: {_count(len(errors), 'error')}, {_count(len(problems) - len(errors), 'warning')}"
    if not problems:
        return Line(name, OK, evidence)
    shown = (errors or problems)[: permissions.SHOWN]
    found = "; ".join(f"{problem['path']} ({problem['code']})" for problem in shown)
    todo = f"See `ansible -m ousamg.anno.data_validate -a data={facts.data}`."
    return Line(
        name, FAILED if errors else WARNING, evidence, f"{found}{_more(len(errors or problems), shown)}",
        "data that annotate what they say", todo,
    )  # fmt: skip


def _service(part: Mapping[str, Any], record: LedgerFacts | None, image: ImageFacts | None) -> Line:
    """The process was started after the last switch on record, and after one of the image that nobody recorded."""
    name = "service"
    facts: ServiceFacts | None = _known(ServiceFacts, part)
    if facts is None:
        return _broken(name, part["error"])
    start = _iso(facts.start)
    evidence = f"{facts.program} {facts.statename} since {_moment(start)}"
    if facts.statename != "RUNNING":
        found = f"{facts.program} is {facts.statename}"
        return Line(name, FAILED, evidence, found, "RUNNING", "Look at its log, then start it.")
    switched = record.switched if record else None
    if switched is None:
        return _unchecked(name, f"{evidence}; no switch is on record")
    skew = facts.now - facts.here
    if abs(skew) <= _SECONDS:
        skew = 0.0
    evidence += f", last switch {_moment(switched)}"
    if skew:
        evidence += f" (clock of Supervisor {skew:+.0f} s)"
    try:
        began = datetime.fromisoformat(switched.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return _unchecked(name, f"{evidence}, which is no time")
    linked = (image.linked if image else None) or began
    if linked > began + _SECONDS:
        evidence += f", link of the image made {_moment(_iso(int(linked)))}"
    if facts.start - skew + _SECONDS < max(began, linked):
        switched = _iso(int(max(began, linked)))
        found = f"{facts.program} was started {start}"
        expected = f"a start after the switch of {switched}"
        todo = f"Restart {facts.program}: it still runs what was live before."
        return Line(name, FAILED, evidence, found, expected, todo)
    return Line(name, OK, evidence)


def _track(part: Mapping[str, Any], data: Mapping[str, Any]) -> Line:
    track = track_check.Track(**{**part, "file": _place(part["file"]), "tbi": _place(part["tbi"])})
    name = f"track {track.name}"
    if "error" in data:
        return _unchecked(name, "the data folder cannot be read")
    if track.version is None:
        return _unchecked(name, f"the data have no {track.package}")
    if track.source is None or track.size is None:
        found = f"{track.package} {track.version} has not one file for this track"
        return Line(name, FAILED, track.link, found, "one annotation file", "Correct verify_tracks, or the data.")
    problems = track_check.problems(track)
    evidence = f"{track.file.name if track.file else 'no file'}, {track.link}"
    if problems:
        return Line(name, FAILED, evidence, _both(problems, 0), _both(problems, 1), track_check.UPDATE)
    return Line(name, OK, f"{track.source} with index, described as {track.description!r}")


def _place(part: Mapping[str, Any] | None) -> track_check.Place | None:
    return track_check.Place(**part) if part else None


def _test(env: str, record: LedgerFacts | None, staging: Mapping[str, Any] | None) -> Line:
    """The last minimal test of what is live. Where an env has none of its own, that of staging counts: the procedure
    tests there, and the digest tells that it was the same release."""
    name = "minimal test"
    if record is None or not record.deployments:
        return _unchecked(name, "no release is on record")
    live = record.deployments[-1]
    tests = [(env, test) for test in record.tests]
    if staging and "error" not in staging:
        tests = [("staging", test) for test in staging["tests"]] + tests
    same = [(where, test) for where, test in tests if test["manifest"] == live["manifest"]]
    # Of a test before this deployment nothing is known here, but that of staging comes before prod's.
    same = [(where, test) for where, test in same if where != env or test["time"] >= live["time"]]
    todo = "Run test.yml for this site, in staging first: it puts the outcome on record."
    expected = f"a test of {live['release']} that has passed"
    if same:
        where, last = same[-1]
        evidence = f"{last['release']} {last['outcome']} {_moment(last['time'])} in {where} by {last['by']}"
        if last["outcome"] == OK:
            return Line(name, OK, evidence)
        found = f"the test of {_moment(last['time'])} has failed{_because(last['message'])}"
        return Line(name, FAILED, evidence, found, expected, "Find out why; mend it or go back; then test again.")
    if tests:
        where, last = max(tests, key=lambda pair: str(pair[1]["time"]))
        found = f"the last test is of {last['release']}, {_moment(last['time'])}: an earlier deployment"
        return Line(name, FAILED, f"none since the deployment, {record.path}", found, expected, todo)
    return Line(name, FAILED, f"none, {record.path}", "the test was not done yet", expected, todo)


def _because(message: Any) -> str:
    return f": {message}" if message else ""


def _both(problems: Sequence[tuple[str, str]], which: int) -> str:
    return "; ".join(dict.fromkeys(problem[which] for problem in problems))


def _more(count: int, shown: Sequence[Any]) -> str:
    return f" and {count - len(shown):,} more" if count > len(shown) else ""


def _names(paths: Sequence[str]) -> str:
    return ", ".join(path.rsplit("/", 1)[-1] for path in paths) or "no file"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(time: Any) -> str:
    """``2026-11-24T03:15:00.123Z`` → ``2026-11-24 03:15:00 UTC``."""
    return f"{str(time)[:19].replace('T', ' ')} UTC"
