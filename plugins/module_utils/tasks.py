# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running tasks of an anno service: from its work folder, and from its HTTP API where one is given.

Source of the format: ella-anno. A task is a folder ``<work>/<digits>``; it runs from the moment that the file
ACTIVE is there until SUCCESS or FAILED is. STATUS holds lines ``timestamp<TAB>STEP<TAB>STATE``.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import datetime, timezone
from typing import NamedTuple
from urllib.parse import quote

from ansible_collections.ousamg.anno.plugins.module_utils.web import Api, Limits, WebError

_TIMEOUT = 15.0  # seconds for a call of the API
_TAIL_LINES, _TAIL_BYTES = 20, 8192
_STEP = re.compile(r"\w[\w.-]*")
_ENDED = re.compile(r"FINALIZED|CANCELLED|FAILED|SUCCESS", re.IGNORECASE)


class Step(NamedTuple):
    """A step of a task: its state as STATUS tells it, its log file, and the last lines of that."""

    name: str
    state: str
    log: str
    tail: tuple[str, ...]


class Task(NamedTuple):
    """A running task.

    ``since`` is when ACTIVE was made (ISO 8601, UTC), ``status`` the last line of STATUS and ``step`` its second
    column; None where they are not known. ``source`` is ``folder``, ``api`` or ``folder, api``.
    """

    id: str
    since: str | None
    step: str | None
    status: str | None
    source: str


def running(work: str, api: str | None = None) -> list[Task]:
    """The running tasks in the order of their numbers.

    :param work: the work folder; one that is missing or unreadable is an error (OSError).
    :param api: base URL of the service, such as ``http://p22-anno-01:6000``; one that does not answer is an
        error (WebError).
    """
    tasks = {task.id: task for task in running_in_folder(work)}
    for task in running_by_api(api) if api else []:
        known = tasks.get(task.id)
        tasks[task.id] = known._replace(source="folder, api") if known else task
    return sorted(tasks.values(), key=lambda task: (len(task.id), task.id))


def running_in_folder(work: str) -> list[Task]:
    """As the folders say. A task that ends, or whose folder is removed, while it is read does not run."""
    tasks = []
    for name in os.listdir(work):
        if re.fullmatch(r"[0-9]+", name):
            task = _read(os.path.join(work, name), name)
            if task:
                tasks.append(task)
    return tasks


def last_step(work: str, task: str) -> Step | None:
    """The step that failed, or else the last one, of a task that may have ended; None where no file tells of one."""
    folder = os.path.join(work, task)
    try:
        with open(os.path.join(folder, "STATUS"), encoding="utf-8", errors="replace") as stream:
            lines = [line.strip().split("\t") for line in stream.read(1 << 20).splitlines()]
    except OSError:
        return None
    steps = [columns for columns in lines if len(columns) > 2 and _STEP.fullmatch(columns[1])]
    if not steps:
        return None
    _, name, state, *_ = next((columns for columns in reversed(steps) if columns[2] == "FAILED"), steps[-1])
    log = os.path.join(folder, name, "output.log")
    return Step(name, state, log, tuple(last_lines(log)))


def last_lines(path: str) -> list[str]:
    """The end of a log, at most 20 lines; none where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = ("".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line) for line in text.split("\n"))
    return [line for line in lines if line.strip()][-_TAIL_LINES:]


def _read(folder: str, name: str) -> Task | None:
    active = _mtime(os.path.join(folder, "ACTIVE"))
    if active is None:
        return None
    try:
        with open(os.path.join(folder, "STATUS"), encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except FileNotFoundError:  # just queued, or just removed
        lines = []
    # Looked at last, so that a task that ended meanwhile is seen as ended.
    for end in ("SUCCESS", "FAILED"):
        if _mtime(os.path.join(folder, end)) is not None:
            return None
    if _mtime(os.path.join(folder, "ACTIVE")) is None:
        return None
    last = next((line.strip() for line in reversed(lines) if line.strip()), None)
    columns = last.split("\t") if last else []
    since = datetime.fromtimestamp(active, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Task(name, since, columns[1] if len(columns) > 1 else last, last, "folder")


def _mtime(path: str) -> float | None:
    """When the file was last written; None where there is none. A folder that cannot be looked into is an OSError."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime if stat.S_ISREG(found.st_mode) else None


def running_by_api(api: str) -> list[Task]:
    """As the service says: of the tasks that have not ended by their last status, those that are ``active``."""
    service = Api(api, "the HTTP API of an anno service", Limits(_TIMEOUT))
    base = "/api/v1/status/"
    statuses = service.json("GET", base)
    if not isinstance(statuses, dict):
        raise service.unexpected(base, "it is JSON, but no object of task ids and statuses")
    tasks = []
    for task_id, last in statuses.items():
        if _ENDED.search(str(last)):
            continue
        path = f"{base}{quote(str(task_id))}"
        try:
            details = service.json("GET", path)
        except WebError as error:
            if error.status == 404:  # removed meanwhile
                continue
            raise
        if not isinstance(details, dict) or not isinstance(details.get("active"), bool):
            raise service.unexpected(path, 'it is JSON, but no object with "active" as true or false')
        if details["active"]:
            tasks.append(Task(str(task_id), None, None, str(last), "api"))
    return tasks
