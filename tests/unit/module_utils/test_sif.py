"""Real images, real images with single bytes changed, and things that are no image at all."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.sif import SifError, inspect_sif
from support_sif import patch

IMAGES = Path(__file__).resolve().parents[2] / "fixtures" / "images"
V310 = IMAGES / "anno-v3.1.0.sif"

HEADER = 128
TABLE = 4096
ENTRY = 585
ENTRIES = 48
# Offsets in the header.
VERSION, ARCH, CREATED, FREE, TOTAL, TABLE_OFFSET, TABLE_SIZE = 42, 45, 64, 80, 88, 96, 104
# Offsets in a descriptor.
TYPE, USED, ID, GROUP, LINK, OFFSET, SIZE, NAME, EXTRA = 0, 4, 5, 9, 13, 17, 25, 73, 201
PARTITION = TABLE + 2 * ENTRY  # the third data object of the image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    path = tmp_path / "anno.sif"
    path.write_bytes(V310.read_bytes())
    return path


def number(value: int) -> bytes:
    return struct.pack("<q", value)


def error_of(path: Path) -> SifError:
    with pytest.raises(SifError) as caught:
        inspect_sif(str(path))
    error = caught.value
    assert error.path == str(path)
    assert all((error.found, error.expected, error.todo))
    return error


def test_a_real_image_is_described_as_sif_list_describes_it() -> None:
    info = inspect_sif(str(V310))
    assert (info.version, info.arch, info.created, info.size) == ("01", "amd64", "2026-11-24T03:13:08Z", 40960)
    assert info.launch == "#!/usr/bin/env run-singularity"
    assert info.uuid == "f2188196-8fc3-4a8b-b8e4-8c07718d6fa5"
    assert [(d.id, d.type, d.group, d.link, d.offset, d.offset + d.size) for d in info.descriptors] == [
        (1, "Def.FILE", 1, None, 32176, 32211),
        (2, "JSON.Generic", 1, None, 32211, 34396),
        (3, "FS", 1, None, 36864, 40960),
    ]
    assert [d.name for d in info.descriptors] == ["", "inspect-metadata.json", ""]
    assert info.primary == info.descriptors[2]
    assert (info.primary.fs_type, info.primary.partition_type, info.primary.arch) == (
        "Squashfs",
        "*System",
        "amd64",
    )
    assert info.descriptors[0].fs_type is None


def test_every_image_of_the_fixtures_is_valid() -> None:
    images = sorted(IMAGES.glob("*.sif"))
    assert len(images) >= 2
    assert len({inspect_sif(str(path)).uuid for path in images}) == len(images)


def test_other_architectures_and_links_have_names(image: Path) -> None:
    patch(image, ARCH, b"99\0")
    patch(image, PARTITION + EXTRA + 8, b"04\0")
    patch(image, TABLE + ENTRY + LINK, struct.pack("<I", 0xF0000001))
    patch(image, TABLE + LINK, struct.pack("<I", 3))
    patch(image, TABLE + GROUP, struct.pack("<I", 0xF0000000))
    patch(image, TABLE + TYPE, struct.pack("<i", 0x7777))
    info = inspect_sif(str(image))
    assert info.arch == "unknown"
    assert info.primary.arch == "arm64"
    assert [d.link for d in info.descriptors] == ["3", "1 (G)", None]
    assert [d.group for d in info.descriptors] == [None, 1, 1]
    assert info.descriptors[0].type == f"unknown ({0x7777})"


def test_another_launch_script_is_no_error(image: Path) -> None:
    patch(image, 0, b"#!/bin/false\n".ljust(32, b"\0"))
    assert inspect_sif(str(image)).launch == "#!/bin/false"


def test_an_image_without_a_time_is_no_error(image: Path) -> None:
    # What a reproducible build writes: the zero time of Go.
    patch(image, CREATED, number(-62135596800))
    assert inspect_sif(str(image)).created == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63), 2**50])
def test_an_impossible_time_is_refused(image: Path, seconds: int) -> None:
    patch(image, CREATED, number(seconds))
    assert str(seconds) in error_of(image).found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is empty, without the SIF magic"),
        (b"hsqs" + bytes(range(256)) * 20, "squashfs"),
        (b"#!/usr/bin/env run-singularity\n\0NO_MAGIC\0\0" + bytes(range(256)) * 20, "starts as a Singularity image"),
        (V310.read_bytes()[:40], "starts as a Singularity image"),
    ],
    # Short and the same in every process, which the contents are not.
    ids=["none", "squashfs", "magic", "cut"],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "anno.sif"
    path.write_bytes(content)
    error = error_of(path)
    assert found in error.found
    assert "magic" in error.found


def test_a_lone_magic_is_too_short(image: Path) -> None:
    os.truncate(image, 100)
    assert "too short" in error_of(image).found


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    assert "folder" in error_of(tmp_path).found
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "pipe" in error_of(pipe).found
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert "socket" in error_of(tmp_path / "socket").found


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspect_sif(str(tmp_path / "anno.sif"))


def test_an_unsupported_version_is_refused(image: Path) -> None:
    patch(image, VERSION, b"02\0")
    assert "'02'" in error_of(image).found


@pytest.mark.parametrize(
    ("total", "free"), [(0, 0), (-1, -1), (10**9, 0), (2**63 - 1, 0), (4097, 4094), (48, 49), (48, -1)]
)
def test_implausible_counts_are_refused_without_reading_them(image: Path, total: int, free: int) -> None:
    patch(image, TOTAL, number(total))
    patch(image, FREE, number(free))
    begin = time.monotonic()
    assert f"counts {total} descriptors" in error_of(image).found
    assert time.monotonic() - begin < 1


def test_a_count_that_the_table_contradicts_is_refused(image: Path) -> None:
    patch(image, FREE, number(44))
    assert error_of(image).found == "3 descriptors are in use, its header says 4"


def test_a_table_smaller_than_its_entries_is_refused(image: Path) -> None:
    patch(image, TABLE_SIZE, number(ENTRY))
    assert error_of(image).expected == f"{ENTRIES * ENTRY} bytes"


@pytest.mark.parametrize("offset", [-1, 0, 127, 40000, 2**62])
def test_a_table_outside_the_file_is_refused(image: Path, offset: int) -> None:
    patch(image, TABLE_OFFSET, number(offset))
    assert str(offset) in error_of(image).found


@pytest.mark.parametrize("missing", [1, 4095, 4096, 5000, 8784])
def test_a_truncated_image_says_how_much_is_missing(image: Path, missing: int) -> None:
    os.truncate(image, 40960 - missing)
    found = error_of(image).found
    # The first data object that is cut is named, with what is missing of the file up to its end.
    end, number_of_it = (32211, 1) if missing > 8749 else (34396, 2) if missing > 6564 else (40960, 3)
    assert f"{end - (40960 - missing)} bytes of data object {number_of_it}" in found
    assert "truncated" in found


def test_no_truncation_is_accepted(image: Path) -> None:
    whole = image.read_bytes()
    sizes = [*range(0, 300), *range(300, len(whole), 97), *range(len(whole) - 50, len(whole))]
    for size in sizes:
        image.write_bytes(whole[:size])
        error_of(image)


@pytest.mark.parametrize(("offset", "size"), [(-5, 10), (0, 10), (36864, -1)])
def test_data_that_are_nowhere_are_refused(image: Path, offset: int, size: int) -> None:
    patch(image, PARTITION + OFFSET, number(offset) + number(size))
    assert f"claims {size} bytes at byte {offset}" in error_of(image).found


def test_data_beyond_every_file_are_refused(image: Path) -> None:
    patch(image, PARTITION + OFFSET, number(2**63 - 1) + number(2**63 - 1))
    assert "truncated" in error_of(image).found


def test_an_image_needs_one_primary_partition(image: Path) -> None:
    patch(image, PARTITION + EXTRA + 4, struct.pack("<i", 3))
    assert error_of(image).found == "has no primary system partition"


def add_descriptor(image: Path, identity: int, offset: int) -> None:
    """One more, like that of the partition."""
    whole = image.read_bytes()
    patch(image, PARTITION + ENTRY, whole[PARTITION : PARTITION + ENTRY])
    patch(image, PARTITION + ENTRY + ID, struct.pack("<I", identity))
    patch(image, PARTITION + ENTRY + OFFSET, number(offset))
    patch(image, FREE, number(44))


def test_an_image_has_only_one_primary_partition(image: Path) -> None:
    patch(image, 40960, bytes(4096))
    add_descriptor(image, 4, 40960)
    assert "2 primary system partitions (data objects 3, 4)" in error_of(image).found


def test_data_objects_do_not_overlap(image: Path) -> None:
    patch(image, 40960, bytes(4096))
    add_descriptor(image, 4, 40959)
    assert error_of(image).found == "data objects 3 (FS) and 4 (FS) overlap"


def test_a_number_is_given_once(image: Path) -> None:
    patch(image, 40960, bytes(4096))
    add_descriptor(image, 1, 40960)
    assert error_of(image).found == "numbers its data objects 1, 2, 3, 1"


def test_header_and_partition_agree_about_the_architecture(image: Path) -> None:
    patch(image, ARCH, b"04\0")
    assert error_of(image).found == "its header says that it is for arm64, its primary partition for amd64"


def test_an_oci_image_is_named(image: Path) -> None:
    patch(image, PARTITION + TYPE, struct.pack("<i", 0x400A))
    assert "it is an OCI-SIF image" in error_of(image).found


def test_an_unused_descriptor_is_not_looked_at(image: Path) -> None:
    patch(image, TABLE + 5 * ENTRY + OFFSET, number(2**62) + number(2**62))
    assert len(inspect_sif(str(image)).descriptors) == 3


def test_a_squashfs_partition_must_hold_one(image: Path) -> None:
    patch(image, 36864, b"\0")
    assert "(data object 3, at byte 36864) has not the squashfs magic" in error_of(image).found
    # Nothing is known of the start of an encrypted one.
    patch(image, PARTITION + EXTRA, struct.pack("<i", 5))
    assert inspect_sif(str(image)).primary.fs_type == "Encrypted squashfs"
    patch(image, PARTITION + EXTRA, struct.pack("<i", 77))
    assert "unknown (77) kind" in error_of(image).found


def test_a_partition_without_room_for_a_superblock_is_refused(image: Path) -> None:
    patch(image, PARTITION + SIZE, number(40))
    assert "has 40 bytes only" in error_of(image).found


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x80])
def test_no_changed_byte_leads_to_anything_but_an_answer(image: Path, flip: int) -> None:
    """Each byte of the header and of the table in turn: the image is described or refused, nothing else."""
    whole = image.read_bytes()
    answers = {"described": 0, "refused": 0}
    with image.open("r+b", buffering=0) as stream:
        for at in [*range(HEADER), *range(TABLE, TABLE + ENTRIES * ENTRY)]:
            os.pwrite(stream.fileno(), bytes([whole[at] ^ flip]), at)
            try:
                inspect_sif(str(image))
                answers["described"] += 1
            except SifError:
                answers["refused"] += 1
            os.pwrite(stream.fileno(), whole[at : at + 1], at)
    assert image.read_bytes() == whole
    # Each used-flag and all of magic, version, counts and extents matter; names, times and padding do not.
    assert answers["refused"] > 60
    assert answers["described"] > 20000
