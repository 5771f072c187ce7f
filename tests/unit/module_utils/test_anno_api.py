"""module_utils/anno_api.py against a stand-in that really annotates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.anno_api import AnnoApi, Status
from ansible_collections.ousamg.anno.plugins.module_utils.web import WebError
from peers.anno import API, Anno
from peers.server import Answer
from sandbox.packages import data_folder
from support_vcfanno import INPUT, needs_vcfanno

pytestmark = needs_vcfanno


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anno") / "data"
    data_folder(folder, {"clinvar": "1"})
    return folder


@pytest.fixture
def anno(data: Path, tmp_path: Path) -> Iterator[Anno]:
    with Anno(data, tmp_path / "work") as peer:
        yield peer


def follow(api: AnnoApi, task: str) -> Status:
    deadline = time.monotonic() + 30
    while (status := api.status(task)).active and time.monotonic() < deadline:
        time.sleep(0.02)
    return status


def test_a_task_from_its_submission_to_its_result(anno: Anno) -> None:
    api = AnnoApi(anno.url)
    assert api.tasks() == set()
    task = api.submit(INPUT)
    assert task == "1"
    assert api.tasks() == {"1"}
    assert follow(api, task) == Status(active=False, failed=False)
    assert b"##INFO=<ID=CLINVARJSON" in api.result(task)
    assert {path.name for path in (anno.work / "1").iterdir()} == {"STATUS", "SUCCESS", "VCFANNO", "input.vcf"}


def test_a_task_that_fails(anno: Anno) -> None:
    anno.fail = True
    api = AnnoApi(anno.url)
    task = api.submit(INPUT)
    assert follow(api, task) == Status(active=False, failed=True)
    with pytest.raises(WebError, match="the task has failed"):
        api.result(task)


def test_a_task_that_is_not_there(anno: Anno) -> None:
    with pytest.raises(WebError, match=r"HTTP status 404 Not Found \(no task 99\)"):
        AnnoApi(anno.url).status("99")


@pytest.mark.parametrize("wrong", ["../../etc", "", "1 2", "१२", "x" * 100])
def test_a_task_id_is_digits(anno: Anno, wrong: str) -> None:
    anno.task_id = wrong or "-"
    with pytest.raises(WebError, match="has digits only"):
        AnnoApi(anno.url).submit(INPUT)


@pytest.mark.parametrize("mode", ["500", "html", "half", "closed", "garbage", "list"])
def test_bad_answers_are_errors(anno: Anno, mode: str) -> None:
    anno.bad = {f"{API}/": mode}
    api = AnnoApi(anno.url)
    for call in (lambda: api.submit(INPUT), lambda: api.status("1"), api.tasks):
        with pytest.raises(WebError) as caught:
            call()
        assert caught.value.path.startswith(f"{anno.url}{API}/")
        assert caught.value.expected == "the HTTP API of an anno service"


@pytest.mark.parametrize("body", [{}, {"active": "no", "error": False}, {"active": True}, None])
def test_a_status_that_says_nothing(anno: Anno, monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    monkeypatch.setattr(anno, "answer", lambda _: Answer(body))
    with pytest.raises(WebError, match='without "active" and "error"'):
        AnnoApi(anno.url).status("1")
