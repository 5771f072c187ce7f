"""A real supervisord on a free port of this machine, for the length of a ``with`` block."""

from __future__ import annotations

import base64
import contextlib
import http.client
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PYTHON = shlex.quote(sys.executable)


class Server(NamedTuple):
    url: str
    pid: int
    conf: Path


def program(source: str, **options: str) -> dict[str, str]:
    """A ``[program:x]`` section that runs Python source (without a ``"``): up after 1 s, stopped when asked."""
    command = f'{PYTHON} -u -c "{source}"'.replace("%", "%%")
    return {"command": command, "autostart": "true", "startsecs": "1", "stopwaitsecs": "10"} | options


def sleeper(**options: str) -> dict[str, str]:
    """A program that simply runs."""
    return program("import time; time.sleep(3600)", **options)


@contextlib.contextmanager
def running_supervisord(
    folder: Path,
    programs: dict[str, dict[str, str]],
    username: str,
    password: str,
    groups: dict[str, list[str]] | None = None,
) -> Iterator[Server]:
    """Start it in ``folder``, wait until it answers, and end it and its programs afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    conf = folder / "supervisord.conf"
    sections = {
        "supervisord": {
            "logfile": f"{folder}/supervisord.log",
            "pidfile": f"{folder}/supervisord.pid",
            "childlogdir": f"{folder}",
            "identifier": "test",
        },
        "inet_http_server": {"port": f"127.0.0.1:{port}", "username": username, "password": password},
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    sections |= {f"program:{name}": options for name, options in programs.items()}
    sections |= {f"group:{name}": {"programs": ",".join(members)} for name, members in (groups or {}).items()}
    conf.write_text("".join(_section(name, options) for name, options in sections.items()), encoding="utf-8")
    conf.chmod(0o600)
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(conf)],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, port, username, password, folder / "output.txt")
        yield Server(f"http://127.0.0.1:{port}", process.pid, conf)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _section(name: str, options: dict[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items()) + "\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(
    process: subprocess.Popen[bytes], port: int, username: str, password: str, output: Path
) -> None:
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", "/", headers={"Authorization": f"Basic {token}"})
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
        time.sleep(0.05)
    raise RuntimeError(f"supervisord did not come up:\n{output.read_text(errors='replace')}")
