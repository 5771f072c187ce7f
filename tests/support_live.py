"""A sandbox in which the new release is live, and on record as such, without a deployment: what comes after one."""

from __future__ import annotations

import shutil

from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import load
from sandbox import packages, sites
from support_deploy import Site


def make_live(site: Site) -> None:
    for name in ("clinvar", "hgmd"):
        shutil.rmtree(site.data / packages.RECIPES[name].destination)
        packages.make_package(site.data, name, sites.NEW_PACKAGES[name])
    packages.write_config(site.data)
    shutil.copy(site.image, site.releases)
    site.link.unlink()
    site.link.symlink_to(site.releases / site.image.name)
    record_live(site)


def record_live(site: Site) -> None:
    """The record that a deployment of the uploaded manifest leaves."""
    digest = load(site.manifest.read_text(), str(site.manifest)).digest
    entries = [{"event": "start"}, {"event": "end", "outcome": "ok"}]
    given = ledger.Request("d1", entries, "TSD", "staging", "v3.2.0", digest, "ola", "control", 7)
    ledger.append(str(site.staging / "deployments.jsonl"), given)
