"""Whole deployments that go well: what they predict, what they do, and what they leave alone."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from sandbox import service, sites
from support_deploy import REPOSITORY, Deploy, Site
from support_tree import differences, snapshot

IMAGE = f"anno-{sites.NEW}.sif"
ARCHIVE = "clinvar_20240107-hgmd_2023.4.tar"
DEPLOYED = ["start", "switch data", "switch image", "end ok"]
# The plan is to need at most so many runs of a module on the host when there is nothing to do.
MODULE_RUNS = 12


def nsc_data(site: Site, env: str) -> Path:
    return sites.nsc_root(site.root, env) / {"staging": "data", "prod": "anno/anno/data"}[env]


def test_a_dry_run_predicts_and_a_second_run_does_nothing(site: Site, deploy: Deploy) -> None:
    tree, pids = site.tree(), site.pids()
    predicted = deploy("--check", "--diff")
    assert differences(tree, site.tree()) == set()
    assert site.pids() == pids
    for line in ("-clinvar: 20230504", "+clinvar: 20240107", "-hgmd: 2023.1", "+hgmd: 2023.4"):
        assert f"\n{line}\n" in predicted.output

    done = deploy()
    assert done.changed() == predicted.changed() > 0
    assert (site.version("clinvar"), site.version("hgmd"), site.version("vep")) == ("20240107", "2023.4", "105")
    assert site.link.resolve() == site.releases / IMAGE
    assert site.story() == DEPLOYED
    after = site.pids()
    assert after["anno-staging"] != pids["anno-staging"]
    assert after["anno-prod"] == pids["anno-prod"]

    tree = site.tree()
    python, calls = site.home / "python", site.home / "calls"
    python.write_text(f'#!/bin/sh\necho run >>{shlex.quote(str(calls))}\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    again = deploy("--diff", "-e", f"ansible_python_interpreter={python}")
    assert again.changed() == 0
    assert "Nothing to do: v3.2.0 is live." in again.text
    assert differences(tree, site.tree()) == set()
    assert site.pids() == after
    assert 0 < len(calls.read_text().splitlines()) <= MODULE_RUNS


def test_prod_follows_staging_on_both_sites(site: Site, deploy: Deploy) -> None:
    deploy(limit="tsd,nsc")
    incoming = sites.nsc_root(site.root, "prod") / "incoming"
    assert {path.name for path in incoming.iterdir()} == {ARCHIVE, IMAGE, "v3.2.0.yml"}
    assert site.version("clinvar", nsc_data(site, "prod")) == "20230504"

    done = deploy(limit="tsd,nsc", env="prod")
    for data in (nsc_data(site, "staging"), nsc_data(site, "prod"), site.tsd / "anno-prod/data"):
        assert site.version("clinvar", data) == "20240107"
    for link in (site.tsd / "anno-prod/anno.sif", sites.nsc_root(site.root, "prod") / "anno/anno.sif"):
        assert link.resolve(strict=True).name == IMAGE
    assert site.story("prod") == DEPLOYED
    assert done.text.count("TSD staging TSD prod") == 1
    # What NSC has no archive for is gone now that every instance has it.
    assert {path.name for path in incoming.iterdir()} == {"v3.2.0.yml"}

    tree = site.tree()
    assert deploy(limit="nsc").changed("nsc") == 0
    assert differences(tree, site.tree()) == set()


def test_a_release_of_code_alone(site: Site, deploy: Deploy) -> None:
    site.edit_manifest(archive=None, packages=[])
    before = snapshot(site.data)
    run = deploy()
    assert "A code-only release, there is no data archive." in run.text
    assert snapshot(site.data) == before
    assert site.link.resolve().name == IMAGE
    assert site.story() == ["start", "switch image", "end ok"]
    assert deploy().changed() == 0


def test_a_release_of_data_alone(site: Site, deploy: Deploy) -> None:
    site.edit_manifest(version="v3.2.0a", kind="data", image=None)
    site.manifest.rename(site.incoming / "v3.2.0a.yml")
    link = site.link.lstat().st_mtime_ns
    run = deploy()
    assert "A data-only release, there is no image." in run.text
    assert site.version("clinvar") == "20240107"
    assert site.link.lstat().st_mtime_ns == link
    assert site.image.exists()
    assert site.story() == ["start", "switch data", "end ok"]
    assert deploy().changed() == 0


def test_artifacts_without_a_manifest(site: Site, deploy: Deploy) -> None:
    site.manifest.unlink()
    named = ("-e", f"data_archive={ARCHIVE}", "-e", f"image={IMAGE}")
    run = deploy(*named)
    recorded = site.releases / "v3.2.0.yml"
    assert f"release v3.2.0: derived from {ARCHIVE} and {IMAGE}." in run.text
    for line in recorded.read_text().splitlines():
        assert " ".join(line.split()) in run.text  # it is shown
    assert f"{ARCHIVE} and {IMAGE}, which came without a manifest." in recorded.read_text()
    assert site.story() == DEPLOYED
    assert deploy(*named).changed() == 0

    deploy("-e", "release=v3.2.0", env="prod")
    assert site.version("clinvar", site.tsd / "anno-prod/data") == "20240107"
    assert (site.tsd / "anno-prod/anno.sif").resolve().name == IMAGE
    assert {entry["manifest"] for entry in site.ledger("prod")} == {entry["manifest"] for entry in site.ledger()}


@pytest.mark.parametrize("tag", ["preflight", "service", "artifact_archive", "data", "image"])
def test_each_tag_works_alone(site: Site, deploy: Deploy, tag: str) -> None:
    tree, pids = site.tree(), site.pids()
    run = deploy("--tags", tag)
    changes = differences(tree, site.tree())
    restarted = site.pids() != pids
    assert service.status(site.root)["anno-staging"] == "RUNNING"
    data, image, archived = site.version("clinvar"), site.link.resolve().name, (site.releases / IMAGE).exists()
    if tag in ("preflight", "service"):
        assert (changes, run.changed(), restarted) == (set(), 0, False)
        assert "supervisor_program" in run.output or "Check server, credentials and program" in run.output
    elif tag == "artifact_archive":
        assert (data, image, archived, restarted) == ("20230504", "anno-v3.1.0.sif", True, False)
        assert (site.releases / "v3.2.0.yml").exists()
        assert (site.tsd / "archive/data" / ARCHIVE).exists()
        assert site.story() == []
        assert "Nothing to switch." in run.text
    elif tag == "data":
        assert (data, image, restarted) == ("20240107", "anno-v3.1.0.sif", True)
        assert site.story() == ["start", "switch data", "end partial"]
    else:
        assert (data, image, restarted) == ("20230504", IMAGE, True)
        assert site.story() == ["start", "switch image", "end partial"]


def test_a_service_that_was_down_stays_down(site: Site, deploy: Deploy) -> None:
    service.rpc(site.root).stopProcess("anno-staging")
    run = deploy()
    assert service.status(site.root) == {"anno-staging": "STOPPED", "anno-prod": "RUNNING"}
    assert "service anno-staging: down, and left down" in run.text
    assert "anno-staging was down before and is left down: start it when it is wanted" in run.text
    assert site.story() == DEPLOYED


def test_the_password_is_nowhere(site: Site, deploy: Deploy) -> None:
    password = service.access(site.root)["password"]
    run = deploy("-vvv", "--diff")
    assert "supervisor_program" in run.output
    assert password not in run.output
    places = [site.root / "tsd/ess", site.home, *(site.root / "tsd/supervisord").glob("*.log")]
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    assert site.staging / "deployments.jsonl" in files
    assert [path for path in files if password.encode() in path.read_bytes()] == []


def test_the_installed_collection(site: Site, tmp_path: Path) -> None:
    environment = site.environment() | {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}

    def run(*command: str | Path, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    run("ansible-galaxy", "collection", "build", "--output-path", tmp_path, cwd=REPOSITORY)
    (built,) = tmp_path.glob("ousamg-anno-*.tar.gz")
    with tarfile.open(built) as archive:
        names = archive.getnames()
    tops = {name.split("/")[0] for name in names}
    assert {"playbooks", "plugins", "roles", "README.md", "LICENSE"} <= tops
    assert not tops & {".git", ".venv", ".sandbox", ".ansible", "collections"}
    assert not [name for name in names if name.startswith("tests/output") or "__pycache__" in name]

    run("ansible-galaxy", "collection", "install", "--offline", "-p", tmp_path / "collections", built)
    tree = site.tree()
    inventory = REPOSITORY / "inventories/sandbox"
    args = ("-i", inventory, "ousamg.anno.deploy", "-l", "tsd", "-e", "env=staging", "--check")
    output = run("ansible-playbook", *args)
    assert "clinvar: 20230504 → 20240107" in output
    assert differences(tree, site.tree()) == set()
