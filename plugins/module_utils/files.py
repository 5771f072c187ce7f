# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable file operations: atomic writes, the atomic exchange of two folders, one sync for a whole tree."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import grp
import hashlib
import os
import platform
import pwd
import re
import shutil
import stat
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

BLOCK = 1 << 20
AT_FDCWD = -100
RENAME_EXCHANGE = 2
# renameat2(2) by number, for a libc older than glibc 2.28 (as on RHEL 7).
_SYS_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "ppc64le": 357, "s390x": 347}

_libc = ctypes.CDLL(None, use_errno=True)


class Ownership(NamedTuple):
    """What files are made with: permission bits, and owner and group as numbers (-1: leave as it is)."""

    mode: int
    uid: int = -1
    gid: int = -1

    @property
    def folder_mode(self) -> int:
        """The mode of a folder: whoever may read it may also enter it (0774 gives 0775)."""
        return self.mode | ((self.mode & 0o444) >> 2)

    def apply(self, fd: int, *, folder: bool = False) -> None:
        os.fchmod(fd, self.folder_mode if folder else self.mode)
        if self.uid != -1 or self.gid != -1:
            os.fchown(fd, self.uid, self.gid)


class OwnershipError(AnnoError):
    """A mode, owner or group that does not exist."""


def parse_mode(text: str) -> int:
    """Permission bits from four octal digits. Raises OwnershipError.

    The leading zero is a must: YAML reads an unquoted 0770 as the number 504.
    """
    if not re.fullmatch(r"0[0-7]{3}", text):
        expected = "four octal digits with a leading 0, in quotes"
        raise OwnershipError("mode", f"is {text!r}", expected, "Write it like '0774'.")
    return int(text, 8)


def ownership(mode: str, owner: str | None = None, group: str | None = None) -> Ownership:
    """From a module's ``mode`` (octal digits), ``owner`` and ``group`` (names). Raises OwnershipError."""
    bits = parse_mode(mode)
    try:
        uid = pwd.getpwnam(owner).pw_uid if owner else -1
        gid = grp.getgrnam(group).gr_gid if group else -1
    except KeyError as error:
        expected = "a user and a group of this host"
        raise OwnershipError("owner, group", str(error.args[0]), expected, "Correct the name.") from None
    return Ownership(bits, uid, gid)


def is_there(path: str) -> bool:
    """Whether something has this name, be it a link that leads nowhere.

    os.path.lexists would also answer no where the disk does not answer at all; raises OSError there.
    """
    return _mode(path) is not None


def is_folder(path: str) -> bool:
    """Whether it is a folder, and no link to one. Raises OSError where that cannot be told."""
    return stat.S_ISDIR(_mode(path) or 0)


def _mode(path: str) -> int | None:
    try:
        return os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: str) -> None:
    """Make a file's content durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_filesystem(path: str) -> None:
    """Make all that was written to the file system of ``path`` durable: one syncfs(2), not a thousand fsync(2)s."""
    fd = os.open(path, os.O_RDONLY)
    try:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)


def exchange(a: str, b: str) -> None:
    """Swap two paths of one file system in one atomic step.

    Raises OSError: EINVAL or ENOSYS where the file system or the kernel cannot, EBUSY for a mount point,
    EXDEV across file systems.
    """
    args = (AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE)
    if hasattr(_libc, "renameat2"):
        result = _libc.renameat2(*args)
    else:
        number = _SYS_RENAMEAT2.get(platform.machine())
        if number is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), a, None, b)
        result = _libc.syscall(number, *args)
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), a, None, b)


def temporary_name(path: str) -> str:
    """What a file is called until it takes the place of ``path``: a hidden name beside it."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.new")


@contextlib.contextmanager
def replacing(path: str) -> Iterator[int]:
    """A new file, as a descriptor for writing, that takes the place of ``path`` when the block ends: temporary name
    beside it, fsync, rename, fsync of the folder. Where the block fails, it is gone and ``path`` is as it was."""
    temporary = temporary_name(path)
    _unlink_if_there(temporary)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        try:
            yield fd
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        _unlink_if_there(temporary)
        raise
    sync_folder(os.path.dirname(path) or ".")


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it, where one write(2) may take less."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_atomic(path: str, content: bytes, ownership: Ownership) -> None:
    """Replace ``path`` by ``content``, as :func:`replacing` does."""
    with replacing(path) as fd:
        write_all(fd, content)
        ownership.apply(fd)


def link_atomic(path: str, target: str) -> None:
    """Point the symbolic link ``path`` to ``target``: temporary link beside it, rename, fsync of the folder."""
    temporary = temporary_name(path)
    _unlink_if_there(temporary)
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        _unlink_if_there(temporary)
        raise
    sync_folder(os.path.dirname(path) or ".")


def remove_tree(path: str) -> None:
    """Remove a folder with everything in it, also where this user's own folders in it are read-only; nothing happens
    where there is none. Links are removed, not followed."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        _make_writable(path)
        shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path):
            raise
    except FileNotFoundError:
        if os.path.lexists(path):
            raise


def _make_writable(path: str) -> None:
    os.chmod(path, 0o700)
    for folder, folders, _files in os.walk(path):
        for place in (os.path.join(folder, name) for name in folders):
            if not os.path.islink(place):
                with contextlib.suppress(PermissionError):  # another user's
                    os.chmod(place, 0o700)


def sha256_of(path: str) -> str:
    """The SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def _unlink_if_there(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
