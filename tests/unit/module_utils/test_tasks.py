"""module_utils/tasks.py on real folders and a real HTTP server."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import tasks
from ansible_collections.ousamg.anno.plugins.module_utils.tasks import Task
from ansible_collections.ousamg.anno.plugins.module_utils.web import WebError

RUNNING = "2026-03-02 09:14:01\tQUEUED\n2026-03-02 09:20:11\tVCFANNO\tSTARTED\n"


def make_task(work: Path, name: str, *markers: str, status: str | None = RUNNING) -> Path:
    folder = work / name
    folder.mkdir(parents=True)
    for marker in markers:
        (folder / marker).touch()
    if status is not None:
        (folder / "STATUS").write_text(status, encoding="utf-8")
    return folder


def ids(found: list[Task]) -> list[str]:
    return [task.id for task in found]


def test_a_running_task_is_described(tmp_path: Path) -> None:
    folder = make_task(tmp_path, "1207", "ACTIVE", "PID")
    os.utime(folder / "ACTIVE", (1_772_442_841, 1_772_442_841))
    assert tasks.running(str(tmp_path)) == [
        Task(
            "1207", "2026-03-02T09:14:01Z", "VCFANNO", "2026-03-02 09:20:11\tVCFANNO\tSTARTED", "folder"
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("markers", "runs"),
    [
        ([], False),
        (["ACTIVE"], True),
        (["ACTIVE", "SUCCESS"], False),
        (["ACTIVE", "FAILED"], False),
        (["SUCCESS"], False),
        (["FAILED"], False),
    ],
)
def test_what_counts_as_running(tmp_path: Path, markers: list[str], runs: bool) -> None:
    make_task(tmp_path, "1", *markers)
    assert bool(tasks.running(str(tmp_path))) is runs


@pytest.mark.parametrize("status", [None, "", "\n\n"])
def test_a_task_without_a_status_runs_all_the_same(tmp_path: Path, status: str | None) -> None:
    make_task(tmp_path, "1", "ACTIVE", status=status)
    (task,) = tasks.running(str(tmp_path))
    assert (task.step, task.status) == (None, None)


def test_other_entries_are_not_tasks(tmp_path: Path) -> None:
    for name in ("tmp", "12a", "-1", "१२", ".12"):
        make_task(tmp_path, name, "ACTIVE")
    (tmp_path / "77").write_text("a file", encoding="utf-8")
    assert tasks.running(str(tmp_path)) == []


def test_the_order_is_by_number(tmp_path: Path) -> None:
    for name in ("10", "9", "100", "2"):
        make_task(tmp_path, name, "ACTIVE")
    assert ids(tasks.running(str(tmp_path))) == ["2", "9", "10", "100"]


def test_a_missing_work_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tasks.running(str(tmp_path / "work"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_an_unreadable_task_is_an_error() -> None:
    work = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        work.chmod(0o755)
        make_task(work, "1", "ACTIVE").chmod(0o700)
        with as_user(65534), pytest.raises(PermissionError):
            tasks.running(str(work))
        work.chmod(0o700)
        with as_user(65534), pytest.raises(PermissionError):
            tasks.running(str(work))
    finally:
        shutil.rmtree(work)


@contextlib.contextmanager
def as_user(uid: int) -> Iterator[None]:
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("ending", ["SUCCESS", "FAILED", "removed", "no longer active"])
def test_a_task_that_ends_while_it_is_read_does_not_run(tmp_path: Path, ending: str) -> None:
    folder = make_task(tmp_path, "1", "ACTIVE", status=None)
    os.mkfifo(folder / "STATUS")  # reading waits here until the other side has ended the task

    def end() -> None:
        with (folder / "STATUS").open("w", encoding="utf-8") as stream:
            stream.write(RUNNING)
            if ending == "removed":
                shutil.rmtree(folder)
            elif ending == "no longer active":
                (folder / "ACTIVE").unlink()
            else:
                (folder / ending).touch()

    other = threading.Thread(target=end)
    other.start()
    try:
        assert tasks.running(str(tmp_path)) == []
    finally:
        other.join()


# The step of a task


@pytest.mark.parametrize(
    ("lines", "step"),
    [
        (["QUEUED"], None),
        (["QUEUED", "VEP\tSTARTED"], ("VEP", "STARTED")),
        (["QUEUED", "VEP\tSTARTED", "VEP\tDONE", "VCFANNO\tSTARTED"], ("VCFANNO", "STARTED")),
        (["VEP\tSTARTED", "VEP\tFAILED", "CLEANUP\tDONE", "FINALIZED"], ("VEP", "FAILED")),
        (["VEP\tDONE", "../../etc\tFAILED", "..\tFAILED"], ("VEP", "DONE")),
    ],
)
def test_the_step_that_a_task_is_in(tmp_path: Path, lines: list[str], step: tuple[str, str] | None) -> None:
    folder = make_task(tmp_path, "1", status="".join(f"2026-03-02 09:14:01\t{line}\n" for line in lines))
    (folder / "VEP").mkdir()
    (folder / "VEP/output.log").write_text("a\nb\n")
    found = tasks.last_step(str(tmp_path), "1")
    assert (found and (found.name, found.state)) == step
    if found:
        assert found.log == str(folder / found.name / "output.log")
        assert found.tail == (("a", "b") if found.name == "VEP" else ())


def test_a_task_without_a_folder_has_no_step(tmp_path: Path) -> None:
    assert tasks.last_step(str(tmp_path), "1") is None


def test_the_end_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(b"".join(b"line %d\n\n" % n for n in range(10_000)) + b"\x1b[31mred\xff\n")
    lines = tasks.last_lines(str(path))
    assert lines[-2:] == ["line 9999", "\ufffd[31mred\ufffd"]
    assert len(lines) == 20
    assert tasks.last_lines(str(tmp_path / "none")) == []


# The API


@contextlib.contextmanager
def api(answers: dict[str, Any]) -> Iterator[str]:
    """A server of JSON by path; bytes are sent as they are, a number is a status without a body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path, 404)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def details(active: bool) -> dict[str, Any]:
    return {"status": {}, "active": active, "error": False}


