# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running tasks of an anno service: from its work folder, and from its HTTP API where one is given.

Source of the format: ella-anno. A task is a folder ``<work>/<digits>``; it runs from the moment that the file
ACTIVE is there until SUCCESS or FAILED is. STATUS holds lines ``timestamp<TAB>STEP<TAB>STATE``.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import stat
import urllib.error
import urllib.request
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

_TIMEOUT = 15.0  # seconds that a call of the API may wait for bytes
_ENDED = re.compile(r"FINALIZED|CANCELLED|FAILED|SUCCESS", re.IGNORECASE)


class TaskError(AnnoError):
    """It cannot be told which tasks run."""


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

    :param work: the work folder; one that is missing or unreadable is an error (OSError, TaskError).
    :param api: base URL of the service, such as ``http://p22-anno-01:6000``; one that does not answer is an error.
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
    base = f"{api.rstrip('/')}/api/v1/status/"
    statuses = _get(base)
    if not isinstance(statuses, dict):
        raise _unexpected(base, "JSON, but no object of task ids and statuses")
    tasks = []
    for task_id, last in statuses.items():
        if _ENDED.search(str(last)):
            continue
        details = _get(f"{base}{task_id}", missing={"active": False})
        if not isinstance(details, dict) or not isinstance(details.get("active"), bool):
            raise _unexpected(f"{base}{task_id}", 'JSON, but no object with "active" as true or false')
        if details["active"]:
            tasks.append(Task(str(task_id), None, None, str(last), "api"))
    return tasks


def _get(url: str, missing: Any = None) -> Any:
    """The JSON at a URL. ``missing`` is returned, if given, where there is nothing (404)."""
    try:
        # The service is on the site's own network: no proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=_TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code == 404 and missing is not None:
            return missing
        raise _unexpected(url, f"HTTP status {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TaskError(
            url,
            f"not reachable ({reason})",
            "the HTTP API of an anno service",
            "Check the URL and that the service runs; leave the API out to trust the work folder alone.",
        ) from None
    except ValueError:
        raise _unexpected(url, "no JSON, or no usable URL") from None


def _unexpected(url: str, found: str) -> TaskError:
    return TaskError(
        url, f"the answer is {found}", "the HTTP API of an anno service", "Check host, port and path of the URL."
    )
