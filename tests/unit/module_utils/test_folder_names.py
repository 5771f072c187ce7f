"""module_utils/folder_names.py: the name of a package folder, from all that an archive says."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import folder_names
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import ArchiveIndex, inspect_archive
from ansible_collections.ousamg.anno.plugins.module_utils.folder_names import DatasetsError, Ready, name_folders
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source


def inspect(tmp_path: Path, content: bytes, *datasets: str) -> ArchiveIndex:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    return inspect_archive(str(path), datasets)


def named(index: ArchiveIndex) -> dict[str, str | None]:
    return {package.destination: package.name for package in index.packages}


def two(version_a: Any, folder_a: str, version_b: Any, folder_b: str, names: Sequence[str] = ("aaa", "bbb")) -> bytes:
    """Two packages without vcfanno tables in two folders."""
    entries = [
        *tar.below(folder_a, tar.package({"x": "a"}, version_a)),
        *tar.below(folder_b, tar.package({"x": "b"}, version_b)),
    ]
    sources = dict(zip(names, (tar.source(version_a), tar.source(version_b))))
    return tar.data_archive(names, sources, entries)


def test_names_by_the_paths_of_the_vcfanno_tables(tmp_path: Path) -> None:
    entries = tar.below("variantDBs/abc", tar.package({"c.vcf.gz": "x"}))
    sources = {"x": tar.source("1", "./variantDBs/abc/c.vcf.gz")}
    assert named(inspect(tmp_path, tar.data_archive(["x"], sources, entries))) == {"variantDBs/abc": "x"}


def test_names_by_datasets_json(tmp_path: Path) -> None:
    datasets = tmp_path / "datasets.json"
    content = two("1", "here", "1", "there")
    datasets.write_text(json.dumps({"aaa": {"destination": "there/"}, "bbb": {"destination": "./here"}, "c": 1}))
    assert named(inspect(tmp_path, content)) == {"here": None, "there": None}
    assert named(inspect(tmp_path, content, str(datasets))) == {"there": "aaa", "here": "bbb"}


@pytest.mark.parametrize(("text", "found"), [("{", "not JSON"), ("[]", "no JSON object")])
def test_a_datasets_json_that_is_none(tmp_path: Path, text: str, found: str) -> None:
    datasets = tmp_path / "datasets.json"
    datasets.write_text(text)
    with pytest.raises(DatasetsError, match=found) as caught:
        folder_names.read_destinations([str(datasets)])
    assert caught.value.path == str(datasets)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (two("1", "VEP/cache", "1", "FASTA", ("fasta", "vep")), {"VEP/cache": "vep", "FASTA": "fasta"}),
        (two("7", "zzz", "8", "yyy", ("seqrepo", "fasta")), {"zzz": None, "yyy": None}),
        (two("7", "zzz", "8", "seqrepo", ("fasta", "seqrepo")), {"zzz": "fasta", "seqrepo": "seqrepo"}),
        (
            two("1", "variantDBs/gnomad-sv", "2", "variantDBs/gnomad", ("gnomad-sv", "gnomad")),
            {"variantDBs/gnomad-sv": "gnomad-sv", "variantDBs/gnomad": "gnomad"},
        ),
    ],
    ids=["likeness", "ambiguous", "what is left", "version"],
)
def test_names_by_version_and_likeness(tmp_path: Path, content: bytes, expected: dict[str, str | None]) -> None:
    assert named(inspect(tmp_path, content)) == expected


def test_what_stays_ambiguous_is_called_by_its_path(tmp_path: Path) -> None:
    index = inspect(tmp_path, two("1", "zzz", "1", "yyy", ("seqrepo", "fasta")))
    assert [package.label for package in index.packages] == ["yyy", "zzz"]
    assert [package.version for package in index.packages] == ["1", "1"]
    assert [package.source for package in index.packages] == [None, None]


def test_many_packages_of_one_version_are_no_trouble() -> None:
    """Each name fits each folder: no more time than for the comparisons themselves (it took minutes)."""
    sources = {f"a{number:03}": Source("{}", {}, "1", None) for number in range(150)}
    ready = {f"v/z{number:03}": Ready("1", None) for number in range(150)}
    begin = time.process_time()
    assert set(name_folders(list(sources), sources, ready, {}).values()) <= {*sources, None}
    assert time.process_time() - begin < 10


def test_each_package_of_its_own_version_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of packages take no longer than as many times one."""
    asked = []
    alike = folder_names._alike
    monkeypatch.setattr(folder_names, "_alike", lambda *pair: asked.append(pair) or alike(*pair))
    sources = {f"package{number}": Source("{}", {}, str(number), None) for number in range(500)}
    ready = {f"v/package{number}": Ready(str(number), None) for number in range(500)}
    assert name_folders(list(sources), sources, ready, {}) == {f"v/{name}": name for name in sources}
    assert len(asked) == 500
