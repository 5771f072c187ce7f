# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a release's manifest lies, or what is in artifacts that have none. The target's half: standard library only."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import AnnoVersion, VersionError
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import inspect_archive
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import sha256_of
from ansible_collections.ousamg.anno.plugins.module_utils.generation import read_receipt
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import release_of
from ansible_collections.ousamg.anno.plugins.module_utils.sif import inspect_sif

_SUFFIX = ".yml"
_MAX_TEXT = 1 << 20
_WITHOUT = "or deploy artifacts without one with `-e data_archive=… -e image=…`."


class SearchError(AnnoError):
    """A manifest or an artifact that is not there, or not the only one."""


class Found(NamedTuple):
    """A manifest file as it is; ``reason`` says why this one."""

    version: str
    path: str
    text: str
    reason: str


class Shelf(NamedTuple):
    """All manifests in the folders ``search``, which come first to last; paths per version, oldest version first."""

    search: tuple[str, ...]
    paths: dict[AnnoVersion, list[str]]

    @property
    def available(self) -> list[str]:
        return [str(version) for version in self.paths]


def inspect(
    search: Sequence[str],
    release: str | None,
    data_archive: str | None,
    image: str | None,
    artifact_search: Sequence[str],
    data: str | None,
) -> dict[str, Any]:
    """What the target knows, as JSON for the controller; the parameters are those of the module release_manifest.

    ``available`` versions; ``path``, ``text`` and ``reason`` of the manifest file, null where there is none;
    ``archive`` and ``image`` of artifacts that were named, else null.
    """
    shelf = list_manifests(search)
    release = release or None
    if not data_archive and not image:
        return _result(shelf, choose(shelf, release))
    archive_path = locate(data_archive, artifact_search, "data_archive") if data_archive else None
    image_path = locate(image, artifact_search, "image") if image else None
    # Before anything large is read.
    version = release_of(release, os.path.basename(image_path) if image_path else None)
    found = read_manifest(shelf, version)
    return _result(
        shelf,
        found,
        describe_archive(archive_path, data) if archive_path else None,
        describe_image(image_path) if image_path else None,
    )


def list_manifests(search: Sequence[str]) -> Shelf:
    """The files named ``<version>.yml``. A missing folder counts as empty: nothing may have been uploaded yet."""
    paths: dict[AnnoVersion, list[str]] = {}
    for folder in search:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            continue
        for name in names:
            version = _version_of(name)
            if version is not None:
                paths.setdefault(version, []).append(os.path.join(folder, name))
    return Shelf(tuple(search), dict(sorted(paths.items())))


def choose(shelf: Shelf, release: str | None) -> Found:
    """The manifest of this release, or the newest one; release candidates have to be named.

    Raises SearchError or VersionError.
    """
    folders = ", ".join(shelf.search)
    if release is not None:
        version = AnnoVersion.parse(release)
        if version not in shelf.paths:
            there = ", ".join(shelf.available) or "none"
            todo = f"Correct `-e release=…`, put {release}{_SUFFIX} into one of the folders, {_WITHOUT}"
            raise SearchError(folders, f"has no manifest {release}{_SUFFIX}; there are: {there}", "that one", todo)
        found = _read_one(shelf, version)
        return found._replace(reason=f"named, {found.path}")
    releases = [version for version in shelf.paths if version.candidate is None]
    if not releases:
        candidates = f" but of release candidates: {', '.join(shelf.available)}" if shelf.paths else ""
        todo = f"Put the manifest into one of the folders, name a candidate with `-e release=…`, {_WITHOUT}"
        raise SearchError(folders, f"has no release manifest{candidates}", f"a file <version>{_SUFFIX}", todo)
    return _read_one(shelf, releases[-1])._replace(reason=f"newest of {len(releases)} in {folders}")


def read_manifest(shelf: Shelf, version: AnnoVersion) -> Found | None:
    """The manifest of a version, None where there is none. Raises SearchError where two folders disagree."""
    return _read_one(shelf, version) if version in shelf.paths else None


def _read_one(shelf: Shelf, version: AnnoVersion) -> Found:
    paths = shelf.paths[version]
    texts = [_read(path) for path in paths]
    for path, text in zip(paths, texts):
        if text != texts[0]:
            todo = "Find out which is right and remove the other."
            raise SearchError(path, f"differs from {paths[0]}", "one manifest for each version", todo)
    return Found(str(version), paths[0], texts[0], f"found as {paths[0]}")


def locate(name: str, folders: Sequence[str], option: str) -> str:
    """The path of an artifact that was given by its path or its plain name.

    An absolute path that is gone is looked for by its name, because a run before may have moved it to the archive.
    """
    if os.path.isabs(name) and os.path.lexists(name):
        return name
    if "/" in name and not os.path.isabs(name):
        expected = "an absolute path, or a plain name"
        raise SearchError(name, "is a relative path", expected, f"Correct `-e {option}=…`.")
    plain = os.path.basename(name)
    for folder in folders:
        path = os.path.join(folder, plain)
        if plain and os.path.lexists(path):
            return path
    places = ", ".join(folders) or "no other folder"
    todo = f"Upload the file, or correct `-e {option}=…`."
    raise SearchError(name, f"is not there, and {plain!r} is not in {places}", "the file that was named", todo)


def describe_archive(path: str, data: str | None) -> dict[str, Any]:
    """What a manifest says of a data archive, and its packages with their timestamps.

    :param data: the live data folder. Where its receipt tells that it was made from this very file (same size and
        time), the archive is not read again for its checksum.
    """
    index = inspect_archive(path)
    stamp = ((read_receipt(data) if data else None) or {}).get("archive")
    known = (
        isinstance(stamp, dict)
        and isinstance(stamp.get("sha256"), str)
        and (stamp.get("size"), stamp.get("mtime_ns")) == (index.size, index.mtime_ns)
    )
    return {
        "file": os.path.basename(path),
        "size": index.size,
        "sha256": stamp["sha256"] if known and stamp else sha256_of(path),
        "packages": [
            {"name": package.label, "version": package.version, "timestamp": package.timestamp}
            for package in index.packages
        ],
    }


def describe_image(path: str) -> dict[str, Any]:
    """What a manifest says of an image, and when it was made."""
    info = inspect_sif(path)
    return {
        "file": os.path.basename(path),
        "size": info.size,
        "sha256": sha256_of(path),
        "created": info.created,
    }


def _result(
    shelf: Shelf, found: Found | None, archive: dict[str, Any] | None = None, image: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "available": shelf.available,
        "path": found.path if found else None,
        "text": found.text if found else None,
        "reason": found.reason if found else None,
        "archive": archive,
        "image": image,
    }


def _version_of(name: str) -> AnnoVersion | None:
    if not name.endswith(_SUFFIX):
        return None
    try:
        return AnnoVersion.parse(name[: -len(_SUFFIX)])
    except VersionError:
        return None


def _read(path: str) -> str:
    todo = "Write the manifest anew, or remove it."
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SearchError(path, "is no regular file", "a release manifest", todo)
        content = stream.read(_MAX_TEXT + 1)
    if len(content) > _MAX_TEXT:
        raise SearchError(path, "is too large", f"a manifest of at most {_MAX_TEXT} bytes", todo)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SearchError(path, f"is not UTF-8 (byte {error.start})", "text", todo) from None
