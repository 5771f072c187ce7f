"""The action plugin ledger_entry, run by a real ansible-playbook."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


class Playbook:
    """``ansible-playbook`` with a play of ledger_entry tasks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = folder / "deployments.jsonl"
        self.lock = folder / "deployments.jsonl.lock"

    def start(self, *tasks: dict[str, Any], options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
        play["vars"] = {"ansible_python_interpreter": sys.executable}
        name = f"play-{len(list(self.folder.glob('play-*')))}.yml"
        (self.folder / name).write_text(json.dumps([play]), encoding="utf-8")
        env = os.environ | {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", name, *options],
            cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *tasks: dict[str, Any], options: tuple[str, ...] = ()) -> tuple[int, str]:
        with self.start(*tasks, options=options) as process:
            output, _ = process.communicate(timeout=60)
            return process.returncode, output

    def task(self, deployment: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
        words = {"path": str(self.ledger), "deployment": deployment, "entries": list(entries)}
        return {"name": "Record", "ousamg.anno.ledger_entry": words | more}

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_text(encoding="utf-8").splitlines()]

    def holder(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(os.readlink(self.lock))
        return found


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


def waiting_start(playbook: Playbook, deployment: str) -> subprocess.Popen[str]:
    """A deployment that has started and is at work until it is ended by its process id."""
    mark = playbook.folder / f"{deployment}.started"
    process = playbook.start(
        playbook.task(deployment, {"event": "start"}),
        {"name": "Work", "ansible.builtin.shell": f"touch {mark}; exec sleep 30"},
    )
    while not mark.exists():
        assert process.poll() is None
    return process


def test_the_controller_signs(playbook: Playbook) -> None:
    with waiting_start(playbook, "d1") as process:
        try:
            (line,) = playbook.lines()
            assert (line["by"], line["from"]) == (getpass.getuser(), socket.gethostname())
            holder = playbook.holder()
            assert (holder["deployment"], holder["by"], holder["pid"]) == ("d1", getpass.getuser(), process.pid)
        finally:
            process.kill()


def test_nobody_signs_for_another(playbook: Playbook) -> None:
    task = playbook.task("d1", {"event": "start"}, **{"by": "kari", "from": "elsewhere", "controller_pid": 1})
    assert playbook.run(task)[0] == 0
    assert playbook.lines()[0]["by"] == getpass.getuser()
    assert playbook.holder()["from"] == socket.gethostname()


def test_a_deployment_at_work_is_not_disturbed(playbook: Playbook) -> None:
    with waiting_start(playbook, "d1") as process:
        try:
            for options in ((), ("--check",)):
                code, output = playbook.run(
                    playbook.task("d2", {"event": "start"}, takeover="d1"), options=options
                )
                assert code == 2
                assert f"held by deployment d1 of {getpass.getuser()}" in output
                assert f"pid {process.pid}" in output
            assert [line["deployment"] for line in playbook.lines()] == ["d1"]
        finally:
            process.kill()


def test_the_lock_of_a_killed_deployment_is_taken_over(playbook: Playbook) -> None:
    with waiting_start(playbook, "d1") as process:
        process.kill()
    before = playbook.ledger.read_bytes()

    task = playbook.task("d2", {"event": "start"})
    code, output = playbook.run(task, options=("--check", "--diff"))
    assert code == 0, output
    assert '"interrupted"' in output
    assert playbook.ledger.read_bytes() == before and playbook.holder()["deployment"] == "d1"

    code, output = playbook.run(task)
    assert code == 0, output
    assert [(line["deployment"], line["event"], line["message"]) for line in playbook.lines()] == [
        ("d1", "start", None), ("d1", "end", "interrupted"), ("d2", "start", None)
    ]  # fmt: skip
    assert playbook.holder()["deployment"] == "d2"


@pytest.mark.parametrize("word", [{"from": "elsewhere.example"}, {"pid": None}, {"pid": 0}, {"pid": -1}])
def test_a_deployment_that_cannot_be_looked_at_is_not_taken_over(playbook: Playbook, word: dict[str, Any]) -> None:
    with waiting_start(playbook, "d1") as process:
        process.kill()
    holder = playbook.holder() | word
    playbook.lock.unlink()
    playbook.lock.symlink_to(json.dumps(holder))
    code, output = playbook.run(playbook.task("d2", {"event": "start"}))
    assert code == 2
    assert f"rm {playbook.lock}" in output
