"""module_utils/track_check.py: ELLA's tracks against the live data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import track_check
from ansible_collections.ousamg.anno.plugins.module_utils.track_check import Source, Track
from sandbox import sites
from support_checklist import TRACKS

CLINVAR = "variantDBs/clinvar/clinvar_20230504.vcf.gz"
SOURCES = {
    "clinvar": Source("20230504", [CLINVAR]),
    "hgmd": Source("2023.1", ["variantDBs/hgmd/hgmd_2023.1.vcf.gz"]),
    "gnomad": Source("2.1.1", [f"variantDBs/gnomad/gnomad.{kind}_2.1.1.vcf.gz" for kind in ("exomes", "genomes")]),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sites.make(tmp_path)
    return tmp_path


def look(root: Path) -> dict[str, Track]:
    data = sites.tsd_instance(root, "staging").data
    tracks = sites.ella_tracks(root, "staging")
    return {track.name: track for track in track_check.inspect(str(tracks), TRACKS, str(data), SOURCES)}


def test_all_four_are_right(root: Path) -> None:
    found = look(root)
    assert list(found) == ["clinvar", "hgmd", "gnomad.exomes", "gnomad.genomes"]
    assert [track_check.problems(track) for track in found.values()] == [[], [], [], []]
    assert found["gnomad.exomes"].source == "gnomad.exomes_2.1.1.vcf.gz"
    assert found["clinvar"].description == "clinvar 20230504"


def no_file(tracks: Path) -> None:
    (tracks / "clinvar-current.vcf.gz").unlink()


def a_link_to_nothing(tracks: Path) -> None:
    (tracks / "clinvar_20230504.vcf.gz").unlink()


def another_size(tracks: Path) -> None:
    (tracks / "clinvar_20230504.vcf.gz").write_bytes(b"x")
    os.utime(tracks / "clinvar_20230504.vcf.gz", (1, 1))


def the_index_of_another_version(tracks: Path) -> None:
    (tracks / "clinvar_20230504.vcf.gz.tbi").rename(tracks / "clinvar_20230404.vcf.gz.tbi")
    (tracks / "clinvar-current.vcf.gz.tbi").unlink()
    (tracks / "clinvar-current.vcf.gz.tbi").symlink_to("clinvar_20230404.vcf.gz.tbi")


def an_older_index_by_the_new_name(tracks: Path) -> None:
    """igv.js would show wrong regions."""
    index = tracks / "clinvar_20230504.vcf.gz.tbi"
    index.write_bytes(index.read_bytes()[::-1])


def an_index_that_is_older(tracks: Path) -> None:
    os.utime(tracks / "clinvar_20230504.vcf.gz.tbi", (1, 1))


def another_description(tracks: Path) -> None:
    config = tracks.parent / "track_config.json"
    config.write_text(config.read_text().replace("clinvar 20230504", "ClinVar 20230404"))


def no_description(tracks: Path) -> None:
    (tracks.parent / "track_config.json").write_text("{}")


def no_configuration(tracks: Path) -> None:
    (tracks.parent / "track_config.json").unlink()


def no_json(tracks: Path) -> None:
    (tracks.parent / "track_config.json").write_text("{")


def no_object(tracks: Path) -> None:
    (tracks.parent / "track_config.json").write_text("[]")


def no_expression(tracks: Path) -> None:
    (tracks.parent / "track_config.json").write_text('{"(": {}}')


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (no_file, "clinvar-current.vcf.gz leads to no file"),
        (a_link_to_nothing, "clinvar-current.vcf.gz leads to no file"),
        (another_size, "clinvar_20230504.vcf.gz has 1 bytes"),
        (the_index_of_another_version, "clinvar-current.vcf.gz.tbi leads to clinvar_20230404.vcf.gz.tbi"),
        (an_older_index_by_the_new_name, "clinvar_20230504.vcf.gz.tbi is another index than that in the data folder"),
        (an_index_that_is_older, "clinvar_20230504.vcf.gz.tbi is older than its file"),
        (another_description, "the description is 'ClinVar 20230404'"),
        (no_description, "track_config.json describes no such track"),
        (no_configuration, "has neither track_config.json nor track_config_default.json"),
        (no_json, "is no JSON ("),
        (no_object, "is no JSON object"),
        (no_expression, "'(' is no regular expression"),
    ],
)
def test_what_is_wrong_is_told_alone(root: Path, wrong: Callable[[Path], None], said: str) -> None:
    wrong(sites.ella_tracks(root, "staging"))
    [(found, expected)] = track_check.problems(look(root)["clinvar"])
    assert said in found
    assert expected


def test_the_default_configuration_counts_where_there_is_no_other(root: Path) -> None:
    config = sites.ella_tracks(root, "staging").parent / "track_config.json"
    config.rename(config.with_name("track_config_default.json"))
    track = look(root)["clinvar"]
    assert track_check.problems(track) == []
    assert track.config is not None and track.config.endswith("track_config_default.json")
    config.write_text(json.dumps({"STATIC/clinvar": {"description": "old"}}))
    assert look(root)["clinvar"].description == "old"


def test_a_source_that_the_data_have_not(root: Path) -> None:
    data = str(sites.tsd_instance(root, "staging").data)
    tracks = str(sites.ella_tracks(root, "staging"))
    [track] = track_check.inspect(tracks, TRACKS[:1], data, {})
    assert (track.version, track.source) == (None, None)
    [track] = track_check.inspect(tracks, [{"name": "x", "package": "gnomad", "file": "*"}], data, SOURCES)
    assert (track.version, track.source) == ("2.1.1", None)  # two files, and nothing tells which


def test_later_rules_win_key_by_key() -> None:
    rules = {
        "STATIC/": {"description": "all", "show": True},
        "^STATIC/clinvar": {"description": "ClinVar 1"},
        "STATIC/clinvar-current": {"show": False},
        "clinvar": {"description": "not from the beginning"},
    }
    assert track_check.describe(rules, "STATIC/clinvar-current.vcf.gz") == "ClinVar 1"
    assert track_check.describe(rules, "DYNAMIC/x") is None
    with pytest.raises(re.error):
        track_check.describe({"[": {}}, "STATIC/x")


@pytest.mark.parametrize(
    ("text", "version", "named"),
    [
        ("ClinVar 20230504", "20230504", True),
        ("HGMD 2023.1.", "2023.1", True),
        ("HGMD (v2023.1)", "2023.1", True),
        ("HGMD 2023.12", "2023.1", False),
        ("HGMD 2023.1.1", "2023.1", False),
        ("HGMD 12023.1", "2023.1", False),
        ("HGMD 2023x1", "2023.1", False),
    ],
)
def test_a_version_in_a_text(text: str, version: str, named: bool) -> None:
    assert track_check.names_version(text, version) is named
