"""The anno services of TSD: a real supervisord with authentication, one stand-in program per env."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.sites import ENVS, tsd_instance

PROGRAM = Path(__file__).with_name("anno_service.py")
TIMEOUT = 20.0


class ServiceError(Exception):
    """supervisord does not do what it was asked for."""


def access(root: Path) -> dict[str, str]:
    """``{"url", "username", "password"}`` of the daemon, made at the first call (mode 600)."""
    path = root / "tsd/supervisor.json"
    if not path.exists():
        _write_access(path, {"username": "anno", "password": secrets.token_hex(16), "url": _free_url()})
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def start(root: Path) -> None:
    """Start the daemon and wait until both programs run. A daemon that runs already is left alone."""
    with _lock(root):
        if _pid(root) is not None:
            return
        _launch(root)
        _wait_until(lambda: _settled(_states(root)), f"the programs of {_conf(root)} to start")
        states = _states(root)
        if set(states.values()) != {"RUNNING"}:
            raise ServiceError(f"not all programs run: {states}. What to do: read the logs in {_folder(root)}")


def stop(root: Path) -> None:
    """Stop the daemon and with it the programs; nothing happens where none runs."""
    if not _conf(root).exists():
        return
    with _lock(root):
        pid = _pid(root)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            # It removes its pid file a moment before it ends.
            _wait_until(lambda: not _is_daemon(root, pid), f"supervisord (pid {pid}) to end")


def status(root: Path) -> dict[str, str]:
    """The state of each program (``{"anno-staging": "RUNNING", …}``); empty where no daemon runs."""
    return _states(root) if _pid(root) is not None else {}


def rpc(root: Path) -> Any:
    """The ``supervisor`` namespace of the daemon's XML-RPC interface."""
    login = access(root)
    url = login["url"].replace("://", f"://{login['username']}:{login['password']}@")
    return xmlrpc.client.ServerProxy(f"{url}/RPC2").supervisor


def _states(root: Path) -> dict[str, str]:
    try:
        return {info["name"]: info["statename"] for info in rpc(root).getAllProcessInfo()}
    except OSError:
        return {}


def _settled(states: dict[str, str]) -> bool:
    return bool(states) and not {"STARTING", "BACKOFF"} & set(states.values())


def _launch(root: Path) -> None:
    for _ in range(10):
        _write_conf(root)
        command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(_conf(root))]
        run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
        if run.returncode == 0:
            # It has turned itself into a daemon; its pid file follows.
            _wait_until(lambda: _pid(root) is not None, f"supervisord with {_conf(root)} to come up")
            return
        if "already listening" not in run.stderr:
            raise ServiceError(f"supervisord exited with {run.returncode}: {run.stderr.strip()}")
        _write_access(root / "tsd/supervisor.json", {**access(root), "url": _free_url()})
    raise ServiceError("supervisord found no free port of 127.0.0.1 in ten attempts")


def _folder(root: Path) -> Path:
    return root / "tsd/supervisord"


def _conf(root: Path) -> Path:
    return _folder(root) / "supervisord.conf"


def _pid(root: Path) -> int | None:
    """The daemon's process id, if it lives and really is this sandbox's."""
    try:
        pid = int((_folder(root) / "supervisord.pid").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_daemon(root, pid) else None


def _is_daemon(root: Path, pid: int) -> bool:
    """False also for a process that has ended and that nobody collects (a container without an init)."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(_conf(root)) in command


def _write_conf(root: Path) -> None:
    folder, login = _folder(root), access(root)
    folder.mkdir(parents=True, exist_ok=True)
    text = f"""\
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}

[inet_http_server]
port={login["url"].removeprefix("http://")}
username={login["username"]}
password={login["password"]}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    for env in ENVS:
        instance = tsd_instance(root, env)
        # -I: nothing of the maker's environment or folder gets in.
        command = [sys.executable, "-I", str(PROGRAM), str(instance.image_link), str(instance.data)]
        text += f"""
[program:anno-{env}]
command={shlex.join(command)}
startsecs=1
startretries=1
stopwaitsecs=5
stdout_logfile={folder}/anno-{env}.log
stderr_logfile={folder}/anno-{env}.err.log
"""
    # supervisord expands % in its configuration; there is nothing here to expand.
    _write_private(_conf(root), text.replace("%", "%%"))


def _write_access(path: Path, login: dict[str, str]) -> None:
    _write_private(path, json.dumps(login) + "\n")


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _free_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceError(f"waited {TIMEOUT:.0f} s for {what}")
        time.sleep(0.05)


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """One start or stop at a time: two starts at once would make two daemons."""
    _folder(root).mkdir(parents=True, exist_ok=True)
    with (_folder(root) / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
