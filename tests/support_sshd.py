"""A real sshd on a free port of this machine, for this user, that can be stopped with all its sessions."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

_SSHD = "/usr/sbin/sshd"


def missing() -> str | None:
    """Why it cannot be had here; None where it can."""
    if not os.access(_SSHD, os.X_OK) or shutil.which("ssh") is None:
        return "sshd and ssh are not there (apt-get install openssh-server openssh-client)"
    return None


def _owners(port: int) -> list[int]:
    """The processes that hold a socket whose own end is this port of IPv4."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[9] != "0"}
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
            if str(path.readlink()) in sockets:
                found.add(int(path.parts[2]))
    return sorted(found)


class Server:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copyfile(folder / "user_key.pub", folder / "authorized_keys")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._config = folder / "sshd_config"
        self._config.write_text(
            f"Port {self._port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPidFile none\n"
        )

    def variables(self) -> dict[str, str]:
        """Ansible's, for a host that this server is."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": str(self._port),
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self._folder / "user_key"),
            "ansible_ssh_common_args": options,
        }

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # privilege separation
        log = self._folder / "log"
        # A session of its own, so that it can be ended with all that it started.
        self._process = subprocess.Popen([_SSHD, "-D", "-f", self._config, "-E", log], start_new_session=True)
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not come up:\n{log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it and cut off the connections, as when the network goes."""
        if self._process is None:
            return
        deadline = time.monotonic() + 20
        while owners := _owners(self._port):
            for process in owners:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise RuntimeError(f"the connections of sshd do not end: {owners}")
            time.sleep(0.02)
        self._process.wait()
        self._process = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
