"""The superblock of a real image, and each way in which it can be wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.squashfs import SUPERBLOCK_SIZE, problem_of

IMAGE = Path(__file__).resolve().parents[2] / "fixtures/images/anno-v3.1.0.sif"
AT, ROOM = 36864, 4096
REAL = IMAGE.read_bytes()[AT : AT + SUPERBLOCK_SIZE]
# Where each field is, and how it is written.
BLOCK_SIZE, COMPRESSION, BLOCK_LOG, MAJOR, USED, IDS, INODES, FOLDERS = 12, 20, 22, 28, 40, 48, 64, 72
NONE = 2**64 - 1


def changed(at: int, value: int, form: str) -> bytes:
    field = struct.pack("<" + form, value)
    return REAL[:at] + field + REAL[at + len(field) :]


def test_a_real_superblock_is_right() -> None:
    assert len(REAL) == SUPERBLOCK_SIZE == 96
    assert problem_of(REAL, ROOM) is None


@pytest.mark.parametrize(
    ("superblock", "problem"),
    [
        (b"sqsh" + REAL[4:], "has not the squashfs magic 'hsqs'"),
        (changed(MAJOR, 3, "H"), "of version 3.0, not 4.0"),
        (changed(BLOCK_SIZE, 131073, "I"), "blocks of 131073 bytes"),
        (changed(BLOCK_LOG, 40, "H"), "2 to the power 40"),
        (changed(COMPRESSION, 9, "H"), "unknown compression 9"),
        (changed(USED, ROOM + 1, "Q"), "counts 4097 bytes in a place of 4096"),
        (changed(USED, 0, "Q"), "counts 0 bytes"),
        (changed(INODES, ROOM, "Q"), "a table outside its"),
        (changed(FOLDERS, NONE, "Q"), "lacks a table"),
        (changed(IDS, SUPERBLOCK_SIZE, "Q"), "another order than inodes, folders, ids"),
    ],
)
def test_a_wrong_superblock_is_told(superblock: bytes, problem: str) -> None:
    assert problem in str(problem_of(superblock, ROOM))


def test_most_flipped_bits_of_the_fields_that_lead_to_the_data_are_found() -> None:
    found = 0
    fields = [*range(0, 4), *range(12, 16), *range(20, 24), *range(28, 32), *range(40, 56), *range(64, 80)]
    for at in fields:
        for bit in range(8):
            flipped = bytearray(REAL)
            flipped[at] ^= 1 << bit
            found += problem_of(bytes(flipped), ROOM) is not None
    assert found > 0.85 * 8 * len(fields)
