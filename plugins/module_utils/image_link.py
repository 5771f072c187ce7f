# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbolic link that names the live image: what it is, what must be done, and the atomic switch."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any, NamedTuple, Union

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import link_atomic, sync_folder
from ansible_collections.ousamg.anno.plugins.module_utils.image_expect import check_sha256, check_size
from ansible_collections.ousamg.anno.plugins.module_utils.sif import inspect_sif

_NOT_OURS = "Run as the service user, or have the owner grant the permission."


class ImageError(AnnoError):
    """An image or a link that must not be switched to or over."""


class LinkState(NamedTuple):
    """The link. ``target`` is its raw text, ``resolved`` where it leads in the end; both None: there is no link."""

    path: str
    target: str | None
    resolved: str | None
    folder: str
    writable: bool


class ImageState(NamedTuple):
    """The image. ``path`` has no symbolic link in it; ``ours``: this user may set its permission bits ``mode``."""

    path: str
    mode: int
    ours: bool


class Chmod(NamedTuple):
    """Set the permission bits of the image."""

    path: str
    before: int
    after: int
    reason: str


class Switch(NamedTuple):
    """Give the link another raw text; None stands for no link."""

    path: str
    before: str | None
    after: str | None
    reason: str


Action = Union[Chmod, Switch]


def inspect_link(path: str) -> LinkState:
    """Read the link. Raises ImageError where something else is in its place, or its folder is missing."""
    folder, name = os.path.split(path)
    if not name:
        expected = "a path that ends in the name of the link"
        raise ImageError(path or "link", "names no link", expected, "Check the inventory.")
    if not os.path.isdir(folder or "."):
        found = "is not there" if not os.path.lexists(folder) else "is no folder"
        todo = "Check the inventory, or make the folder."
        raise ImageError(folder, found, "the folder that holds the link", todo)
    target = resolved = None
    if os.path.lexists(path):
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a file"
            expected = "a symbolic link to an image, or nothing"
            todo = "Move it away, then run again."
            raise ImageError(path, f"is {kind}, not a symbolic link", expected, todo)
        target = os.readlink(path)
        resolved = os.path.realpath(path)
    writable = os.access(folder or ".", os.W_OK | os.X_OK)
    return LinkState(path, target, resolved, os.path.realpath(folder), writable)


def inspect_image(
    path: str, sha256: str | None = None, size: int | None = None, src: str | None = None
) -> ImageState:
    """Check the image against what is expected of it (hexadecimal digits, bytes; None: anything).

    :param src: where the image lies now, when it is still to be moved to ``path``.
    Raises SifError or ImageExpectationError.
    """
    now = src or path
    info = inspect_sif(now)
    if size is not None:
        check_size(info, size)
    if sha256 is not None:
        check_sha256(now, sha256)
    status = os.stat(now)
    ours = os.geteuid() in (0, status.st_uid)
    return ImageState(os.path.realpath(path), stat.S_IMODE(status.st_mode), ours)


def plan_switch(link: LinkState, image: ImageState, mode: int) -> list[Action]:
    """What makes the link lead to the image, and gives the image at least the permission bits ``mode``.

    The new text is relative, so that it holds wherever the tree is mounted. A link that leads to the image
    already is right, whatever its text. Raises ImageError for what this user cannot do.
    """
    actions: list[Action] = []
    if image.mode & mode != mode:
        if not image.ours:
            found = f"has the mode {image.mode:04o} and another owner"
            raise ImageError(image.path, found, f"at least {mode:04o}", _NOT_OURS)
        reason = f"{image.path} has the mode {image.mode:04o}, at least {mode:04o} is wanted"
        actions.append(Chmod(image.path, image.mode, image.mode | mode, reason))
    if link.resolved != image.path:
        actions.extend(_switch(link, os.path.relpath(image.path, link.folder)))
    return actions


def plan_restore(link: LinkState, target: str | None) -> list[Action]:
    """What gives the link this very text again (None: no link), even one that leads nowhere.

    Raises ImageError for what this user cannot do.
    """
    return _switch(link, target) if link.target != target else []


def apply(actions: Sequence[Action]) -> None:
    """Do what was planned and read it back. Raises ImageError where the file system did something else."""
    for action in actions:
        if isinstance(action, Chmod):
            found = f"{_chmod(action.path, action.after):04o}"
            expected = f"{action.after:04o}"
        else:
            _relink(action)
            found = _words(os.readlink(action.path) if os.path.lexists(action.path) else None)
            expected = _words(action.after)
        if found != expected:
            todo = "Check the file system, and that nobody else is working here; then run again."
            raise ImageError(action.path, f"is {found} after the change", expected, todo)


def summary(link: LinkState, image: ImageState | None, actions: Sequence[Action]) -> dict[str, Any]:
    """The plan as the module returns it; ``after`` and ``mode`` are what the plan leads to."""
    after = link.target
    mode = image.mode if image else None
    for action in actions:
        if isinstance(action, Chmod):
            mode = action.after
        else:
            after = action.after
    return {
        "changed": bool(actions),
        "planned": bool(actions),
        "before": link.target,
        "after": after,
        "image": image.path if image else None,
        "mode": None if mode is None else f"{mode:04o}",
        "msg": "; ".join(action.reason for action in actions) or "Nothing to do.",
        "diff": {
            "before_header": link.path,
            "after_header": link.path,
            "before": "".join(_line(action, action.before) for action in actions),
            "after": "".join(_line(action, action.after) for action in actions),
        },
    }


def _switch(link: LinkState, target: str | None) -> list[Action]:
    if not link.writable:
        expected = f"that {os.path.basename(link.path)} can be replaced in it"
        raise ImageError(link.folder, "is not writable for this user", expected, _NOT_OURS)
    reason = f"{link.path} is {_words(link.target)}, wanted is {_words(target)}"
    return [Switch(link.path, link.target, target, reason)]


def _relink(action: Switch) -> None:
    if action.after is not None:
        link_atomic(action.path, action.after)
        return
    os.unlink(action.path)
    sync_folder(os.path.dirname(action.path) or ".")


def _chmod(path: str, mode: int) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(fd, mode)
        os.fsync(fd)
        return stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _words(target: str | None) -> str:
    return "no link" if target is None else f"a link to {target}"


def _line(action: Action, value: int | str | None) -> str:
    if isinstance(value, int):
        return f"{action.path}: mode {value:04o}\n"
    return f"{action.path} -> {value}\n" if value is not None else ""
