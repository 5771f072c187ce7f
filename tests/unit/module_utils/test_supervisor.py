"""module_utils/supervisor.py against a real supervisord."""

from __future__ import annotations

import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import supervisor
from ansible_collections.ousamg.anno.plugins.module_utils.supervisor import Program, Server, SupervisorError
from support_supervisor import Server as Supervisord
from support_supervisor import program, running_supervisord, sleeper

USER, PASSWORD = "deployer", "s3cret-Pässword"
OFF = {"autostart": "false"}


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisord]:
    folder = tmp_path_factory.mktemp("supervisord")
    programs = {
        "good": sleeper(),
        "later": sleeper(**OFF),
        "member": sleeper(),
        "dies": program("import sys; sys.exit('no database here')", startretries="1", **OFF),
        "dies-stdout": program(
            "print('said on stdout'); exit(4)", startretries="0", redirect_stderr="true", **OFF
        ),
        "colours": program("import sys; sys.exit(chr(27) + '[31mred')", startretries="0", **OFF),
        "long": program("for i in range(99): print(i)", startretries="0", redirect_stderr="true", **OFF),
        "recovers": program(
            f"import os, time; p = '{folder}/once'; "
            "os.path.exists(p) or (open(p, 'w').close(), exit(1)); time.sleep(3600)",
            startretries="3",
            **OFF,
        ),
        "hopeless": program("exit(1)", startretries="50", **OFF),
        "unstartable": {"command": "/nonexistent/anno", "autostart": "false"},
        "once": program("exit(3)", startsecs="0", autorestart="false", **OFF),
        "again": program(
            "import time; time.sleep(1.5)", startsecs="1", autorestart="true", startretries="50", **OFF
        ),
        "slow": program(
            "import signal, sys, time; "
            "signal.signal(15, lambda *_: (time.sleep(1.5), sys.exit(0))); time.sleep(3600)",
        ),
        "deaf": program(
            "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)", stopwaitsecs="1"
        ),
        "stubborn": program(
            "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)", stopwaitsecs="4"
        ),
    }
    with running_supervisord(folder, programs, USER, PASSWORD, groups={"team": ["member"]}) as server:
        for name in ("good", "team:member", "slow", "deaf", "stubborn"):
            converge(server, name, "started")
        yield server


def connect(server: Supervisord) -> Server:
    return Server(server.url, USER, PASSWORD)


def converge(server: Supervisord, name: str, wanted: str, timeout: float = 20) -> Program:
    peer = connect(server)
    return supervisor.apply(peer, supervisor.inspect(peer, name), wanted, timeout)


def failure(server: Supervisord, name: str, wanted: str, timeout: float = 20) -> str:
    with pytest.raises(SupervisorError) as caught:
        converge(server, name, wanted, timeout)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# What it does


def test_a_program_is_stopped_and_started_for_real(supervisord: Supervisord) -> None:
    before = supervisor.inspect(connect(supervisord), "good")
    assert before.statename == "RUNNING" and alive(before.pid)

    stopped = converge(supervisord, "good", "stopped")
    assert stopped.statename == "STOPPED"
    assert not alive(before.pid)
    assert stopped.result() | {"start": "", "stop": ""} == {
        "name": "good", "statename": "STOPPED", "pid": None, "start": "", "stop": "", "uptime": None
    }  # fmt: skip

    started = converge(supervisord, "good", "started")
    assert started.statename == "RUNNING" and alive(started.pid)
    assert started.pid != before.pid
    assert started.start >= stopped.stop >= before.start
    # "startsecs" is over: it was waited for, not only asked for.
    assert (started.result()["uptime"] or 0) >= 1


def test_restart_gives_a_new_process(supervisord: Supervisord) -> None:
    before = supervisor.inspect(connect(supervisord), "team:member")
    after = converge(supervisord, "team:member", "restarted")
    assert (after.name, after.statename) == ("team:member", "RUNNING")
    assert after.pid != before.pid and not alive(before.pid)


def test_restart_starts_what_was_down(supervisord: Supervisord) -> None:
    assert converge(supervisord, "later", "restarted").statename == "RUNNING"


def test_stopping_waits_for_a_slow_program(supervisord: Supervisord) -> None:
    pid = converge(supervisord, "slow", "started").pid
    begin = time.monotonic()
    assert converge(supervisord, "slow", "stopped").statename == "STOPPED"
    assert time.monotonic() - begin >= 1.4
    assert not alive(pid)


def test_starting_what_is_being_stopped_waits_for_the_stop(supervisord: Supervisord) -> None:
    pid = converge(supervisord, "slow", "started").pid
    connect(supervisord).stop("slow")
    assert supervisor.inspect(connect(supervisord), "slow").statename == "STOPPING"
    after = converge(supervisord, "slow", "started")
    assert after.statename == "RUNNING" and after.pid != pid


