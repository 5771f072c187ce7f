"""test.yml as a person runs it: each way of testing, what it says when something is wrong, and what is on record."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from peers.anno import API, Anno
from peers.ella import JOBS, Ella
from sandbox import packages
from support_data import replace
from support_deploy import REPOSITORY, Deploy, Run, Site
from support_hosts import Hosts
from support_live import make_live, record_live
from support_tree import differences, snapshot
from support_user import world_folder
from support_vcfanno import needs_vcfanno

pytestmark = needs_vcfanno
PASSWORD = "s3cret-Password-8713"
CLINVAR = "variantDBs/clinvar/clinvar_20240107.vcf.gz"
HGMD = "variantDBs/hgmd/hgmd_2023.4.vcf.gz"
LEDGER = "tsd/ess/p22/data/durable/production/anno/anno-staging/deployments.jsonl"


class Minimal(NamedTuple):
    """A sandbox in whose staging v3.2.0 is live: the packages and the link by hand, and the record of it."""

    site: Site
    run: Deploy

    def __call__(self, *args: str, expect: int = 0, answers: str = "", **variables: Any) -> Run:
        """Run test.yml with these variables."""
        given = {"minimal_test_timeout": 60} | variables
        return self.run(*args, "-e", json.dumps(given), expect=expect, answers=answers)

    def entry(self) -> dict[str, Any]:
        """The record of the test, which is the last one."""
        return self.site.ledger()[-1]


@pytest.fixture
def minimal(site: Site) -> Minimal:
    make_live(site)
    return Minimal(site, Deploy(site, "test.yml"))


@pytest.fixture
def anno(minimal: Minimal) -> Iterator[Anno]:
    with Anno(minimal.site.data, minimal.site.staging / "work") as peer:
        yield peer


@pytest.fixture
def ella(anno: Anno) -> Iterator[Ella]:
    with Ella(anno.url, "tester", PASSWORD) as peer:
        yield peer


def with_ella(minimal: Minimal, ella: Ella, *args: str, password: str = PASSWORD, expect: int = 0) -> Run:
    """Run with an inventory that names an ELLA: a copy of the sandbox's, with the password as in a vault file."""
    folder = minimal.site.home / "inventory"
    shutil.copytree(REPOSITORY / "inventories/sandbox", folder, dirs_exist_ok=True)
    instance = {
        "url": ella.url, "user_id": 7, "sample_id": "HG002", "genepanel_name": "HBOC", "genepanel_version": "v1.0.0"
    }  # fmt: skip
    path = folder / "host_vars/tsd.yml"
    replace(path, "  staging:\n", f"  staging:\n    ella: {json.dumps(instance)}\n")
    replace(path, 'anno_ella_username: ""', "anno_ella_username: tester")
    replace(path, 'anno_ella_password: ""', f"anno_ella_password: {password}")
    return minimal("-i", str(folder), *args, expect=expect)


def all_variants(minimal: Minimal) -> str:
    """A sample that has a variant of each updated package."""
    run = subprocess.run(
        ["zcat", minimal.site.data / CLINVAR, minimal.site.data / HGMD], capture_output=True, text=True, check=True
    )
    records = sorted(
        (line.split("\t") for line in run.stdout.splitlines() if line.startswith("1\t")), key=lambda c: int(c[1])
    )
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=1>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    return "\n".join([*lines, *("\t".join([*c[:2], ".", *c[3:5], ".", "PASS", "."]) for c in records)]) + "\n"


def passed(minimal: Minimal, run: Run, method: str, tasks: Mapping[str, str]) -> None:
    assert "TSD staging: release v3.2.0 has passed the minimal test." in run.output
    assert "Tested: clinvar 20240107, hgmd 2023.4." in run.output
    entry = minimal.entry()
    assert (entry["event"], entry["outcome"], entry["message"], entry["release"]) == ("test", "ok", None, "v3.2.0")
    assert entry["after"] == {
        "methods": [method], "tasks": tasks, "tested": {"clinvar": "20240107", "hgmd": "2023.4"}, "untestable": [],
        "missing": [],
    }  # fmt: skip
    live = ledger.live(ledger.read(str(minimal.site.staging / "deployments.jsonl")).entries)
    assert live and live["tested"] is True


def failed(minimal: Minimal, run: Run, *words: str) -> dict[str, Any]:
    """It says so last, with these words, and has put it on record."""
    assert "TSD staging: release v3.2.0 has NOT passed the minimal test." in run.output
    assert "Traceback (most recent call last)" not in run.output
    last = " ".join(run.output[run.output.rindex("TASK [Tell what went wrong]") :].split())
    for word in words:
        assert word in last
    entry = minimal.entry()
    assert (entry["event"], entry["outcome"]) == ("test", "failed")
    told = " ".join(entry["message"].split())
    assert all(word in told for word in words)
    live = ledger.live(ledger.read(str(minimal.site.staging / "deployments.jsonl")).entries)
    assert not (live and live["tested"])
    return entry


