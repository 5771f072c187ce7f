# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Singularity images (SIF files) without Singularity.

``apptainer sif list`` accepts a truncated image, so every extent is checked against the file's size here.

Format: https://github.com/sylabs/sif, pkg/sif. All numbers are little-endian. A file has a global header, a
table of descriptors (one per data object, used or not) and the data objects themselves. One of these is the
primary system partition: the file system that a container runs from.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import struct
import subprocess
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

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
_SQUASHFS_MAGIC = b"hsqs"
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
_PARTITION_TYPE = _FIRST_TYPE + _TYPES.index("FS")
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

_COPY_AGAIN = "Fetch or copy the image again and compare its checksum."
_VERSION_FILES = {"ella_anno": "/anno/version", "anno_targets": "/anno-targets/version"}
# Without FUSE Singularity unpacks the whole image before it runs anything.
_EXEC_TIMEOUT = 300.0


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


class _Header(NamedTuple):
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
        descriptors = _read_descriptors(fd, path, size, header)
        primary = _primary(fd, path, descriptors)
    return SifInfo(
        path=path,
        size=size,
        launch=_text(header.launch).strip(),
        version=_text(header.version),
        arch=_arch(header.arch),
        uuid=str(uuid.UUID(bytes=header.uuid)),
        created=_time(path, header.created),
        descriptors=descriptors,
        primary=primary,
    )


def read_versions(path: str, singularity: str, timeout: float = _EXEC_TIMEOUT) -> dict[str, str]:
    """The tags of ella-anno and anno-targets, as the image itself states them.

    :param singularity: the executable, a path or a name on PATH. It runs once per version file.
    :param timeout: seconds for each run.
    Raises SifError where the image cannot be run or holds no such file.
    """
    return {
        name: _tag(path, file, _cat(path, singularity, file, timeout)) for name, file in _VERSION_FILES.items()
    }


