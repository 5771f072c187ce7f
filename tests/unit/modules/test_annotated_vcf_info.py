"""The module annotated_vcf_info on what the real vcfanno has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_vcfanno import INPUT, annotated_sample, needs_vcfanno

Run = Callable[..., Any]


@needs_vcfanno
@pytest.mark.parametrize("check", [False, True])
def test_the_tables_of_sources_json_are_what_may_be_expected(tmp_path: Path, run_module: Run, check: bool) -> None:
    path, tables = annotated_sample(tmp_path)
    args = {"path": str(path), "base_path": str(tmp_path / "data"), "expect": tables}
    result = run_module("annotated_vcf_info", args, check=check)
    assert not result.failed and result["changed"] is False
    assert set(result["sources"]) == {table["file"] for table in tables}
    assert result["sources"]["variantDBs/clinvar/clinvar_1.vcf.gz"] == ["CLINVARJSON"]
    by_name = {info["name"]: info for info in result["infos"]}
    assert by_name["CLINVARJSON"] == {
        "name": "CLINVARJSON",
        "number": "1",
        "type": "String",
        "source": "variantDBs/clinvar/clinvar_1.vcf.gz",
        "empty": False,
    }
    assert (result["missing"], result["samples"], result["contigs"]) == ([], 1, 1)
    assert result["vcfanno"]
    assert "HG002" not in str(result), "the name of the sample"


@needs_vcfanno
def test_a_package_that_was_not_updated_fails_by_name(tmp_path: Path, run_module: Run) -> None:
    path, _ = annotated_sample(tmp_path)
    table = {"file": "variantDBs/clinvar/clinvar_2.vcf.gz", "names": ["CLINVARJSON"]}
    args = {"path": str(path), "base_path": str(tmp_path / "data"), "expect": [table]}
    result = run_module("annotated_vcf_info", args)
    assert result.failed
    assert result["where"] == str(path)
    assert "CLINVARJSON (expected from variantDBs/clinvar/clinvar_2.vcf.gz) comes from" in result["msg"]
    assert [(item["name"], item["source"]) for item in result["missing"]] == [
        ("CLINVARJSON", "variantDBs/clinvar/clinvar_1.vcf.gz")
    ]


def test_a_vcf_that_was_not_annotated(tmp_path: Path, run_module: Run) -> None:
    path = tmp_path / "input.vcf"
    path.write_text(INPUT)
    result = run_module("annotated_vcf_info", {"path": str(path)})
    assert (result["vcfanno"], result["sources"]) == (None, {})
    result = run_module("annotated_vcf_info", {"path": str(path), "expect": [{"file": "a.gz", "names": ["A"]}]})
    assert result.failed and "is not in the header" in result["found"]


@pytest.mark.parametrize(("content", "found"), [(None, "ENOENT"), (b"", "it is empty"), (b"BAM\1", "it begins with")])
def test_what_is_no_vcf_is_a_message(tmp_path: Path, run_module: Run, content: bytes | None, found: str) -> None:
    path = tmp_path / "output.vcf"
    if content is not None:
        path.write_bytes(content)
    result = run_module("annotated_vcf_info", {"path": str(path)})
    assert result.failed and "exception" not in result
    assert result["where"] == str(path) and found in result["found"] and result["todo"]
