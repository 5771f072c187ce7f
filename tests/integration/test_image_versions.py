"""The versions inside an image are compared before the link is switched to it: by the role on a host with the real
Apptainer, and by a whole deployment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from support_deploy import Deploy, Site, environment
from support_hosts import REPOSITORY, Hosts

LINK = "/home/svc-anno/anno.sif"
SSH = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


def play(image: Path, anno_targets: str) -> list[dict[str, object]]:
    """Runs the role on tsd and then tells where the link leads."""
    variables = {
        "image_path": str(image),
        "image_link": LINK,
        # The image is kept for other tests: it stays as it is.
        "image_mode": "0644",
        "image_versions": {"ella_anno": "v2.7.1a", "anno_targets": anno_targets},
    }
    role = {"name": "Run the role", "ansible.builtin.import_role": {"name": "ousamg.anno.image"}}
    look = {"name": "Look", "ansible.builtin.command": f"readlink -f {LINK}", "ignore_errors": True}
    play_of = {"hosts": "tsd", "gather_facts": False}
    return [
        {**play_of, "name": "Switch", "vars": variables, "tasks": [{"name": "Try", "block": [role], "always": [look]}]}
    ]


def run_role(hosts: Hosts, folder: Path, anno_targets: str) -> subprocess.CompletedProcess[str]:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    host = {
        "ansible_host": "10.99.0.11",
        "ansible_user": "svc-anno",
        "ansible_ssh_private_key_file": str(key),
        # Instead of the default's: the path of a shared connection's socket would be too long here.
        "ansible_ssh_args": SSH,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"tsd": host}}}))
    (folder / "play.yml").write_text(yaml.safe_dump(play(hosts.image, anno_targets), sort_keys=False))
    command = hosts.with_network(
        folder / "key.pub", ["ansible-playbook", "-v", "-i", folder / "hosts.yml", folder / "play.yml"]
    )
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment(folder) | {"SSH_AUTH_SOCK": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_the_role_switches_to_an_image_with_the_right_versions(hosts: Hosts, tmp_path: Path) -> None:
    done = run_role(hosts, tmp_path, "v3.2.0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"stdout: {hosts.image}" in done.stdout
    assert "were not compared" not in done.stdout


def test_the_role_refuses_an_image_with_other_versions(hosts: Hosts, tmp_path: Path) -> None:
    done = run_role(hosts, tmp_path, "v3.3.0")
    assert done.returncode == 2, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "holds anno_targets v3.2.0, ella_anno v2.7.1a. Expected: anno_targets v3.3.0, ella_anno v2.7.1a" in text
    # The link was not made.
    assert f"stdout: {LINK}" in done.stdout


@pytest.fixture
def singularity(site: Site) -> Path:
    """A stand-in (the sandbox's images hold no programs) that writes down how it was called, and answers as for
    ella-anno v2.7.1a and what is in the file beside it."""
    path = site.home / "singularity"
    path.write_text(f'#!/bin/sh\necho "$@" >>{path}.calls\nprintf v2.7.1a; cat; cat {path}.anno_targets\n')
    path.chmod(0o755)
    return path


def calls(singularity: Path) -> list[str]:
    log = Path(f"{singularity}.calls")
    return log.read_text().splitlines() if log.exists() else []


def test_a_deployment_compares_before_it_touches_anything(deploy: Deploy, site: Site, singularity: Path) -> None:
    given = ["-e", f"anno_singularity={singularity}"]
    answer = Path(f"{singularity}.anno_targets")
    before = site.tree()
    answer.write_text("v3.1.9")
    run = deploy(*given, expect=2)
    assert "holds anno_targets v3.1.9, ella_anno v2.7.1a. Expected: anno_targets v3.2.0, ella_anno v2.7.1a" in run.text
    assert "Nothing was touched." in run.text
    assert site.tree() == before

    answer.write_text("v3.2.0")
    run = deploy(*given)
    assert "were not compared" not in run.text
    assert os.path.realpath(site.link).endswith("/anno-v3.2.0.sif")
    assert len(calls(singularity)) == 2
    assert all(call.startswith("exec ") for call in calls(singularity))

    # What is live already is not run again.
    assert deploy(*given).changed() == 0
    assert len(calls(singularity)) == 2


def test_a_deployment_without_singularity_says_that_nothing_was_compared(deploy: Deploy, site: Site) -> None:
    run = deploy("-e", "anno_singularity=/nowhere/singularity", "--check")
    words = "versions inside anno-v3.2.0.sif were not compared: there is no /nowhere/singularity on this host."
    assert words in run.text
