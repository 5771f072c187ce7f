# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the superblock of a squashfs file system tells by itself: its kind, and whether its parts fit in.

Format: Linux, fs/squashfs/squashfs_fs.h (struct squashfs_super_block); all numbers are little-endian.
"""

from __future__ import annotations

import struct

# magic, inodes, time, block size, fragments; compression, log2 of the block size, flags, ids, version; root inode,
# bytes used, and where the tables of ids, attributes, inodes, folders, fragments and the lookup table start.
_SUPERBLOCK = struct.Struct("<4s4I6H8Q")
SUPERBLOCK_SIZE = _SUPERBLOCK.size
MAGIC = b"hsqs"
_VERSION = (4, 0)
_BLOCK_LOGS = range(12, 21)
_COMPRESSIONS = range(1, 7)
_NO_TABLE = 2**64 - 1


def problem_of(superblock: bytes, room: int) -> str | None:
    """What is wrong with a superblock, as a clause; None where nothing is.

    :param superblock: the first SUPERBLOCK_SIZE bytes of the file system.
    :param room: bytes that the file system has at most.
    """
    if superblock[: len(MAGIC)] != MAGIC:
        return f"has not the squashfs magic {MAGIC.decode()!r} at its start"
    fields = _SUPERBLOCK.unpack(superblock)
    block_size, compression, block_log, version = fields[3], fields[5], fields[6], fields[9:11]
    used, tables = fields[12], fields[13:]
    if version != _VERSION:
        return f"is squashfs of version {version[0]}.{version[1]}, not {_VERSION[0]}.{_VERSION[1]}"
    if block_log not in _BLOCK_LOGS or block_size != 1 << block_log:
        return f"has blocks of {block_size} bytes, by another field of 2 to the power {block_log}"
    if compression not in _COMPRESSIONS:
        return f"has the unknown compression {compression}"
    if not SUPERBLOCK_SIZE < used <= room:
        return f"counts {used} bytes in a place of {room}"
    ids, _attributes, inodes, folders = tables[:4]
    if any(not SUPERBLOCK_SIZE <= start < used for start in tables if start != _NO_TABLE):
        return f"has a table outside its {used} bytes"
    if _NO_TABLE in (ids, inodes, folders) or not inodes < folders < ids:
        return "lacks a table, or has them in another order than inodes, folders, ids"
    return None
