# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is being removed from the state folder of a data folder: first out of the way by one rename, then bit by bit.

What cannot be removed (another user's files are in it) only takes room: it is told, and is in nobody's way.
"""

from __future__ import annotations

import contextlib
import itertools
import os

from ansible_collections.ousamg.anno.plugins.module_utils.files import is_there, remove_tree
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Store

_PREFIX = "trash."


def paths(store: Store) -> list[str]:
    """The paths of what is being removed: nothing returns to it, and only its room is missing."""
    found = []
    for folder in (store.state, store.generations):
        with contextlib.suppress(FileNotFoundError):
            found += [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(_PREFIX)]
    return sorted(found)


def left(store: Store) -> list[str]:
    """The same for who can do without it: nothing where the state folder cannot be looked into."""
    with contextlib.suppress(OSError):
        return paths(store)
    return []


def discard(store: Store, path: str) -> None:
    """Out of the way by one rename, whatever its size; a full disk has room for that.

    A folder of another user may only get another name within its folder (rename(2)): then it stays there.
    """
    home = os.path.dirname(path)
    try:
        os.rename(path, _free_place(store.state, path))
    except PermissionError:
        if home == store.state:
            raise
        os.rename(path, _free_place(home, path))


def _free_place(folder: str, path: str) -> str:
    """Only a kill, or another user's files, leave something of this name."""
    place = os.path.join(folder, _PREFIX + os.path.basename(path))
    with contextlib.suppress(OSError):
        remove_tree(place)
    names = (place if number == 1 else f"{place}.{number}" for number in itertools.count(1))
    return next(name for name in names if not is_there(name))


def find(store: Store, inode: int) -> str | None:
    """Where the folder of this inode number was discarded to."""
    return next((path for path in paths(store) if os.lstat(path).st_ino == inode), None)


def empty(store: Store, *discarded: str) -> None:
    """Remove it, or just what was discarded from these paths, as far as this user may."""
    beginnings = tuple(_PREFIX + os.path.basename(path) for path in discarded)
    for path in left(store):
        if not beginnings or os.path.basename(path).startswith(beginnings):
            with contextlib.suppress(OSError):  # tried again by the next run
                remove_tree(path)


def remove_next(store: Store) -> None:
    """Remove a generation that was being built; half of it never counts as complete."""
    if is_there(store.next):
        discard(store, store.next)
        empty(store, store.next)


def warning(left: list[str]) -> str:
    """What to do about it, as a sentence."""
    return f"Not removed, another user's files are in it: {', '.join(left)}. Have root remove it."
