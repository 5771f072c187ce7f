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


def _children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            number, _, rest = path.read_text(errors="replace").partition(" ")
            if int(rest.rpartition(")")[2].split()[1]) == parent:
                found.append(int(number))
    return found


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
        # Its list of children in /proc is no reliable one while they change.
        self._process.send_signal(signal.SIGSTOP)
        for connection in _children(self._process.pid):
            os.kill(connection, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
