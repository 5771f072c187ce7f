# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error that a user reads: where, what was found, what was expected, what to do next."""

from __future__ import annotations

import errno
import os
from typing import Any


class AnnoError(Exception):
    """Base of the one error class that each module_util has.

    :param path: the file, folder, URL or variable that the error is about.
    :param found: what is there, as a clause ("the archive has no member PACKAGES").
    :param expected: what should be there, as a clause.
    :param todo: the next step for the person at the terminal, as a sentence.
    """

    def __init__(self, path: str, found: str, expected: str, todo: str) -> None:
        self.path = path
        self.found = found
        self.expected = expected
        self.todo = todo
        super().__init__(self.text())

    def text(self) -> str:
        return f"{self.path}: {self.found}. Expected: {self.expected}. What to do: {self.todo}"

    def result(self) -> dict[str, Any]:
        """The arguments of ``fail_json``: ``msg`` and its four parts. No key is ``path``: Ansible would add the
        owner, mode and size of what lies there."""
        return {
            "msg": self.text(),
            "where": self.path,
            "found": self.found,
            "expected": self.expected,
            "todo": self.todo,
        }


_ADVICE = {
    errno.ENOENT: ("something of this name", "Check the path and the inventory."),
    errno.EACCES: (
        "the right to do this",
        "Run as the service user, or have the owner of the path grant the permission.",
    ),
    errno.EPERM: ("the right to do this", "Have the owner of the path change it, or run as its owner."),
    errno.ENOSPC: ("free space on this file system", "Free space on this file system, then run again."),
    errno.EDQUOT: ("free quota", "Free quota on this file system, then run again."),
    errno.EROFS: ("a writable file system", "Have the file system mounted writable, then run again."),
    errno.EIO: ("a readable and writable disk", "Have the disk checked; copy the file there anew, then run again."),
    errno.ENOTDIR: ("a folder on the way to it", "Check the path and the inventory."),
    errno.EISDIR: ("a file", "Check the path and the inventory."),
}


def failure(error: AnnoError | OSError) -> dict[str, Any]:
    """The arguments of ``fail_json`` for whatever a module_util may raise."""
    if isinstance(error, AnnoError):
        return error.result()
    number = error.errno or 0
    expected, todo = _ADVICE.get(number, ("that the system allows this", "Mend the cause, then run again."))
    where = " -> ".join(_name(name) for name in (error.filename, error.filename2) if name is not None)
    found = f"{error.strerror or error} ({errno.errorcode.get(number, number)})"
    return AnnoError(where or "operating system", found, expected, todo).result()


def _name(name: Any) -> str:
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else str(name)
