# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program under Supervisor, over XML-RPC: what it does, what is to be done, and waiting until it is done.

Source of methods, states and faults: http://supervisord.org/api.html (Supervisor 4).
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
import xmlrpc.client
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError

from ansible_collections.ousamg.anno.plugins.module_utils import web
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.web import WebError

STARTED, STOPPED, RESTARTED = "started", "stopped", "restarted"

# supervisord runs or is about to run the program, and stopProcess() is what ends that.
UP = frozenset({"STARTING", "RUNNING", "BACKOFF"})
DOWN = frozenset({"STOPPED", "EXITED", "FATAL"})

_POLL = 0.2  # seconds between two looks
_CALL = 15.0  # seconds that one call may wait for bytes, whatever the deadline
# Seconds after which an exited program is not restarted any more: supervisord looks at "autorestart" every second.
_SETTLED = 2
# Seconds that a started program must last, for one with startsecs=0, which is RUNNING even if it dies at once.
_STEADY = 1.0
_TAIL_LINES, _TAIL_BYTES = 20, 8192

_SHUTDOWN_STATE, _BAD_NAME, _SPAWN_ERROR, _ALREADY_STARTED, _NOT_RUNNING = 6, 10, 50, 60, 70
_FAULTS = {
    1: "UNKNOWN_METHOD",
    2: "INCORRECT_PARAMETERS",
    3: "BAD_ARGUMENTS",
    20: "NO_FILE",
    21: "NOT_EXECUTABLE",
    30: "FAILED",
    40: "ABNORMAL_TERMINATION",
}


class SupervisorError(AnnoError):
    """supervisord cannot be asked, or the program does not do what was asked of it."""


class Program(NamedTuple):
    """A program as supervisord describes it. Times are seconds since 1970 by the server's clock, 0 for never."""

    name: str
    statename: str
    pid: int
    start: int
    stop: int
    now: int
    exitstatus: int
    spawnerr: str
    log: str

    def result(self) -> dict[str, Any]:
        """For a user: ``pid`` and ``uptime`` (seconds) only while it runs, times as ISO 8601 in UTC."""
        return {
            "name": self.name,
            "statename": self.statename,
            "pid": self.pid or None,
            "start": _iso(self.start),
            "stop": _iso(self.stop),
            "uptime": max(0, self.now - self.start) if self.pid else None,
        }


class Action(NamedTuple):
    action: str
    reason: str


