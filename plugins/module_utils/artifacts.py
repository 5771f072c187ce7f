# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of artifacts: data archives, images and manifests, each moved to its folder once and kept there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Union

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    BLOCK,
    Ownership,
    replacing,
    sync_folder,
    write_all,
    write_atomic,
)

_NOT_OURS = "Run as the service user, or have the owner grant the permission."
_FETCH = "Upload the file again and compare its size and checksum with the release manifest."
_SAFE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._+-]*")
_MAX_NAME = 255


class ArtifactError(AnnoError):
    """An artifact that is missing, is not the one expected, or cannot be archived."""


class Wanted(NamedTuple):
    """An artifact. ``size`` in bytes; ``search`` are folders, the first wins; ``dest`` is its folder in the archive,
    None where it stays where it is; ``sha256`` is compared when the file has to be copied; one that is not
    ``required`` may be missing; one to ``keep`` is copied, for another instance will look for it there too."""

    file: str
    size: int
    search: Sequence[str]
    dest: str | None = None
    sha256: str | None = None
    required: bool = True
    keep: bool = False


class Located(NamedTuple):
    """An artifact that was found. ``target`` is where it is in the end; ``mode`` are its permission bits, ``ours``:
    they may be set. ``device`` numbers the file system that it is on, ``dest_device`` that of the folder ``dest``,
    which has ``dest_free`` bytes free."""

    wanted: Wanted
    path: str
    target: str
    mode: int
    ours: bool
    device: int
    dest_device: int | None
    dest_free: int | None


class Missing(NamedTuple):
    """An artifact that is nowhere and need not be; ``target`` is where it would be."""

    wanted: Wanted
    target: str


class Move(NamedTuple):
    """Move a file. ``copy``: a rename will not do, for it goes across file systems or the original is to ``keep``."""

    before: str
    after: str
    size: int
    sha256: str | None
    copy: bool
    keep: bool = False


class Chmod(NamedTuple):
    """Set the permission bits of a file; ``path`` is where it is when its turn comes."""

    path: str
    before: int
    after: int


class Write(NamedTuple):
    """Write a text file."""

    path: str
    text: str
    mode: int


Action = Union[Move, Chmod, Write]


def archive_name(packages: Sequence[Mapping[str, Any]]) -> str:
    """The recommended name of a data archive: ``clinvar_20230504-hgmd_2023.1.tar``, sorted by name.

    :param packages: each with ``name`` and ``version``. Raises ArtifactError for what is unsafe in a file name.
    """
    parts: dict[str, str] = {}
    for package in packages:
        for key in ("name", "version"):
            value = package.get(key)
            if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not _SAFE.fullmatch(str(value)):
                where = f"{key} of the package {package.get('name')!r}"
                expected = "letters, digits and . _ + - (neither . + nor - at the start)"
                raise ArtifactError(where, f"is {value!r}", expected, "Correct it, or name the archive by hand.")
        name = str(package["name"])
        if name in parts:
            raise ArtifactError("packages", f"name {name} twice", "each package once", "Remove one of them.")
        parts[name] = f"{name}_{package['version']}"
    if not parts:
        raise ArtifactError("packages", "are empty", "at least one package", "Name the packages of the archive.")
    file = "-".join(parts[name] for name in sorted(parts)) + ".tar"
    if len(file) > _MAX_NAME:
        found = f"make a file name of {len(file)} characters"
        raise ArtifactError("packages", found, f"at most {_MAX_NAME}", "Name the archive by hand.")
    return file


def inspect(wanted: Wanted) -> Located | Missing:
    """Find an artifact: in the archive, else in the first other folder that has it. Raises ArtifactError."""
    if wanted.file != os.path.basename(wanted.file) or wanted.file in ("", ".", ".."):
        raise ArtifactError(wanted.file or "file", "is no plain name", "a name without a folder", "Correct the name.")
    dest = os.stat(_folder(wanted.dest)) if wanted.dest else None
    folders = [*([wanted.dest] if wanted.dest else []), *wanted.search]
    paths = [os.path.join(folder, wanted.file) for folder in folders]
    path = next((path for path in paths if os.path.lexists(path)), None)
    if path is None and paths and not wanted.required:
        return Missing(wanted, paths[0])
    if path is None:
        places = ", ".join(dict.fromkeys(folders)) or "no folder"
        raise ArtifactError(wanted.file, f"is in none of these folders: {places}", "the file in one of them", _FETCH)
    # A link in the archive would not keep anything.
    status = os.lstat(path) if wanted.dest else os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device, a pipe or a socket")
        raise ArtifactError(path, f"is {kind}", "a regular file", "Put the file itself in its place.")
    if status.st_size != wanted.size:
        raise ArtifactError(path, f"has {status.st_size} bytes", f"{wanted.size} bytes", _FETCH)
    return Located(
        wanted=wanted,
        path=path,
        target=paths[0] if wanted.dest else path,
        mode=stat.S_IMODE(status.st_mode),
        ours=os.geteuid() in (0, status.st_uid),
        device=status.st_dev,
        dest_device=dest.st_dev if dest else None,
        dest_free=shutil.disk_usage(wanted.dest).free if wanted.dest else None,
    )


