# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BGZF, the blocked gzip of bgzip(1): single blocks, so that no more of a large file is read than needed.

Format: section 4.1 of the SAM specification (SAMv1). A file is a row of gzip members of at most 64 kB, each with its
own size in an extra field ``BC``; an empty member ends it.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator

from ansible_collections.ousamg.anno.plugins.module_utils.problems import ProblemError

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_MAX_BLOCK = 1 << 16
_FIXED = struct.Struct("<4s6xH")
_SUBFIELD = struct.Struct("<2sH")
_MAGIC = b"\x1f\x8b\x08\x04"
_GZIP = b"\x1f\x8b"

_REMAKE = "Make the file anew with bgzip, and its index with tabix; or fetch the package again."


class BgzfError(ProblemError):
    """The file is not a whole BGZF file."""


class Bgzf:
    """An open BGZF file. ``name`` is for error texts. All methods raise BgzfError or OSError."""

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        # A FIFO in place of the file must not hang.
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise BgzfError("file-kind", name, "it is no regular file", "a file", "Put the file there.")
        except BaseException:
            self.close()
            raise
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Bgzf:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_ends(self) -> None:
        """Look at the first bytes and the last ones."""
        if self.size == 0:
            raise BgzfError("file-empty", self.name, "it has 0 bytes", "a file compressed with bgzip", _REMAKE)
        begin = os.pread(self._fd, len(_MAGIC), 0)
        if begin != _MAGIC[: len(begin)]:
            found = "it is compressed with gzip and not with bgzip" if begin[:2] == _GZIP else "it is not compressed"
            raise BgzfError("file-not-bgzip", self.name, found, "a file compressed with bgzip", _REMAKE)
        self.block(0)
        end = os.pread(self._fd, len(EOF_BLOCK), max(0, self.size - len(EOF_BLOCK)))
        if end != EOF_BLOCK:
            found = f"its end is missing: it stops after {self.size} bytes without the empty block that bgzip ends with"
            raise BgzfError("file-truncated", self.name, found, "a whole file", _REMAKE)

    def block(self, offset: int) -> tuple[bytes, int]:
        """The content of the block that begins at ``offset``, and where the next one begins."""
        raw = os.pread(self._fd, _MAX_BLOCK, offset)
        length = _block_size(raw)
        if length is None:
            if offset == 0 and raw[:2] == _GZIP and len(raw) >= len(EOF_BLOCK):
                found = "it is compressed with gzip and not with bgzip"
                raise BgzfError("file-not-bgzip", self.name, found, "a file compressed with bgzip", _REMAKE)
            raise self._damaged(offset, "no block begins there")
        if length > len(raw):
            found = f"it stops in the middle of the block at byte {offset}"
            raise BgzfError("file-truncated", self.name, found, "a whole file", _REMAKE)
        header = _FIXED.size + _FIXED.unpack_from(raw)[1]
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflate.decompress(raw[header : length - 8], _MAX_BLOCK)
        except zlib.error:
            raise self._damaged(offset, "it cannot be decompressed") from None
        if (zlib.crc32(content), len(content)) != struct.unpack_from("<2I", raw, length - 8):
            raise self._damaged(offset, "its checksum is wrong")
        return content, offset + length

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """All blocks from the beginning, with their offsets."""
        offset = 0
        while offset < self.size:
            content, after = self.block(offset)
            yield offset, content
            offset = after

    def _damaged(self, offset: int, why: str) -> BgzfError:
        return BgzfError("file-damaged", self.name, f"it is damaged at byte {offset}: {why}", "a whole file", _REMAKE)


def _block_size(raw: bytes) -> int | None:
    """The size that a block's header tells, None where it is no header of a block."""
    if len(raw) < _FIXED.size:
        return None
    magic, extra = _FIXED.unpack_from(raw)
    position, end = _FIXED.size, _FIXED.size + extra
    while magic == _MAGIC and position + _SUBFIELD.size + 2 <= min(end, len(raw)):
        kind, length = _SUBFIELD.unpack_from(raw, position)
        if (kind, length) == (b"BC", 2):
            size = int(struct.unpack_from("<H", raw, position + _SUBFIELD.size)[0]) + 1
            return size if size >= end + 8 else None
        position += _SUBFIELD.size + length
    return None
