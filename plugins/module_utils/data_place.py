# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a data folder can take in packages: their places, the rights of this user, the room on its file system."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ansible_collections.ousamg.anno.plugins.module_utils import generation, trash
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import DATA_READY, ArchivePackage
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership, is_folder, is_there
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Store
from ansible_collections.ousamg.anno.plugins.module_utils.package_folder import inner_package
from ansible_collections.ousamg.anno.plugins.module_utils.progress import size

_FS_BLOCK = 4096


class PlaceError(AnnoError):
    """The data folder cannot take in these packages."""


def check_place(store: Store, package: ArchivePackage, archive: str) -> None:
    """The package's folder is one of the data folder's own, and no other package's."""
    path = store.data
    parts = package.destination.split("/")
    for depth, part in enumerate(parts, 1):
        path = os.path.join(path, part)
        if not is_there(path):
            return
        if not is_folder(path):
            found = "it is a symbolic link" if os.path.islink(path) else "it is a file"
            todo = "Move what it stands for into the data folder."
            raise PlaceError(path, found, f"a folder, for the package {package.label} of {archive}", todo)
        if generation.is_mount_point(path):
            raise _mounted(path, package, archive)
        if depth < len(parts) and is_there(os.path.join(path, DATA_READY)):
            found = f"it is a package's folder itself, and {package.label} of {archive} would lie inside of it"
            raise PlaceError(path, found, "packages beside each other", "Correct the destination of one of them.")
    if mounts := generation.mounts_below(path):
        raise _mounted(mounts[0], package, archive)
    if inner := inner_package(path):
        found = f"another package's folder, {os.path.relpath(inner, path)}, lies inside of it"
        todo = f"Correct the destination of one of them: replacing {package.label} would remove the other."
        raise PlaceError(path, found, "packages beside each other", todo)


def _mounted(path: str, package: ArchivePackage, archive: str) -> PlaceError:
    """A switch would take along what is mounted: prune would empty it one day, and a reboot lay it over the new one."""
    expected = f"a folder on the file system of the data folder, for the package {package.label} of {archive}"
    todo = "Unmount it and put what it holds in its place, or have the whole data folder on one file system."
    return PlaceError(path, "it is a mount point", expected, todo)


def check_space(store: Store, files: int, total: int) -> None:
    # The state folder is on the same file system, but may not be there yet; what lies above may be another one's.
    status = os.statvfs(store.data)
    # What a killed run left is removed before anything is unpacked.
    free = status.f_bavail * status.f_frsize + sum(_own_bytes(path) for path in (store.next, *trash.paths(store)))
    # Half a block is lost per file on average; the lists and the links' folders are small beside that.
    needed = total + files * _FS_BLOCK
    if needed > free:
        todo = "Free space on this file system: older generations and archives are the first to look at."
        raise PlaceError(store.data, f"{size(free)} are free on its file system", f"{size(needed)}", todo)


def _own_bytes(folder: str) -> int:
    """What removing a folder gives back, in bytes: that of the files which have no other name, and which this user may
    remove."""
    walk = ((path, names) for path, _folders, names in os.walk(folder) if _is_own(path))
    statuses = (os.lstat(os.path.join(path, name)) for path, names in walk for name in names)
    return sum(status.st_blocks * 512 for status in statuses if status.st_nlink == 1)


def _is_own(folder: str) -> bool:
    """Whether this user may remove what is in it; remove_tree() makes its own folders writable."""
    return os.stat(folder).st_uid == os.geteuid() or os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def check_rights(store: Store) -> None:
    """What the switch will need is asked for now, before anything was built."""
    # A run of another user, as root once, leaves the state folder his.
    states = (path for path in (store.state, store.generations) if os.path.isdir(path))
    for path in (store.data, *(() if store.inside else (os.path.dirname(store.data),)), *states):
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            todo = f"Run as the service user, or have the owner run: chmod u+rwx,g+rwx {path}"
            raise PlaceError(path, "this user may not write there", "a folder of the service user", todo)


def check_ownership(ownership: Ownership) -> None:
    """This user may give files to that owner and group (chown(2)); it would show when the first one is unpacked."""
    if _has_cap_chown():
        return
    groups = {-1, os.getegid(), *os.getgroups()}
    for kind, number, allowed in (("owner", ownership.uid, {-1, os.geteuid()}), ("group", ownership.gid, groups)):
        if number not in allowed:
            own = ", ".join(str(own) for own in sorted(allowed - {-1}))
            found = f"this user may not give files to the {kind} with the number {number}"
            todo = f"Leave {kind} out, run as root, or run as a user of that {kind}."
            raise PlaceError(kind, found, f"one that this user may give files to: {own}", todo)


def _has_cap_chown() -> bool:
    """capabilities(7): root in a container may lack it."""
    try:
        with open("/proc/self/status", encoding="utf-8") as stream:
            effective = next(line for line in stream if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return os.geteuid() == 0
    return bool(int(effective.split()[1], 16) & 1)


def check_parts(store: Store, destinations: Sequence[str]) -> None:
    """Package by package needs more rights than the exchange of the whole folder."""
    for destination in destinations:
        path = os.path.join(store.data, destination)
        for folder in (path, os.path.dirname(path)):
            if is_folder(folder) and not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                todo = f"Have the owner run: chmod u+rwx,g+rwx {folder}"
                raise PlaceError(folder, "this user may not move what is in it", "a folder of the service user", todo)
