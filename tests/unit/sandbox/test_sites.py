from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from sandbox import sites
from support_validate import problems

INVENTORIES = Path(__file__).resolve().parents[3] / "inventories"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sites")
    old = os.umask(0o077)
    try:
        sites.make(folder)
    finally:
        os.umask(old)
    return folder


def instances(root: Path) -> list[tuple[Path, Path]]:
    """Data folder and image link of each env of each site at its place of the procedure."""
    tsd = root / "tsd/ess/p22/data/durable/production/anno"
    nsc = root / "nsc/boston/diag"
    return [
        (tsd / "anno-staging/data", tsd / "anno-staging/anno.sif"),
        (tsd / "anno-prod/data", tsd / "anno-prod/anno.sif"),
        (nsc / "staging/sw/annotation/data", nsc / "staging/sw/annotation/anno/anno.sif"),
        (nsc / "production/sw/annotation/anno/anno/data", nsc / "production/sw/annotation/anno/anno.sif"),
    ]


def test_every_instance_is_live_with_the_modes_that_the_procedure_asks_for(root: Path) -> None:
    for data, link in instances(root):
        assert link.is_symlink()
        assert link.resolve().name == "anno-v3.1.0.sif"
        assert link.stat().st_mode & 0o774 == 0o774
        assert (data / "variantDBs/clinvar/clinvar_20230504.vcf.gz.tbi").is_file()
        assert not [p for p in data.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o774 != 0o774]


def test_nothing_is_wrong_with_the_data_of_every_instance(root: Path) -> None:
    for data, _link in instances(root):
        assert problems(data) == []


@pytest.mark.parametrize("site", ["tsd", "nsc"])
def test_the_upload_is_what_its_manifest_says(root: Path, site: str) -> None:
    [manifest_path] = (root / site).rglob("incoming/v3.2.0.yml")
    manifest = yaml.safe_load(manifest_path.read_text())
    assert [package["name"] for package in manifest["packages"]] == ["clinvar", "hgmd"]
    for part in ("archive", "image"):
        content = (manifest_path.parent / manifest[part]["file"]).read_bytes()
        assert len(content) == manifest[part]["size"]
        assert hashlib.sha256(content).hexdigest() == manifest[part]["sha256"]


def test_the_finished_task_is_finished(root: Path) -> None:
    task = sites.tsd_instance(root, "staging").work / "1"
    lines = [line.split("\t") for line in (task / "STATUS").read_text().splitlines()]
    assert lines[0][1] == "QUEUED"
    assert lines[-1][1] == "FINALIZED"
    assert (task / "SUCCESS").exists()
    assert not (task / "ACTIVE").exists()
    assert "clinvar_20230504" in (task / "VCFANNO/output.vcf").read_text()


def names(variables: Any) -> Any:
    """The names of variables, nested, without their values."""
    return {key: names(value) for key, value in variables.items()} if isinstance(variables, dict) else None


@pytest.mark.parametrize("site", ["tsd", "nsc"])
def test_the_sandbox_has_the_variables_of_the_real_site(site: str) -> None:
    real = yaml.safe_load((INVENTORIES / site / f"host_vars/{site}.yml").read_text())
    sandbox = yaml.safe_load((INVENTORIES / f"sandbox/host_vars/{site}.yml").read_text())
    sandbox.pop("anno_sandbox_supervisor", None)
    assert names(sandbox) == names(real)
