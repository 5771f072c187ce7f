"""The module supervisor_program against a real supervisord."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support_supervisor import Server, program, running_supervisord, sleeper

USER, PASSWORD = "deployer", "s3cret-Password-8713"
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    programs = {
        "anno": sleeper(),
        "dies": program("import sys; sys.exit('no database here')", startretries="0", autostart="false"),
    }
    with running_supervisord(tmp_path_factory.mktemp("s"), programs, USER, PASSWORD) as server:
        yield server


def args(server: Server, state: str, **more: Any) -> dict[str, Any]:
    return {
        "url": server.url, "username": USER, "password": PASSWORD, "name": "anno", "state": state, "timeout": 20
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("first", "state", "changed", "actions"),
    [
        ("started", "stopped", True, ["stop"]),
        ("started", "started", False, []),
        ("started", "restarted", True, ["stop", "start"]),
        ("stopped", "stopped", False, []),
        ("stopped", "started", True, ["start"]),
        ("stopped", "restarted", True, ["start"]),
    ],
)
def test_check_mode_predicts_what_the_run_then_does(
    supervisord: Server, run_module: Run, first: str, state: str, changed: bool, actions: list[str]
) -> None:
    arranged = run_module("supervisor_program", args(supervisord, first))["after"]

    predicted = run_module("supervisor_program", args(supervisord, state), check=True, diff=True)
    looked = run_module("supervisor_program", args(supervisord, state), check=True)["before"]
    assert {k: looked[k] for k in looked if k != "uptime"} == {k: arranged[k] for k in arranged if k != "uptime"}

    done = run_module("supervisor_program", args(supervisord, state), diff=True)
    assert predicted["changed"] is done["changed"] is changed
    assert [action["action"] for action in predicted["planned"]] == actions
    for key in ("planned", "diff"):
        assert predicted[key] == done[key]
    assert predicted["after"]["statename"] == done["after"]["statename"]
    assert (predicted["after"]["pid"] is None) or predicted["after"]["pid"] == done["after"]["pid"]

    if state != "restarted":
        assert run_module("supervisor_program", args(supervisord, state))["changed"] is False


def test_errors_are_messages_in_both_modes(supervisord: Server, run_module: Run) -> None:
    for check in (True, False):
        result = run_module("supervisor_program", args(supervisord, "started", name="ano"), check=check)
        assert result.failed
        assert result["found"] == "no program 'ano'"
        assert result["expected"] == "one of: anno, dies"


def test_a_failed_start_shows_the_last_words(supervisord: Server, run_module: Run) -> None:
    result = run_module("supervisor_program", args(supervisord, "started", name="dies"))
    assert result.failed
    assert "no database here" in result["msg"]


def test_the_password_is_in_no_result_and_no_process_list(supervisord: Server, run_module: Run) -> None:
    wrong = args(supervisord, "stopped", password="wrong-Password-5521")
    results = [
        run_module("supervisor_program", args(supervisord, "restarted"), diff=True),
        run_module("supervisor_program", wrong),
        run_module("supervisor_program", args(supervisord, "stopped", url=f"http://{USER}:{PASSWORD}@host")),
    ]
    assert [result.failed for result in results] == [False, True, True]
    text = json.dumps(results)
    assert PASSWORD not in text and "wrong-Password-5521" not in text
    lines = [Path(f"/proc/{pid}/cmdline") for pid in os.listdir("/proc") if pid.isdigit()]
    assert not any(PASSWORD.encode() in path.read_bytes() for path in lines if path.exists())
