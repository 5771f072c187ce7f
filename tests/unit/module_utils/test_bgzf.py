"""module_utils/bgzf.py against files that htslib's bgzip made."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import EOF_BLOCK, Bgzf, BgzfError
from support_validate import bgzip

TEXT = "".join(f"1\t{n}\trs{n}\n" for n in range(20_000)).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.gz"
    bgzip(path, TEXT)
    return path


def code(path: Path) -> str | None:
    try:
        with Bgzf(str(path), "x.gz") as file:
            file.check_ends()
            assert b"".join(content for _offset, content in file.blocks()) == TEXT
    except BgzfError as error:
        assert (error.path, error.todo != "") == ("x.gz", True)
        return error.code
    return None


def test_blocks_are_the_file(path: Path) -> None:
    assert code(path) is None
    with Bgzf(str(path), "x.gz") as file:
        offsets = [offset for offset, _content in file.blocks()]
        assert len(offsets) > 2
        content, after = file.block(offsets[1])
        assert content in TEXT and after == offsets[2]
        assert file.block(file.size - len(EOF_BLOCK)) == (b"", file.size)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "file-empty"),
        (b"#", "file-not-bgzip"),
        (TEXT, "file-not-bgzip"),
        (gzip.compress(TEXT), "file-not-bgzip"),
        (b"\x1f\x8b\x08\x04", "file-damaged"),
        (EOF_BLOCK[:-1], "file-truncated"),
    ],
)
def test_what_is_no_bgzip_file(path: Path, content: bytes, expected: str) -> None:
    path.write_bytes(content)
    assert code(path) == expected


def test_a_file_is_refused_wherever_it_is_cut(path: Path) -> None:
    whole = path.read_bytes()
    for length in (10, 17, 18, 40, 1000, len(whole) - 29, len(whole) - 28, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert code(path) in ("file-truncated", "file-damaged"), length


def test_a_byte_that_was_changed(path: Path) -> None:
    whole = path.read_bytes()
    size = struct.unpack_from("<H", whole, 16)[0] + 1
    for position in (10, 12, 16, 100, size - 8, size - 1, size + 500):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        assert code(path) is not None, position


def test_no_more_than_64_kb_come_out_of_a_block(path: Path) -> None:
    """A block that says otherwise is damaged, however much it would decompress to."""
    bomb = gzip.compress(bytes(10_000_000))[10:-8]
    header = b"\x1f\x8b\x08\x04" + bytes(6) + struct.pack("<H2sHH", 6, b"BC", 2, len(bomb) + 25)
    path.write_bytes(header + bomb + struct.pack("<2I", 0, 10_000_000) + EOF_BLOCK)
    assert code(path) == "file-damaged"


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.gz")
    assert code(tmp_path / "x.gz") == "file-kind"
    assert code(tmp_path) == "file-kind"
