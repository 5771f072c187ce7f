"""module_utils/package_check.py: versions in file names, and which folder is whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import package_check
from sandbox import packages
from support_data import replace
from support_validate import codes, make_data, problems


@pytest.mark.parametrize(
    ("file", "version", "other"),
    [
        ("clinvar_20230504.vcf.gz", "20230504", None),
        ("clinvar_20230504.vcf.gz", "20240107", "20230504"),
        ("clinvar_2023050.vcf.gz", "20240107", None),
        ("clinvar.vcf.gz", "20240107", None),
        ("gnomad.exomes.r2.1.1.norm.vcf.gz", "2.1.1", None),
        ("gnomad.exomes.r2.1.1.norm.vcf.gz", "2.0.2", "2.1.1"),
        ("gnomad.exomes.r2.1.vcf.gz", "2.1.1", None),
        ("hgmd_2023.1.vcf.gz", "2023.4", "2023.1"),
        ("seqrepo-2018-08-21.gz", "2021-01-29", "2018-08-21"),
        ("GRCh37_20201022.gff.gz", "105", None),
        ("x_GRCh37.vcf.gz", "GRCh38", None),
        ("x.vcf.gz", "", None),
    ],
)
def test_versions_in_file_names(file: str, version: str, other: str | None) -> None:
    assert package_check._other_version(file, version) == other


def test_two_versions_of_a_package_that_has_no_tables(tmp_path: Path) -> None:
    """Its folder is told by the likeness of the names, also where the version is another one."""
    data = tmp_path / "data"
    make_data(data)
    replace(data / "seqrepo/DATA_READY", "2021-01-29", "2018-08-21")
    (found,) = problems(data)
    assert (found.code, found.path) == ("package-version", "seqrepo")
    assert (
        "sources.json says that seqrepo is 2021-01-29, and the DATA_READY of its folder says 2018-08-21"
        in found.message
    )


@pytest.mark.parametrize(
    ("wanted", "found", "words"),
    [
        ({"fields": ["A", "B"]}, {"fields": ["A", "C"]}, "fields number 2 is 'C' and not 'B'"),
        ({"fields": ["A", "B"]}, {"fields": ["A"]}, "it has 1 fields and not 2"),
        ({"ops": ["first"]}, {}, "ops is None and not ['first']"),
        ({"file": "a"}, {"file": "b"}, "file is 'b' and not 'a'"),
    ],
)
def test_the_difference_of_two_tables(wanted: dict[str, Any], found: dict[str, Any], words: str) -> None:
    assert package_check._difference(wanted, found) == words


def test_a_package_that_was_taken_over_by_hand(tmp_path: Path) -> None:
    """An entry whose folder is gone, tables and all: each of the three places tells its own."""
    data = tmp_path / "data"
    make_data(data)
    (data / "variantDBs/hgmd").rename(tmp_path / "hgmd")
    assert codes(data) == {"file-missing": 1, "package-missing": 1}


def test_the_same_file_written_in_another_way(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_data(data)
    replace(data / "vcfanno_config.toml", '"variantDBs/hgmd/', '"./variantDBs//hgmd/')
    assert problems(data) == []


def test_a_package_without_a_version(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_data(data)
    replace(data / "sources.json", '"version": "37",', "")
    assert problems(data) == []
    assert packages.read_sources(data)["fasta"].keys() == {"timestamp"}
