"""module_utils/permissions.py: what lacks permissions, and what is done about it."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.permissions import Finding, Permissions, check
from support_tree import differences, snapshot
from support_user import NOBODY, as_nobody, world_folder

MODE = 0o774


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "a/b").mkdir(parents=True)
    for name in ("sources.json", "a/one", "a/b/two"):
        (folder / name).write_text(name)
        (folder / name).chmod(MODE)
    for path in (folder, folder / "a", folder / "a/b"):
        path.chmod(0o775)
    return folder


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_nothing_is_lacking(data: Path) -> None:
    before = snapshot(data)
    assert check(str(data), MODE, repair=True) == Permissions(3, 3, 0, 0, 0, (), (), 0, ())
    assert differences(before, snapshot(data)) == set()


def test_what_lacks_bits_is_counted_and_the_first_named(data: Path) -> None:
    (data / "a").chmod(0o755)
    for number in range(9):
        (data / f"a/b/{number}").touch()
        (data / f"a/b/{number}").chmod(0o600)
    before = snapshot(data)
    found = check(str(data), MODE)
    assert differences(before, snapshot(data)) == set()
    assert (found.folders, found.files, found.lacking, found.repairable, found.repaired) == (3, 12, 10, 10, 0)
    assert found.findings[0] == Finding("a", 0o755, 0o775)
    assert len(found.findings) == 5
    assert {finding.wanted for finding in found.findings[1:]} == {0o774}


def test_a_name_that_is_no_text_is_named_and_repaired(data: Path) -> None:
    odd = os.fsencode(data) + b"/a/odd-\xff\n"
    os.close(os.open(odd, os.O_CREAT, 0o600))
    assert [finding.path for finding in check(str(data), MODE).findings] == [r"a/odd-\udcff\n"]
    assert check(str(data), MODE, repair=True).repaired == 1
    assert os.stat(odd).st_mode & 0o777 == MODE


def test_repair_adds_bits_and_takes_none(data: Path) -> None:
    (data / "a/one").chmod(0o1601)
    (data / "a/b").chmod(0o2500)
    data.chmod(0o700)
    found = check(str(data), MODE, repair=True)
    assert (found.lacking, found.repaired, found.left, found.closed) == (3, 3, (), 0)
    assert mode(data / "a/one") == 0o1775
    assert mode(data / "a/b") == 0o2775
    assert mode(data) == 0o775
    before = snapshot(data)
    assert check(str(data), MODE, repair=True).lacking == 0
    assert differences(before, snapshot(data)) == set()


def test_links_are_neither_followed_nor_changed(data: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    for path in (outside, outside / "secret"):
        path.chmod(0o700)
    (data / "folder").symlink_to(outside)
    (data / "file").symlink_to(outside / "secret")
    (data / "gone").symlink_to("nowhere")
    assert check(str(data), MODE, repair=True).lacking == 0
    assert (mode(outside), mode(outside / "secret")) == (0o700, 0o700)


def test_the_data_folder_itself_may_be_a_link(data: Path, tmp_path: Path) -> None:
    (data / "a/one").chmod(0o600)
    (tmp_path / "link").symlink_to(data)
    assert check(str(tmp_path / "link"), MODE, repair=True).repaired == 1


def test_a_hard_link_of_a_kept_generation_is_the_same_file(data: Path, tmp_path: Path) -> None:
    (data / "a/one").chmod(0o600)
    os.link(data / "a/one", tmp_path / "kept")
    check(str(data), MODE, repair=True)
    assert mode(tmp_path / "kept") == MODE
    assert (tmp_path / "kept").read_text() == "a/one"


def test_the_engines_own_names_are_left_alone(data: Path) -> None:
    (data / ".anno-receipt.json").touch()
    (data / ".anno").mkdir()
    (data / ".anno-receipt.json").chmod(0o600)
    (data / ".anno").chmod(0o700)
    assert check(str(data), MODE, repair=True).lacking == 0
    assert (mode(data / ".anno-receipt.json"), mode(data / ".anno")) == (0o600, 0o700)


def test_a_pipe_is_told_and_not_changed(data: Path) -> None:
    os.mkfifo(data / "pipe", 0o600)
    found = check(str(data), MODE, repair=True)
    assert (found.lacking, found.repairable, found.repaired) == (1, 0, 0)
    assert [finding.path for finding in found.left] == ["pipe"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_another_user_owns_is_left_and_told() -> None:
    with world_folder() as data:
        (data / "closed").mkdir(mode=0o700)
        (data / "own").touch()
        (data / "own").chmod(0o600)
        os.chown(data / "own", NOBODY, NOBODY)
        data.chmod(0o777)
        with as_nobody():
            seen = check(str(data), MODE)
            done = check(str(data), MODE, repair=True)
        assert (seen.lacking, seen.repairable, seen.repaired, seen.closed) == (2, 1, 0, 1)
        assert seen.closed_first == ("closed (Permission denied)",)
        assert (done.lacking, done.repaired) == (2, 1)
        assert [finding.path for finding in done.left] == [finding.path for finding in seen.left] == ["closed"]
        assert mode(data / "own") == 0o774
        assert mode(data / "closed") == 0o700


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(str(tmp_path / "gone"), MODE)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        check(str(tmp_path / "file"), MODE)


def test_memory_does_not_grow_with_the_files(data: Path) -> None:
    for number in range(3_000):
        path = data / f"a/{number}"
        path.touch()
        path.chmod(0o600)
    tracemalloc.start()
    found = check(str(data), MODE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.lacking, len(found.findings)) == (3_000, 5)
    assert peak < 100_000  # bytes; the names alone would be more
