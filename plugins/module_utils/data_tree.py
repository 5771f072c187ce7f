# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that lies in a data folder: names, sizes, permissions and links; no file is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.annotation_file import unreadable
from ansible_collections.ousamg.anno.plugins.module_utils.problems import Problem, listed, problem

# "At least 774": the users of the data read, the service user and its group also write.
MODE = 0o774

_OWN = ".anno"  # how the engine's own names in a data folder begin


class Tree(NamedTuple):
    """Paths below the data folder. ``files`` are the regular files with their sizes, ``links`` the symbolic links,
    ``tight`` what lacks permissions, and ``closed`` the folders that could not be looked into, with the reason."""

    files: Mapping[str, int]
    links: Sequence[str]
    tight: Sequence[str]
    closed: Mapping[str, OSError]


def inspect(data: str) -> Tree:
    """Walk through a data folder; links are not followed. Raises OSError where the folder itself cannot be read."""
    files: dict[str, int] = {}
    links: list[str] = []
    tight: list[str] = [] if _is_open(os.stat(data)) else ["."]
    closed: dict[str, OSError] = {}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(data, folder)) as scan:
                entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in scan]
        except OSError as error:
            if not folder:
                raise
            closed[folder] = error
            continue
        for base, status in entries:
            name = f"{folder}/{base}" if folder else base
            if not folder and base.startswith(_OWN):
                continue
            if stat.S_ISLNK(status.st_mode):
                links.append(name)
                continue
            if not _is_open(status):
                tight.append(name)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(name)
            elif stat.S_ISREG(status.st_mode):
                files[name] = status.st_size
    return Tree(files, sorted(links), sorted(tight), closed)


def judge(data: str, tree: Tree) -> list[Problem]:
    """Links that lead nowhere or out, permissions, and folders that cannot be read."""
    problems = [unreadable(name, error) for name, error in tree.closed.items()]
    root = os.path.realpath(data)
    for name in tree.links:
        path = os.path.join(root, name)
        place = os.path.realpath(path)
        if not (place + os.sep).startswith(root + os.sep):
            found = f"the link leads out of the data folder, to {place}: a container that has the folder has it not"
            todo = "Put what it leads to into the data folder, or remove the link."
            problems.append(problem("link-outside", name, found, "links within the data folder", todo))
        elif not os.path.exists(path):
            found = f"the link leads to {os.readlink(path)}, and there is nothing"
            problems.append(problem("link-dangling", name, found, "what it leads to", "Fetch the package again."))
    if tree.tight:
        found = f"files and folders with fewer permissions than {MODE:04o}: {len(tree.tight)} ({listed(tree.tight)})"
        expected = "that the group may write them and everybody read them"
        problems.append(problem("permissions", ".", found, expected, f"Run `chmod -R u+rwx,g+rwx,o+rX` on {data}."))
    return problems


def _is_open(status: os.stat_result) -> bool:
    return status.st_mode & MODE == MODE