def plan(located: Sequence[Located | Missing], mode: int) -> list[Action]:
    """What brings each artifact to its place, with at least the permission bits ``mode`` there.

    An artifact that has no folder in the archive is left as it is. Raises ArtifactError for what cannot be done.
    """
    actions: list[Action] = []
    needed: dict[int, int] = {}
    for item in located:
        if item.wanted.dest is None or isinstance(item, Missing):
            continue
        keep = item.wanted.keep
        copy = keep or item.device != item.dest_device
        if item.path != item.target:
            for folder in (item.wanted.dest, *(() if keep else (os.path.dirname(item.path),))):
                _check_writable(folder)
            actions.append(Move(item.path, item.target, item.wanted.size, item.wanted.sha256, copy, keep))
            if copy and item.dest_device is not None and item.dest_free is not None:
                needed[item.dest_device] = needed.get(item.dest_device, 0) + item.wanted.size
                _check_space(item.wanted.dest, needed[item.dest_device], item.dest_free)
        if item.mode & mode != mode:
            # A copy belongs to the user who makes it.
            if not item.ours and not (copy and item.path != item.target):
                found = f"has the mode {item.mode:04o} and another owner"
                raise ArtifactError(item.path, found, f"at least {mode:04o}", _NOT_OURS)
            actions.append(Chmod(item.target, item.mode, item.mode | mode))
    return actions


def plan_manifest(path: str, text: str, mode: int) -> list[Action]:
    """What records a manifest; nothing where it is recorded already. Raises ArtifactError where another one is."""
    folder = _folder(os.path.dirname(path) or ".")
    try:
        with open(path, "rb") as stream:
            recorded = stream.read()
    except FileNotFoundError:
        _check_writable(folder)
        return [Write(path, text, mode)]
    if recorded != text.encode():
        todo = "Give the new release another version, or remove the recorded manifest if it was never deployed."
        raise ArtifactError(path, "has other content", "the manifest of this very release", todo)
    return []


def apply(actions: Sequence[Action]) -> None:
    """Do what was planned. Raises ArtifactError for a copy with wrong content; the original stays where it is."""
    for action in actions:
        if isinstance(action, Move):
            _move(action)
        elif isinstance(action, Chmod):
            _chmod(action)
        else:
            write_atomic(action.path, action.text.encode(), Ownership(action.mode))


def summary(located: Sequence[Located | Missing], actions: Sequence[Action], *, done: bool) -> dict[str, Any]:
    """The result of the module; ``done`` tells whether the actions were done (not in check mode)."""
    artifacts = []
    for item in located:
        before = None if isinstance(item, Missing) else item.path
        after = None if isinstance(item, Missing) else item.target
        artifacts.append(
            {
                "file": item.wanted.file,
                "path": item.target if done or before is None else before,
                "archived": before != after,
                "before": before,
                "after": after,
            }
        )
    return {
        "artifacts": artifacts,
        "planned": bool(actions),
        "changed": bool(actions),
        "diff": _diff(actions),
        "msg": "; ".join(map(_reason, actions)) or "Everything is in its place.",
    }


def _diff(actions: Sequence[Action]) -> dict[str, str]:
    before, after = [], []
    for action in actions:
        if isinstance(action, Move):
            before.append(f"{action.before}\n")
            after.append(f"{action.after}\n")
        elif isinstance(action, Chmod):
            before.append(f"{action.path}: mode {action.before:04o}\n")
            after.append(f"{action.path}: mode {action.after:04o}\n")
        else:
            after.append(f"{action.path}:\n{action.text}")
    texts = {"before": "".join(before), "after": "".join(after)}
    return {"before_header": "artifacts", "after_header": "artifacts", **texts}


def _reason(action: Action) -> str:
    if isinstance(action, Move):
        return f"{'copy' if action.copy else 'move'} {action.before} to {action.after}"
    if isinstance(action, Chmod):
        return f"give {action.path} the mode {action.after:04o} instead of {action.before:04o}"
    return f"record {action.path}"


def _folder(path: str) -> str:
    if not os.path.isdir(path):
        found = "is no folder" if os.path.lexists(path) else "is not there"
        raise ArtifactError(path, found, "a folder of the archive", "Make the folder, or correct the inventory.")
    return path


def _check_writable(folder: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        expected = "a folder that files can be moved into and out of"
        raise ArtifactError(folder, "is not writable for this user", expected, _NOT_OURS)


def _check_space(folder: str, needed: int, free: int) -> None:
    if needed > free:
        todo = "Free space on this file system, then run again."
        raise ArtifactError(folder, f"has {free} bytes free", f"{needed} bytes for the copies", todo)


def _move(action: Move) -> None:
    if action.keep:
        _copy(action)
        return
    try:
        os.rename(action.before, action.after)
    except OSError as error:
        # Two mounts of one file system are across a border, too.
        if error.errno != errno.EXDEV:
            raise
        _copy(action)
        os.unlink(action.before)
    sync_folder(os.path.dirname(action.after))
    sync_folder(os.path.dirname(action.before))


def _copy(action: Move) -> None:
    """Copy to a temporary name, check, sync, rename. The time goes with it, as a data folder's receipt knows it."""
    with replacing(action.after) as fd, open(action.before, "rb", buffering=0) as source:
        status = os.fstat(source.fileno())
        size, sha256 = _copy_content(source.fileno(), fd)
        if size != action.size or action.sha256 not in (None, sha256):
            found = f"has {size} bytes and the SHA-256 {sha256}"
            expected = f"{action.size} bytes and {action.sha256 or 'any SHA-256'}"
            raise ArtifactError(action.before, found, expected, _FETCH)
        os.fchmod(fd, stat.S_IMODE(status.st_mode) & 0o777)
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_content(source: int, target: int) -> tuple[int, str]:
    """Returns the number of bytes and their SHA-256."""
    digest = hashlib.sha256()
    size = 0
    while block := os.read(source, BLOCK):
        digest.update(block)
        size += len(block)
        write_all(target, block)
    return size, digest.hexdigest()


def _chmod(action: Chmod) -> None:
    fd = os.open(action.path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(fd, action.after)
        os.fsync(fd)
    finally:
        os.close(fd)
