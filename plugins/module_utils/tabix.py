# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a bgzip file, ``.tbi`` or ``.csi``: which contigs it knows, and where in the file it leads.

Formats: the specifications "The Tabix index file format" and CSIv1. A virtual offset is where a block begins in the
file, times 65536, plus a position within the block's content.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import Bgzf, BgzfError
from ansible_collections.ousamg.anno.plugins.module_utils.problems import ProblemError

# An index of all genomes of gnomAD is a tenth of it.
_MAX_BYTES = 256 << 20
_HEAD = struct.Struct("<7i")
_INT = struct.Struct("<i")
_TBI_BIN = struct.Struct("<Ii")
_CSI_BIN = struct.Struct("<IQi")
_TBI_PSEUDO_BIN = 37450
_ZERO_BASED = 0x10000  # in the preset, as of a BED
_MAX_DEPTH = 15  # of bins; a tabix index has 5

_REMAKE = "Make the index anew with tabix."


class TabixError(ProblemError):
    """The file is no whole index."""


class Index(NamedTuple):
    """``name`` is that of the index, for error texts; ``contigs`` are in the file's order. ``meta`` is how a header
    line begins and ``skip`` the number of first lines that are header anyway; ``begin`` and ``end`` are the virtual
    offsets of the first and behind the last record, None where it has none. In the columns (from 1 on) ``name_column``
    and ``begin_column`` a record has its contig and the position that it begins at, from 0 on where ``zero_based``."""

    name: str
    contigs: tuple[str, ...]
    meta: str
    skip: int
    begin: int | None
    end: int | None
    name_column: int
    begin_column: int
    zero_based: bool


def read(path: str, name: str) -> Index:
    """Read a whole index; ``name`` is for error texts. Raises TabixError or OSError."""
    parts, size = [], 0
    try:
        with Bgzf(path, name) as file:
            file.check_ends()
            for _offset, content in file.blocks():
                parts.append(content)
                size += len(content)
                if size > _MAX_BYTES:
                    raise _error(name, f"it decompresses to more than {_MAX_BYTES >> 20} MB")
    except BgzfError as error:
        raise _error(name, error.found) from None
    try:
        return _Reader(b"".join(parts), name).read()
    except (struct.error, ValueError):  # it ends early, or says what cannot be
        raise _error(name, "its content is no tabix index") from None


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 4
        self._first: int | None = None
        self._last: int | None = None

    def read(self) -> Index:
        magic = self._data[:4]
        if magic == b"TBI\1":
            count = self._int()
            head = self._head()
            for _ in range(count):
                self._bins(_TBI_BIN, _TBI_PSEUDO_BIN)
                self._skip(8 * self._int())
        elif magic == b"CSI\1":
            _shift, depth, length = self._int(), self._int(), self._int()
            after = self._at + length
            if depth > _MAX_DEPTH:
                raise ValueError
            head = self._head()
            self._at = after
            count = self._int()
            for _ in range(count):
                self._bins(_CSI_BIN, ((1 << (depth + 1) * 3) - 1) // 7 + 1)
        else:
            raise ValueError
        if count != len(head.contigs):
            raise ValueError
        return head._replace(begin=self._first, end=self._last)

    def _head(self) -> Index:
        preset, name_column, begin_column, _end, meta, skip, length = _HEAD.unpack_from(self._data, self._at)
        self._at += _HEAD.size
        names = self._data[self._at : self._at + length]
        self._skip(length)
        contigs = tuple(name.decode("utf-8", "replace") for name in names.split(b"\0")[:-1])
        zero_based = bool(preset & _ZERO_BASED)
        return Index(self._name, contigs, chr(meta), skip, None, None, name_column, begin_column, zero_based)

    def _bins(self, layout: struct.Struct, pseudo: int) -> None:
        for _ in range(self._int()):
            values = layout.unpack_from(self._data, self._at)
            self._at += layout.size
            chunks = 2 * values[-1]
            if chunks and values[0] != pseudo:
                offsets = struct.unpack_from(f"<{chunks}Q", self._data, self._at)
                first, last = min(offsets[::2]), max(offsets[1::2])
                self._first = first if self._first is None else min(first, self._first)
                self._last = last if self._last is None else max(last, self._last)
            self._skip(8 * chunks)

    def _int(self) -> int:
        value = int(_INT.unpack_from(self._data, self._at)[0])
        if value < 0:
            raise ValueError
        self._at += _INT.size
        return value

    def _skip(self, length: int) -> None:
        if length < 0 or self._at + length > len(self._data):
            raise ValueError
        self._at += length


def _error(name: str, found: str) -> TabixError:
    return TabixError("index-damaged", name, found, "an index as tabix makes it", _REMAKE)