def test_the_api_adds_what_the_folders_do_not_show(tmp_path: Path) -> None:
    make_task(tmp_path, "1", "ACTIVE")
    make_task(tmp_path, "2", "ACTIVE")
    answers = {
        "/api/v1/status/": {
            "2": "VCFANNO STARTED", "3": "VEP STARTED", "4": "VEP DONE", "5": "FINALIZED", "6": "CANCELLED",
            "7": "VEP FAILED", "8": "QUEUED",
        },
        "/api/v1/status/2": details(True),
        "/api/v1/status/3": details(True),
        "/api/v1/status/4": details(False),
        # Ended tasks are not asked for: 5 to 7 would answer 404. Task 8 was removed meanwhile.
    }  # fmt: skip
    with api(answers) as url:
        found = tasks.running(str(tmp_path), url + "/")
    assert [(task.id, task.source) for task in found] == [
        ("1", "folder"), ("2", "folder, api"), ("3", "api")
    ]  # fmt: skip
    assert found[1].step == "VCFANNO"
    assert found[2] == Task("3", None, None, "VEP STARTED", "api")


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({}, "HTTP status 404"),
        ({"/api/v1/status/": 500}, "HTTP status 500"),
        ({"/api/v1/status/": b"<html>"}, "no JSON"),
        ({"/api/v1/status/": ["1"]}, "no object of task ids"),
        ({"/api/v1/status/": {"1": "VEP STARTED"}, "/api/v1/status/1": {"active": "no"}}, '"active"'),
        ({"/api/v1/status/": {"1": "VEP STARTED"}, "/api/v1/status/1": 500}, "HTTP status 500"),
    ],
)
def test_an_api_that_answers_something_else_is_an_error(
    tmp_path: Path, answers: dict[str, Any], found: str
) -> None:
    with api(answers) as url, pytest.raises(WebError, match=found):
        tasks.running(str(tmp_path), url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "p22-anno-01", "http://h:p"])
def test_an_unreachable_api_is_an_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(WebError):
        tasks.running(str(tmp_path), url)
