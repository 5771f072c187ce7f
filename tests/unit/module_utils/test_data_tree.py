"""module_utils/data_tree.py: what lies in a data folder, and what is wrong with it by its names and modes alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_tree
from sandbox.packages import set_modes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "a/b").mkdir(parents=True)
    (data / "a/b/file").write_text("abc")
    (data / "a/link").symlink_to("b/file")
    (data / ".anno-receipt.json").write_text("{}")
    (data / ".anno").mkdir()
    set_modes(data)
    (data / ".anno").chmod(0o700)
    return data


def test_files_and_links(data: Path) -> None:
    os.mkfifo(data / "a/fifo")
    (data / "a/fifo").chmod(0o774)
    tree = data_tree.inspect(str(data))
    assert tree == data_tree.Tree({"a/b/file": 3}, ["a/link"], [], {})
    assert data_tree.judge(str(data), tree) == []


def test_permissions_are_one_problem(data: Path) -> None:
    for number in range(9):
        (data / f"a/{number}").touch()
        (data / f"a/{number}").chmod(0o764)
    (data / "a/b/file").chmod(0o777)
    (found,) = data_tree.judge(str(data), data_tree.inspect(str(data)))
    assert (found.code, found.path) == ("permissions", ".")
    assert "fewer permissions than 0774: 9 (a/0, a/1, a/2, a/3, a/4 and 4 more)" in found.message
    data.chmod(0o755)
    assert data_tree.inspect(str(data)).tight[0] == "."


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("b/file", None),
        ("../a", None),
        (".", None),
        ("nowhere", "link-dangling"),
        ("x", "link-dangling"),
        ("../../data2", "link-outside"),
        ("/etc/passwd", "link-outside"),
        ("../../data/a", None),
    ],
)
def test_links(data: Path, target: str, code: str | None) -> None:
    (data / "a/x").symlink_to(target)
    found = [problem.code for problem in data_tree.judge(str(data), data_tree.inspect(str(data)))]
    assert found == ([code] if code else [])


def test_a_data_folder_that_is_a_link_itself(data: Path) -> None:
    link = data.parent / "link"
    link.symlink_to("data")
    assert data_tree.judge(str(link), data_tree.inspect(str(link))) == []


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        data_tree.inspect(str(tmp_path / "gone"))
