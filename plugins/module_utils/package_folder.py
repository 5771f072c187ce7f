# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package folders of a data folder: which there are, and whether one is whole, as far as names and sizes tell.

A package's folder is one with a ``DATA_READY`` at its root; its ``MD5SUM`` lists every other regular file of it.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import (
    DATA_READY,
    MD5SUM,
    ArchiveError,
    md5_lines,
    parse_ready,
    stays_inside,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import read_text
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.folder_names import Ready

_MAKE_ANEW = "Make the package anew, with its MD5SUM and DATA_READY."
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


class PackageError(AnnoError):
    """A package folder is not whole, or holds what no archive may."""


class Node(NamedTuple):
    """Something in a package: its path below the data folder, its status, and a symbolic link's target."""

    name: str
    status: os.stat_result
    link: str = ""


class PackageFolder(NamedTuple):
    """A whole package. ``nodes`` are its folder and everything in it, ``ready`` what its ``DATA_READY`` says; ``texts``
    are this file and its ``MD5SUM``, ``md5`` the digests of the latter (16 bytes), both by path below the data
    folder."""

    destination: str
    nodes: tuple[Node, ...]
    ready: Ready
    texts: Mapping[str, bytes]
    md5: Mapping[str, bytes]


def find_packages(data: str) -> dict[str, Ready]:
    """The complete packages: path of the folder below ``data`` → what its DATA_READY says. Raises OSError.

    Hidden folders at the top hold no live data: ``.anno`` is the state of data_unpack on a mount point, and ``.tmp``
    what ella-anno's own unpacking leaves when it is killed.
    """
    found = {}
    for folder, folders, files in os.walk(data, onerror=_raise):
        if folder == data:
            folders[:] = [name for name in folders if not name.startswith(".")]
        elif DATA_READY in files:
            folders.clear()
            found[os.path.relpath(folder, data)] = parse_ready(read_text(os.path.join(folder, DATA_READY)))
    return found


def inner_package(folder: str) -> str | None:
    """A package's folder inside of this one, None where there is none."""
    return next((path for path, _folders, files in os.walk(folder) if path != folder and DATA_READY in files), None)


def read_package(data: str, destination: str) -> PackageFolder:
    """Look at everything in a package folder. Raises PackageError for what no archive may hold, FolderError or OSError.

    The contents of its files are not read: whether they are those of ``MD5SUM`` is found when they are packed.
    """
    root = os.path.join(data, destination)
    nodes = (Node(destination, os.lstat(root)), *_walk(data, destination, destination))
    files = {node.name[len(destination) + 1 :] for node in nodes if stat.S_ISREG(node.status.st_mode)}
    for name in (DATA_READY, MD5SUM):
        if name not in files:
            found = f"the package folder has no file {name}"
            raise PackageError(root, found, "a complete package", _MAKE_ANEW)
    place = os.path.join(root, MD5SUM)
    texts = {name: read_text(os.path.join(root, name)) for name in (DATA_READY, MD5SUM)}
    md5 = _read_md5sum(texts[MD5SUM], place, destination)
    listed = {name[len(destination) + 1 :] for name in md5}
    for name in sorted(listed - files):
        raise PackageError(place, f"it lists {name!r}, and there is no such file", "every listed file", _MAKE_ANEW)
    for name in sorted(files - listed - {MD5SUM, DATA_READY}):
        found = f"it is not in {MD5SUM}, so nothing says whether it is whole"
        todo = f"Remove it where it does not belong to the package. {_MAKE_ANEW}"
        raise PackageError(os.path.join(root, name), found, "a checksum for every file", todo)
    contents = {f"{destination}/{name}": text.encode() for name, text in texts.items()}
    return PackageFolder(destination, nodes, parse_ready(texts[DATA_READY]), contents, md5)


def check_apart(destinations: Iterable[str], where: str) -> None:
    """Packages lie beside each other, not in each other: replacing one must not touch another."""
    places = set(destinations)
    for inner in sorted(places):
        outer = posixpath.dirname(inner)
        while outer:
            if outer in places:
                found = f"the package folder {inner} lies inside the package folder {outer}"
                raise PackageError(where, found, "folders beside each other", "Correct the destination of one of them.")
            outer = posixpath.dirname(outer)


def _read_md5sum(text: str, place: str, destination: str) -> dict[str, bytes]:
    try:
        return {posixpath.join(destination, name): digest for name, digest in md5_lines(text.encode(), place)}
    except ArchiveError as error:
        raise PackageError(error.path, error.found, error.expected, _MAKE_ANEW) from None


def _walk(data: str, folder: str, destination: str) -> Iterator[Node]:
    with os.scandir(os.path.join(data, folder)) as entries:
        for entry in entries:
            node = _node(data, f"{folder}/{entry.name}", entry.stat(follow_symlinks=False), destination)
            yield node
            if stat.S_ISDIR(node.status.st_mode):
                yield from _walk(data, node.name, destination)


def _node(data: str, name: str, status: os.stat_result, destination: str) -> Node:
    path = os.path.join(data, name)
    kind = stat.S_IFMT(status.st_mode)
    if kind in _KINDS:
        raise PackageError(path, f"it is {_KINDS[kind]}", "files, folders and links", "Remove it from the package.")
    link = os.readlink(path) if kind == stat.S_IFLNK else ""
    if not _is_plain(name) or not _is_plain(link):
        raise PackageError(ascii(path), "its name or target is not plain text", "UTF-8 without newlines", _MAKE_ANEW)
    if link and not stays_inside(name, link, destination):
        todo = "Put what it points to into the package, or remove it."
        raise PackageError(path, f"the symbolic link points out of its package, to {link!r}", "a target in it", todo)
    if kind == stat.S_IFREG and posixpath.basename(name) == DATA_READY and posixpath.dirname(name) != destination:
        found = f"another package's folder lies inside of {destination}"
        raise PackageError(posixpath.dirname(path), found, "packages beside each other", "Move it out of there.")
    if kind == stat.S_IFREG and not os.access(path, os.R_OK, effective_ids=True, follow_symlinks=False):
        todo = "Run as the service user, or have the owner grant the permission."
        raise PackageError(path, "this user may not read it", "readable data", todo)
    return Node(name, status, link)


def _is_plain(name: str) -> bool:
    """os.fsdecode() keeps bytes that are not UTF-8 as surrogates, which nothing but a path can hold."""
    return "\n" not in name and (name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name))


def _raise(error: OSError) -> None:
    raise error