# By vcfanno itself


def test_directly_and_a_dry_run_before_it(minimal: Minimal) -> None:
    tree = minimal.site.tree()
    predicted = minimal("--check", "--diff")
    assert differences(tree, minimal.site.tree()) == set()
    assert f"→ CLINVARJSON from {CLINVAR}" in predicted.text
    assert "by vcfanno on this host" in predicted.text
    assert "release v3.2.0 would be tested." in predicted.output

    run = minimal()
    assert differences(tree, minimal.site.tree()) == {LEDGER}
    assert run.changed() == predicted.changed() == 1
    passed(minimal, run, "direct", {})


def test_a_release_of_code_alone_tests_what_is_live(minimal: Minimal) -> None:
    site = minimal.site
    site.edit_manifest(archive=None, packages=[])
    record_live(site)
    run = minimal()
    assert "no updated package can be tested this way: all live ones that can are tested" in run.text
    assert minimal.entry()["after"]["tested"] == {"clinvar": "20240107", "gnomad": "2.1.1", "hgmd": "2023.4"}


def test_a_package_without_tables_is_told_and_never_passed(minimal: Minimal) -> None:
    site = minimal.site
    listed = [{"name": "clinvar", "version": "20240107", "repository": "ella-anno"}]
    site.edit_manifest(packages=[*listed, {"name": "vep", "version": "105", "repository": "ella-anno"}])
    record_live(site)
    run = minimal()
    assert "Tested: clinvar 20240107.\n" in run.output
    assert "Not testable this way: vep." in run.output
    after = minimal.entry()["after"]
    assert (after["tested"], after["untestable"]) == ({"clinvar": "20240107"}, ["vep"])


def test_a_release_that_is_not_live(minimal: Minimal) -> None:
    minimal.site.edit_manifest(created="2024-02-01T09:00:00+00:00")
    run = minimal(expect=2)
    failed(minimal, run, "by the record v3.2.0 (manifest ", "Deploy the release, or name the one that is live")


def test_what_was_left_out_by_hand_has_not_passed(minimal: Minimal) -> None:
    """With --step, all is done but the test itself."""
    listed = minimal("--list-tasks").output
    tasks = re.findall(r"^ {6}(\S.*?)\tTAGS", listed, re.M)
    answers = "".join("n\n" if task.startswith("ousamg.anno.minimal_test ") else "y\n" for task in tasks)
    run = minimal("--step", expect=2, answers=answers)
    failed(minimal, run, "The test itself was left out. What to do: run the whole playbook.")


def test_a_field_that_the_release_lacks(minimal: Minimal) -> None:
    for name in ("sources.json", "vcfanno_config.toml"):
        path = minimal.site.data / name
        path.write_text(path.read_text().replace('"CLASS"', '"KLASS"'))
    run = minimal(expect=2)
    words = f"hgmd ({HGMD}): HGMD__CLASS has no value, since the file has no such field."
    entry = failed(minimal, run, words, "What to do: Compare sources.json and vcfanno_config.toml")
    assert entry["after"]["missing"][0]["names"] == ["HGMD__CLASS"]


def test_by_the_vcfanno_in_the_live_image(hosts: Hosts) -> None:
    """As the service user of a host with Apptainer."""
    code = """
import json, sys
from ansible_collections.ousamg.anno.plugins.module_utils import annotation_test
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_run import Program
top, image = sys.argv[1:]
given = annotation_test.Request(
    f"{top}/data", [("clinvar", "1"), ("hgmd", "1")], f"{top}/ledger", "digest", None, image,
    Program("vcfanno", "singularity", image), "name", 60)
planned = annotation_test.plan(given)
annotation_test.apply(given, planned)
print(json.dumps(planned.reasons))
"""
    with world_folder() as top:
        packages.data_folder(top / "data", {"clinvar": "1", "hgmd": "1"})
        entries = [{"event": "start"}, {"event": "end", "outcome": "ok"}]
        ledger.append(str(top / "ledger"), ledger.Request("d1", entries, manifest="digest"))
        before = snapshot(top)
        python = ("python3", "-c", code, top, hosts.image)
        done = hosts.run(*python, share=[top], env={"PYTHONPATH": str(REPOSITORY / "collections")})
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)[-1] == f"by singularity exec {hosts.image} vcfanno on this host"
        assert differences(before, snapshot(top)) == set()


# Through the anno service


def test_through_the_service(minimal: Minimal, anno: Anno) -> None:
    tree = minimal.site.tree()
    minimal("--check", minimal_test_api=anno.url)
    assert (anno.calls, differences(tree, minimal.site.tree())) == ([], set())
    run = minimal(minimal_test_api=anno.url)
    assert f"by a task of the anno service at {anno.url}" in run.text
    passed(minimal, run, "api", {"api": "2"})


