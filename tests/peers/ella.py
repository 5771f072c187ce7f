"""ELLA: logging in, and jobs that its anno service does."""

from __future__ import annotations

import contextlib
import json
import secrets
import urllib.error
import urllib.request
from typing import Any

from peers.server import Answer, Call, Peer

LOGIN = "/api/v1/users/actions/login/"
JOBS = "/api/v1/import/service/jobs/"
RUNNING = "/api/v1/import/service/running/"


class Ella(Peer):
    """Its anno service is at the URL ``anno``. ``deposit``: whether what is annotated can be imported in the end.

    A job goes one step further each time that somebody looks at the jobs, instead of every five seconds.
    """

    def __init__(self, anno: str, username: str, password: str) -> None:
        super().__init__()
        self._anno, self._login = anno, {"username": username, "password": password}
        self.token = secrets.token_hex(16)
        self.deposit = True
        self.jobs: list[dict[str, Any]] = []

    def answer(self, call: Call) -> Answer:
        if call.path == LOGIN:
            if call.body != self._login:
                return Answer({"message": f"wrong: {json.dumps(call.body)}"}, 401)
            cookie = f"AuthenticationToken={self.token}; HttpOnly; Path=/"
            return Answer(None, headers={"Set-Cookie": cookie})
        if call.path == RUNNING:
            return Answer({"running": [{"running": self._ask("status/") is not None}, 200]})
        if f"AuthenticationToken={self.token}" not in call.cookie:
            return Answer({"message": "log in first"}, 403)
        if call.path != JOBS:
            return Answer({"message": "no such resource"}, 404)
        if call.method == "POST":
            job = {"id": len(self.jobs) + 41, "status": "SUBMITTED", "message": "", "task_id": "", **call.body}
            self.jobs.append(job)
            return Answer(job)
        for job in self.jobs:
            self._advance(job)
        return Answer(self.jobs[::-1])

    def _advance(self, job: dict[str, Any]) -> None:
        status = job["status"]
        if status == "SUBMITTED":
            task = self._ask("samples/annotate", {"sample_id": job["sample_id"]})
            job |= (
                {"status": "RUNNING", **task}
                if task
                else {"status": "FAILED (SUBMISSION)", "message": "no such sample"}
            )
        elif status == "RUNNING":
            found = self._ask(f"status/{job['task_id']}")
            if found is None:
                job |= {"status": "FAILED (ANNOTATION)"}
            elif not found["active"]:
                job["status"] = "FAILED (PROCESSING)" if found["error"] else "ANNOTATED"
        elif status == "ANNOTATED":
            job |= (
                {"status": "DONE"} if self.deposit else {"status": "FAILED (DEPOSIT)", "message": "no such gene panel"}
            )

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with (
            contextlib.suppress(urllib.error.URLError),
            urllib.request.urlopen(f"{self._anno}/api/v1/{path}", data) as found,
        ):
            return json.load(found)
