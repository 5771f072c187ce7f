"""The role service by itself, run by ansible-playbook against a real supervisord. In its place: test_deploy.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import supervisor
from support_supervisor import Server, program, running_supervisord, sleeper

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "deployer", "s3cret-Password-8713"
PARTS = ("preflight", "stop", "start", "verify")


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("s")
    programs = {
        "anno": sleeper(),
        "down": sleeper(autostart="false"),
        # The stop takes long enough for a task to be queued meanwhile.
        "queueing": program(
            "import pathlib, signal, time; "
            f"signal.signal(15, lambda *_: (pathlib.Path('{folder}/work/7').mkdir(), "
            f"pathlib.Path('{folder}/work/7/ACTIVE').touch(), exit(0))); time.sleep(3600)",
        ),
        "broken": program("exit('no database here')", startretries="0", autostart="false"),
    }
    (folder / "work").mkdir()
    with running_supervisord(folder, programs, USER, PASSWORD) as server:
        yield server


class Play(NamedTuple):
    code: int
    output: str
    counts: dict[str, int]


class Run(NamedTuple):
    folder: Path
    server: Server

    def __call__(self, *parts: str, options: tuple[str, ...] = (), **variables: Any) -> Play:
        """Run these parts of the role in one play."""
        includes = [
            {
                "name": f"Run {part}",
                "ansible.builtin.include_role": {"name": "ousamg.anno.service", "tasks_from": part},
            }
            for part in parts
        ]
        values = {
            "service_url": self.server.url, "service_username": USER, "service_password": PASSWORD,
            "service_program": "anno", "service_timeout": 20, "ansible_python_interpreter": sys.executable,
        } | variables  # fmt: skip
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": values, "tasks": includes}
        (self.folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
        env = os.environ | {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "play.yml", *options],
            cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        recap = re.search(r"^localhost +: (.*)$", done.stdout, re.MULTILINE)
        counts = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", recap[1])} if recap else {}
        return Play(done.returncode, done.stdout, counts)

    def state(self, name: str = "anno") -> dict[str, Any]:
        peer = supervisor.Server(self.server.url, USER, PASSWORD)
        return supervisor.inspect(peer, name).result()


@pytest.fixture
def run(tmp_path: Path, supervisord: Server) -> Run:
    return Run(tmp_path, supervisord)


def test_main_restarts_the_service(run: Run) -> None:
    before = run.state()
    play = run("main")
    assert (play.code, play.counts["changed"]) == (0, 2), play.output
    assert run.state()["pid"] != before["pid"]


def test_a_dry_run_predicts_the_changes_and_makes_none(run: Run) -> None:
    before = run.state()
    play = run("main", options=("--check", "--diff"))
    assert (play.code, play.counts["changed"]) == (0, 2), play.output
    assert "-anno: RUNNING" in play.output and "+anno: STOPPED" in play.output
    assert run.state()["pid"] == before["pid"]


def test_a_service_that_was_down_is_left_down(run: Run) -> None:
    play = run("main", "restore", service_program="down")
    assert (play.code, play.counts["changed"]) == (0, 0), play.output
    assert "was down before and is left down" in play.output
    assert run.state("down")["statename"] == "STOPPED"


def test_a_service_that_an_interrupted_run_left_down_is_started(run: Run) -> None:
    assert run("preflight", "stop").code == 0
    assert run.state()["statename"] == "STOPPED"
    play = run(*PARTS, service_was_up=True)
    assert (play.code, play.counts["changed"]) == (0, 1), play.output
    assert run.state()["statename"] == "RUNNING"


def test_restore_starts_what_was_up_even_when_nobody_looked(run: Run) -> None:
    play = run("stop", "restore")
    assert (play.code, play.counts["changed"]) == (0, 2), play.output
    assert run.state()["statename"] == "RUNNING"


@pytest.mark.parametrize("part", ["stop", "main"])
def test_a_running_task_forbids_it(run: Run, part: str) -> None:
    (run.folder / "work" / "1207").mkdir(parents=True)
    (run.folder / "work" / "1207" / "ACTIVE").touch()
    (run.folder / "work" / "1207" / "STATUS").write_text("t\tVCFANNO\tSTARTED\n", encoding="utf-8")
    before = run.state()
    play = run(part, service_work=str(run.folder / "work"))
    assert play.code == 2
    assert "running tasks: 1207 in VCFANNO since 20" in play.output
    assert "Expected: no running task. What to do: Wait" in play.output
    assert run.state()["pid"] == before["pid"]


def test_a_task_that_starts_during_the_stop_brings_the_service_back(run: Run) -> None:
    work = run.server.conf.parent / "work"
    before = run.state("queueing")
    play = run("main", service_program="queueing", service_work=str(work))
    assert play.code == 2
    assert "The service was not restarted" in play.output and "running tasks: 7 in ? since 20" in play.output
    after = run.state("queueing")
    assert after["statename"] == "RUNNING" and after["pid"] != before["pid"]


def test_a_service_that_cannot_start_fails_and_says_why(run: Run) -> None:
    play = run("main", service_program="broken", service_was_up=True)
    assert play.code == 2
    assert "broken is FATAL after the start" in play.output and "no database here" in play.output


def test_verify_notices_what_is_not_up(run: Run) -> None:
    play = run("preflight", "stop", "verify")
    assert play.code == 2
    assert "anno is STOPPED" in play.output and "Expected: RUNNING, started after 20" in play.output
    assert run("restore").code == 0


def test_missing_and_wrong_values_fail_in_the_preflight(run: Run) -> None:
    play = run("preflight", service_password="")
    assert play.code == 2 and "no password was given" in play.output
    play = run("preflight", service_timeout="soon")
    assert play.code == 2 and "service_timeout" in play.output
