# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release manifest: what a release is made of, in one YAML file ``<version>.yml``.

Runs on the controller, where PyYAML and jsonschema are; both are imported on use.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from types import ModuleType
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import (
    KINDS,
    TAG_PATTERN,
    AnnoVersion,
    versions_in,
)
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

REPOSITORIES = ("ella-anno", "anno-targets")
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_MOMENT = rf"{_DATE}([T ]{_CLOCK} ?(Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?"


class ManifestError(AnnoError):
    """Text that is no release manifest, or artifacts that make up no release."""


def _text(pattern: str, description: str, *, null: bool = False) -> dict[str, Any]:
    # A pattern's $ matches before a final line break too, in Python; the lookahead does not let it.
    whole = rf"^(?:{pattern})$(?!\n)"
    if null:
        return {"type": ["string", "null"], "pattern": whole, "description": f"{description}, or null"}
    return {"type": "string", "pattern": whole, "description": description}


def _object(description: str, keys: dict[str, Any], *, null: bool = False) -> dict[str, Any]:
    return {
        "type": ["object", "null"] if null else "object",
        "description": f"{description}, or null" if null else description,
        "properties": keys,
        "required": list(keys),
        "additionalProperties": False,
    }


_FILE = {
    "file": _text(r"(?!\.)[^/\x00-\x1f\x7f]{1,255}", "a plain file name, without a folder"),
    "size": {"type": "integer", "minimum": 1, "description": "the size in bytes, at least 1"},
    "sha256": _text("[0-9a-f]{64}", "64 lower-case hexadecimal digits"),
}
_TAG = _text(TAG_PATTERN, "a version tag like v2.7.1 or v2.7.1a")
_TAG_OR_NULL = _text(TAG_PATTERN, "a version tag like v2.7.1 or v2.7.1a", null=True)

# Each description completes "<what is there>, expected …" in the error text.
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Release manifest of the anno system",
    **_object(
        "a mapping with the keys of a release manifest",
        {
            "version": _TAG,
            "ella_anno": _TAG_OR_NULL,
            "kind": {"enum": list(KINDS), "description": " or ".join(KINDS)},
            "packages": {
                "type": "array",
                "description": "a list of packages, each with name, version and repository",
                "items": _object(
                    "a package with name, version and repository",
                    {
                        "name": _text(r"[^\s\x00-\x1f\x7f]+", "the name of a package"),
                        # A number as people write it: 20230504.
                        "version": {
                            **_text(r"[^\x00-\x1f\x7f]+", "the package's version"),
                            "type": ["string", "integer"],
                        },
                        "repository": {
                            "enum": [*REPOSITORIES, None],
                            "description": f"{' or '.join(REPOSITORIES)}, or null",
                        },
                    },
                ),
            },
            "archive": _object("the data archive with file, size and sha256", _FILE, null=True),
            "image": _object(
                "the image with file, size, sha256 and versions",
                {
                    **_FILE,
                    "versions": _object(
                        "the tags that the image holds, ella_anno and anno_targets",
                        {"ella_anno": _TAG, "anno_targets": _TAG},
                        null=True,
                    ),
                },
                null=True,
            ),
            "tracks": {
                "type": "array",
                "description": "a list of the ELLA tracks to be updated",
                "uniqueItems": True,
                "items": _text("[0-9A-Za-z][0-9A-Za-z._-]*", "the name of a track, like clinvar or gnomad.exomes"),
            },
            "issue": _text(r"[^\x00-\x1f\x7f]+", "the address of the release issue", null=True),
            "created": _text(_MOMENT, "a date or a time like 2024-01-10T09:00:00Z", null=True),
        },
    ),
}


@dataclass(frozen=True)
class Package:
    """A data package; ``repository`` has its ``datasets.json``, None where that is not known."""

    name: str
    version: str
    repository: str | None


@dataclass(frozen=True)
class Archive:
    """The data archive; ``size`` in bytes."""

    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Image:
    """The Singularity image; ``versions`` are the tags in it, None where they are not known."""

    file: str
    size: int
    sha256: str
    versions: dict[str, str] | None


