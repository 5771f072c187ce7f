# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task of the anno service: submitted, followed to its end, its result read; all over the service's HTTP API.

Source of the calls: ella-anno. ``POST annotate/`` takes ``{"input": VCF}`` and gives ``{"task_id": digits}``,
``GET status/`` gives ``{"<id>": last status}``,
``GET status/<id>`` gives ``{"status": {…}, "active": bool, "error": bool}``, ``GET process/<id>`` the annotated VCF.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.web import LIMITS, Api, Limits

BASE = "/api/v1"
# Of an annotated VCF. That of a few variants has a megabyte, most of it header.
MAX_RESULT = 256 << 20

_WHAT = "the HTTP API of an anno service"


class Status(NamedTuple):
    """``active`` until the task ends, ``failed`` where it ends badly."""

    active: bool
    failed: bool


class AnnoApi:
    """The calls for one task. Each raises WebError."""

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        self._api = Api(url, _WHAT, limits)
        self.url = self._api.url

    def tasks(self) -> set[str]:
        """The ids of all tasks that the service knows."""
        path = f"{BASE}/status/"
        answer = self._api.json("GET", path)
        if not isinstance(answer, dict):
            raise self._api.unexpected(path, "it is JSON, but no object of task ids and statuses")
        return set(answer)

    def submit(self, vcf: str) -> str:
        """Have a VCF annotated; the id of the task."""
        path = f"{BASE}/annotate/"
        answer = self._api.json("POST", path, {"input": vcf})
        return task_id(self._api, path, answer)

    def status(self, task: str) -> Status:
        path = f"{BASE}/status/{task}"
        answer = self._api.json("GET", path)
        active, error = (answer.get("active"), answer.get("error")) if isinstance(answer, dict) else (None, None)
        if not isinstance(active, bool) or not isinstance(error, bool):
            raise self._api.unexpected(path, 'it is JSON without "active" and "error" as true or false')
        return Status(active, error)

    def result(self, task: str) -> bytes:
        """The annotated VCF of a task that has ended."""
        return self._api.call("GET", f"{BASE}/process/{task}", limit=MAX_RESULT)


def task_id(api: Api, path: str, answer: Any) -> str:
    """The ``task_id`` of an answer: digits, since it becomes the name of a folder."""
    found = answer.get("task_id") if isinstance(answer, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not re.fullmatch(r"[0-9]{1,18}", found):
        raise api.unexpected(path, f"its task_id is {str(found)[:40]!r}, and that of a task has digits only")
    return found
