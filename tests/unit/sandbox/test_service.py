from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import service, sites

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    sites.make(tmp_path)
    yield tmp_path
    service.stop(tmp_path)


def sandbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def alive(pid: int) -> bool:
    """False for a process that has ended, also where nobody collects it (a container without an init)."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_start_and_stop_can_be_repeated(root: Path) -> None:
    assert service.status(root) == {}
    service.start(root)
    pid = service.rpc(root).getPID()
    service.start(root)
    assert service.rpc(root).getPID() == pid
    assert service.status(root) == {"anno-prod": "RUNNING", "anno-staging": "RUNNING"}
    programs = [info["pid"] for info in service.rpc(root).getAllProcessInfo()]
    assert all(alive(number) for number in (pid, *programs))
    service.stop(root)
    service.stop(root)
    assert service.status(root) == {}
    assert not [number for number in (pid, *programs) if alive(number)]


def test_wrong_password_is_refused_and_the_right_one_is_private(root: Path) -> None:
    service.start(root)
    login = service.access(root)
    assert json.loads((root / "tsd/supervisor.json").read_text()) == login
    for path in ("tsd/supervisor.json", "tsd/supervisord/supervisord.conf"):
        assert (root / path).stat().st_mode & 0o777 == 0o600
    url = login["url"].replace("://", "://anno:wrong@")
    with pytest.raises(xmlrpc.client.ProtocolError, match="401"):
        xmlrpc.client.ServerProxy(f"{url}/RPC2").supervisor.getState()


def test_a_port_that_was_taken_meanwhile_is_chosen_anew(root: Path) -> None:
    before = service.access(root)
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(before["url"].rsplit(":", 1)[1])))
        other.listen()
        service.start(root)
        after = service.access(root)
    assert after["url"] != before["url"]
    assert after["password"] == before["password"]
    assert service.rpc(root).getState()["statename"] == "RUNNING"


def test_a_program_without_its_image_is_reported(root: Path) -> None:
    sites.tsd_instance(root, "prod").image_link.unlink()
    with pytest.raises(service.ServiceError, match="'anno-prod': 'FATAL'"):
        service.start(root)
    assert "anno cannot start" in (root / "tsd/supervisord/anno-prod.err.log").read_text()


def test_a_stopped_program_ends_cleanly_and_starts_again(root: Path) -> None:
    service.start(root)
    api = service.rpc(root)
    assert api.stopProcess("anno-staging") is True
    info = api.getProcessInfo("anno-staging")
    assert (info["statename"], info["exitstatus"]) == ("STOPPED", 0)
    assert api.startProcess("anno-staging") is True


def test_command_line(tmp_path: Path) -> None:
    where = ("--root", str(tmp_path / "box"))
    assert sandbox("make", *where).returncode == 0
    assert sandbox("status", *where).returncode == 3
    assert sandbox("start", *where).returncode == 0
    running = sandbox("status", *where)
    assert running.returncode == 0
    assert "anno-prod RUNNING" in running.stdout
    pid = service.rpc(tmp_path / "box").getPID()
    (tmp_path / "box/tsd/leftover").touch()
    # Making it anew stops the services and leaves nothing of the old one.
    assert sandbox("make", *where).returncode == 0
    assert not alive(pid)
    assert not (tmp_path / "box/tsd/leftover").exists()
    assert sandbox("remove", *where).returncode == 0
    assert not (tmp_path / "box").exists()
    assert sandbox("remove", *where).returncode == 0


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for action in ("make", "start", "stop", "remove", "status"):
        run = sandbox(action, "--root", str(tmp_path))
        assert run.returncode == 1
        assert str(tmp_path) in run.stderr
        assert "Traceback" not in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
