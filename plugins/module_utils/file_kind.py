# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file is that was taken for an image, in words for whoever has to find out how it came there."""

from __future__ import annotations

from ansible_collections.ousamg.anno.plugins.module_utils import squashfs

# Bytes from the start of a file that tell what it is: ext's superblock is at 1024.
LOOKED_AT = 2048
_EXT_MAGIC = b"\x53\xef"
_EXT_MAGIC_AT = 1024 + 56
_TAR_MAGIC = b"ustar"
_TAR_MAGIC_AT = 257
_LAUNCH = b"#!/usr/bin/env run-singularity\n"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_STARTS = (
    (_LAUNCH, "starts as a Singularity image (of Singularity 2, or a damaged one)"),
    (b"\x1f\x8b", "looks like gzip-compressed data"),
    (b"\x28\xb5\x2f\xfd", "looks like zstd-compressed data"),
    (b"\xfd7zXZ\0", "looks like xz-compressed data"),
    (b"BZh", "looks like bzip2-compressed data"),
    (b"PK\x03\x04", "looks like a zip file"),
    (squashfs.MAGIC, "looks like a bare squashfs file system"),
    (b"\x7fELF", "looks like a program (ELF)"),
    (_LFS_POINTER, "is a git-lfs pointer, not the file that it stands for (`git lfs pull` fetches that)"),
)
# What the first members of a tar file that `docker save` or `skopeo copy` wrote are called.
_DOCKER_NAMES = (b"manifest.json\0", b"repositories\0", b"oci-layout\0", b"index.json\0", b"blobs/")
_DOCKER_LAYER = 64


def file_kind(start: bytes, size: int) -> str:
    """What a file is, as a clause.

    :param start: its first bytes, LOOKED_AT or as many as there are.
    :param size: its size in bytes.
    """
    if size == 0:
        return "is empty"
    if not start.strip(b"\0"):
        return "starts with zeros only (a transfer that was cut off?)"
    for magic, words in _STARTS:
        if start.startswith(magic):
            return words
    if start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
        return f"looks like {'a docker or OCI archive' if _is_docker(start[:100]) else 'a tar archive'}"
    if start[_EXT_MAGIC_AT : _EXT_MAGIC_AT + len(_EXT_MAGIC)] == _EXT_MAGIC:
        return "looks like a bare ext3 file system"
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "looks like an HTML page (an error page instead of the image?)"
    if text.startswith(b"<?xml"):
        return "looks like XML (an object store's error instead of the image?)"
    if _is_text(start):
        kind = "JSON (a server's answer instead of the image?)" if text.startswith((b"{", b"[")) else "text"
        return f"looks like {kind}: {start[:40].decode(errors='replace').splitlines()[0]!r} …"
    return f"is unknown data of {size} bytes"


def _is_docker(name: bytes) -> bool:
    layer = name.split(b"/", 1)[0]
    return name.startswith(_DOCKER_NAMES) or (
        len(layer) == _DOCKER_LAYER and not layer.strip(b"0123456789abcdef")
    )


def _is_text(start: bytes) -> bool:
    # The last character may be cut in two.
    text = start.decode("utf-8", errors="ignore")
    whole = len(text.encode()) >= len(start) - 3
    return whole and all(sign.isprintable() or sign in "\n\r\t" for sign in text)
