from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from sandbox.archive import archive_name, make_archive
from sandbox.packages import RECIPES

NAMES = ("hgmd", "clinvar")


@pytest.fixture(scope="module")
def archive(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / archive_name(data, NAMES)
    make_archive(path, data, NAMES)
    return path


def contents(archive: Path, name: str) -> list[bytes]:
    """Every occurrence of a member, in order."""
    with tarfile.open(archive, "r:") as tar:
        streams = [tar.extractfile(member) for member in tar if member.name == name]
        return [stream.read() for stream in streams if stream]


def test_name_is_made_of_sources_and_versions(archive: Path) -> None:
    assert archive.name == "clinvar_20240107-hgmd_2023.4.tar"


@pytest.mark.parametrize("name", ["sources.json", "variantDBs/clinvar/README.md", "variantDBs/hgmd/README.md"])
def test_names_occur_twice_and_the_last_one_is_the_one_of_the_data(archive: Path, data: Path, name: str) -> None:
    first, last = contents(archive, name)
    assert first != last
    assert last == (data / name).read_bytes()


def test_sources_json_knows_packages_that_are_not_in_the_archive(archive: Path) -> None:
    sources = json.loads(contents(archive, "sources.json")[-1])
    assert {"seqrepo", "vep"} <= set(sources)
    with tarfile.open(archive, "r:") as tar:
        assert not [name for name in tar.getnames() if name.startswith(("seqrepo", "VEP"))]


def test_packages_is_sorted_and_there_is_no_config(archive: Path) -> None:
    assert contents(archive, "PACKAGES") == [b"clinvar\nhgmd\n"]
    assert contents(archive, "vcfanno_config.toml") == []


def test_gnu_tar_unpacks_complete_packages(archive: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", tmp_path], check=True)
    for name in NAMES:
        folder = tmp_path / RECIPES[name].destination
        subprocess.run(["md5sum", "--check", "--strict", "--quiet", "MD5SUM"], cwd=folder, check=True)
        assert (folder / "DATA_READY").is_file()


def test_links_are_kept(data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "seqrepo.tar"
    make_archive(archive, data, ["seqrepo"])
    with tarfile.open(archive, "r:") as tar:
        assert tar.getmember("seqrepo/latest").linkname == "2021-01-29"
