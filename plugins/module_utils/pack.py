# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass from files to a tar: each byte is read once, and written and hashed on the way.

This thread reads; one writes, one makes the SHA-256 of the whole archive and one the MD5 of each file. All of that
releases the interpreter's lock. Memory is a few blocks, whatever the size.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Union

from ansible_collections.ousamg.anno.plugins.module_utils import tar_writer
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import write_all
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.tar_writer import Entry

# No more than fits into a core's cache, so that it is hashed and written from there.
_BLOCK = 1 << 19
_BUFFERS = 8


class PackError(AnnoError):
    """What was read is not what should be there."""


class Stamp(NamedTuple):
    """By what a file is known again: no time of its inode, which a new hard link to it changes."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class Region(NamedTuple):
    """Where a content lies: in the file ``path``, from ``offset`` on; ``md5`` is what it must have (16 bytes), None for
    any."""

    path: str
    offset: int
    stamp: Stamp
    md5: bytes | None


# A text that is in memory, or a part of a file.
Content = Union[bytes, Region]


class Item(NamedTuple):
    """An entry with its content; that of a folder or link is b''."""

    entry: Entry
    content: Content = b""


def write(fd: int, items: Iterable[Item], progress: Progress) -> str:
    """Write a tar and verify what goes into it; returns its SHA-256 as hexadecimal digits.

    :param fd: an empty file, opened for writing.
    Raises PackError for a wrong MD5 or a file that changed, OSError for the rest (a full disk).
    """
    with contextlib.closing(_Pass(fd, progress)) as work:
        for item in items:
            work.add(item)
        return work.finish()


class _Segment(NamedTuple):
    """A piece of a file within one block; ``last`` for the piece that ends the file."""

    begin: int
    end: int
    last: bool
    region: Region


class _Pass:
    def __init__(self, fd: int, progress: Progress) -> None:
        self._fd = fd
        self._progress = progress
        self._position = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sources = _Sources()
        # One thread for each, so that it takes the blocks in their order.
        self._writer, self._archive_hash, self._file_hash = (ThreadPoolExecutor(1) for _ in range(3))
        self._free = deque(bytearray(_BLOCK) for _ in range(_BUFFERS))
        self._busy: deque[tuple[bytearray, list[Future[None]]]] = deque()
        self._begin_block()

    def add(self, item: Item) -> None:
        self._put(tar_writer.header(item.entry))
        if isinstance(item.content, Region):
            self._progress.what = item.entry.name
            with self._sources.reading(item.content) as fd:
                self._copy(fd, item.entry.size, item.content)
        else:
            self._put(item.content)
        self._put(bytes(tar_writer.padding(item.entry.size)))

    def finish(self) -> str:
        self._put(tar_writer.end(self._position))
        self._end_block()
        while self._busy:
            self._wait()
        return self._sha256.hexdigest()

    def close(self) -> None:
        for lane in (self._writer, self._archive_hash, self._file_hash):
            lane.shutdown(cancel_futures=True)
        self._sources.close()

    def _put(self, data: bytes) -> None:
        begin = 0
        while begin < len(data):
            count = min(len(data) - begin, _BLOCK - self._used)
            self._view[self._used : self._used + count] = data[begin : begin + count]
            begin += count
            self._advance(count)

    def _copy(self, fd: int, size: int, region: Region) -> None:
        done = 0
        while True:
            wanted = min(size - done, _BLOCK - self._used)
            count = _read(fd, self._view[self._used : self._used + wanted], region, done) if wanted else 0
            if count == 0 and wanted:
                raise changed(region.path)
            done += count
            self._segments.append(_Segment(self._used, self._used + count, done == size, region))
            self._advance(count)
            if done == size:
                return

    def _advance(self, count: int) -> None:
        self._used += count
        self._position += count
        if self._used == _BLOCK:
            self._end_block()
            self._begin_block()

    def _begin_block(self) -> None:
        if not self._free:
            self._wait()
        self._buffer = self._free.popleft()
        self._view = memoryview(self._buffer)
        self._used = 0
        self._segments: list[_Segment] = []

    def _end_block(self) -> None:
        block = self._view[: self._used]
        work = [
            self._writer.submit(write_all, self._fd, block),
            self._archive_hash.submit(self._sha256.update, block),
            self._file_hash.submit(self._check, block, self._segments),
        ]
        self._busy.append((self._buffer, work))
        self._progress.update(self._position)

    def _wait(self) -> None:
        """For the oldest block to be written and hashed; raises what went wrong with it."""
        buffer, work = self._busy.popleft()
        for future in work:
            future.result()
        self._free.append(buffer)

    def _check(self, block: memoryview, segments: list[_Segment]) -> None:
        for begin, end, last, region in segments:
            self._md5.update(block[begin:end])
            if not last:
                continue
            found = self._md5.digest()
            if region.md5 is not None and region.md5 != found:
                todo = "Make the package anew; a deployment would refuse it."
                raise PackError(region.path, f"its MD5 is {found.hex()}", f"{region.md5.hex()} (MD5SUM)", todo)
            self._md5 = hashlib.md5(usedforsecurity=False)


class _Sources:
    """Opens what is read; of one archive's many regions only once."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._path = ""

    @contextlib.contextmanager
    def reading(self, region: Region) -> Iterator[int]:
        if self._path != region.path or self._fd is None:
            self.close()
            self._fd = os.open(region.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            self._path = region.path
        yield self._fd
        if Stamp.of(os.fstat(self._fd)) != region.stamp:
            raise changed(region.path)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def changed(path: str) -> PackError:
    todo = "Leave the data alone while they are packed; run again."
    return PackError(path, "it was changed while it was read", "the same file", todo)


def _read(fd: int, into: memoryview, region: Region, done: int) -> int:
    try:
        return os.preadv(fd, [into], region.offset + done)
    except OSError as error:
        # Reads by descriptor do not name their file.
        error.filename = region.path
        raise
