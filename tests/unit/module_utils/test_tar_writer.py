"""module_utils/tar_writer.py: the same bytes as GNU tar, whatever the name, the size and the time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import tar_writer
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import open_archive
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, FOLDER, SYMLINK, read_members
from ansible_collections.ousamg.anno.plugins.module_utils.tar_writer import Entry
from sandbox.packages import set_modes

SECONDS = 1_700_000_000
DEEP = "/".join(["a" * 60] * 4)
NAMES = ("plain", "å b", "n" * 99, "n" * 100, "n" * 101, f"{DEEP}/{'z' * 200}")


def gnu_tar(folder: Path, names: Sequence[str]) -> bytes:
    options = ["--format=gnu", "--numeric-owner", "--owner=0", "--group=0", "--no-recursion"]
    listed = "".join(f"{name}\0" for name in names).encode()
    command = ["tar", "--create", *options, "--null", "--verbatim-files-from", "--files-from=-"]
    return subprocess.run(command, cwd=folder, input=listed, stdout=subprocess.PIPE, check=True).stdout


def make(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_the_bytes_are_those_of_gnu_tar(tmp_path: Path) -> None:
    entries, contents = [], []
    for number, name in enumerate(NAMES):
        content = b"x" * (number * 300)
        make(tmp_path / name, content)
        entries.append(Entry(name, FILE, len(content), SECONDS + number))
        contents.append(content)
    for name in ("folder", "f" * 98, "f" * 99, "f" * 100, DEEP):
        (tmp_path / name).mkdir(exist_ok=True)
        entries.append(Entry(name, FOLDER, 0, SECONDS))
        contents.append(b"")
    for name, target in {"link": "plain", "k" * 120: "t" * 101, "l": "t" * 100}.items():
        (tmp_path / name).symlink_to(target)
        entries.append(Entry(name, SYMLINK, 0, SECONDS, target))
        contents.append(b"")
    set_modes(tmp_path)
    for entry in entries:
        os.utime(tmp_path / entry.name, (entry.mtime, entry.mtime), follow_symlinks=False)
    ours = b"".join(
        tar_writer.header(entry) + content + bytes(tar_writer.padding(entry.size))
        for entry, content in zip(entries, contents)
    )
    ours += tar_writer.end(len(ours))
    assert ours == gnu_tar(tmp_path, [entry.name for entry in entries])
    (tmp_path / "ours.tar").write_bytes(ours)
    members, size = tar_writer.layout(entries)
    with open_archive(str(tmp_path / "ours.tar")) as file:
        assert [member[:6] for member in read_members(file)] == [m[:6] for m in members]
    assert size == len(ours)


@pytest.mark.parametrize("size", [(8 << 30) - 1, 8 << 30, 300 << 30])
def test_large_files(tmp_path: Path, size: int) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(size)
    path.chmod(0o774)
    os.utime(path, (SECONDS, SECONDS))
    options = ["--format=gnu", "--numeric-owner", "--owner=0", "--group=0"]
    with subprocess.Popen(["tar", "--create", *options, "large"], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        theirs = process.stdout.read(512)
        process.kill()
    assert tar_writer.header(Entry("large", FILE, size, SECONDS)) == theirs
    assert tar_writer.layout([Entry("large", FILE, size, SECONDS)])[1] % 10240 == 0


@pytest.mark.parametrize("entries", range(15, 25))
def test_the_end_is_two_blocks_of_zeros_and_the_rest_of_a_record(tmp_path: Path, entries: int) -> None:
    names = [f"{number:02}" for number in range(entries)]
    for name in names:
        make(tmp_path / name, b"")
    assert tar_writer.layout(Entry(name, FILE, 0, SECONDS) for name in names)[1] == len(gnu_tar(tmp_path, names))


def test_times_that_a_header_cannot_hold() -> None:
    assert tar_writer.whole_seconds(1_700_000_000_999_999_999) == SECONDS
    assert tar_writer.whole_seconds(-1) == 0
    latest = tar_writer.whole_seconds(10**20)
    assert len(tar_writer.header(Entry("x", FILE, 0, latest))) == 512
    assert latest == 8**11 - 1
