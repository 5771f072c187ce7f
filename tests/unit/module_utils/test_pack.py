"""module_utils/pack.py: one pass, and what it finds out."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import tarfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import pack
from ansible_collections.ousamg.anno.plugins.module_utils.pack import Item, PackError, Region, Stamp
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, FOLDER
from ansible_collections.ousamg.anno.plugins.module_utils.tar_writer import Entry

SECONDS = 1_700_000_000


def md5(content: bytes) -> bytes:
    return bytes.fromhex(tar.md5(content))


def region(path: Path, offset: int = 0, md5: bytes | None = None) -> Region:
    return Region(str(path), offset, Stamp.of(path.stat()), md5)


def item(path: Path, content: bytes, **changes: Any) -> Item:
    """The file ``path``, made with this content and packed with its right MD5."""
    path.write_bytes(content)
    given = {"md5": md5(content), **changes}
    return Item(Entry(path.name, FILE, len(content), SECONDS), region(path, **given))


def write(tmp_path: Path, items: Iterable[Item], progress: str | None = None) -> tuple[bytes, str]:
    path = tmp_path / "a.tar"
    with path.open("wb", buffering=0) as stream:
        sha256 = pack.write(stream.fileno(), items, Progress(progress, "pack", 1 << 30))
    return path.read_bytes(), sha256


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
        return {m.name: stream.extractfile(m).read() if m.isfile() else b"" for m in stream}  # type: ignore[union-attr]


@pytest.mark.parametrize("block", [512, 1000, 4096, 1 << 20])
def test_random_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Blocks that end within headers, contents and paddings, and files of all sizes around them."""
    monkeypatch.setattr(pack, "_BLOCK", block)
    chance = random.Random(block)
    sizes = [0, 1, 511, 512, 513, 999, 1000, 1001, 5000, *(chance.randrange(3000) for _ in range(60)), 0]
    files = {f"f{number}": chance.randbytes(size) for number, size in enumerate(sizes)}
    items = [item(tmp_path / name, content) for name, content in files.items()]
    texts = {"text": b"t" * 2000, "empty": b""}
    items += [Item(Entry(name, FILE, len(text), SECONDS), text) for name, text in texts.items()]
    archive, sha256 = write(tmp_path, [*items, Item(Entry("folder", FOLDER, 0, SECONDS))])
    assert contents(archive) == {**files, **texts, "folder": b""}
    assert hashlib.sha256(archive).hexdigest() == sha256


def test_parts_of_another_archive(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"0123456789")
    parts = {"a": (2, b"234"), "b": (0, b"01"), "c": (10, b"")}
    items = [
        Item(Entry(name, FILE, len(content), SECONDS), region(path, offset, md5(content)))
        for name, (offset, content) in parts.items()
    ]
    assert contents(write(tmp_path, items)[0]) == {name: content for name, (_, content) in parts.items()}


def refused(tmp_path: Path, found: str, *items: Item) -> PackError:
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with pytest.raises(PackError, match=found) as caught:
        write(tmp_path, items)
    assert caught.value.expected and caught.value.todo
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
    return caught.value


@pytest.mark.parametrize("number", [0, 7])
@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_wrong_md5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, size: int) -> None:
    monkeypatch.setattr(pack, "_BLOCK", 2048)
    items = [item(tmp_path / f"f{n}", b"x" * size) for n in range(8)]
    items[number] = item(tmp_path / f"f{number}", b"x" * size, md5=bytes(16))
    error = refused(tmp_path, f"its MD5 is {tar.md5(b'x' * size)}", *items)
    assert error.path == str(tmp_path / f"f{number}")
    assert error.expected == f"{'0' * 32} (MD5SUM)"


def test_what_has_no_md5_is_not_compared(tmp_path: Path) -> None:
    assert contents(write(tmp_path, [item(tmp_path / "f", b"abc", md5=None)])[0]) == {"f": b"abc"}


@pytest.mark.parametrize("now", [b"ab", b"abcd", b"xyz", None])
def test_a_file_that_changed_since_it_was_looked_at(tmp_path: Path, now: bytes | None) -> None:
    path = tmp_path / "f"
    old = item(path, b"abc", md5=None)
    if now is None:
        # The same in all but its inode.
        status = path.stat()
        item(tmp_path / "other", b"abc")
        os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "other").rename(path)
    else:
        path.write_bytes(now)
        os.utime(path, (1, 1))
    assert refused(tmp_path, "it was changed while it was read", old).path == str(path)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = item(tmp_path / "f", b"abc" * 1000)
    really = os.preadv

    def growing(fd: int, *args: Any) -> int:
        with (tmp_path / "f").open("ab") as stream:
            stream.write(b"more")
        return really(fd, *args)

    monkeypatch.setattr(os, "preadv", growing)
    refused(tmp_path, "it was changed while it was read", old)


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    old = item(tmp_path / "f", b"abc")
    (tmp_path / "f").rename(tmp_path / "g")
    (tmp_path / "f").symlink_to("g")
    with pytest.raises(OSError) as caught:
        write(tmp_path, [old])
    assert caught.value.errno == errno.ELOOP


def test_a_full_disk(tmp_path: Path) -> None:
    items = [item(tmp_path / "f", b"x" * 10000)]
    with open("/dev/full", "wb", buffering=0) as stream, pytest.raises(OSError) as caught:
        pack.write(stream.fileno(), items, Progress(None, "pack", 1))
    assert caught.value.errno == errno.ENOSPC


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "_BLOCK", 4096)
    path = tmp_path / "progress"
    path_in_archive = Entry("variantDBs/clinvar/f", FILE, 100_000, SECONDS)
    content = item(tmp_path / "f", b"x" * 100_000).content
    write(tmp_path, [Item(path_in_archive, content)], str(path))
    state = json.loads(path.read_text())
    assert (state["work"], state["what"]) == ("pack", "variantDBs/clinvar/f")
    assert 0 < state["done"] <= 110_000
