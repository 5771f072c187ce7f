# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Singularity images (SIF files) without Singularity.

``apptainer sif list`` accepts a truncated image, so every extent is checked against the file's size here.

Format: https://github.com/sylabs/sif, pkg/sif. All numbers are little-endian. A file has a global header, a
table of descriptors (one per data object, used or not) and the data objects themselves. One of these is the
primary system partition: the file system that a container runs from.

What is found by itself: another kind of file, a truncated one, and changed bytes in what is needed to reach the data.
What is not: changed bytes in the data themselves, in names and times. A checksum finds these, or a signature in the
image (:mod:`sif_signature`).
"""

from __future__ import annotations

import os
import stat
import struct
import uuid
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import squashfs
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.file_kind import LOOKED_AT, file_kind

# launch script, magic, version, arch, uuid; created, modified, descriptors free and total, offset and size of
# the descriptor table, offset and size of the data.
_HEADER = struct.Struct("<32s10s3s3s16s8q")
# type, used, id, group, link; offset, size, size with padding, created, modified, uid, gid; name, extra.
_DESCRIPTOR = struct.Struct("<iBIII7q128s384s")
# At the start of a partition's extra: file system, kind of partition, arch.
_PARTITION = struct.Struct("<ii3s")

_MAGIC = b"SIF_MAGIC\0"
_MAGIC_AT = 32
_VERSION = "01"
# Set in a group number, and in a link that names a group and not a data object.
_GROUP_BITS = 0xF0000000
# Singularity makes 48; a damaged header must not make us read gigabytes.
_MAX_DESCRIPTORS = 4096

_FIRST_TYPE = 0x4001
_TYPES = (
    "Def.FILE",
    "Env.Vars",
    "JSON.Labels",
    "FS",
    "Signature",
    "JSON.Generic",
    "Generic/Raw",
    "Cryptographic Message",
    "SBOM",
    "OCI.RootIndex",
    "OCI.Blob",
)
_PARTITION_TYPE = "FS"
SIGNATURE_TYPE = "Signature"
_OCI_TYPE = "OCI.RootIndex"
_FS_TYPES = {1: "Squashfs", 2: "Ext3", 3: "Archive", 4: "Raw", 5: "Encrypted squashfs"}
_FS_SQUASHFS = "Squashfs"
_PARTITION_KINDS = {1: "System", 2: "*System", 3: "Data", 4: "Overlay"}
_PRIMARY = "*System"
_ARCHES = {
    "01": "386",
    "02": "amd64",
    "03": "arm",
    "04": "arm64",
    "05": "ppc64",
    "06": "ppc64le",
    "07": "mips",
    "08": "mipsle",
    "09": "mips64",
    "10": "mips64le",
    "11": "s390x",
    "12": "riscv64",
}
UNKNOWN = "unknown"

COPY_AGAIN = "Fetch or copy the image again and compare its checksum."


class SifError(AnnoError):
    """A file that is no complete, usable Singularity image."""


class Descriptor(NamedTuple):
    """One data object. ``type``, ``fs_type`` and ``partition_type`` are the words of ``apptainer sif list``.

    ``offset`` and ``size`` are bytes; ``link`` is the id of a data object, or of a group: ``1 (G)``. The last
    three fields are those of a partition.
    """

    id: int
    type: str
    group: int | None
    link: str | None
    offset: int
    size: int
    name: str
    fs_type: str | None = None
    partition_type: str | None = None
    arch: str | None = None


class SifInfo(NamedTuple):
    """An image. ``size``: of the file, in bytes; ``created``: ISO 8601, UTC; ``arch``: Go's name of it."""

    path: str
    size: int
    launch: str
    version: str
    arch: str
    uuid: str
    created: str
    descriptors: tuple[Descriptor, ...]
    primary: Descriptor
    header: Header
    raw: tuple[RawDescriptor, ...]


class Header(NamedTuple):
    """The global header as it lies in the file: texts with their padding, times in seconds since 1970, offsets and
    sizes in bytes."""

    launch: bytes
    magic: bytes
    version: bytes
    arch: bytes
    uuid: bytes
    created: int
    modified: int
    free: int
    total: int
    table_offset: int
    table_size: int
    data_offset: int
    data_size: int