class Server:
    """The XML-RPC interface of one supervisord. Credentials go into a header, never into a URL or a text.

    Every call raises SupervisorError, which tells apart: not reachable, not let in, not a supervisord,
    a supervisord that is going down, an unknown program, and any other fault by its name.
    """

    def __init__(
        self, url: str, username: str | None, password: str | None, timeout: float = _CALL
    ) -> None:
        self.url = _endpoint(url)
        self._username, self._password = username, password
        headers = []
        if username and password:
            token = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
            headers.append(("Authorization", f"Basic {token}"))
        kind = _SafeTransport if self.url.startswith("https:") else _Transport
        self._proxy = xmlrpc.client.ServerProxy(self.url, transport=kind(headers, min(timeout, _CALL)))

    def inspect(self, name: str) -> Program:
        """The program now. An unknown name is an error that names the known ones."""
        return _program(self.url, self._call(name, "getProcessInfo", name))

    def check(self) -> None:
        """Raise unless supervisord is in its normal state."""
        state = self._call("supervisord", "getState")
        found = state.get("statename") if isinstance(state, dict) else state
        if found != "RUNNING":
            raise self._going_down(str(found))

    def start(self, name: str) -> None:
        """Ask for a start, without waiting. A program that dies at once is no error here: its state tells."""
        self._call(name, "startProcess", name, False, accept=(_ALREADY_STARTED, _SPAWN_ERROR))

    def stop(self, name: str) -> None:
        """Ask for a stop, without waiting."""
        self._call(name, "stopProcess", name, False, accept=(_NOT_RUNNING,))

    def tail(self, name: str) -> list[str]:
        """The last lines of the program's stderr, or of its stdout where that is all; none if the server gives none."""
        for method in ("tailProcessStderrLog", "tailProcessStdoutLog"):
            try:
                answer = self._call(name, method, name, 0, _TAIL_BYTES)
            except SupervisorError:
                # A log with control characters does not fit into XML; the state must be reported all the same.
                continue
            if isinstance(answer, list) and answer and str(answer[0]).strip():
                return str(answer[0]).rstrip().splitlines()[-_TAIL_LINES:]
        return []

    def _call(self, name: str, method: str, *args: Any, accept: tuple[int, ...] = ()) -> Any:
        try:
            return getattr(self._proxy.supervisor, method)(*args)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in accept:
                return None
            raise self._fault(name, method, fault) from None
        except xmlrpc.client.ProtocolError as error:
            if error.errcode == 401:
                raise self._not_let_in() from None
            raise self._no_supervisord(f"HTTP status {error.errcode}") from None
        except ssl.SSLError as error:
            raise SupervisorError(
                self.url,
                f"no secure connection ({error.reason or error})",
                "a certificate that this host trusts",
                "Check the host name in the URL and the certificate authorities of this host.",
            ) from None
        except OSError as error:
            raise SupervisorError(
                self.url,
                f"not reachable ({error.strerror or error or type(error).__name__})",
                "a supervisord that answers",
                "Check the URL (http or https, host, port), that supervisord runs there, and the firewall.",
            ) from None
        except (ExpatError, xmlrpc.client.ResponseError, http.client.HTTPException, ValueError) as error:
            raise self._no_supervisord(type(error).__name__) from None

    def _fault(self, name: str, method: str, fault: xmlrpc.client.Fault) -> SupervisorError:
        if fault.faultCode == _SHUTDOWN_STATE:
            return self._going_down("SHUTDOWN or RESTARTING")
        if fault.faultCode == _BAD_NAME:
            return SupervisorError(
                self.url,
                f"no program {name!r}",
                f"one of: {', '.join(self._known()) or '(it has no programs)'}",
                "Correct the name in the inventory, or add the program to supervisord's configuration.",
            )
        kind = _FAULTS.get(fault.faultCode, "fault")
        return SupervisorError(
            self.url,
            f"{method} of {name!r} refused: {kind} ({fault.faultCode}): {fault.faultString}",
            "a supervisord that does it",
            "Check the program's section in supervisord's configuration and supervisord's log.",
        )

    def _known(self) -> list[str]:
        infos = self._call("supervisord", "getAllProcessInfo")
        return sorted(_program(self.url, info).name for info in infos) if isinstance(infos, list) else []

    def _going_down(self, state: str) -> SupervisorError:
        return SupervisorError(
            self.url,
            f"supervisord is in the state {state}",
            "the state RUNNING",
            "Wait until supervisord has restarted, or start it, then run again.",
        )

    def _not_let_in(self) -> SupervisorError:
        given = bool(self._username and self._password)
        missing = "password" if self._username else "user name"
        return SupervisorError(
            self.url,
            f"wrong user name or password (user {self._username})" if given else f"no {missing} was given",
            "the credentials of supervisord's [inet_http_server]",
            "Correct the user name and password." if given else "Give a user name and a password.",
        )

    def _no_supervisord(self, answer: str) -> SupervisorError:
        return SupervisorError(
            self.url,
            f"the answer is not XML-RPC ({answer})",
            "the XML-RPC interface of a supervisord",
            "Check host, port and path of the URL; without a path, /RPC2 is used.",
        )


def inspect(server: Server, name: str) -> Program:
    """The program now; an error if supervisord itself is not well or does not know the program's state."""
    server.check()
    return _known_state(server, server.inspect(name))


def plan(program: Program, wanted: str) -> list[Action]:
    """What has to be asked for. Nothing, where supervisord is already on its way to what is wanted."""
    reason = f"{program.name} is {program.statename}, wanted: {wanted}"
    actions = []
    if wanted in (STOPPED, RESTARTED) and program.statename in UP:
        actions.append(Action("stop", reason))
    if wanted == RESTARTED or (wanted == STARTED and program.statename not in UP):
        actions.append(Action("start", reason))
    return actions


def predict(program: Program, wanted: str) -> dict[str, Any]:
    """What ``Program.result`` says afterwards, as far as it can be known before."""
    actions = plan(program, wanted)
    down = program.statename if program.statename in DOWN else "STOPPED"
    final = down if wanted == STOPPED else "RUNNING"
    if not actions and program.statename == final:
        return program.result()
    return {"name": program.name, "statename": final, "pid": None, "start": None, "stop": None, "uptime": None}


