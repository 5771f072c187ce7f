"""After the deployment into staging of both sites: all of it is live there, prod is as it was."""

import json
import os
from pathlib import Path

import pytest
from sandbox import service
from sandbox.sites import nsc_root, tsd_instance, tsd_root

ROOT = Path(os.environ["ANNO_SANDBOX"])
NSC = nsc_root(ROOT, "staging")
DATA = {"tsd": tsd_instance(ROOT, "staging").data, "nsc": NSC / "data"}
LINK = {"tsd": tsd_instance(ROOT, "staging").image_link, "nsc": NSC / "anno/anno.sif"}
LEDGER = {"tsd": tsd_root(ROOT) / "anno-staging/deployments.jsonl", "nsc": NSC / "deployments.jsonl"}
SITES = ("tsd", "nsc")


@pytest.mark.parametrize("site", SITES)
def test_the_data_are_live(host, site):
    sources = json.loads(host.file(str(DATA[site] / "sources.json")).content_string)
    assert (sources["clinvar"]["version"], sources["hgmd"]["version"]) == ("20240107", "2023.4")
    assert host.run(f"cd {DATA[site]}/variantDBs/clinvar && md5sum --check --strict MD5SUM").succeeded


@pytest.mark.parametrize("site", SITES)
def test_the_image_is_live(site):
    image = LINK[site].resolve(strict=True)
    assert image.name == "anno-v3.2.0.sif"
    assert image.stat().st_mode & 0o774 == 0o774


@pytest.mark.parametrize("site", SITES)
def test_the_deployment_is_on_record(site):
    entries = [json.loads(line) for line in LEDGER[site].read_text().splitlines()]
    assert [(e["event"], e["what"], e["outcome"]) for e in entries] == [
        ("start", None, None),
        ("switch", "data", None),
        ("switch", "image", None),
        ("end", None, "ok"),
    ]
    assert {e["release"] for e in entries} == {"v3.2.0"}
    assert not LEDGER[site].with_name("deployments.jsonl.lock").is_symlink()


def test_the_service_runs_and_was_restarted():
    assert service.status(ROOT) == {"anno-staging": "RUNNING", "anno-prod": "RUNNING"}
    staging, prod = (service.rpc(ROOT).getProcessInfo(name) for name in ("anno-staging", "anno-prod"))
    assert staging["start"] > prod["start"]


def test_prod_is_as_it_was():
    assert tsd_instance(ROOT, "prod").image_link.resolve().name == "anno-v3.1.0.sif"
    assert "20230504" in (tsd_instance(ROOT, "prod").data / "sources.json").read_text()


def test_the_artifacts_are_where_the_site_keeps_them():
    assert (tsd_root(ROOT) / "archive/data/clinvar_20240107-hgmd_2023.4.tar").is_file()
    assert (tsd_root(ROOT) / "archive/releases/v3.2.0.yml").is_file()
    # NSC keeps no data archives: it lies where it arrived until prod is updated.
    assert (nsc_root(ROOT, "prod") / "incoming/clinvar_20240107-hgmd_2023.4.tar").is_file()