def test_a_step_that_fails(minimal: Minimal, anno: Anno) -> None:
    anno.fail = True
    run = minimal(minimal_test_api=anno.url, expect=2)
    log = minimal.site.staging / "work/2/VCFANNO/output.log"
    words = (f"{anno.url} task 2: the task has failed (step VCFANNO FAILED). The end of {log}:", "/nowhere/variantDBs")
    failed(minimal, run, *words)


def test_a_task_that_hangs_is_shown_and_given_up(minimal: Minimal, anno: Anno) -> None:
    anno.hang = True
    run = minimal(minimal_test_api=anno.url, minimal_test_timeout=7, expect=2)
    shown = [int(n) for n in re.findall(r"^\[tsd\] minimal test: task 2, VCFANNO STARTED, (\d+) s$", run.output, re.M)]
    assert shown and shown == sorted(shown)
    failed(minimal, run, "the task has not ended after 7 s (step VCFANNO STARTED)", "waiting for a lock")


def _wrong_task(anno: Anno) -> None:
    anno.task_id = "../../etc"


def _former_data(anno: Anno) -> None:
    anno.data = anno.work.parents[1] / "anno-prod/data"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (("annotate", "500"), "/annotate/: the answer is not what was asked for: HTTP status 500"),
        (("status", "html"), "/status/2: the answer is not what was asked for: it is no JSON: 502 Bad Gateway"),
        (("process", "half"), "/process/2: the answer is not what was asked for: it ends after 27 of 127 bytes"),
        (("status", "closed"), "/status/2: the answer is not what was asked for: the connection was closed without"),
        (("annotate", "garbage"), "/annotate/: the answer is not what was asked for: it is no JSON"),
        (("process", "silent"), "/process/2: the answer is not what was asked for: it is not there, or not whole"),
        (_wrong_task, "its task_id is '../../etc', and that of a task has digits only"),
        (_former_data, "it was annotated from the data folder"),
    ],
    ids=["500", "html", "half", "closed", "garbage", "silent", "task", "data"],
)
def test_a_service_that_answers_badly(
    minimal: Minimal, anno: Anno, spoil: tuple[str, str] | Callable[[Anno], None], words: str
) -> None:
    if callable(spoil):
        spoil(anno)
    else:
        anno.bad[f"{API}/{spoil[0]}"] = spoil[1]
    run = minimal(minimal_test_api=anno.url, minimal_test_timeout=5, expect=2)
    failed(minimal, run, words)


# Through ELLA


def test_a_reanalysis(minimal: Minimal, anno: Anno, ella: Ella) -> None:
    anno.samples["HG002"] = all_variants(minimal)
    run = with_ella(minimal, ella, "-vvv")
    assert f"by a reanalysis of HG002 in ELLA at {ella.url}" in run.text
    passed(minimal, run, "ella", {"ella": "2"})
    assert ella.jobs[0]["properties"]["analysis_name"].startswith("minimal-test-v3.2.0-2")
    assert_secret(minimal, run, PASSWORD, ella.token)


def test_a_job_that_fails(minimal: Minimal, ella: Ella) -> None:
    run = with_ella(minimal, ella, expect=2)
    failed(minimal, run, f"{ella.url} job 41: the job is FAILED (SUBMISSION): no such sample.")


def test_an_ella_that_answers_badly(minimal: Minimal, ella: Ella) -> None:
    ella.bad[JOBS] = "html"
    run = with_ella(minimal, ella, expect=2)
    failed(minimal, run, f"{ella.url}{JOBS}: the answer is not what was asked for: it is no JSON: 502 Bad Gateway")


def test_a_wrong_password_is_told_and_not_shown(minimal: Minimal, ella: Ella) -> None:
    wrong = "wrong-Password-5521"
    run = with_ella(minimal, ella, "-vvv", password=wrong, expect=2)
    failed(minimal, run, "ELLA does not let the user 'tester' in (HTTP status 401)")
    assert_secret(minimal, run, wrong)


def test_the_password_is_in_no_process_list(minimal: Minimal, anno: Anno, ella: Ella) -> None:
    """Looked at from within: when ELLA is asked for the job, the module runs."""
    anno.samples["HG002"] = all_variants(minimal)
    seen: list[bytes] = []
    answer = ella.answer

    def look(call: Any) -> Any:
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            try:
                seen.append(Path(f"/proc/{pid}/cmdline").read_bytes())
            except OSError:  # it has ended
                continue
        return answer(call)

    ella.answer = look  # type: ignore[method-assign]
    with_ella(minimal, ella)
    assert any(b"AnsiballZ_annotation_test" in line or b"async" in line for line in seen)
    assert not [line for line in seen if PASSWORD.encode() in line or ella.token.encode() in line]


def assert_secret(minimal: Minimal, run: Run, *secrets: str) -> None:
    """None of them is in the output, in the ledger, in a task's folder or in a file that Ansible has left."""
    own = minimal.site.home / "inventory"
    places = [minimal.site.staging, minimal.site.home]
    files = [path for place in places for path in place.rglob("*") if path.is_file() and own not in path.parents]
    for secret in secrets:
        assert secret not in run.output
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
