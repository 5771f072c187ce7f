"""Hosts with what a site's hosts have, Apptainer among it: a Debian of its own below .ansible, made once.

``tests/hosts`` says what is in it. Only root can make and enter it, where Debian's packages can be reached; elsewhere
the tests that need it are skipped with the reason.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import support_mount

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = REPOSITORY / "tests/hosts"
CACHE = REPOSITORY / ".ansible/hosts"
SERVICE_USER = "svc-anno"
# The first name on PATH inside.
SINGULARITY = "singularity"
_BUILD_SECONDS = 600


class HostsError(Exception):
    """Why something was not made, in a line."""


class Hosts(NamedTuple):
    """``rootfs``: the root of each host, never written to. ``images``: the folder that images.sh describes."""

    rootfs: Path
    images: Path

    @property
    def image(self) -> Path:
        """A real image: ella-anno v2.7.1a, anno-targets v3.2.0."""
        return self.images / "anno-v3.2.0.sif"

    @property
    def signed(self) -> Path:
        return self.images / "signed.sif"

    def run(
        self,
        *command: str | Path,
        user: str = SERVICE_USER,
        share: Iterable[Path] = (),
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """A command inside, with its output. The checkout (with the images) and the folders of ``share`` are there
        under their own paths; what is written elsewhere is gone when the command ends, as are the processes it has
        left."""
        inner = ["env", *(f"{key}={value}" for key, value in (env or {}).items()), *command]
        return subprocess.run(
            ["bash", SCRIPTS / "inside.sh", self.rootfs, user, *inner],
            env=_environment([*share, REPOSITORY]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def with_network(self, public_key: Path, command: Sequence[str | Path], share: Iterable[Path] = ()) -> list[str]:
        """The command line that runs a command here while ``tsd`` (10.99.0.11) and ``nsc`` (10.99.0.12) answer ssh."""
        shared = _environment([*share, REPOSITORY])["SHARE"]
        script = ["bash", SCRIPTS / "hosts.sh", self.rootfs, public_key]
        return ["env", f"SHARE={shared}", *map(str, script), *map(str, command)]


def hosts() -> Hosts:
    """The hosts, made if need be; skips the test where they cannot be had."""
    if reason := support_mount.missing():
        pytest.skip(f"no test hosts: {reason}")
    try:
        rootfs = _cached("rootfs", SCRIPTS / "rootfs.sh", [])
    except HostsError as reason:
        pytest.skip(f"no test hosts: {reason}")
    # With a root there is nothing that could rightly be in the way.
    return Hosts(rootfs, _cached("images", SCRIPTS / "images.sh", [SCRIPTS / "inside.sh", rootfs, SERVICE_USER]))


def _cached(name: str, script: Path, prefix: Sequence[str | Path]) -> Path:
    """The folder that a script makes, as ``[prefix …] script folder``. It is made anew when the script has changed; of
    several that ask for it at once one makes it. Raises HostsError."""
    key = hashlib.sha256(script.read_bytes() + os.fsencode(" ".join(map(str, prefix)))).hexdigest()[:12]
    folder, unfinished = CACHE / f"{name}-{key}", CACHE / f"{name}.unfinished"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        for former in CACHE.glob(f"{name}[-.]*"):
            if former.is_dir():
                shutil.rmtree(former)
        unfinished.mkdir()
        unfinished.chmod(0o777)  # the service user makes the images
        command = ["bash", *prefix, script, unfinished]
        done = subprocess.run(
            command,
            env=_environment([REPOSITORY]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise HostsError(done.stderr.strip().rpartition("\n")[2] or f"{script.name} ended with {done.returncode}")
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    return folder


def _environment(share: Iterable[Path]) -> dict[str, str]:
    return os.environ | {"SHARE": ":".join(map(str, share))}
