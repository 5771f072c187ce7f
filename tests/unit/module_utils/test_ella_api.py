"""module_utils/ella_api.py against a stand-in of ELLA that has a stand-in of anno annotate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.ella_api import DONE, EllaApi, EllaError, Job, Login, Sample
from ansible_collections.ousamg.anno.plugins.module_utils.web import WebError
from peers.anno import Anno
from peers.ella import JOBS, LOGIN, RUNNING, Ella
from peers.server import Answer
from sandbox.packages import data_folder
from support_vcfanno import INPUT, needs_vcfanno

pytestmark = needs_vcfanno
PASSWORD = "s3cret-Password-8713"
GOOD = Login("tester", PASSWORD)
SAMPLE = Sample(7, "HG002", "HBOC", "v1.0.0")


@pytest.fixture
def ella(tmp_path: Path) -> Iterator[Ella]:
    data_folder(tmp_path / "data", {"clinvar": "1"})
    with (
        Anno(tmp_path / "data", tmp_path / "work", {"HG002": INPUT}) as anno,
        Ella(anno.url, "tester", PASSWORD) as peer,
    ):
        peer.anno = anno  # type: ignore[attr-defined]
        yield peer


@pytest.fixture
def api(ella: Ella) -> EllaApi:
    found = EllaApi(ella.url)
    found.log_in(GOOD)
    return found


def last(api: EllaApi, number: int) -> Job:
    for _ in range(10_000):
        job = api.job(number)
        if job.status == DONE or job.failed:
            return job
    raise AssertionError(job)


def test_a_reanalysis(ella: Ella, api: EllaApi) -> None:
    api.check_anno()
    number = api.create(SAMPLE, "a name")
    assert ella.jobs[0]["mode"] == "Analysis" and ella.jobs[0]["user_id"] == 7
    assert ella.jobs[0]["properties"] == {
        "analysis_name": "a name", "create_or_append": "Create", "sample_type": "HTS"
    }  # fmt: skip
    assert api.job(number) == Job(number, "RUNNING", "", "1")
    assert last(api, number) == Job(number, "DONE", "", "1")


@pytest.mark.parametrize(
    ("spoil", "status", "message"),
    [
        (lambda ella: ella.anno.samples.clear(), "FAILED (SUBMISSION)", "no such sample"),
        (lambda ella: setattr(ella.anno, "fail", True), "FAILED (PROCESSING)", ""),
        (lambda ella: setattr(ella, "deposit", False), "FAILED (DEPOSIT)", "no such gene panel"),
    ],
)
def test_jobs_that_fail(ella: Ella, api: EllaApi, spoil: Callable[[Any], None], status: str, message: str) -> None:
    spoil(ella)
    job = last(api, api.create(SAMPLE, "a name"))
    assert (job.status, job.message, job.failed) == (status, message, True)


def test_wrong_credentials_are_told_and_not_repeated(ella: Ella) -> None:
    with pytest.raises(EllaError) as caught:
        EllaApi(ella.url).log_in(Login("tester", "wrong-Password-5521"))
    assert caught.value.found == "ELLA does not let the user 'tester' in (HTTP status 401)"
    assert "5521" not in str(caught.value)


@pytest.mark.parametrize("login", [Login("", PASSWORD), Login("tester", "")])
def test_credentials_that_were_not_given(ella: Ella, login: Login) -> None:
    with pytest.raises(EllaError, match="ANNO_ELLA_PASSWORD"):
        EllaApi(ella.url).log_in(login)
    assert ella.calls == []


def test_a_login_without_a_cookie(ella: Ella, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ella, "answer", lambda _: Answer(None))
    with pytest.raises(EllaError, match="no cookie AuthenticationToken"):
        EllaApi(ella.url).log_in(GOOD)


@pytest.mark.parametrize("mode", ["500", "html", "half", "closed", "garbage"])
def test_a_bad_answer_to_the_login(ella: Ella, mode: str) -> None:
    ella.bad[LOGIN] = mode
    with pytest.raises((WebError, EllaError)) as caught:
        EllaApi(ella.url).log_in(GOOD)
    assert PASSWORD not in str(caught.value) and "nginx" not in str(caught.value)


def test_an_anno_that_ella_does_not_reach(ella: Ella, api: EllaApi) -> None:
    ella.anno.bad["/"] = "500"  # type: ignore[attr-defined]
    with pytest.raises(EllaError, match="ELLA cannot reach its anno service"):
        api.check_anno()


@pytest.mark.parametrize("words", [{"running": False}, {"running": [{"running": False}, 200]}])
def test_the_word_that_ella_has_for_it(ella: Ella, api: EllaApi, monkeypatch: pytest.MonkeyPatch, words: Any) -> None:
    monkeypatch.setattr(ella, "answer", lambda _: Answer(words))
    with pytest.raises(EllaError, match="ELLA cannot reach its anno service"):
        api.check_anno()


@pytest.mark.parametrize("mode", ["500", "html", "half", "closed", "garbage", "list", "empty"])
def test_bad_answers_are_errors(ella: Ella, api: EllaApi, mode: str) -> None:
    ella.bad = {JOBS: mode, RUNNING: mode}
    for call in (api.check_anno, lambda: api.create(SAMPLE, "a name"), lambda: api.job(41)):
        with pytest.raises(WebError) as caught:
            call()
        assert caught.value.expected == "the API of an ELLA"


@pytest.mark.parametrize("task", ["../1", -1, True, ["1"]])
def test_a_task_id_is_digits(ella: Ella, api: EllaApi, task: Any) -> None:
    number = api.create(SAMPLE, "a name")
    ella.jobs[0] |= {"task_id": task, "status": "DONE"}
    with pytest.raises(WebError, match="has digits only"):
        api.job(number)


def test_a_job_that_is_gone(api: EllaApi) -> None:
    with pytest.raises(WebError, match="it has no job 41"):
        api.job(41)
