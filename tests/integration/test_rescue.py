"""Deployments that fail or die half-way: the old release is live or the new one, and running again converges."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sandbox import service, sites
from support_deploy import REPOSITORY, Deploy, Site
from support_tree import differences

UP = {"anno-staging": "RUNNING", "anno-prod": "RUNNING"}


def live(site: Site) -> dict[str, Any]:
    """All of the data byte for byte, with modes and times, and where the link leads."""
    prefix = f"tsd/{site.data.relative_to(site.root / 'tsd')}/"
    data = {name: node for name, node in site.tree().items() if name.startswith(prefix)}
    return data | {"link": site.link.readlink()}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


@contextmanager
def running(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A deployment in a process group of its own, which is killed in the end."""
    with (site.home / "output.txt").open("w") as output:
        process = subprocess.Popen(
            site.command(),
            cwd=REPOSITORY,
            env=site.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


# ---- the service does not come up with the new release


@pytest.fixture
def picky(site: Site) -> Iterator[Path]:
    """The staging service refuses to start with the new image until the file that this returns is there."""
    needed, script = site.home / "licence", site.home / "anno.sh"
    conf = site.root / "tsd/supervisord/supervisord.conf"
    text = conf.read_text()
    command = re.search(r"\[program:anno-staging\]\ncommand=(.*)\n", text)
    assert command
    script.write_text(
        f"case $(readlink {shlex.quote(str(site.link))}) in *{sites.NEW}*)\n"
        f"  [ -e {shlex.quote(str(needed))} ] || {{ echo 'anno {sites.NEW} finds no licence' >&2; exit 1; }} ;;\n"
        f"esac\nexec {command[1]}\n"
    )
    conf.write_text(text.replace(command[0], f"[program:anno-staging]\ncommand=/bin/sh {script}\n"))
    server = service.rpc(site.root)
    server.reloadConfig()
    server.stopProcessGroup("anno-staging")
    server.removeProcessGroup("anno-staging")
    server.addProcessGroup("anno-staging")
    wait_for(lambda: service.status(site.root) == UP, "the changed program runs")
    yield needed
    service.stop(site.root)  # its next start writes the configuration anew


def test_a_service_that_does_not_come_up(site: Site, deploy: Deploy, picky: Path) -> None:
    before, tree, pids = live(site), site.tree(), site.pids()
    run = deploy(expect=2)
    assert live(site) == before
    instance = str(site.staging.relative_to(site.root))
    # The artifacts are in the archive: they were right, and the next attempt finds them there.
    kept = [str(path.relative_to(site.root)) for path in (site.incoming, site.tsd / "archive")]
    elsewhere = (f"{instance}/.data.anno", *kept)
    assert {name for name in differences(tree, site.tree()) if not name.startswith(elsewhere)} == {
        instance,  # its time: it has new files
        f"{instance}/anno.sif",  # replaced twice: the same target, another time
        f"{instance}/deployments.jsonl",
    }
    assert service.status(site.root) == UP
    assert site.pids()["anno-prod"] == pids["anno-prod"]
    last = run.text[run.text.index("TASK [Tell what went wrong]") :]
    for words in (
        "TSD staging: release v3.2.0 was not deployed.",
        "start | Start the program: ",
        "after the start",
        "anno v3.2.0 finds no licence",
        "Everything is back as it was before, and the service is as it was.",
        "Live now: image anno-v3.1.0.sif, data clinvar 20230504, fasta v37",
    ):
        assert words in last, run.output
    assert "Traceback" not in run.output
    assert site.story() == ["start", "switch data", "switch image", "end rolled_back"]
    assert "anno v3.2.0 finds no licence" in site.ledger()[-1]["message"]

    # The cause is mended: the same command succeeds, with what was unpacked then.
    picky.touch()
    name = "variantDBs/clinvar/clinvar_20240107.vcf.gz"
    unpacked = (site.staging / ".data.anno/next" / name).stat().st_ino
    deploy()
    assert (site.data / name).stat().st_ino == unpacked
    assert (site.version("clinvar"), site.link.resolve().name) == ("20240107", site.image.name)
    assert site.story()[4:] == ["start", "switch data", "switch image", "end ok"]
    assert service.status(site.root) == UP


# ---- ansible-playbook is killed


def stopped(site: Site) -> bool:
    return service.status(site.root)["anno-staging"] == "STOPPED"


def data_switched(site: Site) -> bool:
    return site.version("clinvar") == "20240107"


@pytest.mark.parametrize("moment", [stopped, data_switched], ids=["before_the_switch", "between_data_and_image"])
def test_ansible_playbook_is_killed(site: Site, deploy: Deploy, moment: Callable[[Site], bool]) -> None:
    before = live(site)
    with running(site) as process:
        wait_for(lambda: moment(site), moment.__name__)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert service.status(site.root)["anno-staging"] == "STOPPED"
    assert site.link.readlink() == before["link"]
    switched = moment is data_switched
    run = deploy()
    assert "was interrupted: this one ends it" in run.text
    assert service.status(site.root) == UP
    assert (site.version("clinvar"), site.link.resolve().name) == ("20240107", site.image.name)
    story, entries = site.story(), site.ledger()
    broken = story.index("end failed")
    assert story[:broken] in ([["start"], ["start", "switch data"]] if switched else [["start"]])
    assert story[broken + 1 :] == ["start", *([] if switched else ["switch data"]), "switch image", "end ok"]
    assert entries[broken]["message"] == "interrupted"
    assert entries[broken]["deployment"] == entries[0]["deployment"] != entries[-1]["deployment"]
    assert not (site.staging / "deployments.jsonl.lock").is_symlink()


def test_the_switch_itself_was_interrupted(site: Site, deploy: Deploy) -> None:
    """By a power cut between the exchange and the end of the journal: the same command converges."""
    state = site.staging / ".data.anno"
    state.mkdir(exist_ok=True)
    shutil.copytree(site.data, state / "next")
    retired = state / "generations/000001.former"
    retired.parent.mkdir()
    journal = {
        "incoming": str(state / "next"),
        "retired": str(retired),
        "new": site.data.stat().st_ino,
        "generation": "new",
    }
    (state / "journal.json").write_text(json.dumps(journal))
    dry = deploy("--check", expect=2)
    assert "a switch was interrupted here" in dry.text
    deploy()
    assert site.version("clinvar") == "20240107"
    assert retired.is_dir() and not (state / "journal.json").exists()


def test_the_process_of_the_module_is_killed(site: Site, deploy: Deploy) -> None:
    """The unpacking ends without a word: that is noticed, and undone."""
    python = site.home / "python"
    # What runs the module in the background is its parent; it must not tell how the module ended.
    python.write_text(
        f'#!/bin/sh\ncase "$*" in */async_wrapper.py*) ;; *AnsiballZ_data_unpack.py*) kill -9 $PPID; exit 1 ;; esac\n'
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    python.chmod(0o755)
    before, pids = live(site), site.pids()
    run = deploy("-e", f"ansible_python_interpreter={python}", expect=2)
    assert "the process of ousamg.anno.data_unpack on tsd ended without a result" in run.text
    assert "Traceback" not in run.output
    assert (live(site), site.pids()) == (before, pids)
    assert site.story() == ["start", "end rolled_back"]


# ---- somebody else


def test_a_second_deployer_is_refused(site: Site, deploy: Deploy) -> None:
    lock = site.staging / "deployments.jsonl.lock"
    with running(site) as first:
        wait_for(lock.is_symlink, "the first deployment has begun")
        os.killpg(first.pid, signal.SIGSTOP)
        try:
            (holder,) = site.ledger()
            run = deploy(expect=2)
        finally:
            os.killpg(first.pid, signal.SIGCONT)
        assert first.wait(120) == 0, (site.home / "output.txt").read_text()
    who = f"{holder['deployment']} of {holder['by']}, from {holder['from']}, pid {first.pid}, since 20"
    assert f"held by deployment {who}" in run.text
    assert "Expected: no other deployment of this instance" in run.text
    assert "What to do: Wait until it has ended" in run.text
    assert "Nothing was touched." in run.text
    assert site.story() == ["start", "switch data", "switch image", "end ok"]
    assert service.status(site.root) == UP
