"""The module data_archive_info."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from support_data import ARCHIVE, Site, make_site

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("original"))


@pytest.mark.parametrize("check", [False, True])
def test_what_is_in_an_archive(site: Site, run_module: Run, check: bool) -> None:
    result = run_module("data_archive_info", {"path": str(site.archive)}, check=check)
    assert result["changed"] is False and result["sha256"] is None
    assert {package["name"]: package["version"] for package in result["packages"]} == ARCHIVE
    assert result["size"] == site.archive.stat().st_size
    assert set(result["packages"][0]) == {"name", "version", "timestamp", "files", "bytes", "destination"}


def test_its_sha256(site: Site, run_module: Run) -> None:
    result = run_module("data_archive_info", {"path": str(site.archive), "sha256": True})
    assert result["sha256"] == hashlib.sha256(site.archive.read_bytes()).hexdigest()


def test_names_by_datasets_json(tmp_path: Path, run_module: Run) -> None:
    archive, datasets = tmp_path / "a.tar", tmp_path / "datasets.json"
    entries = [*tar.below("zzz", tar.package({"a": "1"})), *tar.below("yyy", tar.package({"b": "1"}))]
    archive.write_bytes(tar.data_archive(["seq", "fasta"], {"seq": tar.source(), "fasta": tar.source()}, entries))
    datasets.write_text(json.dumps({"seq": {"destination": "zzz"}, "fasta": {"destination": "yyy"}}))

    def names(**args: Any) -> list[str | None]:
        result = run_module("data_archive_info", {"path": str(archive), **args})
        return [package["name"] for package in result["packages"]]

    assert names() == [None, None]
    assert names(datasets=[str(datasets)]) == ["fasta", "seq"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "ENOENT"),
        (b"", "empty"),
        (b"no tar " * 100, "no tar archive"),
        (tar.entry("x", "y") + tar.END, "no member PACKAGES"),
        (tar.entry("PACKAGES", "p\n") + tar.entry("sources.json", "{") + tar.END, "not JSON"),
    ],
)
def test_no_archive_is_a_message(tmp_path: Path, run_module: Run, content: bytes | None, found: str) -> None:
    path = tmp_path / "a.tar"
    if content is not None:
        path.write_bytes(content)
    result = run_module("data_archive_info", {"path": str(path)})
    assert result.failed
    assert found in result["found"]
    assert result["where"].startswith(str(path)) and result["expected"] and result["todo"]
