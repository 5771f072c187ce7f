"""A reader of the data folder, as an analysis is one: what it finds while the folder is worked on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from torture.scene import FOLDERS, Tree

OLD, NEW, ABSENT, MIXED, TORN = "old", "new", "absent", "mixed", "torn"


class Judge(NamedTuple):
    """Knows the two releases. What it may find beside them depends on what the file system can do:
    ``ABSENT`` between two renames, ``MIXED`` (each package is whole, of one of the two) between packages."""

    old: Tree
    new: Tree

    def look(self, data: Path) -> str:
        """Read every file below one opened folder, and say what it is."""
        try:
            folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return ABSENT
        try:
            found = read(folder)
        finally:
            os.close(folder)
        if found is not None and found in (self.old, self.new):
            return OLD if found == self.old else NEW
        return MIXED if all(self._is_whole(data, part) for part in (*FOLDERS, "")) else TORN

    def _is_whole(self, data: Path, part: str) -> bool:
        """Whether a package, or what belongs to none, is of one release, or is not there just now."""
        try:
            folder = os.open(data / part, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return part != ""
        try:
            found = read(folder)
        finally:
            os.close(folder)
        if found is None:
            return True  # it went away under the reader: what it had read is not used
        if part:
            return found in (_below(self.old, part), _below(self.new, part))
        return all(
            self.old.get(name) == content or self.new.get(name) == content
            for name, content in found.items()
            if not name.startswith(tuple(folder + "/" for folder in FOLDERS))
        )


def read(folder: int) -> Tree | None:
    """The files and links below an opened folder, without the engine's own; None where one vanished meanwhile."""
    found: Tree = {}
    try:
        for path, folders, names, fd in os.fwalk(".", dir_fd=folder, onerror=_raise):
            for name in (*folders, *names):
                content = None if name.startswith(".anno") else _content(name, fd)
                if content is not None:
                    found[os.path.normpath(os.path.join(path, name))] = content
    except FileNotFoundError:
        return None
    return found


def _raise(error: OSError) -> None:
    raise error


def _content(name: str, folder: int) -> str | None:
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        return os.readlink(name, dir_fd=folder)
    if stat.S_ISDIR(mode):
        return None
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=folder), "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _below(tree: Tree, part: str) -> Tree:
    return {name[len(part) + 1 :]: content for name, content in tree.items() if name.startswith(part + "/")}


class Watch:
    """A process that looks again and again, from before the work until after it."""

    def __init__(self, judge: Judge, data: Path) -> None:
        self._stop_reader, self._stop = os.pipe()
        self._answer, answer_writer = os.pipe()
        ready_reader, ready_writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._stop)
                found: Counter[str] = Counter([judge.look(data)])
                os.write(ready_writer, b"!")
                os.set_blocking(self._stop_reader, False)
                while _is_open(self._stop_reader):
                    found[judge.look(data)] += 1
                os.write(answer_writer, json.dumps(found).encode())
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(1)
        for fd in (self._stop_reader, answer_writer, ready_writer):
            os.close(fd)
        os.read(ready_reader, 1)
        os.close(ready_reader)

    def end(self) -> Counter[str]:
        """How often it found what."""
        os.close(self._stop)
        with os.fdopen(self._answer, "rb") as stream:
            answer = stream.read()
        if os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1]) != 0:
            raise RuntimeError("the reader failed by itself, see above")
        return Counter(json.loads(answer))


def _is_open(fd: int) -> bool:
    try:
        return os.read(fd, 1) != b""
    except BlockingIOError:
        return True
