"""What people take for an image, told apart by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.file_kind import LOOKED_AT, file_kind

DATA = bytes(range(1, 256)) * 20
LAYER = "f2188196" * 8


def tar_with(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def zip_with(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"")
    return stream.getvalue()


EXT = bytes(1024 + 56) + b"\x53\xef" + DATA
KINDS = {
    "none": (b"", "is empty"),
    "zeros": (bytes(5000), "starts with zeros only"),
    "simg": (b"#!/usr/bin/env run-singularity\nhsqs" + DATA, "of Singularity 2, or a damaged one"),
    "squashfs": (b"hsqs" + DATA, "a bare squashfs file system"),
    "ext3": (EXT, "a bare ext3 file system"),
    "tar": (tar_with("sources.json"), "looks like a tar archive"),
    "data archive": (tar_with("variantDBs/clinvar/MD5SUM"), "looks like a tar archive"),
    "docker": (tar_with("manifest.json"), "a docker or OCI archive"),
    "docker layers": (tar_with(f"{LAYER}/layer.tar"), "a docker or OCI archive"),
    "oci": (tar_with("blobs/sha256/" + LAYER), "a docker or OCI archive"),
    "gzip": (gzip.compress(DATA), "gzip-compressed"),
    "bzip2": (bz2.compress(DATA), "bzip2-compressed"),
    "xz": (lzma.compress(DATA), "xz-compressed"),
    "zstd": (b"\x28\xb5\x2f\xfd" + DATA, "zstd-compressed"),
    "zip": (zip_with("anno.sif"), "a zip file"),
    "program": (b"\x7fELF" + DATA, "a program"),
    "doctype": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page"),
    "html": (b"<html><body>404</body></html>", "an HTML page"),
    "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML (an object store's error"),
    "json": (b'{"message": "401 Unauthorized"}', 'JSON (a server\'s answer instead of the image?): \'{"message"'),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "is a git-lfs pointer"),
    "text": ("blå grøt ".encode() * 100, "looks like text: 'blå grøt"),
    "lines": (b"\n\n\n", "looks like text"),
    "data": (DATA, "is unknown data of 5100 bytes"),
}


@pytest.mark.parametrize(("content", "kind"), KINDS.values(), ids=KINDS)
def test_a_file_is_told_by_its_start(content: bytes, kind: str) -> None:
    assert kind in file_kind(content[:LOOKED_AT], len(content))


def test_a_character_cut_in_two_is_still_text() -> None:
    content = "grøt" * 1000
    assert "text" in file_kind(content.encode()[:LOOKED_AT], len(content))
    assert "text" in file_kind(content.encode()[: LOOKED_AT - 1], len(content))
