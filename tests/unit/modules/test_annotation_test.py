"""modules/annotation_test.py; what is tested and how is tested with the module_util."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from peers.anno import Anno
from peers.ella import Ella
from sandbox.packages import data_folder
from support_tree import differences, snapshot
from support_vcfanno import INPUT, needs_vcfanno

pytestmark = needs_vcfanno
DIGEST = "5f70bf18" * 8
PASSWORD = "s3cret-Password-8713"
Run = Callable[..., Any]


@pytest.fixture
def args(tmp_path: Path) -> dict[str, Any]:
    data_folder(tmp_path / "data", {"clinvar": "1", "vep": "105"})
    (tmp_path / "anno-v3.2.0.sif").touch()
    (tmp_path / "anno.sif").symlink_to("anno-v3.2.0.sif")
    path = tmp_path / "deployments.jsonl"
    ledger.append(
        str(path), ledger.Request("d1", [{"event": "start"}, {"event": "end", "outcome": "ok"}], manifest=DIGEST)
    )
    return {
        "data": str(tmp_path / "data"), "ledger": str(path), "manifest": DIGEST,
        "packages": [{"name": "clinvar", "version": 1}, {"name": "vep", "version": "105"}],
        "image": "anno-v3.2.0.sif", "image_link": str(tmp_path / "anno.sif"), "work": str(tmp_path / "work"),
    }  # fmt: skip


def test_a_dry_run_tells_what_would_be_tested_and_writes_nothing(args: dict[str, Any], run_module: Run) -> None:
    top = Path(args["data"]).parent
    with Anno(top / "data", top / "work") as anno:
        before = snapshot(top)
        predicted = run_module("annotation_test", args | {"api": anno.url}, check=True)
        assert (anno.calls, differences(before, snapshot(top))) == ([], set())
        result = run_module("annotation_test", args | {"api": anno.url})
    assert predicted["changed"] is result["changed"] is False
    assert (predicted.pop("tasks"), result.pop("tasks")) == ({}, {"api": "1"})
    assert {key: predicted[key] for key in predicted if key != "invocation"} == {
        key: result[key] for key in result if key != "invocation"
    }
    assert result["methods"] == ["api"]
    assert result["tested"] == [{"package": "clinvar", "version": "1", "file": "variantDBs/clinvar/clinvar_1.vcf.gz"}]
    assert result["untestable"][0]["package"] == "vep"


def test_what_fails_is_told_with_what_was_tested(args: dict[str, Any], run_module: Run) -> None:
    result = run_module("annotation_test", args | {"vcfanno": "no-vcfanno"})
    assert result.failed and "exception" not in result
    assert result["where"] == "no-vcfanno"
    assert result["methods"] == ["direct"] and result["tested"][0]["package"] == "clinvar"


def test_what_is_not_live_is_a_message(args: dict[str, Any], run_module: Run) -> None:
    result = run_module("annotation_test", args | {"manifest": "0" * 64})
    assert result.failed and result["expected"] == "manifest 000000000000"


@pytest.mark.parametrize("password", [PASSWORD, "wrong-Password-5521"])
def test_the_password_is_in_no_result(args: dict[str, Any], run_module: Run, password: str) -> None:
    top = Path(args["data"]).parent
    with Anno(top / "data", top / "work", {"HG002": INPUT}) as anno, Ella(anno.url, "tester", PASSWORD) as ella:
        given = {
            "url": ella.url, "username": "tester", "password": password, "user_id": 7, "sample_id": "HG002",
            "genepanel_name": "HBOC", "genepanel_version": "v1",
        }  # fmt: skip
        result = run_module("annotation_test", args | {"ella": given})
        text = json.dumps(result)
        assert password not in text and ella.token not in text
        assert result["methods"] == ["ella"]
        # A sample without a variant of ClinVar, or a login that is refused.
        assert result.failed
        assert ("has no value" if password == PASSWORD else "does not let the user") in result["msg"]
        assert len(ella.jobs) == (password == PASSWORD)