@dataclass(frozen=True)
class ReleaseManifest:
    """One release. Packages are sorted by name; ``created`` is a date, or a time in UTC, in ISO 8601."""

    version: str
    ella_anno: str | None
    kind: str
    packages: tuple[Package, ...]
    archive: Archive | None
    image: Image | None
    tracks: tuple[str, ...]
    issue: str | None
    created: str | None

    def as_dict(self) -> dict[str, Any]:
        """The manifest as the YAML file has it."""
        content = asdict(self)
        content["packages"] = list(content["packages"])
        content["tracks"] = list(content["tracks"])
        return content

    @property
    def digest(self) -> str:
        """The SHA-256 of what the manifest says; comments and formatting do not count."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


class PackageFound(NamedTuple):
    """A package of an archive that came without a manifest."""

    name: str
    version: str | None
    timestamp: str | None


class ArchiveFound(NamedTuple):
    """A data archive that came without a manifest; ``file`` is its plain name, ``size`` in bytes."""

    file: str
    size: int
    sha256: str
    packages: Sequence[PackageFound]


class ImageFound(NamedTuple):
    """An image that came without a manifest; ``created`` as its header says, in ISO 8601."""

    file: str
    size: int
    sha256: str
    created: str


def load(text: str, path: str) -> ReleaseManifest:
    """Read a manifest; ``path`` is where it was found. Raises ManifestError with all problems of it at once."""
    document = _parse(text, path)
    problems = _problems(document)
    named = versions_in(os.path.basename(path))
    if not problems and [str(version) for version in named] not in ([], [document["version"]]):
        problems = [f"version is {document['version']!r} in a file that is named after another"]
    return _build(document, path, problems, "Correct the file, or write it anew.")


def dump(manifest: ReleaseManifest, origin: str = "") -> str:
    """The manifest as YAML, keys in a fixed order; ``origin`` is one more line of the comment at its head."""
    yaml = _import("yaml")
    head = [f"# Release {manifest.version} of the anno system: what it is made of."]
    if origin:
        head.append(f"# {origin}")
    body = yaml.safe_dump(manifest.as_dict(), sort_keys=False, allow_unicode=True, width=1000)
    return "\n".join(["---", *head, body])


def release_of(release: str | None, image_file: str | None) -> AnnoVersion:
    """The version of artifacts without a manifest: the one asked for, else the one in the image's name.

    Raises ManifestError, also where only one of release and artifacts is for data alone, or VersionError.
    """
    name_it = "Name the release with `-e release=…` (a data release ends in a letter, like v3.2.0a)."
    if release is not None:
        version = AnnoVersion.parse(release)
    elif image_file is None:
        found = "is not given, and there is no image whose name tells it"
        raise ManifestError("release", found, "the version of the data release", name_it)
    else:
        versions = versions_in(image_file)
        if len(versions) != 1:
            tags = ", ".join(map(str, versions)) or "none"
            expected = "exactly one, as in anno-v3.2.0.sif"
            raise ManifestError(image_file, f"its name has these version tags: {tags}", expected, name_it)
        (version,) = versions
    if version.kind != "data" and image_file is None:
        found = f"is a {version.kind} release, and no image is given"
        raise ManifestError(str(version), found, "an image", f"Give it with `-e image=…`. {name_it}")
    return version


def derive(archive: ArchiveFound | None, image: ImageFound | None, release: str | None) -> ReleaseManifest:
    """The manifest of artifacts that came without one, a function of their content and names alone.

    So it is the same, and has the same digest, at each site. What the artifacts do not say is null.
    Raises ManifestError or VersionError.
    """
    version = release_of(release, image.file if image else None)
    document: dict[str, Any] = {
        "version": str(version),
        "ella_anno": None,
        "kind": version.kind,
        "packages": [
            {"name": package.name, "version": package.version, "repository": None}
            for package in (archive.packages if archive else ())
        ],
        "archive": {"file": archive.file, "size": archive.size, "sha256": archive.sha256} if archive else None,
        "image": (
            {"file": image.file, "size": image.size, "sha256": image.sha256, "versions": None} if image else None
        ),
        "tracks": [],
        "issue": None,
        "created": image.created if image else _newest(archive.packages if archive else ()),
    }
    where = " and ".join(artifact.file for artifact in (archive, image) if artifact) or "release"
    todo = f"Name another release with `-e release=…`, give the right artifacts, or write {version}.yml by hand."
    return _build(document, where, _problems(document), todo)


def _build(document: dict[str, Any], path: str, problems: Sequence[str], todo: str) -> ReleaseManifest:
    if problems:
        expected = "a release manifest with exactly the keys " + ", ".join(SCHEMA["properties"])
        raise ManifestError(path, "; ".join(problems), expected, todo)
    packages = (
        Package(item["name"], str(item["version"]), item["repository"]) for item in document["packages"]
    )
    return ReleaseManifest(
        version=document["version"],
        ella_anno=document["ella_anno"],
        kind=document["kind"],
        packages=tuple(sorted(packages, key=lambda package: package.name)),
        archive=Archive(**document["archive"]) if document["archive"] else None,
        image=Image(**document["image"]) if document["image"] else None,
        tracks=tuple(document["tracks"]),
        issue=document["issue"],
        created=_normal_time(document["created"]) if document["created"] else None,
    )


# ---- what is wrong with a document


def _problems(document: Any) -> list[str]:
    """Everything that is wrong, each with its place (``archive.sha256 is …``); in the order of the schema."""
    jsonschema = _import("jsonschema")
    errors = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(document))
    if document is None:
        return ["it is empty"]
    if not isinstance(document, dict):
        return [f"it holds {_short(document)}, expected {SCHEMA['description']}"]
    order = [*SCHEMA["properties"]]
    found = {problem for error in errors for problem in _words(error)}
    spoilt = {place[0] for place, problem in found}
    for keys, check in _CHECKS:
        if not spoilt & set(keys):
            found |= {((keys[0],), problem) for problem in check(*(document[key] for key in keys))}
    ranked = sorted(found, key=lambda item: (order.index(item[0][0]) if item[0][0] in order else -1, item[1]))
    return [problem for place, problem in ranked]


def _words(error: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """A schema error as (place, clause); one of jsonschema's errors may be about several keys."""
    place = tuple(str(part) for part in error.absolute_path)
    if error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield (*place, key), f"the key {_dotted((*place, key))} is missing"
    elif error.validator == "additionalProperties":
        for key in error.instance:
            if key not in error.schema["properties"]:
                yield (*place, str(key)), f"the key {_dotted((*place, str(key)))} is unknown"
    else:
        found = f"{_dotted(place)} is {_short(error.instance)}, expected {error.schema['description']}"
        yield place or ("",), found


