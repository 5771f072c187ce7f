"""module_utils/extract.py: one pass, and what it finds out."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import extract as module
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFileError, open_archive
from ansible_collections.ousamg.anno.plugins.module_utils.extract import ExtractError, Extraction, extract
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import Member, read_members
from support_tree import contents, snapshot

OWNERSHIP = Ownership(0o640)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def write(tmp_path: Path, *blocks: bytes) -> str:
    path = tmp_path / "a.tar"
    path.write_bytes(b"".join(blocks) + tar.END)
    return str(path)


def read(path: str) -> list[Member]:
    with open_archive(path) as file:
        return list(read_members(file))


def run(path: str, root: Path, md5: Mapping[str, str] = {}, members: Any = None) -> Extraction:
    chosen = [
        member._replace(md5=bytes.fromhex(md5.get(member.name, "")))
        for member in (read(path) if members is None else members)
    ]
    return extract(path, str(root), chosen, OWNERSHIP, Progress(None, "unpack", os.path.getsize(path)))


@pytest.mark.parametrize("block", [1000, 512, 4096, 1 << 20])
def test_a_random_tree(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Blocks that end within headers, contents and paddings, and files of all sizes around them."""
    monkeypatch.setattr(module, "_BLOCK", block)
    chance = random.Random(block)
    sizes = [0, 1, 511, 512, 513, 999, 1000, 1001, 5000, *(chance.randrange(3000) for _ in range(60)), 0]
    names = (f"{chance.choice('abc')}/{chance.choice('de')}/{number}" for number in range(len(sizes)))
    files = {name: chance.randbytes(size) for name, size in zip(names, sizes)}
    path = write(tmp_path, *(tar.entry(name, content) for name, content in files.items()))
    done = run(path, root, {name: tar.md5(content) for name, content in files.items()})
    assert contents(root) == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    whole = Path(path).read_bytes()
    assert done == Extraction(len(files), sum(sizes), hashlib.sha256(whole).hexdigest())


def test_only_what_is_chosen_is_written_and_all_is_hashed(tmp_path: Path, root: Path) -> None:
    path = write(tmp_path, tar.entry("a", "1"), tar.entry("b", "22"), tar.entry("a", "333"))
    done = run(path, root, members=read(path)[2:])
    assert (root / "a").read_text() == "333"
    assert [entry.name for entry in root.iterdir()] == ["a"]
    assert done == Extraction(1, 3, hashlib.sha256(Path(path).read_bytes()).hexdigest())


def test_modes_and_times(tmp_path: Path, root: Path) -> None:
    path = write(
        tmp_path,
        tar.folder("p"), tar.pax({"mtime": "1700000000.123456789"}), tar.entry("p/q/file", "x", mode=0o600),
        tar.entry("p/far", "x", mtime=b"\x80" + ((1 << 63) - 1).to_bytes(11, "big")),
    )  # fmt: skip
    umask = os.umask(0o077)
    try:
        run(path, root)
    finally:
        os.umask(umask)
    found = snapshot(root)
    assert found["p/q/file"].mode == 0o640
    assert found["p/q/file"].mtime_ns == 1_700_000_000_123_456_789
    assert found["p"].mode == found["p/q"].mode == 0o750
    assert found["p/far"].mtime_ns > 1_700_000_000 * 10**9, "as far as the file system can"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_and_group(tmp_path: Path, root: Path) -> None:
    path = write(tmp_path, tar.entry("p/file", "x"))
    extract(path, str(root), read(path), Ownership(0o640, 12, 34), Progress(None, "", 1))
    for name in ("p", "p/file"):
        status = (root / name).stat()
        assert (status.st_uid, status.st_gid) == (12, 34)


def test_links_and_empty_folders(tmp_path: Path, root: Path) -> None:
    path = write(
        tmp_path,
        tar.symlink("p/latest", "2021"), tar.folder("p/2021"), tar.entry("p/x/file", "x"), tar.folder("p/empty"),
        tar.hardlink("p/y/again", "p/x/file"),
    )  # fmt: skip
    assert run(path, root).files == 1
    assert os.readlink(root / "p/latest") == "2021"
    assert (root / "p/empty").is_dir()
    assert (root / "p/y/again").samefile(root / "p/x/file")


