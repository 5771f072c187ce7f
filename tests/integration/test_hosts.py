"""The test hosts are what other tests take them for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import support_hosts
from support_hosts import Hosts, HostsError
from support_user import world_folder

SSH = ("ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


def test_the_service_user_runs_an_image(hosts: Hosts) -> None:
    done = hosts.run("singularity", "exec", hosts.image, "cat", "/anno-targets/version")
    assert (done.returncode, done.stdout) == (0, "v3.2.0\n"), done.stderr
    assert hosts.run("id", "-un").stdout == "svc-anno\n"


def test_vcfanno_runs_in_the_image(hosts: Hosts) -> None:
    done = hosts.run("singularity", "exec", hosts.image, "vcfanno")
    assert "vcfanno version" in done.stdout + done.stderr


def test_what_a_command_leaves_ends_with_it_and_is_not_kept(hosts: Hosts) -> None:
    with world_folder() as folder:
        # A process that would write to the shared folder for ever, and that its parent does not wait for.
        loop = f"(while :; do date +%N >{folder}/now; done) & until [ -s {folder}/now ]; do :; done; echo >/root/mark"
        assert hosts.run("bash", "-c", loop, user="root", share=[folder]).returncode == 0
        first = (folder / "now").read_text()
        assert (folder / "now").read_text() == first
    assert not (hosts.rootfs / "root/mark").exists()
    assert hosts.run("test", "-e", "/root/mark", user="root").returncode == 1


def test_two_hosts_answer_ssh_and_reach_each_other(hosts: Hosts, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    look = "hostname; id -un; test -e /dev/fuse && grep -c . /proc/net/route; exec 3<>/dev/tcp/tsd/22 && echo reached"
    ask = " && ".join(f"{' '.join(SSH)} -i {key} svc-anno@10.99.0.{n} '{look}'" for n in (11, 12))
    command = hosts.with_network(tmp_path / "key.pub", ["bash", "-c", ask])
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["tsd", "svc-anno", "2", "reached", "nsc", "svc-anno", "2", "reached"], done.stderr


def test_what_cannot_be_made_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_hosts, "CACHE", tmp_path)
    script = tmp_path / "script.sh"
    script.write_text("echo 'first line' >&2; echo 'script.sh: there is no mirror' >&2; exit 1\n")
    with pytest.raises(HostsError, match=r"^script\.sh: there is no mirror$"):
        support_hosts._cached("rootfs", script, [])
    script.write_text('echo made >"$1/file"\n')
    folder = support_hosts._cached("rootfs", script, [])
    assert (folder / "file").read_text() == "made\n"
    assert support_hosts._cached("rootfs", script, []) == folder
    script.write_text('echo anew >"$1/file"\n')
    assert (support_hosts._cached("rootfs", script, []) / "file").read_text() == "anew\n"
    assert not folder.exists()
