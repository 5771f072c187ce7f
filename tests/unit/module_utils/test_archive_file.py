"""module_utils/archive_file.py: the same bytes come out of a plain file and of a compressed one, or a message does."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from ansible_collections.ousamg.anno.plugins.module_utils import archive_file
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFileError, open_archive
from backports import zstd

CONTENT = random.Random(1).randbytes(700_000) + bytes(900_000) + b"end"
PACK: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd.compress}


@pytest.fixture(params=["plain", "gzip", "zstd", "zstd by zstandard"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param.endswith("zstandard"):
        monkeypatch.setattr(archive_file, "_zstd_module", lambda: zstandard)
    return str(request.param).split()[0]


@pytest.fixture
def path(tmp_path: Path, form: str) -> Path:
    return write(tmp_path, PACK[form](CONTENT))


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    return path


def read_all(path: Path, room: int = 100_000) -> bytes:
    buffer, pieces = bytearray(room), []
    with open_archive(str(path)) as file:
        while count := file.readinto(buffer):
            pieces.append(bytes(buffer[:count]))
    return b"".join(pieces)


def refused(path: Path, found: str) -> None:
    with pytest.raises(ArchiveFileError, match=found) as caught:
        read_all(path)
    assert caught.value.path == str(path) and caught.value.expected and caught.value.todo


def test_one_pass(path: Path) -> None:
    whole = path.read_bytes()
    buffer, pieces = bytearray(4096), []
    with open_archive(str(path), digest=True) as file:
        assert (file.size, file.mtime_ns) == (len(whole), path.stat().st_mtime_ns)
        while count := file.readinto(buffer):
            pieces.append(bytes(buffer[:count]))
        assert b"".join(pieces) == CONTENT
        assert file.done == len(whole)
        assert file.sha256() == hashlib.sha256(whole).hexdigest(), "of the file as it lies there"


@pytest.mark.parametrize("step", [512, 70_000, 300_000])
def test_reading_forwards(path: Path, step: int) -> None:
    with open_archive(str(path)) as file:
        position = 0
        while position < len(CONTENT):
            for count in (512, 100_000):  # a header, then its extension
                assert file.read(position, count) == CONTENT[position : position + count]
                position += count
            position += step
        assert file.read(len(CONTENT), 10) == b""
        assert file.end == len(CONTENT)


def test_the_descriptor_is_closed(path: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    read_all(path)
    for content in (b"", b"\xfd7zXZ\0 xz"):
        with pytest.raises(ArchiveFileError):
            open_archive(str(write(tmp_path, content)))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("form", ["gzip", "zstd", "zstd by zstandard"], indirect=True)
class TestCompressed:
    def test_pieces_that_were_compressed_one_by_one(self, tmp_path: Path, form: str) -> None:
        pack, pieces = PACK[form], (CONTENT[:1000], b"", CONTENT[1000:])
        assert read_all(write(tmp_path, b"".join(map(pack, pieces)))) == CONTENT

    def test_cut_off_anywhere(self, path: Path) -> None:
        size = path.stat().st_size
        for cut in (*range(size - 1, size - 40, -1), *range(size - 100, 20, -60_000), 15):
            os.truncate(path, cut)
            refused(path, "data end too early")

    def test_damage(self, path: Path, form: str) -> None:
        whole = path.read_bytes()
        for position in range(30, len(whole), 50_000):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            try:
                # zstd's frames have a checksum only on demand; each file's MD5 is looked at in any case.
                assert len(read_all(path)) == len(CONTENT) and form == "zstd"
            except ArchiveFileError as error:
                assert "cannot be decompressed" in error.found or "end too early" in error.found

    @pytest.mark.parametrize("garbage", [b"x", bytes(512), b"\x1f", b"garbage" * 100_000])
    def test_what_follows_its_end(self, path: Path, form: str, garbage: bytes) -> None:
        path.write_bytes(path.read_bytes() + garbage)
        refused(path, f"something that is not {form} follows|data end too early")

    def test_a_bomb(self, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive_file, "_FREE", 64 << 20)
        path = write(tmp_path, PACK[form](bytes(100 << 20)))
        buffer = bytearray(1 << 20)
        tracemalloc.start()
        try:
            with pytest.raises(ArchiveFileError, match="250 times as much"), open_archive(str(path)) as file:
                while file.readinto(buffer):
                    pass
            assert tracemalloc.get_traced_memory()[1] < 24 << 20
        finally:
            tracemalloc.stop()


def test_frames_that_are_to_be_skipped(tmp_path: Path) -> None:
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0abcd"
    assert read_all(write(tmp_path, skipped + zstd.compress(CONTENT) + skipped)) == CONTENT


def test_without_a_library_for_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(archive_file.importlib, "import_module", absent)
    path = write(tmp_path, zstd.compress(CONTENT))
    with pytest.raises(ArchiveFileError, match="no library for that") as caught:
        open_archive(str(path))
    assert "zstandard" in caught.value.expected and f"zstd -d {path}" in caught.value.todo
    assert read_all(write(tmp_path, gzip.compress(CONTENT))) == CONTENT


@pytest.mark.parametrize(
    ("start", "name"), [(b"\xfd7zXZ\0", "xz"), (b"BZh91AY&SY", "bzip2"), (b"\x04\x22\x4d\x18", "lz4")]
)
def test_other_compressions_say_how_to_decompress(tmp_path: Path, start: bytes, name: str) -> None:
    path = write(tmp_path, start + bytes(100))
    with pytest.raises(ArchiveFileError, match=f"compressed with {name}") as caught:
        open_archive(str(path))
    assert f"{name} -d {path}" in caught.value.todo


def test_headers_far_apart_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, bytes(4 << 20))
    sizes = []
    really = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, position: sizes.append(count) or really(fd, count, position))
    with open_archive(str(path)) as file:
        for position in (*range(0, 4 << 20, 1 << 20), *range((3 << 20) + 512, (3 << 20) + 51_200, 512)):
            assert file.read(position, 512) == bytes(512)
    assert sizes[1:] == [1 << 16, 512, 512, 512, 1 << 16]
