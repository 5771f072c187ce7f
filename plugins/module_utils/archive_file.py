# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that a tar is in: as it is, or compressed with gzip or zstd, told by its first bytes and not by its name.

A plain one is read where something is wanted. A compressed one can only be read forwards, so it is decompressed once
for its table of contents and once more to be unpacked; nothing of it is kept, and memory stays flat whatever it claims.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import stat
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Callable, NamedTuple, Protocol

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

# Headers of small members lie close together: one read serves many. Those of large ones are read one by one.
_WINDOW = 1 << 16
_RAW = 1 << 18
_CHUNK = 1 << 18
# Annotation data are compressed by less than 20. Small archives may hold anything, also zeros.
_MAX_RATIO = 250
_FREE = 256 << 20
# A block of zstd has at most 128 KiB and takes at least 4 bytes: 8 MiB at most.
_SIP = 256
# Enough to tell them by.
_MAGIC = 10
_GZIP = re.compile(rb"\x1f\x8b")
# A frame of data, or one that is skipped (pzstd writes them).
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
_OTHERS = {"xz": b"\xfd7zXZ\0", "bzip2": b"BZh91AY&SY", "lz4": b"\x04\x22\x4d\x18"}

_REFETCH = "Fetch the archive again and compare its size and sha256 with the release manifest."


class ArchiveFileError(AnnoError):
    """The file cannot be read as what it seems to be."""


class ArchiveFile:
    """A tar archive in a file, opened by :func:`open_archive`.

    ``size`` and ``mtime_ns`` are those of the file as it lies there; ``end`` is the length of the tar in it, None as
    long as it is not known; ``done`` is how much of the file :meth:`readinto` has read, in bytes.
    """

    def __init__(self, fd: int, path: str, status: os.stat_result, *, digest: bool) -> None:
        self.path = path
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        self.end: int | None = status.st_size
        self.done = 0
        self._fd = fd
        self._digest = hashlib.sha256() if digest else None
        self._window = b""
        self._window_start = 0

    @property
    def compressed(self) -> bool:
        return False

    def read(self, position: int, count: int) -> bytes:
        """Bytes of the tar, fewer than ``count`` only where it ends. No position is before that of the last call."""
        begin = position - self._window_start
        if begin < 0 or begin + count > len(self._window):
            near = 0 <= begin < 2 * _WINDOW
            self._window = os.pread(self._fd, max(count, _WINDOW) if near else count, position)
            self._window_start = position
            begin = 0
        return self._window[begin : begin + count]

    def readinto(self, buffer: bytearray) -> int:
        """Read on from the start to the end; returns the number of bytes of the tar, 0 at its end."""
        if self.done >= self.size:
            return 0
        with self._named():
            count = os.readv(self._fd, [buffer])
        if count == 0:
            todo = "Leave the archive alone while it is unpacked; run again."
            found = f"it ended at byte {self.done} while it was read"
            raise ArchiveFileError(self.path, found, f"{self.size} bytes", todo)
        self.done += count
        if self._digest:
            self._digest.update(memoryview(buffer)[:count])
        return count

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Reads by descriptor do not name their file, and whoever extracts would name the one that is written."""
        try:
            yield
        except OSError as error:
            error.filename = self.path
            raise

    def sha256(self) -> str:
        """Of the file as it lies there, when :meth:`readinto` has come to the end."""
        return self._digest.hexdigest() if self._digest else ""

    def __enter__(self) -> ArchiveFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._fd)


class _CompressedFile(ArchiveFile):
    def __init__(self, fd: int, path: str, status: os.stat_result, form: _Form, *, digest: bool) -> None:
        super().__init__(fd, path, status, digest=digest)
        self.end = None
        self._form = form
        self._decoder = form.decoder()
        self._position = 0

    @property
    def compressed(self) -> bool:
        return True

    def read(self, position: int, count: int) -> bytes:
        if position + count > self._position:
            while self._position < position and (piece := self._next(_CHUNK)):
                self._window_start, self._window = self._position - len(piece), piece
            pieces = [self._window[position - self._window_start :]]
            while self._position < position + count and (piece := self._next(_CHUNK)):
                pieces.append(piece)
            self._window_start, self._window = position, b"".join(pieces)
        begin = position - self._window_start
        return self._window[begin : begin + count]

    def readinto(self, buffer: bytearray) -> int:
        view = memoryview(buffer)
        filled = 0
        while filled < len(view) and (piece := self._next(len(view) - filled)):
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _next(self, most: int) -> bytes:
        """The next bytes of the tar, nothing at its end."""
        while True:
            if self._decoder.eof:
                raw = self._decoder.unused_data or self._raw()
                if not raw:
                    self.end = self._position
                    return b""
                # What was compressed in pieces is one stream after the other.
                raw += self._raw() if len(raw) < _MAGIC else b""
                if not self._form.magic.match(raw):
                    found = f"something that is not {self._form.name} follows its compressed data"
                    raise self._error(found, "nothing after its end")
                self._decoder = self._form.decoder()
            else:
                raw = self._raw() if self._decoder.needs_input else b""
                if not raw and self._decoder.needs_input:
                    raise self._error(f"its {self._form.name} data end too early", "a whole file")
            try:
                piece = self._decoder.decompress(raw, most)
            except self._form.error as error:
                found = f"its {self._form.name} data cannot be decompressed: {error}"
                raise self._error(found, "a whole file") from None
            if piece:
                self._position += len(piece)
                if self._position > _FREE and self._position > self.done * _MAX_RATIO:
                    found = f"its first {self.done} bytes make {self._position}: {_MAX_RATIO} times as much"
                    raise self._error(found, "data, which are not compressed like that")
                return piece

    def _raw(self) -> bytes:
        with self._named():
            raw = os.read(self._fd, _RAW)
        self.done += len(raw)
        if self._digest:
            self._digest.update(raw)
        return raw

    def _error(self, found: str, expected: str) -> ArchiveFileError:
        return ArchiveFileError(self.path, found, expected, _REFETCH)


class _Decoder(Protocol):
    """As the decompressors of the standard library are: bytes go in, at most so many come out."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's checks the sum and the length at the end of each stream."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._full

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        # It may hold more that comes out without another byte.
        self._full = len(piece) == max_length
        return piece


