"""module_utils/files.py on a real file system."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import files
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership, OwnershipError
from support_tree import snapshot
from support_user import NOBODY, as_nobody, world_folder

PLAIN = Ownership(0o640)


def test_write_atomic(tmp_path: Path) -> None:
    path = tmp_path / "list"
    for content in (b"first", b"", b"\0" * 5000):
        files.write_atomic(str(path), content, PLAIN)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["list"]


def test_write_atomic_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_atomic("list", b"x", PLAIN)
    assert (tmp_path / "list").read_bytes() == b"x"


def test_write_atomic_replaces_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "list").symlink_to("target")
    (tmp_path / ".list.new").symlink_to("target")
    files.write_atomic(str(tmp_path / "list"), b"new", PLAIN)
    assert (tmp_path / "target").read_text() == "old"
    assert not (tmp_path / "list").is_symlink()


@pytest.mark.parametrize("step", ["fsync", "rename", "fchmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_write_atomic_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise error

    path = tmp_path / "list"
    path.write_text("old")
    before = snapshot(tmp_path)
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        files.write_atomic(str(path), b"new", PLAIN)
    monkeypatch.undo()
    assert snapshot(tmp_path) == before


def test_replacing_takes_the_place_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("old")
    (tmp_path / ".list.new").write_text("what a killed run left")
    with files.replacing(str(path)) as fd:
        os.write(fd, b"new")
        assert path.read_text() == "old"
        assert Path(files.temporary_name(str(path))).read_text() == "new"
    assert (path.read_text(), os.listdir(tmp_path)) == ("new", ["list"])


def test_write_all_goes_on_where_a_write_takes_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: really(fd, data[:3]))
    with (tmp_path / "f").open("wb", buffering=0) as stream:
        files.write_all(stream.fileno(), b"0123456789")
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_link_atomic(tmp_path: Path) -> None:
    link = tmp_path / "link"
    for target in ("one", "gone/two"):
        files.link_atomic(str(link), target)
        assert os.readlink(link) == target
    link.unlink()
    (link / "folder").mkdir(parents=True)
    with pytest.raises(OSError):
        files.link_atomic(str(link), "three")
    assert os.listdir(tmp_path) == ["link"]


def test_exchange(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("file")
    files.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "a").is_file() and (tmp_path / "b").is_dir()
    with pytest.raises(FileNotFoundError) as caught:
        files.exchange(str(tmp_path / "a"), str(tmp_path / "c"))
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "a"), str(tmp_path / "c"))


def test_exchange_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OldLibc:
        def __init__(self, libc: Any) -> None:
            self.syscall = libc.syscall

    if files.platform.machine() not in files._SYS_RENAMEAT2:
        pytest.skip("the number of renameat2 is not known for this machine")
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    monkeypatch.setattr(files, "_libc", OldLibc(files._libc))
    files.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "a").read_text() == "b"
    monkeypatch.setattr(files.platform, "machine", lambda: "sparc64")
    with pytest.raises(OSError) as caught:
        files.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    assert caught.value.errno == errno.ENOSYS


def test_sync(tmp_path: Path) -> None:
    files.sync_filesystem(str(tmp_path))
    files.sync_folder(str(tmp_path))
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file").touch()
        files.sync_folder(str(tmp_path / "file"))


def test_remove_tree(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    files.remove_tree(str(tmp_path / "tree"))
    files.remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_read_only_folders_are_removed_where_they_are_ones_own() -> None:
    with world_folder() as top:
        for place in ("tree/own/sub", "tree/foreign"):
            (top / place).mkdir(parents=True)
            (top / place / "file").touch()
        for path in (top, top / "tree", top / "tree/own", top / "tree/own/sub"):
            os.chown(path, NOBODY, NOBODY)
            path.chmod(0o555 if "own" in path.name or path.name == "sub" else 0o755)
        with as_nobody(), pytest.raises(PermissionError):
            files.remove_tree(str(top / "tree"))
        assert os.listdir(top / "tree") == ["foreign"]
        (top / "tree/foreign/file").unlink()
        (top / "tree/own").mkdir(mode=0o555)
        os.chown(top / "tree/own", NOBODY, NOBODY)
        with as_nobody():
            files.remove_tree(str(top / "tree"))
        assert not (top / "tree").exists()


def test_sha256(tmp_path: Path) -> None:
    content = os.urandom((2 << 20) + 7)
    (tmp_path / "file").write_bytes(content)
    assert files.sha256_of(str(tmp_path / "file")) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(("mode", "bits"), [("0774", 0o774), ("0000", 0), ("0777", 0o777)])
def test_ownership(mode: str, bits: int) -> None:
    assert files.ownership(mode) == Ownership(bits, -1, -1)


@pytest.mark.parametrize("mode", ["508", "774", "0o774", "0784", "u+x", "4775", "", "0774\n", "-1"])
def test_modes_that_are_none(mode: str) -> None:
    with pytest.raises(OwnershipError, match="in quotes"):
        files.ownership(mode)


def test_names_of_owners() -> None:
    run = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True)
    assert files.ownership("0774", run.stdout.strip()).uid == os.geteuid()
    for owner, group in (("no-such-user", None), (None, "no-such-group")):
        with pytest.raises(OwnershipError, match="no-such"):
            files.ownership("0774", owner, group)


@pytest.mark.parametrize(("mode", "folder"), [(0o774, 0o775), (0o640, 0o750), (0o600, 0o700), (0o444, 0o555)])
def test_the_mode_of_folders(mode: int, folder: int) -> None:
    assert Ownership(mode).folder_mode == folder


def test_what_is_there_and_what_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(tmp_path)
    found = {name: (files.is_there(str(tmp_path / name)), files.is_folder(str(tmp_path / name)))
             for name in (".", "file", "dangling", "link", "none", "file/below")}  # fmt: skip
    assert found == {".": (True, True), "file": (True, False), "dangling": (True, False), "link": (True, False),
                     "none": (False, False), "file/below": (False, False)}  # fmt: skip

    def broken(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(os, "lstat", broken)
    for look in (files.is_there, files.is_folder):
        with pytest.raises(OSError, match="Input/output error"):
            look(str(tmp_path))