def apply(server: Server, program: Program, wanted: str, timeout: float) -> Program:
    """Bring the program to what is wanted and return it as it then is.

    :param program: what ``inspect`` returned just before.
    :param timeout: seconds until it must be there, for stop and start together.
    """
    deadline = time.monotonic() + timeout

    def look() -> Program:
        time.sleep(_POLL)
        return _known_state(server, server.inspect(program.name))

    late = _Late(server, wanted, timeout, deadline)
    now = program
    if wanted in (STOPPED, RESTARTED):
        now = _stop(server, now, look, late)
    if wanted in (STARTED, RESTARTED):
        now = _start(server, now, look, late)
    return now


class _Late(NamedTuple):
    server: Server
    wanted: str
    timeout: float
    deadline: float

    def check(self, program: Program) -> None:
        """Raise when the time is up."""
        if time.monotonic() < self.deadline:
            return
        found = f"{program.name} is still {program.statename} after {self.timeout:g} s"
        if program.statename == "BACKOFF":
            raise _start_failed(self.server, program, found)
        raise SupervisorError(
            self.server.url,
            found,
            f"{program.name} {self.wanted}",
            "Look at the program's log; give a longer timeout if it only needs more time.",
        )


def _stop(server: Server, program: Program, look: Callable[[], Program], late: _Late) -> Program:
    while not _is_down(program):
        if program.statename in UP:
            server.stop(program.name)
        late.check(program)
        program = look()
    return program


def _start(server: Server, program: Program, look: Callable[[], Program], late: _Late) -> Program:
    # Where supervisord is already starting it, that start is the one to wait for.
    asked = program.statename in UP
    sure = time.monotonic()
    while program.statename != "RUNNING" or time.monotonic() < sure:
        if program.statename in DOWN:
            if asked:
                raise _start_failed(server, program, f"{program.name} is {program.statename} after the start")
            server.start(program.name)
            asked = True
            sure = time.monotonic() + _STEADY
        late.check(program)
        program = look()
    return program


def _is_down(program: Program) -> bool:
    if program.statename == "EXITED":
        return program.now - program.stop >= _SETTLED
    return program.statename in DOWN


def _start_failed(server: Server, program: Program, found: str) -> SupervisorError:
    details = [found]
    if program.spawnerr:
        details.append(f"spawnerr: {program.spawnerr}")
    if program.statename == "EXITED":  # in any other state supervisord has forgotten it
        details.append(f"exitstatus: {program.exitstatus}")
    if lines := server.tail(program.name):
        details.append("its last output:\n" + "\n".join(lines) + "\n")
    return SupervisorError(
        server.url,
        ", ".join(details),
        f"{program.name} RUNNING",
        f"Mend what its log{f' {program.log}' if program.log else ''} tells, then start it again.",
    )


def _known_state(server: Server, program: Program) -> Program:
    if program.statename in UP or program.statename in DOWN or program.statename == "STOPPING":
        return program
    raise SupervisorError(
        server.url,
        f"{program.name} is in the state {program.statename}",
        "one of STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL",
        "Look at supervisord's log; restart supervisord if it has lost the program.",
    )


def _endpoint(url: str) -> str:
    """The URL of the XML-RPC interface. A URL with credentials is refused, without showing them."""
    try:
        parts = web.address(url)
    except WebError as error:
        raise SupervisorError(error.path, error.found, error.expected, error.todo) from None
    return parts._replace(path=parts.path.rstrip("/") or "/RPC2", query="", fragment="").geturl()


def _program(url: str, info: Any) -> Program:
    try:
        name, group = str(info["name"]), str(info["group"])
        return Program(
            name=name if name == group else f"{group}:{name}",
            statename=str(info["statename"]),
            pid=int(info["pid"]),
            start=int(info["start"]),
            stop=int(info["stop"]),
            now=int(info["now"]),
            exitstatus=int(info["exitstatus"]),
            spawnerr=str(info["spawnerr"]),
            log=str(info["stderr_logfile"] or info["stdout_logfile"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SupervisorError(
            url,
            f"the description of a program cannot be read ({error!r})",
            "what supervisord's getProcessInfo() returns",
            "Check that the URL is that of a supervisord, version 3 or newer.",
        ) from None


def _iso(seconds: int) -> str | None:
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Transport(xmlrpc.client.Transport):
    """A transport with extra headers and a socket timeout (seconds), which the standard one has not."""

    def __init__(self, headers: list[tuple[str, str]], timeout: float) -> None:
        super().__init__(headers=headers)
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout
        return connection


class _SafeTransport(xmlrpc.client.SafeTransport):
    """The same over TLS."""

    def __init__(self, headers: list[tuple[str, str]], timeout: float) -> None:
        super().__init__(headers=headers)
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPSConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout
        return connection