def _read_header(fd: int, path: str, size: int) -> _Header:
    start = os.pread(fd, 512, 0)
    if start[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        found = f"{_looks_like(start, size)}, without the SIF magic"
        raise SifError(path, found, "a Singularity image (SIF)", _COPY_AGAIN)
    if len(start) < _HEADER.size:
        found = f"is too short for a SIF header: {size} bytes"
        raise SifError(path, found, f"at least {_HEADER.size} bytes", _COPY_AGAIN)
    header = _Header(*_HEADER.unpack_from(start))
    if _text(header.version) != _VERSION:
        found = f"is a SIF file of version {_text(header.version)!r}"
        todo = "Build the image with a release of Singularity or Apptainer."
        raise SifError(path, found, f"version {_VERSION!r}", todo)
    return header


def _read_descriptors(fd: int, path: str, size: int, header: _Header) -> tuple[Descriptor, ...]:
    """The used descriptors, each of whose data lie within the file."""
    total, offset = header.total, header.table_offset
    if not 1 <= total <= _MAX_DESCRIPTORS or not 0 <= header.free <= total:
        raise SifError(
            path,
            f"its header counts {total} descriptors of which {header.free} are free",
            f"1 to {_MAX_DESCRIPTORS} descriptors, and no more free ones",
            _COPY_AGAIN,
        )
    needed = total * _DESCRIPTOR.size
    if header.table_size < needed:
        found = f"its header gives {header.table_size} bytes to {total} descriptors"
        raise SifError(path, found, f"{needed} bytes", _COPY_AGAIN)
    if offset < _HEADER.size or offset + needed > size:
        raise SifError(
            path,
            f"its descriptors would be at bytes {offset} to {offset + needed} of a file of {size} bytes",
            "descriptors after the header and within the file",
            _COPY_AGAIN,
        )
    table = _read_at(fd, path, offset, needed)
    used = [fields for fields in _DESCRIPTOR.iter_unpack(table) if fields[1]]
    if len(used) != total - header.free:
        found = f"{len(used)} descriptors are in use, its header says {total - header.free}"
        raise SifError(path, found, "that both agree", _COPY_AGAIN)
    descriptors = tuple(_descriptor(*fields) for fields in used)
    for item in descriptors:
        _check_extent(path, size, item)
    return descriptors


def _check_extent(path: str, size: int, item: Descriptor) -> None:
    end = item.offset + item.size
    if item.offset < _HEADER.size or item.size < 0:
        raise SifError(
            path,
            f"data object {item.id} ({item.type}) claims {item.size} bytes at byte {item.offset}",
            "data after the header",
            _COPY_AGAIN,
        )
    if end > size:
        raise SifError(
            path,
            f"is truncated: {end - size} bytes of data object {item.id} ({item.type}) are missing",
            f"at least {end} bytes, not {size}",
            _COPY_AGAIN,
        )


def _descriptor(*fields: Any) -> Descriptor:
    kind, _used, number, group, link, offset, size = fields[:7]
    name, extra = fields[12:]
    item = Descriptor(
        id=number,
        type=_TYPES[kind - _FIRST_TYPE] if 0 <= kind - _FIRST_TYPE < len(_TYPES) else f"unknown ({kind})",
        group=group & ~_GROUP_BITS or None,
        link=_link(link),
        offset=offset,
        size=size,
        name=_text(name),
    )
    if kind != _PARTITION_TYPE:
        return item
    fs_type, partition_type, arch = _PARTITION.unpack_from(extra)
    return item._replace(
        fs_type=_FS_TYPES.get(fs_type, f"unknown ({fs_type})"),
        partition_type=_PARTITION_KINDS.get(partition_type, f"unknown ({partition_type})"),
        arch=_arch(arch),
    )


def _primary(fd: int, path: str, descriptors: tuple[Descriptor, ...]) -> Descriptor:
    """The one primary system partition."""
    candidates = [item for item in descriptors if item.partition_type == _PRIMARY]
    if len(candidates) != 1:
        ids = ", ".join(str(item.id) for item in candidates)
        several = f"has {len(candidates)} primary system partitions (data objects {ids})"
        raise SifError(
            path,
            several if candidates else "has no primary system partition",
            "exactly one, the file system that the container runs from",
            "Build the image anew with `singularity build`, or copy it again.",
        )
    (primary,) = candidates
    if primary.fs_type == _FS_SQUASHFS and _read_at(fd, path, primary.offset, 4) != _SQUASHFS_MAGIC:
        raise SifError(
            path,
            f"its primary partition (data object {primary.id}) is no squashfs file system",
            f"the squashfs magic {_SQUASHFS_MAGIC.decode()!r} at byte {primary.offset}",
            _COPY_AGAIN,
        )
    return primary


def _looks_like(start: bytes, size: int) -> str:
    """What a file is that is no SIF file, as a clause."""
    text = start.lstrip().lower()
    if size == 0:
        return "is empty"
    if not start.strip(b"\0"):
        return "starts with zeros only (a transfer that was cut off?)"
    if start.startswith(b"\x1f\x8b"):
        return "looks like gzip-compressed data"
    if start.startswith(_SQUASHFS_MAGIC):
        return "looks like a bare squashfs file system"
    if start[257:262] == b"ustar":
        return "looks like a tar archive (a docker image?)"
    if text.startswith((b"<!doctype html", b"<html")):
        return "looks like an HTML page (an error page instead of the image?)"
    if text.startswith(b"<?xml"):
        return "looks like XML (an object store's error instead of the image?)"
    if _is_text(start):
        return f"looks like text ({start[:40].decode(errors='replace').splitlines()[0]!r} …)"
    return f"is unknown data of {size} bytes"


def _is_text(start: bytes) -> bool:
    # The last character may be cut in two.
    text = start.decode("utf-8", errors="ignore")
    whole = len(text.encode()) >= len(start) - 3
    return whole and all(sign.isprintable() or sign in "\n\r\t" for sign in text)


def _read_at(fd: int, path: str, offset: int, size: int) -> bytes:
    data = os.pread(fd, size, offset)
    if len(data) < size:
        found = f"ends {size - len(data)} bytes too early at byte {offset + len(data)}"
        raise SifError(path, found, "a complete image that nobody is writing to", _COPY_AGAIN)
    return data


def _link(link: int) -> str | None:
    if not link:
        return None
    return f"{link & ~_GROUP_BITS} (G)" if link & _GROUP_BITS == _GROUP_BITS else str(link)


def _arch(code: bytes) -> str:
    return _ARCHES.get(_text(code), "unknown")


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", errors="replace")


def _time(path: str, seconds: int) -> str:
    try:
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    except OverflowError:
        found = f"its header gives {seconds} seconds since 1970 as the time of creation"
        raise SifError(path, found, "a time of this age", _COPY_AGAIN) from None
    return moment.isoformat().replace("+00:00", "Z")


def _cat(path: str, singularity: str, file: str, timeout: float) -> str:
    command = [singularity, "exec", os.path.abspath(path), "cat", file]
    with subprocess.Popen(
        command,
        # The caller's folder need not exist in the container.
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A group of its own, so that what Singularity starts can be ended with it.
        start_new_session=True,
    ) as process:
        try:
            output, messages = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            problem = f"gave no answer in {timeout:g} seconds"
        else:
            if process.returncode == 0:
                return output.decode(errors="replace")
            problem = f"ended with {process.returncode}: {_reason(messages)}"
    found = f"`{' '.join(command)}` {problem}"
    raise SifError(path, found, "the content of the file", "Run the command by hand on this host.")


def _reason(messages: bytes) -> str:
    """Singularity's last messages that are more than information: a reason may have several lines."""
    lines = [line.strip() for line in messages.decode(errors="replace").splitlines()]
    reasons = [line for line in lines if line and not line.startswith(("INFO", "DEBUG"))]
    return " / ".join(reasons[-3:]) or "no message"


def _tag(path: str, file: str, content: str) -> str:
    """The tag in a version file: JSON with the key ``tag``, or the tag alone."""
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = {"tag": content.strip()}
    tag = parsed.get("tag") if isinstance(parsed, dict) else None
    if not isinstance(tag, str) or len(tag.split()) != 1:
        found = f"{file} in the image holds {content[:80]!r}"
        todo = "Build the image anew from a tagged commit."
        raise SifError(path, found, "JSON with a tag, or a tag alone", todo)
    return tag