def _dotted(place: Sequence[str]) -> str:
    """``packages[0].version``"""
    return re.sub(r"\.([0-9]+)(?=\.|$)", r"[\1]", ".".join(place))


def _short(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _check_parts(archive: Any, image: Any) -> Iterator[str]:
    if archive is None and image is None:
        yield "archive and image are both null, so there is nothing to deploy"


def _check_kind(kind: str, version: str) -> Iterator[str]:
    if (kind == "data") != bool(AnnoVersion.parse(version).letter):
        yield f"kind is {kind!r} and version is {version!r}, expected a letter in the version of data releases only"


def _check_image(kind: str, image: Any) -> Iterator[str]:
    if kind != "data" and image is None:
        yield f"image is null in a release of the kind {kind!r}, expected an image, or a data release (like v3.2.0a)"


def _check_packages(packages: Any, archive: Any) -> Iterator[str]:
    names = [package["name"] for package in packages]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"packages name {name!r} more than once"
    if archive is not None and not packages:
        yield "packages are empty, expected those of the archive"
    if archive is None and packages:
        yield "packages are listed without an archive that they come in"


def _check_created(created: str | None) -> Iterator[str]:
    if created is not None and _time(created) is None:
        yield f"created is {created!r}, which is no time of the calendar"


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[str]]], ...] = (
    (("archive", "image"), _check_parts),
    (("kind", "version"), _check_kind),
    (("kind", "image"), _check_image),
    (("packages", "archive"), _check_packages),
    (("created",), _check_created),
)


# ---- times


def _time(text: str) -> datetime | None:
    """A date or a time in ISO 8601; without an offset it is UTC."""
    if not re.fullmatch(_MOMENT, text):
        return None
    # Python 3.9 knows neither Z nor fractions that are not of 3 or 6 digits.
    plain = re.sub(r"\.([0-9]+)", lambda match: f".{match[1]:0<6}", text.replace("Z", "+00:00").replace(" ", "T", 1))
    try:
        moment = datetime.fromisoformat(plain.replace(" ", ""))
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        return None


def _normal_time(text: str) -> str:
    moment = _time(text)
    if moment is None or re.fullmatch(_DATE, text):
        return text
    return moment.isoformat().replace("+00:00", "Z")


def _newest(packages: Sequence[PackageFound]) -> str | None:
    """The newest of the packages' timestamps; those that are no time do not count."""
    known = [(moment, text) for text in (p.timestamp for p in packages) if text and (moment := _time(text))]
    return _normal_time(max(known)[1]) if known else None


# ---- YAML


def _import(name: str) -> ModuleType:
    try:
        return __import__(name)
    except ImportError as error:
        package = {"yaml": "PyYAML"}.get(name, name)
        raise ManifestError(
            sys.executable,
            f"cannot import {name}: {error}",
            f"the Python package {package} where Ansible runs",
            f"Run `{sys.executable} -m pip install {package}`.",
        ) from None


def _parse(text: str, path: str) -> Any:
    """The YAML document, of text, integers, null, lists and mappings only.

    YAML 1.1 would read an unquoted 1.10 as 1.1, 12:30 as 750 and ``no`` as false. Here a plain word stays the text that
    it is, but for null and for whole decimal numbers, which lose nothing.
    """
    yaml = _import("yaml")
    prefix = "tag:yaml.org,2002:"

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
        yaml_constructors = {  # noqa: RUF012
            tag: function
            for tag, function in yaml.SafeLoader.yaml_constructors.items()
            if tag is None or tag.removeprefix(prefix) in ("null", "int", "str", "seq", "map")
        }

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                self._refuse("an alias is used, which a manifest has no need of", self.peek_event().start_mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key in (pair[0] for pair in node.value):
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    self._refuse(f"the key {key.value} is there twice", key.start_mark)
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
            return super().construct_mapping(node, deep)

        def _refuse(self, problem: str, mark: Any) -> None:
            raise yaml.constructor.ConstructorError(None, None, problem, mark)

    Loader.add_implicit_resolver(f"{prefix}null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
    Loader.add_implicit_resolver(f"{prefix}int", re.compile(r"(?:0|-?[1-9][0-9]{0,17})$"), list("-0123456789"))
    try:
        return Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        found = f"{place}: {error.problem or error.context}"
    except yaml.reader.ReaderError as error:
        line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
        found = f"line {line}, column {column}: {error.reason}"
    except RecursionError:
        found = "it is nested too deeply"
    raise ManifestError(path, found, "a release manifest in YAML", "Correct the file, or write it anew.")
