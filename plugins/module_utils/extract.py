# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over a data archive: read once, write the wanted members, hash everything on the way.

The SHA-256 of the file as it lies there (compressed, if it is) and the writing are done here, the MD5 of each member in
a second thread; both hashes release the interpreter's lock. Memory is a few blocks, whatever the size.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFile, open_archive
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership, write_all
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, FOLDER, SYMLINK, Member

_BLOCK = 4 << 20
_BUFFERS = 4
_OPEN_FOLDERS = 64
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class ExtractError(AnnoError):
    """What was read is not what should be there."""


class Extraction(NamedTuple):
    """What one pass did: regular ``files`` written, their ``bytes``, and the archive's ``sha256``."""

    files: int
    bytes: int
    sha256: str


def extract(path: str, root: str, members: Iterable[Member], ownership: Ownership, progress: Progress) -> Extraction:
    """Write members below a folder and verify them.

    :param path: the archive.
    :param root: an existing folder; nothing outside of it is touched, no link is followed.
    :param members: what to write, sorted by offset; it is asked for them more than once. A file without an MD5 is
        written unchecked.
    Raises ExtractError for a wrong MD5, ArchiveFileError for an archive that ends early or is damaged, OSError for the
    rest (a full disk).
    """
    with open_archive(path, digest=True) as file:
        tree = _Tree(root, ownership)
        try:
            return _Pass(file, tree, members, progress).run()
        except OSError as error:
            # Writes by descriptor do not name their file.
            error.filename = error.filename or tree.current or path
            raise
        finally:
            tree.close()


class _Segment(NamedTuple):
    """A piece of a file within one block; ``last`` for the piece that ends the file."""

    member: Member
    data: memoryview
    last: bool


class _Pass:
    def __init__(
        self,
        file: ArchiveFile,
        tree: _Tree,
        members: Iterable[Member],
        progress: Progress,
    ) -> None:
        self._archive = file
        self._tree = tree
        self._members = members
        self._checker = _Md5Checker(file.path)
        self._progress = progress

    def run(self) -> Extraction:
        position = written = files = 0
        out: int | None = None
        for member in self._members:
            if member.kind == FOLDER:
                self._tree.make_folder(member.name)
        waiting = (member for member in self._members if member.kind == FILE)
        file = next(waiting, None)
        try:
            while count := self._archive.readinto(buffer := self._checker.free_buffer()):
                block = memoryview(buffer)[:count]
                end = position + count
                segments = []
                while file is not None and file.offset < end:
                    begin = max(file.offset, position)
                    stop = min(file.offset + file.size, end)
                    piece = block[begin - position : stop - position]
                    if out is None:
                        out = self._tree.new_file(file)
                        self._progress.what = file.name
                    write_all(out, piece)
                    written += len(piece)
                    last = stop == file.offset + file.size
                    segments.append(_Segment(file, piece, last))
                    if not last:
                        break
                    self._tree.finish_file(out, file)
                    out = None
                    files += 1
                    file = next(waiting, None)
                self._checker.put(buffer, segments)
                position = end
                self._progress.update(self._archive.done)
            if file is not None:
                todo = "Leave the archive alone while it is unpacked; run again."
                raise ExtractError(self._archive.path, f"it ended before {file.name}", "what was in it before", todo)
            for member in self._members:
                if member.kind not in (FILE, FOLDER):
                    self._tree.make_link(member)
            self._checker.finish()
        finally:
            if out is not None:
                with contextlib.suppress(OSError):  # what went wrong before is what counts
                    os.close(out)
            self._checker.stop()
        return Extraction(files, written, self._archive.sha256())


class _Md5Checker:
    """A thread that hashes what it is handed, in order, and hands the buffers back."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._error: BaseException | None = None
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._work: queue.SimpleQueue[tuple[bytearray, list[_Segment]] | None] = queue.SimpleQueue()
        for _number in range(_BUFFERS):
            self._free.put(bytearray(_BLOCK))
        self._thread = threading.Thread(target=self._run, name="md5", daemon=True)
        self._thread.start()

    def free_buffer(self) -> bytearray:
        """A buffer to read into; raises what the thread found wrong so far."""
        buffer = self._free.get()
        self._raise()
        return buffer

    def put(self, buffer: bytearray, segments: list[_Segment]) -> None:
        self._work.put((buffer, segments))

    def finish(self) -> None:
        self.stop()
        self._raise()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._hash()
        except Exception as error:  # whatever it is: nothing counts as verified, and nobody waits for a buffer
            found = f"the MD5 of its files cannot be computed here: {error}"
            todo = "Look whether Python's hashlib has MD5 on this host (FIPS mode)."
            self._error = ExtractError(self._path, found, "a check of each file", todo)
            while (item := self._work.get()) is not None:
                self._free.put(item[0])

    def _hash(self) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        while (item := self._work.get()) is not None:
            buffer, segments = item
            for segment in segments if self._error is None else ():
                digest.update(segment.data)
                if segment.last:
                    self._compare(segment.member, digest.digest())
                    digest = hashlib.md5(usedforsecurity=False)
            self._free.put(buffer)

    def _compare(self, member: Member, found: bytes) -> None:
        if member.md5 and found != member.md5 and self._error is None:
            todo = "Fetch the archive again; if it stays so, make the package anew."
            expected = f"{member.md5.hex()} (MD5SUM)"
            self._error = ExtractError(f"{self._path}:{member.name}", f"its MD5 is {found.hex()}", expected, todo)


class _Tree:
    """Makes files below a folder by descriptors of folders, none of which is a link."""

    def __init__(self, root: str, ownership: Ownership) -> None:
        self._root = root
        self._ownership = ownership
        self._root_fd = os.open(root, _FOLDER)
        self._open: OrderedDict[str, int] = OrderedDict()
        self.current = ""

    def make_folder(self, name: str) -> None:
        self._folder(name)

    def new_file(self, member: Member) -> int:
        folder, name = posixpath.split(member.name)
        parent = self._folder(folder)
        self.current = os.path.join(self._root, member.name)
        return os.open(name, _NEW_FILE, 0o600, dir_fd=parent)

    def finish_file(self, fd: int, member: Member) -> None:
        self._ownership.apply(fd)
        os.utime(fd, ns=(member.mtime, member.mtime))
        os.close(fd)

    def make_link(self, member: Member) -> None:
        folder, name = posixpath.split(member.name)
        parent = self._folder(folder)
        self.current = os.path.join(self._root, member.name)
        if member.kind == SYMLINK:
            os.symlink(member.link, name, dir_fd=parent)
            return
        other, original = posixpath.split(member.link)
        # A copy: looking up the second folder may close the descriptor of the first.
        source = os.dup(self._folder(other))
        try:
            os.link(original, name, src_dir_fd=source, dst_dir_fd=self._folder(folder), follow_symlinks=False)
        finally:
            os.close(source)

    def close(self) -> None:
        for fd in (*self._open.values(), self._root_fd):
            os.close(fd)

    def _folder(self, path: str) -> int:
        """The descriptor of a folder, made with all above it where it is not there."""
        if not path:
            return self._root_fd
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        above, name = posixpath.split(path)
        parent = self._folder(above)
        self.current = os.path.join(self._root, path)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            fd = os.open(name, _FOLDER, dir_fd=parent)
            self._ownership.apply(fd, folder=True)
        except FileExistsError:
            fd = os.open(name, _FOLDER, dir_fd=parent)
        self._open[path] = fd
        if len(self._open) > _OPEN_FOLDERS:
            os.close(self._open.popitem(last=False)[1])
        return fd
