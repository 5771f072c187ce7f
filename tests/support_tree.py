"""A folder tree as a value: what a failure, a dry run or a second run must not change."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Node(NamedTuple):
    """One path of a tree; ``content`` is a file's SHA-256 or a symbolic link's target, '' for the rest."""

    kind: str
    mode: int
    mtime_ns: int
    content: str


def snapshot(path: str | Path) -> dict[str, Node]:
    """Everything below a folder, by relative path; the folder itself is not in it. The time of an engine's state folder
    (``.data.anno``) is left out: the lock comes and goes in it."""
    found: dict[str, Node] = {}
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            place = os.path.join(folder, name)
            found[os.path.relpath(place, path)] = _node(place)
    return found


def contents(path: str | Path) -> dict[str, str]:
    """What a reader of the tree sees: its files and links, without times, modes and the engine's own files."""
    return {
        name: node.content
        for name, node in snapshot(path).items()
        if node.kind != "folder" and not os.path.basename(name).startswith(".anno")
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The paths that are new, gone or not the same in two snapshots."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _node(path: str) -> Node:
    status = os.lstat(path)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return Node("link", mode, status.st_mtime_ns, os.readlink(path))
    if stat.S_ISDIR(status.st_mode):
        return Node("folder", mode, 0 if path.endswith(".anno") else status.st_mtime_ns, "")
    if stat.S_ISREG(status.st_mode):
        return Node("file", mode, status.st_mtime_ns, hashlib.sha256(Path(path).read_bytes()).hexdigest())
    return Node("other", mode, status.st_mtime_ns, "")


if __name__ == "__main__":
    json.dump(snapshot(sys.argv[1]), sys.stdout, indent=0, sort_keys=True)
