from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pysam
import pytest
import tomlkit
import yaml
from sandbox.packages import RECIPES, set_modes

from .conftest import VERSIONS


@pytest.mark.parametrize("name", VERSIONS)
def test_md5sum_covers_every_file(data: Path, name: str) -> None:
    folder = data / RECIPES[name].destination
    subprocess.run(["md5sum", "--check", "--strict", "--quiet", "MD5SUM"], cwd=folder, check=True)
    listed = {line.split(maxsplit=1)[1] for line in (folder / "MD5SUM").read_text().splitlines()}
    files = subprocess.run(["find", ".", "-type", "f"], cwd=folder, check=True, capture_output=True, text=True)
    assert listed == {file[2:] for file in files.stdout.split()} - {"MD5SUM", "DATA_READY"}
    assert listed


@pytest.mark.parametrize("name", VERSIONS)
def test_data_ready_says_the_version_as_sources_json_does(data: Path, name: str) -> None:
    ready = yaml.safe_load((data / RECIPES[name].destination / "DATA_READY").read_text())
    entry = json.loads((data / "sources.json").read_text())[name]
    assert ready["version"] == entry["version"] == VERSIONS[name]
    assert ready["timestamp"] == entry["timestamp"]


def test_a_version_may_be_a_number(data: Path) -> None:
    assert '"version": 110,' in (data / "sources.json").read_text()


def test_a_package_may_hold_a_relative_link(data: Path) -> None:
    latest = data / "seqrepo/latest"
    assert str(latest.readlink()) == "2021-01-29"
    assert (latest / "aliases.sqlite3").is_file()


def test_config_holds_the_tables_of_the_packages_and_what_was_added_by_hand(data: Path) -> None:
    text = (data / "vcfanno_config.toml").read_text()
    config = tomlkit.parse(text).unwrap()
    sources = json.loads((data / "sources.json").read_text())
    owned = [table for entry in sources.values() for table in entry.get("vcfanno", [])]
    assert config["annotation"][:-1] == owned
    assert config["annotation"][-1]["columns"] == [4]
    assert len(config["postannotation"]) == 1
    assert text.startswith("# vcfanno configuration")
    for table in config["annotation"]:
        assert len(table["names"]) == len(table["ops"])
        assert (data / f"{table['file']}.tbi").is_file()


def test_fields_are_in_the_headers(data: Path) -> None:
    sources = json.loads((data / "sources.json").read_text())
    for table in (table for entry in sources.values() for table in entry.get("vcfanno", [])):
        with pysam.VariantFile(str(data / table["file"])) as vcf:
            assert set(table["fields"]) <= {*vcf.header.info, "ID"}


def test_set_modes_reaches_every_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch(mode=0o600)
    (tmp_path / "a/link").symlink_to("b")
    set_modes(tmp_path / "a")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/file")] == [0o775, 0o775, 0o774]