def test_more_folders_than_are_held_open(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OPEN_FOLDERS", 3)
    names = ["/".join(f"d{level}{n}" for level in range(6)) + "/file" for n in range(5)]
    blocks = [tar.entry(name, name) for name in names] + [tar.entry(f"{name}2", name) for name in names]
    before = len(os.listdir("/proc/self/fd"))
    path = write(tmp_path, *blocks, *(tar.hardlink(name + "3", names[0]) for name in names))
    run(path, root)
    assert [(root / f"{name}3").read_text() for name in names] == [names[0]] * 5
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("block", [700, 1 << 20])
def test_a_wrong_md5_names_the_member(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    path = write(tmp_path, *(tar.entry(f"p/{n}", "x" * 900) for n in range(9)))
    md5 = {f"p/{n}": tar.md5(b"x" * 900) for n in range(9)}
    with pytest.raises(ExtractError, match="its MD5 is ") as caught:
        run(path, root, {**md5, "p/4": "0" * 32, "p/7": "1" * 32})
    assert caught.value.path == f"{path}:p/4"
    assert tar.md5(b"x" * 900) in caught.value.found
    assert "0" * 32 in caught.value.expected


def test_the_wrong_md5_of_an_empty_last_file(tmp_path: Path, root: Path) -> None:
    path = write(tmp_path, tar.entry("a", "x"), tar.entry("empty"))
    with pytest.raises(ExtractError, match="its MD5 is d41d8cd98f00b204e9800998ecf8427e"):
        run(path, root, {"empty": "0" * 32})


def test_without_md5_nothing_counts_as_verified(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: Any) -> None:
        raise ValueError("disabled for FIPS")

    path = write(tmp_path, tar.entry("a", "x"))
    monkeypatch.setattr(hashlib, "md5", missing)
    with pytest.raises(ExtractError, match="disabled for FIPS"):
        run(path, root, {"a": "0" * 32})


def test_a_disk_that_cannot_be_read_names_the_archive(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1000)
    path = write(tmp_path, tar.entry("a", "x" * 9000))
    members = read(path)
    readv = os.readv

    def broken(fd: int, buffers: Any) -> int:
        if os.lseek(fd, 0, os.SEEK_CUR) == 3000:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return readv(fd, buffers)

    monkeypatch.setattr(os, "readv", broken)
    with pytest.raises(OSError, match=r"a\.tar") as caught:
        run(path, root, members=members)
    assert caught.value.filename == path


def test_an_archive_that_shrinks_while_it_is_read(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1000)
    path = write(tmp_path, tar.entry("a", "x" * 9000))
    members = read(path)
    readv = os.readv

    def shrinking(fd: int, buffers: Any) -> int:
        if os.lseek(fd, 0, os.SEEK_CUR) == 3000:
            os.truncate(path, 3000)
        return readv(fd, buffers)

    monkeypatch.setattr(os, "readv", shrinking)
    with pytest.raises(ArchiveFileError, match="ended at byte 3000 while it was read"):
        run(path, root, members=members)


def test_a_full_disk_names_the_file(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, tar.entry("p/a", "x"), tar.entry("p/b", "x"))
    written = []

    def full(fd: int, data: Any) -> int:
        written.append(1)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="p/b") as caught:
        run(path, root)
    assert caught.value.errno == errno.ENOSPC
    assert len(os.listdir("/proc/self/fd")) == before
    assert "md5" not in {thread.name for thread in threading.enumerate()}


def test_short_writes_are_continued(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_some = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write_some(fd, data[:100]))
    path = write(tmp_path, tar.entry("a", "x" * 1234))
    run(path, root)
    assert (root / "a").read_text() == "x" * 1234


def test_it_does_not_follow_links_that_are_there(tmp_path: Path, root: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = write(tmp_path, tar.entry("p/file", "x"))
    (root / "p").symlink_to(outside)
    with pytest.raises(OSError, match="p"):
        run(path, root)
    (root / "p").unlink()
    (root / "p").mkdir()
    (root / "p/file").symlink_to(outside / "file")
    with pytest.raises(FileExistsError):
        run(path, root)
    assert not list(outside.iterdir())


def test_a_file_is_not_readable_to_others_before_it_is_complete(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(os, "write", lambda fd, data: seen.append(stat.S_IMODE(os.fstat(fd).st_mode)) or len(data))
    run(write(tmp_path, tar.entry("a", "x")), root)
    assert seen == [0o600]


def test_progress_counts_the_archive(tmp_path: Path, root: Path) -> None:
    path = write(tmp_path, tar.entry("p/a", "x" * 100))
    state = tmp_path / "progress"
    extract(path, str(root), read(path), OWNERSHIP, Progress(str(state), "unpack", os.path.getsize(path)))
    size = os.path.getsize(path)
    assert f'"what": "p/a", "done": {size}, "total": {size}' in state.read_text()
