# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permissions of a whole data folder: which files and folders lack some, and adding what is missing.

One walk, whatever is asked for; what is held in memory is the folders that are still to be visited and the first few
findings. Symbolic links are neither followed nor changed. A file that a kept generation shares by a hard link gets the
bits there too: it is the same file, its content stays, and one more who may read it does no harm to it.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.problems import printable

SHOWN = 5
_OWN = ".anno"  # how the engine's own names in a data folder begin; their modes are its business
_LOOK = os.O_PATH | os.O_NOFOLLOW
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Finding(NamedTuple):
    """A file or folder, by its path below the data folder ('.': itself; made printable), that has ``mode`` and not
    ``wanted``."""

    path: str
    mode: int
    wanted: int


class Permissions(NamedTuple):
    """How many there are and how many lack bits (``lacking``); of these ``repairable`` are files and folders that this
    user may change. ``repaired`` were changed; ``findings`` are the first of those that lacked bits, ``left`` the first
    that still do. ``closed``: how many folders could not be looked into, ``closed_first`` the first with the reason."""

    folders: int
    files: int
    lacking: int
    repairable: int
    repaired: int
    findings: tuple[Finding, ...]
    left: tuple[Finding, ...]
    closed: int
    closed_first: tuple[str, ...]


class _Folder(NamedTuple):
    """A folder that is still to be visited; device and inode tell whether it is still the one that was seen."""

    path: str
    device: int
    inode: int


def check(data: str, mode: int, *, repair: bool = False, shown: int = SHOWN) -> Permissions:
    """Look at everything in a data folder, and with ``repair`` add the missing bits where this user may.

    :param mode: the bits that each must have, 0o774; a folder that is repaired can be entered by whoever may read it.
    :param shown: how many findings of each kind are named.
    Raises OSError where there is no such folder.
    """
    walk = _Walk(os.path.realpath(data), Ownership(mode), repair, shown)
    walk.run()
    return walk.result()


class _Walk:
    def __init__(self, root: str, wanted: Ownership, repair: bool, shown: int) -> None:
        self._root, self._wanted, self._repair, self._shown = root, wanted, repair, shown
        self._bits = wanted.mode
        self._user = os.geteuid()
        self._folders = self._files = self._lacking = self._repairable = self._repaired = self._closed = 0
        self._findings: list[Finding] = []
        self._left: list[Finding] = []
        self._closed_first: list[str] = []
        self._waiting: list[_Folder] = []

    def run(self) -> None:
        status = os.stat(self._root)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self._root)
        self._see("", self._root, None, status)
        while self._waiting:
            folder = self._waiting.pop()
            try:
                self._visit(folder)
            except OSError as error:
                self._closed += 1
                if self._closed <= self._shown:
                    self._closed_first.append(printable(f"{folder.path or '.'} ({error.strerror or error})"))

    def result(self) -> Permissions:
        return Permissions(
            self._folders, self._files, self._lacking, self._repairable, self._repaired,
            tuple(self._findings), tuple(self._left), self._closed, tuple(self._closed_first),
        )  # fmt: skip

    def _visit(self, folder: _Folder) -> None:
        fd = os.open(os.path.join(self._root, folder.path), _ENTER)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != (folder.device, folder.inode):
                raise OSError("another folder took its place meanwhile")
            with os.scandir(fd) as scan:
                for entry in scan:
                    if not folder.path and entry.name.startswith(_OWN):
                        continue
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_mode & self._bits == self._bits:
                        self._files += 1  # as nearly all are: in a hundred thousand each call counts
                        continue
                    path = f"{folder.path}/{entry.name}" if folder.path else entry.name
                    self._see(path, entry.name, fd, status)
        finally:
            os.close(fd)

    def _see(self, path: str, name: str, within: int | None, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        self._folders += is_folder
        self._files += not is_folder
        mode = stat.S_IMODE(status.st_mode)
        if mode & self._bits != self._bits:
            wanted = mode | (self._wanted.folder_mode if is_folder else self._wanted.mode)
            self._tell(Finding(printable(path or "."), mode, wanted), name, within, status)
        if is_folder:
            self._waiting.append(_Folder(path, status.st_dev, status.st_ino))

    def _tell(self, finding: Finding, name: str, within: int | None, status: os.stat_result) -> None:
        self._lacking += 1
        if len(self._findings) < self._shown:
            self._findings.append(finding)
        ordinary = stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)
        may = ordinary and self._user in (0, status.st_uid)
        self._repairable += may
        if may and self._repair and _add(name, within, status, finding.wanted):
            self._repaired += 1
        elif (self._repair or not may) and len(self._left) < self._shown:
            self._left.append(finding)


def _add(name: str, within: int | None, seen: os.stat_result, mode: int) -> bool:
    """Give this very file or folder the mode; False where it is another by now, or the file system does not do it."""
    try:
        # A handle that follows no link and needs no right to read; chmod(2) reaches what it stands for through /proc.
        fd = os.open(name, _LOOK, dir_fd=within)
    except OSError:
        return False
    try:
        now = os.fstat(fd)
        if (now.st_dev, now.st_ino) != (seen.st_dev, seen.st_ino):
            return False
        os.chmod(f"/proc/self/fd/{fd}", mode)
        return stat.S_IMODE(os.fstat(fd).st_mode) == mode
    except OSError:
        return False
    finally:
        os.close(fd)
