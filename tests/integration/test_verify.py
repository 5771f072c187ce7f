"""verify.yml on deployed sites: all is ok, then each thing is broken by hand and exactly its line fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from sandbox import __main__ as sandbox
from sandbox import service, sites
from support_deploy import LIMIT_SECONDS, REPOSITORY, Deploy, Run, Site
from support_tree import differences

CLINVAR = "variantDBs/clinvar/clinvar_20240107.vcf.gz"


class Verify(NamedTuple):
    """Runs verify.yml and asserts its return code; the reports go to the deployer's home."""

    site: Site

    @property
    def reports(self) -> Path:
        return self.site.home / "reports"

    def __call__(self, *args: str, limit: str = "tsd", env: str | None = "staging", expect: int = 0) -> Run:
        named = ["-e", f"env={env}"] if env else []
        command = ["ansible-playbook", "-i", "inventories/sandbox", "verify.yml", "-l", limit, *named]
        done = subprocess.run(
            [*command, "-e", f"verify_reports={self.reports}", *args],
            cwd=REPOSITORY, env=self.site.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout
        return Run(done.returncode, done.stdout)

    def states(self, name: str = "tsd-staging") -> dict[str, dict[str, str]]:
        """From the JSON report: site and env to the lines that are not ok; the versions need Singularity."""
        report = json.loads((self.reports / f"verify-{name}.json").read_text())
        return {
            f"{site['site']} {env}": {
                line["line"]: line["state"]
                for line in lines
                if line["state"] != "ok" and line["line"] != "image versions"
            }
            for site in report["sites"]
            for env, lines in (site["checklists"] or {"": []}).items()
        }


def pass_the_test(path: Path) -> None:
    live = ledger.live(ledger.read(str(path)).entries)
    assert live is not None
    entry = {"event": "test", "outcome": "ok"}
    ledger.append(str(path), ledger.Request("test", [entry], release=live["release"], manifest=live["manifest"]))


def update_tracks(root: Path, env: str) -> None:
    tracks = sites.ella_tracks(root, env)
    config = tracks.parent / "track_config.json"
    for name in ("clinvar", "hgmd"):
        new = sites.NEW_PACKAGES[name]
        source = sites.tsd_instance(root, env).data / f"variantDBs/{name}/{name}_{new}.vcf.gz"
        sites.update_track(tracks, name, source)
        config.write_text(config.read_text().replace(f"{name} {sites.LIVE_PACKAGES[name]}", f"{name} {new}"))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sandbox whose two stagings were deployed and tested, and whose tracks were updated."""
    root = tmp_path_factory.mktemp("verify") / "root"
    sandbox.make(root)
    try:
        service.start(root)
        Deploy(Site(root, tmp_path_factory.mktemp("home")))(limit="tsd,nsc")
        update_tracks(root, "staging")
        for path in (sites.tsd_root(root) / "anno-staging", sites.nsc_root(root, "staging")):
            pass_the_test(path / "deployments.jsonl")
        yield root
    finally:
        sandbox.remove(root)


@pytest.fixture
def deployed(ready: Path, tmp_path: Path) -> Iterator[Site]:
    """The same for each test, whatever the one before it has broken."""
    kept = tmp_path / "kept"
    for top in ("tsd/ess", "nsc"):
        shutil.copytree(ready / top, kept / top, symlinks=True)
    (tmp_path / "home").mkdir()
    yield Site(ready, tmp_path / "home")
    for top in ("tsd/ess", "nsc"):
        shutil.rmtree(ready / top)
        shutil.copytree(kept / top, ready / top, symlinks=True)
    if service.status(ready)["anno-staging"] != "RUNNING":
        service.rpc(ready).startProcess("anno-staging")


@pytest.fixture
def verify(deployed: Site) -> Verify:
    return Verify(deployed)


def test_what_was_deployed_is_ok_on_both_sites_and_nothing_is_written(verify: Verify, deployed: Site) -> None:
    tree, pids = deployed.tree(), deployed.pids()
    run = verify(limit="tsd,nsc")
    assert verify.states("nsc-tsd-staging") == {"NSC staging": {}, "TSD staging": {}}
    assert run.changed() == run.changed("nsc") == 0
    assert differences(tree, deployed.tree()) == set()
    assert deployed.pids() == pids
    for words in ("line state evidence", "NSC staging release ok v3.2.0, deployed", "service ok anno-staging RUNNING"):
        assert words in run.text
    text = (verify.reports / "verify-nsc-tsd-staging.md").read_text()
    assert "- [x] **sources.json**: clinvar 20240107, hgmd 2023.4; 0774\n" in text
    assert text.index("## NSC staging") < text.index("## TSD staging")
    nsc = text[text.index("## NSC") : text.index("## TSD")]
    assert "service" not in nsc and "track" not in nsc

    shutil.rmtree(verify.reports)
    verify("--check", "--diff", limit="tsd,nsc")
    assert not verify.reports.exists()
    assert differences(tree, deployed.tree()) == set()


def link_to_another_image(site: Site) -> None:
    site.link.unlink()
    site.link.symlink_to("../archive/releases/anno-v3.1.0.sif")


def a_tight_image(site: Site) -> None:
    site.link.resolve().chmod(0o600)


def a_tight_file(site: Site) -> None:
    (site.data / "variantDBs/clinvar/README.md").chmod(0o600)


def an_older_index(site: Site) -> None:
    os.utime(site.data / f"{CLINVAR}.tbi", (1, 1))


def a_table_that_was_removed(site: Site) -> None:
    path = site.data / "vcfanno_config.toml"
    tables = path.read_text().split("[[annotation]]")
    path.write_text("[[annotation]]".join(part for part in tables if "clinvar_" not in part))


def a_process_that_was_not_restarted(site: Site) -> None:
    """One more switch is on record than the process has seen."""
    path = site.staging / "deployments.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["event"] == "switch":
            line["time"] = "2126-01-01T00:00:00.000Z"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def a_service_that_is_down(site: Site) -> None:
    service.rpc(site.root).stopProcess("anno-staging")


def a_track_of_the_release_before(site: Site) -> None:
    link = sites.ella_tracks(site.root, "staging") / "clinvar-current.vcf.gz.tbi"
    link.unlink()
    link.symlink_to("clinvar_20230504.vcf.gz.tbi")


def no_test(site: Site) -> None:
    path = site.staging / "deployments.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if json.loads(line)["event"] != "test"))


@pytest.mark.parametrize(
    ("broken", "states", "words"),
    [
        # The process still runs what was live before.
        (
            link_to_another_image,
            {"image": "failed", "image file": "not_checked", "service": "failed"},
            "link of the image made",
        ),
        (a_tight_image, {"image permissions": "failed"}, "has the mode 0600 expected at least 0774"),
        (a_tight_file, {"data permissions": "failed"}, "variantDBs/clinvar/README.md 0600"),
        (an_older_index, {"data": "failed"}, f"{CLINVAR}.tbi (index-old)"),
        # A table that is missing is an error of the data, too.
        (a_table_that_was_removed, {"vcfanno_config.toml": "failed", "data": "failed"}, "clinvar uses no file"),
        (a_process_that_was_not_restarted, {"service": "failed"}, "Restart anno-staging"),
        (a_service_that_is_down, {"service": "failed"}, "anno-staging is STOPPED"),
        (a_track_of_the_release_before, {"track clinvar": "failed"}, "leads to clinvar_20230504.vcf.gz.tbi"),
        (no_test, {"minimal test": "failed"}, "the test was not done yet"),
    ],
)
def test_what_was_broken_fails_its_line_alone(
    verify: Verify, deployed: Site, broken: Callable[[Site], None], states: dict[str, str], words: str
) -> None:
    broken(deployed)
    tree = deployed.tree()
    run = verify(expect=2)
    assert verify.states() == {"TSD staging": states}
    assert words in run.text
    assert differences(tree, deployed.tree()) == set()
    failed = next(name for name, state in states.items() if state == "failed")
    assert f"- [ ] **{failed}** (FAILED): " in (verify.reports / "verify-tsd-staging.md").read_text()


def test_permissions_are_repaired_where_that_is_asked_for(verify: Verify, deployed: Site) -> None:
    a_tight_file(deployed)
    (deployed.data / "FASTA").chmod(0o700)
    tree = deployed.tree()
    predicted = verify("-e", "fix_permissions=true", "--check", "--diff", expect=2)
    assert differences(tree, deployed.tree()) == set()
    assert "-variantDBs/clinvar/README.md: 0600" in predicted.output
    assert "+variantDBs/clinvar/README.md: 0774" in predicted.output

    done = verify("-e", "fix_permissions=true")
    assert done.changed() == predicted.changed() == 1
    assert verify.states() == {"TSD staging": {}}
    assert {name for name in differences(tree, deployed.tree()) if "anno-staging/data/" not in name} == set()
    assert (deployed.data / "FASTA").stat().st_mode & 0o777 == 0o775
    tree = deployed.tree()
    assert verify("-e", "fix_permissions=true").changed() == 0
    assert differences(tree, deployed.tree()) == set()


@pytest.mark.parametrize("env", ["all", None])
def test_both_envs_and_one_that_was_never_deployed_to(verify: Verify, env: str | None) -> None:
    run = verify(env=env, expect=2)
    found = verify.states("tsd-staging-prod")
    assert found["TSD staging"] == {}
    assert found["TSD prod"]["release"] == "failed"
    assert "TSD: prod: release. What to do: see the table above." in run.text


def test_a_site_that_cannot_be_reached_is_told_with_the_other(verify: Verify, tmp_path: Path) -> None:
    inventory = tmp_path / "down.yml"
    down: dict[str, Any] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory.write_text(yaml.safe_dump({"anno": {"hosts": {"nsc": down}}}))
    run = verify("-i", str(inventory), "-e", "ansible_ssh_retries=0", limit="tsd,nsc", expect=2)
    assert verify.states("nsc-tsd-staging")["TSD staging"] == {}
    assert "NSC: not asked found Task failed:" in run.text
    assert "- [ ] **not asked**: " in (verify.reports / "verify-nsc-tsd-staging.md").read_text()


@pytest.mark.parametrize(
    ("limit", "env", "words"),
    [
        ("tsd", "test", "env: there is no test. Expected: staging, prod or all."),
        ("tsd,oslo", "staging", "--limit: oslo is not in the inventory."),
    ],
)
def test_what_is_misspelt_is_named(verify: Verify, limit: str, env: str, words: str) -> None:
    run = verify(limit=limit, env=env, expect=2)
    assert words in run.text
    assert not verify.reports.exists()


def test_the_password_is_nowhere(verify: Verify, deployed: Site) -> None:
    run = verify("-vvv", "--diff")
    password = service.access(deployed.root)["password"]
    assert password not in run.output
    assert [path for path in verify.reports.iterdir() if password in path.read_text()] == []
