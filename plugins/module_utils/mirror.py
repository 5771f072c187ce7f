# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second tree of the same files: hard links instead of copies, whatever the size."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil

from ansible_collections.ousamg.anno.plugins.module_utils.files import is_folder, is_there, remove_tree

_NO_LINKS = (errno.EPERM, errno.EACCES, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS)


class NoLinksError(OSError):
    """Hard links are not to be had: the file system has none, or the kernel refuses one. Its path is ``filename``."""


class ClosedFolderError(PermissionError):
    """This user may not look into a folder, ``filename``: what is in it can be neither linked nor told."""


def link_tree(live: str, copy: str, *, keep: set[str], below: str = "") -> None:
    """Make the folder ``copy`` hold what ``live`` holds, and nothing more: files and links as hard links, folders anew
    with the attributes of their originals. What is right already is left alone.

    :param keep: paths below the two folders that are left as they are in ``copy``; ``below`` leads to these folders.
    Raises NoLinksError where hard links are not to be had, ClosedFolderError, OSError for all else.
    """
    names = set()
    with _look_into(live) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            names.add(entry.name)
            if path in keep:
                continue
            target = os.path.join(copy, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if is_folder(target):
                    os.chmod(target, 0o700)  # it may be as read-only as its original
                else:
                    _remove(target)
                    os.mkdir(target, 0o700)
                link_tree(entry.path, target, keep=keep, below=path + "/")
                copy_attributes(entry.path, target)
            elif not _is_same(entry, target):
                _remove(target)
                _link(entry.path, target)
    for name in os.listdir(copy):
        path = f"{below}{name}"
        if name not in names and path not in keep and not _leads_to(path, keep):
            _remove(os.path.join(copy, name))


def _look_into(folder: str) -> os._ScandirIterator[str]:
    try:
        os.stat(os.path.join(folder, os.curdir))  # to enter it is another right than to list it
        return os.scandir(folder)
    except PermissionError as error:
        raise ClosedFolderError(error.errno, error.strerror, folder) from error


def _link(original: str, target: str) -> None:
    try:
        os.link(original, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise NoLinksError(error.errno, error.strerror, error.filename) from error


def copy_attributes(folder: str, copy: str) -> None:
    """Mode, times and, as far as this user may, owner and group of a folder."""
    status = os.stat(folder)
    try:
        os.chown(copy, status.st_uid, status.st_gid)
    except PermissionError:
        # Only root may give a folder away; a group one is a member of is possible.
        with contextlib.suppress(PermissionError):
            os.chown(copy, -1, status.st_gid)
    shutil.copystat(folder, copy)


def remove_others(folder: str, *, keep: set[str], below: str = "") -> None:
    """Remove everything in a folder but the paths in ``keep``."""
    for name in os.listdir(folder):
        path = f"{below}{name}"
        if _leads_to(path, keep):
            remove_others(os.path.join(folder, name), keep=keep, below=path + "/")
        elif path not in keep:
            _remove(os.path.join(folder, name))


def _leads_to(path: str, keep: set[str]) -> bool:
    return any(other.startswith(path + "/") for other in keep)


def _is_same(entry: os.DirEntry[str], target: str) -> bool:
    try:
        other = os.lstat(target)
    except FileNotFoundError:
        return False
    return os.path.samestat(entry.stat(follow_symlinks=False), other)


def _remove(path: str) -> None:
    if is_folder(path):
        remove_tree(path)
    elif is_there(path):
        os.unlink(path)
