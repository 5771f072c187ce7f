"""modules/data_unpack.py with archives that would annotate wrongly: they never go live."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox import packages
from sandbox.archive import make_archive
from support_data import Site, replace
from support_tree import contents

Run = Callable[..., Any]
OLD, NEW = '"CLINVARJSON"', '"GONE"'


def archive(site: Site, top: Path, old: str, new: str) -> dict[str, str]:
    """An archive of ClinVar whose entry in sources.json is another one; the module's arguments."""
    newer = top / "newer"
    packages.data_folder(newer, {"clinvar": "20240107"})
    replace(newer / "sources.json", old, new)
    make_archive(site.archive, newer, ["clinvar"])
    shutil.rmtree(newer)
    return {"src": str(site.archive), "data": str(site.data)}


@pytest.mark.parametrize("strategy", ["auto", "packages"])
@pytest.mark.parametrize("activate", [True, False])
def test_a_field_that_the_file_does_not_have(
    run_module: Run, site: Site, tmp_path: Path, strategy: str, activate: bool
) -> None:
    args = {**archive(site, tmp_path, OLD, NEW), "strategy": strategy, "activate": activate}
    before = contents(site.top)
    assert not run_module("data_unpack", args, check=True).failed, "only the file tells"
    result = run_module("data_unpack", args)
    assert result.failed
    assert "no INFO field 'GONE'" in result["found"] and "validate" in result["todo"]
    assert contents(site.top) == before
    assert not run_module("data_unpack", {**args, "validate": "off"}).failed


def test_a_dry_run_tells_what_the_tables_alone_tell(run_module: Run, site: Site, tmp_path: Path) -> None:
    args = archive(site, tmp_path, '"first"', '"median"')
    before = contents(site.top)
    for check in (True, False):
        result = run_module("data_unpack", args, check=check)
        assert result.failed and "vcfanno does not know the op 'median'" in result["found"]
    assert contents(site.top) == before


def test_what_was_made_ready_unseen_is_looked_at_before_it_is_switched(
    run_module: Run, site: Site, tmp_path: Path
) -> None:
    args = archive(site, tmp_path, OLD, NEW)
    assert not run_module("data_unpack", {**args, "activate": False, "validate": "off"}).failed
    live = contents(site.data)
    assert run_module("data_unpack", args).failed
    assert contents(site.data) == live


def test_what_is_wrong_with_another_package_does_not_matter(run_module: Run, site: Site, tmp_path: Path) -> None:
    args = archive(site, tmp_path, OLD, OLD)
    (site.data / "variantDBs/hgmd/hgmd_2023.1.vcf.gz.tbi").unlink()
    replace(site.data / "vcfanno_config.toml", '"HGMD__CLASS"', '"HGMD CLASS"')
    assert not run_module("data_unpack", args).failed


def test_doubts_are_notes(run_module: Run, site: Site, tmp_path: Path) -> None:
    lists = '"fields": ["CLNSIG", "CLNSIG"], "names": ["A", "B"], "ops": ["first", "first"]'
    args = archive(
        site,
        tmp_path,
        '"vcfanno": [',
        f'"vcfanno": [{{"file": "variantDBs/clinvar/clinvar_20240107.vcf.gz", {lists}}}, ',
    )
    for check in (True, False):
        result = run_module("data_unpack", args, check=check)
        assert not result.failed
        assert [note for note in result["notes"] if "the field CLNSIG is used 2 times" in note]