def test_a_program_deaf_to_sigterm_is_stopped_after_stopwaitsecs(supervisord: Supervisord) -> None:
    pid = converge(supervisord, "deaf", "started").pid
    assert converge(supervisord, "deaf", "stopped").statename == "STOPPED"
    assert not alive(pid)


def test_a_stop_that_takes_too_long_tells_the_last_state(supervisord: Supervisord) -> None:
    text = failure(supervisord, "stubborn", "stopped", timeout=1)
    assert "stubborn is still STOPPING after 1 s" in text


def test_a_program_that_dies_at_the_start_is_a_failure_with_its_last_words(supervisord: Supervisord) -> None:
    text = failure(supervisord, "dies", "started")
    assert "dies is FATAL after the start" in text
    assert "spawnerr: Exited too quickly" in text
    assert "no database here" in text
    assert "dies-stderr" in text  # the log file to look into


def test_the_output_is_shown_where_stderr_goes_to_stdout(supervisord: Supervisord) -> None:
    text = failure(supervisord, "dies-stdout", "started")
    assert "said on stdout" in text and "dies-stdout-stdout" in text


def test_only_the_end_of_a_long_log_is_shown(supervisord: Supervisord) -> None:
    text = failure(supervisord, "long", "started")
    assert "\n98\n" in text and "\n79\n" in text and "\n78\n" not in text


def test_a_log_that_xml_cannot_carry_does_not_hide_the_failure(supervisord: Supervisord) -> None:
    text = failure(supervisord, "colours", "started")
    assert "colours is FATAL" in text and "colours-stderr" in text


def test_a_program_that_recovers_from_backoff_is_started(supervisord: Supervisord) -> None:
    assert converge(supervisord, "recovers", "started").statename == "RUNNING"


def test_a_program_in_backoff_is_a_failure_at_the_deadline_and_can_be_stopped(
    supervisord: Supervisord,
) -> None:
    text = failure(supervisord, "hopeless", "started", timeout=3)
    assert "hopeless is still" in text and "after 3 s" in text
    assert converge(supervisord, "hopeless", "stopped").statename == "STOPPED"
    time.sleep(1.5)
    assert supervisor.inspect(connect(supervisord), "hopeless").statename == "STOPPED"


def test_a_missing_executable_is_named(supervisord: Supervisord) -> None:
    text = failure(supervisord, "unstartable", "started")
    assert "NO_FILE (20)" in text and "/nonexistent/anno" in text


def test_an_exited_program_is_a_failed_start_and_a_done_stop(supervisord: Supervisord) -> None:
    text = failure(supervisord, "once", "started", timeout=5)
    assert "once is EXITED after the start" in text and "exitstatus: 3" in text
    assert converge(supervisord, "once", "stopped").statename == "EXITED"


def test_a_program_between_exit_and_autorestart_does_not_count_as_stopped(supervisord: Supervisord) -> None:
    peer = connect(supervisord)
    peer.start("again")
    deadline = time.monotonic() + 20
    while (now := peer.inspect("again")).statename != "EXITED":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    after = supervisor.apply(peer, now, "stopped", 20)
    assert after.statename == "STOPPED"
    time.sleep(2)
    assert peer.inspect("again").statename == "STOPPED"


# Plans


def example(statename: str) -> Program:
    return Program("p", statename, 7 if statename == "RUNNING" else 0, 100, 50, 200, 0, "", "")


@pytest.mark.parametrize(
    ("statename", "wanted", "actions", "predicted"),
    [
        ("RUNNING", "started", [], "RUNNING"),
        ("STARTING", "started", [], "RUNNING"),
        ("BACKOFF", "started", [], "RUNNING"),
        ("STOPPING", "started", ["start"], "RUNNING"),
        ("STOPPED", "started", ["start"], "RUNNING"),
        ("EXITED", "started", ["start"], "RUNNING"),
        ("FATAL", "started", ["start"], "RUNNING"),
        ("RUNNING", "stopped", ["stop"], "STOPPED"),
        ("STARTING", "stopped", ["stop"], "STOPPED"),
        ("BACKOFF", "stopped", ["stop"], "STOPPED"),
        ("STOPPING", "stopped", [], "STOPPED"),
        ("STOPPED", "stopped", [], "STOPPED"),
        ("EXITED", "stopped", [], "EXITED"),
        ("FATAL", "stopped", [], "FATAL"),
        ("RUNNING", "restarted", ["stop", "start"], "RUNNING"),
        ("BACKOFF", "restarted", ["stop", "start"], "RUNNING"),
        ("STOPPED", "restarted", ["start"], "RUNNING"),
    ],
)
def test_plan(statename: str, wanted: str, actions: list[str], predicted: str) -> None:
    planned = supervisor.plan(example(statename), wanted)
    assert [action.action for action in planned] == actions
    assert all(statename in action.reason and wanted in action.reason for action in planned)
    assert supervisor.predict(example(statename), wanted)["statename"] == predicted


