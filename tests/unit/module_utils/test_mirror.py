"""module_utils/mirror.py: the same files under another name, and nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import mirror
from support_tree import snapshot
from support_user import NOBODY, as_nobody, world_folder


@pytest.fixture
def live(tmp_path: Path) -> Path:
    folder = tmp_path / "live"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/file").write_text("one")
    (folder / "a/link").symlink_to("b")
    (folder / "gone").mkdir()
    (folder / "gone/x").write_text("x")
    (folder / "a").chmod(0o2750)
    os.utime(folder / "a/b", ns=(1, 1_600_000_000_000_000_000))
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "copy").mkdir()
    return tmp_path / "copy"


def test_the_copy_is_the_same_and_takes_no_room(live: Path, copy: Path) -> None:
    mirror.link_tree(str(live), str(copy), keep=set())
    assert snapshot(copy) == snapshot(live)
    assert (copy / "a/b/file").stat().st_ino == (live / "a/b/file").stat().st_ino
    assert (copy / "a/link").lstat().st_ino == (live / "a/link").lstat().st_ino


def test_what_is_kept_is_left_alone(live: Path, copy: Path) -> None:
    (copy / "gone").mkdir()
    (copy / "gone/new").write_text("new")
    (copy / "deep/er").mkdir(parents=True)
    (copy / "deep/er/kept").write_text("kept")
    mirror.link_tree(str(live), str(copy), keep={"gone", "deep/er", "a/b"})
    assert sorted(snapshot(copy)) == ["a", "a/link", "deep", "deep/er", "deep/er/kept", "gone", "gone/new"]
    assert (copy / "gone/new").read_text() == "new"


def test_it_follows_what_has_changed_since(live: Path, copy: Path) -> None:
    mirror.link_tree(str(live), str(copy), keep=set())
    (live / "a/b/file").unlink()
    (live / "a/b/file").write_text("two")  # another file of the same name
    (live / "a/link").unlink()
    (live / "a/link").mkdir()  # a folder in place of a link
    (live / "gone/x").unlink()
    (live / "gone").rmdir()
    (live / "gone").write_text("a file in place of a folder")
    (live / "new").write_text("new")
    mirror.link_tree(str(live), str(copy), keep=set())
    assert snapshot(copy) == snapshot(live)
    before = {path: path.lstat().st_ino for path in copy.rglob("*")}
    mirror.link_tree(str(live), str(copy), keep=set())
    assert {path: path.lstat().st_ino for path in copy.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_folder_that_is_read_only_is_so_in_the_copy_and_follows_all_the_same() -> None:
    with world_folder() as top:
        (top / "live/closed").mkdir(parents=True)
        (top / "copy").mkdir()
        for name in ("one", "two"):
            (top / "live/closed" / name).touch()
        for path in (top, *top.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        (top / "live/closed").chmod(0o555)
        with as_nobody():
            mirror.link_tree(str(top / "live"), str(top / "copy"), keep=set())
        assert snapshot(top / "copy") == snapshot(top / "live")
        (top / "live/closed/one").unlink()
        with as_nobody():
            mirror.link_tree(str(top / "live"), str(top / "copy"), keep=set())
        assert snapshot(top / "copy") == snapshot(top / "live")


def test_everything_else_is_removed(live: Path) -> None:
    mirror.remove_others(str(live), keep={"a/b"})
    assert sorted(snapshot(live)) == ["a", "a/b", "a/b/file"]
    mirror.remove_others(str(live), keep=set())
    assert list(live.iterdir()) == []


def test_a_folder_that_cannot_be_looked_at_is_not_made_anew(
    live: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept in it would be gone: os.path.isdir() says no of a disk that does not answer."""
    (copy / "a/kept").mkdir(parents=True)
    lstat = os.lstat

    def broken(path: str) -> os.stat_result:
        if path == str(copy / "a"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", broken)
    with pytest.raises(OSError, match="Input/output error"):
        mirror.link_tree(str(live), str(copy), keep={"a/kept"})
    monkeypatch.undo()
    assert (copy / "a/kept").is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_that_may_not_be_looked_into_is_no_lack_of_hard_links(mode: int) -> None:
    with world_folder() as top:
        (top / "live/closed").mkdir(parents=True)
        (top / "live/closed/file").write_text("x")
        (top / "copy").mkdir()
        for path in (top, *top.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        (top / "live/closed").chmod(mode)
        with as_nobody(), pytest.raises(mirror.ClosedFolderError) as error:
            mirror.link_tree(str(top / "live"), str(top / "copy"), keep=set())
    assert error.value.filename == str(top / "live/closed")


def test_where_links_are_not_to_be_had(live: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *args: object, **options: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(mirror.NoLinksError):
        mirror.link_tree(str(live), str(copy), keep=set())


def test_a_disk_error_is_no_closed_folder(live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a disk that fails once would change the way of the switch."""
    (tmp_path / "copy").mkdir()

    def broken(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(OSError, match="Input/output error") as error:
        mirror.link_tree(str(live), str(tmp_path / "copy"), keep=set())
    assert not isinstance(error.value, mirror.ClosedFolderError)
