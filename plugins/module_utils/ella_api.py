# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reanalysis in ELLA: a job that has the anno service annotate a sample anew, and what has become of it.

Source of the calls: ELLA. The status of a job goes SUBMITTED → RUNNING → ANNOTATED → DONE, or to
``FAILED (SUBMISSION|ANNOTATION|PROCESSING|DEPOSIT)`` or CANCELLED; from RUNNING on it has the ``task_id`` of anno.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote

from ansible_collections.ousamg.anno.plugins.module_utils.anno_api import task_id
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.web import LIMITS, Api, Limits, WebError

LOGIN = "/api/v1/users/actions/login/"
JOBS = "/api/v1/import/service/jobs/"
RUNNING = "/api/v1/import/service/running/"
COOKIE = "AuthenticationToken"

DONE = "DONE"
_ENDS = ("FAILED", "CANCELLED")
_WHAT = "the API of an ELLA"


class EllaError(AnnoError):
    """ELLA does not let us in, or cannot do the job."""


class Login(NamedTuple):
    """Who asks. The password goes into the body of one call, and into no text."""

    username: str
    password: str


class Sample(NamedTuple):
    """What is to be analysed again, for whom (``user_id``, a number of ELLA's) and with which gene panel."""

    user_id: int
    sample_id: str
    genepanel_name: str
    genepanel_version: str


class Job(NamedTuple):
    """``message`` is ELLA's own; ``task`` that of anno, None while there is none."""

    id: int
    status: str
    message: str
    task: str | None

    @property
    def failed(self) -> bool:
        return self.status.startswith(_ENDS)


class EllaApi:
    """One ELLA. Each call raises WebError or EllaError."""

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        self._api = Api(url, _WHAT, limits)
        self.url = self._api.url

    def log_in(self, login: Login) -> None:
        if not login.username or not login.password:
            todo = "Give them in the environment (ANNO_ELLA_USERNAME, ANNO_ELLA_PASSWORD) or in a vault file."
            raise EllaError(self.url + LOGIN, "no user name or no password was given", "both", todo)
        try:
            self._api.call("POST", LOGIN, login._asdict(), secret=True)
        except WebError as error:
            if error.status in (400, 401, 403):
                raise self._not_let_in(login, f"HTTP status {error.status}") from None
            raise
        if COOKIE not in self._api.cookies:
            raise self._not_let_in(login, f"no cookie {COOKIE}")

    def check_anno(self) -> None:
        """Raise where ELLA says that its anno service does not answer."""
        answer = self._api.json("GET", RUNNING)
        # ELLA wraps its word into another object, and into a list with a status.
        while isinstance(answer, (dict, list)) and answer:
            answer = answer.get("running") if isinstance(answer, dict) else answer[0]
        if not isinstance(answer, bool):
            raise self._api.unexpected(RUNNING, 'it is JSON without "running" as true or false')
        if not answer:
            todo = "Start the anno service, and check the address that ELLA's configuration has of it."
            raise EllaError(self.url + RUNNING, "ELLA cannot reach its anno service", "one that answers", todo)

    def create(self, sample: Sample, name: str) -> int:
        """Ask for an analysis called ``name``; the job's id."""
        properties = {"analysis_name": name, "create_or_append": "Create", "sample_type": "HTS"}
        answer = self._api.json("POST", JOBS, {"mode": "Analysis", **sample._asdict(), "properties": properties})
        return self._job(answer).id

    def job(self, number: int) -> Job:
        """What has become of a job."""
        path = f"{JOBS}?q={quote(json.dumps({'id': number}))}"
        answer = self._api.json("GET", path)
        if not isinstance(answer, list):
            raise self._api.unexpected(path, "it is JSON, but no list of jobs")
        for entry in answer:
            if isinstance(entry, dict) and entry.get("id") == number:
                return self._job(entry)
        raise self._api.unexpected(path, f"it has no job {number}")

    def _job(self, entry: Any) -> Job:
        number, status = (entry.get("id"), entry.get("status")) if isinstance(entry, dict) else (None, None)
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(status, str):
            raise self._api.unexpected(JOBS, "it is JSON, but no job with an id and a status")
        task = task_id(self._api, JOBS, entry) if entry.get("task_id") not in (None, "") else None
        return Job(number, status, str(entry.get("message") or ""), task)

    def _not_let_in(self, login: Login, answer: str) -> EllaError:
        found = f"ELLA does not let the user {login.username!r} in ({answer})"
        todo = "Correct the user name and the password (environment or vault), and log in by hand once."
        return EllaError(self.url + LOGIN, found, f"a cookie {COOKIE}", todo)