class _Zstandard:
    """The one of the package zstandard returns all that comes of its input: it gets little."""

    def __init__(self, module: Any) -> None:
        self._object = module.ZstdDecompressor().decompressobj()
        self._input = memoryview(b"")
        self._ready = memoryview(b"")

    @property
    def eof(self) -> bool:
        return bool(self._object.eof) and not self._ready

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data) + bytes(self._input)

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._ready

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._input = memoryview(data) if data else self._input
        while self._input and not self._ready and not self._object.eof:
            sip, self._input = self._input[:_SIP], self._input[_SIP:]
            self._ready = memoryview(self._object.decompress(sip))
        piece, self._ready = self._ready[:max_length], self._ready[max_length:]
        return bytes(piece)


class _Form(NamedTuple):
    """A way to compress: how a stream begins, what makes a decoder for it, and what that raises."""

    name: str
    magic: re.Pattern[bytes]
    decoder: Callable[[], _Decoder]
    error: type[Exception]


def open_archive(path: str, *, digest: bool = False) -> ArchiveFile:
    """Open an archive for reading.

    :param digest: whether :meth:`ArchiveFile.readinto` is to compute the file's SHA-256.
    Raises ArchiveFileError for what is no regular file, is empty or cannot be decompressed here, or OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if digest:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveFileError(path, "it is no regular file", "a data archive", "Check the path.")
        if status.st_size == 0:
            raise ArchiveFileError(path, "it is empty (0 bytes)", "a data archive", _REFETCH)
        start = os.pread(fd, _MAGIC, 0)
        for name, magic in _OTHERS.items():
            if start.startswith(magic):
                todo = f"Decompress it on the target: {name} -d {path}"
                expected = "a tar that is plain or compressed with gzip or zstd"
                raise ArchiveFileError(path, f"it is compressed with {name}", expected, todo)
        form = _form(start, path)
        if form:
            return _CompressedFile(fd, path, status, form, digest=digest)
        return ArchiveFile(fd, path, status, digest=digest)
    except OSError as error:
        error.filename = error.filename or path
        os.close(fd)
        raise
    except AnnoError:
        os.close(fd)
        raise


def _form(start: bytes, path: str) -> _Form | None:
    """How a file that starts like this is compressed, None where it is not."""
    if _GZIP.match(start):
        return _Form("gzip", _GZIP, _Gzip, zlib.error)
    if not _ZSTD.match(start):
        return None
    module = _zstd_module()
    if module is None:
        found = "it is compressed with zstd, and the Python of this host has no library for that"
        expected = "Python 3.14, or one of the packages backports.zstd and zstandard"
        todo = f"Install one of them on this host, or decompress the archive: zstd -d {path}"
        raise ArchiveFileError(path, found, expected, todo)
    if module.__name__ == "zstandard":
        return _Form("zstd", _ZSTD, lambda: _Zstandard(module), module.ZstdError)
    return _Form("zstd", _ZSTD, module.ZstdDecompressor, module.ZstdError)


def _zstd_module() -> Any:
    """compression.zstd of Python 3.14, a package that brings the same to older ones, or another one; None without."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