class RawDescriptor(NamedTuple):
    """A descriptor as it lies in the file; ``type``, ``used``, ``group`` and ``link`` are numbers with their flags."""

    type: int
    used: int
    id: int
    group: int
    link: int
    offset: int
    size: int
    padded: int
    created: int
    modified: int
    uid: int
    gid: int
    name: bytes
    extra: bytes


def inspect_sif(path: str) -> SifInfo:
    """Read and check an image; at most its header, its descriptors and one superblock are read.

    Raises SifError for a file that is no complete image with one primary system partition.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        found = "is a folder" if stat.S_ISDIR(mode) else "is a device, a pipe or a socket"
        raise SifError(path, found, "a Singularity image, which is a regular file", "Check the path.")
    with open(path, "rb", buffering=0) as stream:
        fd = stream.fileno()
        size = os.fstat(fd).st_size
        header = _read_header(fd, path, size)
        raw = _read_descriptors(fd, path, size, header)
        descriptors = tuple(_descriptor(item) for item in raw)
        _check_extents(path, size, descriptors)
        primary = _primary(fd, path, descriptors)
    arch = _arch(header.arch)
    if UNKNOWN not in (arch, primary.arch) and arch != primary.arch:
        found = f"its header says that it is for {arch}, its primary partition for {primary.arch}"
        raise SifError(path, found, "that both agree", COPY_AGAIN)
    return SifInfo(
        path=path,
        size=size,
        launch=_text(header.launch).strip(),
        version=_text(header.version),
        arch=arch,
        uuid=str(uuid.UUID(bytes=header.uuid)),
        created=_time(path, header.created),
        descriptors=descriptors,
        primary=primary,
        header=header,
        raw=raw,
    )


def _read_header(fd: int, path: str, size: int) -> Header:
    start = os.pread(fd, LOOKED_AT, 0)
    if start[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        found = f"{file_kind(start, size)}, without the SIF magic"
        raise SifError(path, found, "a Singularity image (SIF)", COPY_AGAIN)
    if len(start) < _HEADER.size:
        found = f"is too short for a SIF header: {size} bytes"
        raise SifError(path, found, f"at least {_HEADER.size} bytes", COPY_AGAIN)
    header = Header(*_HEADER.unpack_from(start))
    if _text(header.version) != _VERSION:
        found = f"is a SIF file of version {_text(header.version)!r}"
        todo = "Build the image with a release of Singularity or Apptainer."
        raise SifError(path, found, f"version {_VERSION!r}", todo)
    return header


def _read_descriptors(fd: int, path: str, size: int, header: Header) -> tuple[RawDescriptor, ...]:
    """The descriptors that are in use, in the order of the table."""
    total, offset = header.total, header.table_offset
    if not 1 <= total <= _MAX_DESCRIPTORS or not 0 <= header.free <= total:
        raise SifError(
            path,
            f"its header counts {total} descriptors of which {header.free} are free",
            f"1 to {_MAX_DESCRIPTORS} descriptors, and no more free ones",
            COPY_AGAIN,
        )
    needed = total * _DESCRIPTOR.size
    if header.table_size < needed:
        found = f"its header gives {header.table_size} bytes to {total} descriptors"
        raise SifError(path, found, f"{needed} bytes", COPY_AGAIN)
    if offset < _HEADER.size or offset + needed > size:
        raise SifError(
            path,
            f"its descriptors would be at bytes {offset} to {offset + needed} of a file of {size} bytes",
            "descriptors after the header and within the file",
            COPY_AGAIN,
        )
    table = read_at(fd, path, offset, needed)
    used = tuple(RawDescriptor(*fields) for fields in _DESCRIPTOR.iter_unpack(table) if fields[1])
    if len(used) != total - header.free:
        found = f"{len(used)} descriptors are in use, its header says {total - header.free}"
        raise SifError(path, found, "that both agree", COPY_AGAIN)
    return used


def _check_extents(path: str, size: int, descriptors: tuple[Descriptor, ...]) -> None:
    """Each data object has its own number, and its own place within the file."""
    for item in descriptors:
        _check_extent(path, size, item)
    by_place = sorted(descriptors, key=lambda item: (item.offset, item.size))
    for one, other in zip(by_place, by_place[1:]):
        if other.offset < one.offset + one.size:
            found = f"data objects {one.id} ({one.type}) and {other.id} ({other.type}) overlap"
            raise SifError(path, found, "that each has its own place", COPY_AGAIN)
    if len({item.id for item in descriptors}) < len(descriptors):
        numbers = ", ".join(str(item.id) for item in descriptors)
        raise SifError(path, f"numbers its data objects {numbers}", "a number for each", COPY_AGAIN)


def _check_extent(path: str, size: int, item: Descriptor) -> None:
    end = item.offset + item.size
    if item.offset < _HEADER.size or item.size < 0:
        raise SifError(
            path,
            f"data object {item.id} ({item.type}) claims {item.size} bytes at byte {item.offset}",
            "data after the header",
            COPY_AGAIN,
        )
    if end > size:
        raise SifError(
            path,
            f"is truncated: {end - size} bytes of data object {item.id} ({item.type}) are missing",
            f"at least {end} bytes, not {size}",
            COPY_AGAIN,
        )


def _descriptor(raw: RawDescriptor) -> Descriptor:
    number = raw.type - _FIRST_TYPE
    item = Descriptor(
        id=raw.id,
        type=_TYPES[number] if 0 <= number < len(_TYPES) else f"{UNKNOWN} ({raw.type})",
        group=raw.group & ~_GROUP_BITS or None,
        link=_link(raw.link),
        offset=raw.offset,
        size=raw.size,
        name=_text(raw.name),
    )
    if item.type != _PARTITION_TYPE:
        return item
    fs_type, partition_type, arch = _PARTITION.unpack_from(raw.extra)
    return item._replace(
        fs_type=_FS_TYPES.get(fs_type, f"{UNKNOWN} ({fs_type})"),
        partition_type=_PARTITION_KINDS.get(partition_type, f"{UNKNOWN} ({partition_type})"),
        arch=_arch(arch),
    )


def _primary(fd: int, path: str, descriptors: tuple[Descriptor, ...]) -> Descriptor:
    """The one primary system partition."""
    candidates = [item for item in descriptors if item.partition_type == _PRIMARY]
    if len(candidates) != 1:
        ids = ", ".join(str(item.id) for item in candidates)
        found = f"has {len(candidates)} primary system partitions (data objects {ids})"
        if not candidates:
            found = "has no primary system partition"
            if any(item.type == _OCI_TYPE for item in descriptors):
                found += ": it is an OCI-SIF image, which only some releases of Singularity can run"
        raise SifError(
            path,
            found,
            "exactly one, the file system that the container runs from",
            "Build the image anew with `singularity build`, or copy it again.",
        )
    (primary,) = candidates
    _check_file_system(fd, path, primary)
    return primary


def _check_file_system(fd: int, path: str, primary: Descriptor) -> None:
    """Of the kinds that a container runs from nothing can be seen of an encrypted one."""
    problem = None
    if primary.fs_type == _FS_SQUASHFS:
        if primary.size < squashfs.SUPERBLOCK_SIZE:
            problem = f"has {primary.size} bytes only"
        else:
            superblock = read_at(fd, path, primary.offset, squashfs.SUPERBLOCK_SIZE)
            problem = squashfs.problem_of(superblock, primary.size)
    elif primary.fs_type is not None and primary.fs_type.startswith(UNKNOWN):
        problem = f"has a file system of an {primary.fs_type} kind"
    if problem is not None:
        found = f"its primary partition (data object {primary.id}, at byte {primary.offset}) {problem}"
        raise SifError(path, found, "a complete squashfs file system", COPY_AGAIN)


def read_at(fd: int, path: str, offset: int, size: int) -> bytes:
    data = os.pread(fd, size, offset)
    if len(data) < size:
        found = f"ends {size - len(data)} bytes too early at byte {offset + len(data)}"
        raise SifError(path, found, "a complete image that nobody is writing to", COPY_AGAIN)
    return data


def _link(link: int) -> str | None:
    if not link:
        return None
    return f"{link & ~_GROUP_BITS} (G)" if link & _GROUP_BITS == _GROUP_BITS else str(link)


def _arch(code: bytes) -> str:
    return _ARCHES.get(_text(code), UNKNOWN)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", errors="replace")


def _time(path: str, seconds: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        found = f"its header gives {seconds} seconds since 1970 as the time of creation"
        raise SifError(path, found, "a time of this age", COPY_AGAIN) from None
    return moment.isoformat().replace("+00:00", "Z")
