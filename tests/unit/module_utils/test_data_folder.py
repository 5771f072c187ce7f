"""module_utils/data_folder.py: what a data folder says of itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_folder, sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Change, Contents, FolderError


def source(text: str) -> sources_json.Source:
    return sources_json.parse(f'{{"a": {text}}}', "s")["a"]


def test_an_empty_folder(tmp_path: Path) -> None:
    assert data_folder.read_contents(str(tmp_path)) == Contents("", {}, "", {})


def test_texts_keep_their_line_ends(tmp_path: Path) -> None:
    (tmp_path / "vcfanno_config.toml").write_bytes(b"# a\r\n# b\n")
    assert data_folder.read_contents(str(tmp_path)).config_text == "# a\r\n# b\n"


def test_a_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "vcfanno_config.toml").write_bytes(b"a\xff")
    with pytest.raises(FolderError, match="byte 1"):
        data_folder.read_contents(str(tmp_path))


def test_what_is_no_regular_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sources.json")
    with pytest.raises(FolderError, match="no regular file"):
        data_folder.read_contents(str(tmp_path))


def test_a_digest_is_that_of_the_meaning() -> None:
    same = [source('{"version": "1", "x": 1}'), source('{ "x":1,"version":"1" }')]
    assert data_folder.source_digest(same[0]) == data_folder.source_digest(same[1])
    other = [source('{"version": 1.1}'), source('{"version": 1.10}'), source('{"version": "1.1"}'), None]
    assert len({data_folder.source_digest(entry) for entry in other}) == 4


def test_the_difference_shows_only_what_differs() -> None:
    before = Contents("old", {}, "same", {})
    changes = [Change("a", "p", None, "1"), Change("b", "q", "1", None)]
    assert data_folder.diff(changes, before, "new", "same") == [
        {"before_header": "packages (live)", "after_header": "packages (next)", "before": "b: 1\n", "after": "a: 1\n"},
        {
            "before_header": "sources.json (live)", "after_header": "sources.json (next)",
            "before": "old", "after": "new",
        },
    ]  # fmt: skip
