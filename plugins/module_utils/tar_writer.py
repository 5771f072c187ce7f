# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar headers whose bytes depend on nothing but what is packed, in GNU tar's own default format.

Made here and not by ``tarfile``, whose headers differ between versions of Python. The GNU format, because its long
names are bytes of any encoding, and because ella-anno's archives are of it. The bytes are those of ``tar --format=gnu
--numeric-owner --owner=0 --group=0``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import BLOCK, FILE, FOLDER, SYMLINK, Member

# The same for all: the modes that the sites ask of data ("at least 774"), so that also a plain `tar -xf` comes as near
# to them as the umask lets it. Owner 0 without a name: an ordinary user's tar takes its own, root's gives it to root.
_MODES = Ownership(0o774)
_MODE = {FILE: _MODES.mode, FOLDER: _MODES.folder_mode, SYMLINK: 0o777}
_FLAG = {FILE: b"0", FOLDER: b"5", SYMLINK: b"2"}
_LONG_NAME, _LONG_LINK = b"L", b"K"

_NAME_BYTES = 100
_MAX_OCTAL = 0o77777777777
# GNU tar writes whole records of 20 blocks.
_RECORD = 20 * BLOCK


class Entry(NamedTuple):
    """What is to be packed. ``name`` and ``link`` (of a symbolic link) are relative paths, ``kind`` is FILE, FOLDER or
    SYMLINK, ``size`` is in bytes, ``mtime`` in seconds since 1970."""

    name: str
    kind: str
    size: int
    mtime: int
    link: str = ""


def header(entry: Entry) -> bytes:
    """The blocks that stand before an entry's content."""
    name = os.fsencode(entry.name) + (b"/" if entry.kind == FOLDER else b"")
    link = os.fsencode(entry.link)
    block = _block(name, _MODE[entry.kind], entry.size, entry.mtime, _FLAG[entry.kind], link)
    return _long(link, _LONG_LINK) + _long(name, _LONG_NAME) + block


def padding(size: int) -> int:
    """How many zero bytes follow a content of this size."""
    return -size % BLOCK


def end(position: int) -> bytes:
    """The zeros that end an archive whose entries take ``position`` bytes."""
    return bytes(2 * BLOCK + -(position + 2 * BLOCK) % _RECORD)


def layout(entries: Iterable[Entry]) -> tuple[tuple[Member, ...], int]:
    """What a reader finds in the archive of these entries, and the archive's size in bytes."""
    position = 0
    members = []
    for entry in entries:
        offset = position + len(header(entry))
        members.append(Member(entry.name, entry.kind, entry.size, entry.mtime * 10**9, offset, entry.link))
        position = offset + entry.size + padding(entry.size)
    return tuple(members), position + len(end(position))


def whole_seconds(mtime_ns: int) -> int:
    """A time as a header can hold it: in seconds, from 1970 to 2242."""
    return min(max(mtime_ns // 10**9, 0), _MAX_OCTAL)


def _long(name: bytes, flag: bytes) -> bytes:
    """GNU's entry of a name that the header has no room for, '' where it has."""
    if len(name) <= _NAME_BYTES:
        return b""
    content = name + b"\0"
    return _block(b"././@LongLink", 0o644, len(content), 0, flag) + content + bytes(padding(len(content)))


def _block(name: bytes, mode: int, size: int, mtime: int, flag: bytes, link: bytes = b"") -> bytes:
    # From 8 GiB on: the number in base 256, marked by the first bit.
    count = b"%011o\0" % size if size <= _MAX_OCTAL else b"\x80" + size.to_bytes(11, "big")
    numbers = b"%07o\0%07o\0%07o\0%b%011o\0" % (mode, 0, 0, count, mtime)
    head = name[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0") + numbers
    tail = flag + link[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0") + b"ustar  \0"
    # The checksum counts its own field as spaces.
    total = sum(head) + 8 * 0x20 + sum(tail)
    return (b"%b%06o\0 %b" % (head, total, tail)).ljust(BLOCK, b"\0")