def test_the_prediction_keeps_what_stays_and_leaves_out_what_will_change() -> None:
    assert supervisor.predict(example("RUNNING"), "started") == {
        "name": "p",
        "statename": "RUNNING",
        "pid": 7,
        "start": "1970-01-01T00:01:40Z",
        "stop": "1970-01-01T00:00:50Z",
        "uptime": 100,
    }
    assert supervisor.predict(example("RUNNING"), "restarted")["pid"] is None


def test_the_state_unknown_is_an_error() -> None:
    peer = Server("http://127.0.0.1:1", None, None)
    with pytest.raises(SupervisorError, match="is in the state UNKNOWN"):
        supervisor._known_state(peer, example("UNKNOWN"))


# Errors told apart


def test_an_unknown_program_names_the_known_ones(supervisord: Supervisord) -> None:
    text = failure(supervisord, "anno-prod", "started")
    assert "no program 'anno-prod'" in text
    assert "good" in text and "team:member" in text


def test_a_member_without_its_group_is_unknown(supervisord: Supervisord) -> None:
    assert "no program 'member'" in failure(supervisord, "member", "started")


@pytest.mark.parametrize(
    ("username", "password", "found"),
    [
        (USER, "wrong-" + PASSWORD, f"wrong user name or password \\(user {USER}\\)"),
        ("nobody", PASSWORD, "wrong user name or password \\(user nobody\\)"),
        (None, None, "no user name was given"),
        ("", "", "no user name was given"),
        (USER, "", "no password was given"),
    ],
)
def test_credentials(
    supervisord: Supervisord, username: str | None, password: str | None, found: str
) -> None:
    with pytest.raises(SupervisorError, match=found) as caught:
        supervisor.inspect(Server(supervisord.url, username, password), "good")
    assert PASSWORD not in str(caught.value)


def test_nothing_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SupervisorError, match=r"not reachable.*refused"):
        supervisor.inspect(Server(f"http://127.0.0.1:{port}", USER, PASSWORD), "good")


def test_an_unknown_host() -> None:
    with pytest.raises(SupervisorError, match="not reachable"):
        supervisor.inspect(Server("http://no-such-host.invalid:9000", USER, PASSWORD), "good")


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        begin = time.monotonic()
        with pytest.raises(SupervisorError, match=r"not reachable.*timed out"):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            supervisor.inspect(Server(url, USER, PASSWORD, timeout=1), "good")
        assert time.monotonic() - begin < 5


def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html><body><p>Welcome</body></html>"), (404, b"none"), (302, b""), (200, b""), (500, b"no")],
)
def test_not_an_xmlrpc_server(status: int, body: bytes) -> None:
    for url in answering(status, body):
        with pytest.raises(SupervisorError, match="the answer is not XML-RPC"):
            supervisor.inspect(Server(url, USER, PASSWORD), "good")


def test_not_http_at_all() -> None:
    def greet(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threading.Thread(target=greet, args=(listener,), daemon=True).start()
        with pytest.raises(SupervisorError, match="the answer is not XML-RPC"):
            supervisor.inspect(Server(f"http://127.0.0.1:{listener.getsockname()[1]}", None, None), "good")


def test_plain_http_behind_an_https_url_is_named() -> None:
    for url in answering(200, b""):
        with pytest.raises(SupervisorError, match="no secure connection"):
            supervisor.inspect(Server(url.replace("http:", "https:"), USER, PASSWORD), "good")


@pytest.mark.parametrize(
    "url", ["", "p22-anno-01:9000", "ftp://host", "http://", "http://host:port", "http://[::1"]
)
def test_unusable_urls(url: str) -> None:
    with pytest.raises(SupervisorError, match="not an HTTP URL"):
        Server(url, None, None)


@pytest.mark.parametrize("url", ["http://deployer:hunter2@host:9000", "http://deployer:hunter2@host:port"])
def test_credentials_in_the_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SupervisorError, match="holds credentials") as caught:
        Server(url, None, None)
    assert "hunter2" not in str(caught.value) and "hunter2" not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://h:9000", "http://h:9000/RPC2"),
        ("http://h:9000/", "http://h:9000/RPC2"),
        ("http://h:9000/RPC2", "http://h:9000/RPC2"),
        ("https://h/supervisor/RPC2", "https://h/supervisor/RPC2"),
    ],
)
def test_the_rpc_path_is_added_where_there_is_none(given: str, used: str) -> None:
    assert Server(given, None, None).url == used


def test_a_supervisord_that_shuts_down_is_told(tmp_path: Path) -> None:
    stubborn = program(
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)", stopwaitsecs="2"
    )
    with running_supervisord(tmp_path / "s", {"p": stubborn}, USER, PASSWORD) as server:
        peer = connect(server)
        supervisor.apply(peer, supervisor.inspect(peer, "p"), "started", 20)
        peer._call("supervisord", "shutdown")
        with pytest.raises(SupervisorError, match="supervisord is in the state SHUTDOWN or RESTARTING"):
            supervisor.inspect(peer, "p")
