"""Every example of a plugin's page is run, on a site like the one that it speaks of."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from peers.anno import Anno
from sandbox import packages, service, sites
from support_deploy import REPOSITORY, Site
from support_live import make_live
from support_vcfanno import needs_vcfanno

PLUGINS = [
    pytest.param(path, marks=[needs_vcfanno] if path.stem == "annotation_test" else [], id=path.stem)
    for kind in ("modules", "filter")
    for path in sorted((REPOSITORY / "plugins" / kind).glob("*.py"))
]
# What the examples call the site, its service and the service's API.
ROOT, SERVICE, API = "/srv/anno", "http://p22-anno-01:9000", "http://p22-anno-01:6000"
SECRETS = {"ANNO_SUPERVISOR_USERNAME": "username", "ANNO_SUPERVISOR_PASSWORD": "password"}


def deployed(site: Site) -> None:
    """The new data are live, and there is a generation to return to."""
    request = unpack_plan.Request(str(site.archive), str(site.data), Ownership(0o774))
    data_unpack.apply(request)


def archived(site: Site) -> None:
    shutil.move(site.archive, site.tsd / "archive/data")


def image_archived(site: Site) -> None:
    shutil.move(site.image, site.releases)


def made(site: Site) -> None:
    """The folder in which data are made."""
    packages.data_folder(site.tsd / "data", sites.NEW_PACKAGES)


# What has to have happened before.
BEFORE: dict[str, Callable[[Site], None]] = {
    "annotation_test": make_live,
    "data_archive": made,
    "data_archive_info": archived,
    "data_generation_info": deployed,
    "data_prune": deployed,
    "data_rollback": deployed,
    "data_unpack": archived,
    "image_link": image_archived,
    "sif_info": image_archived,
}


def examples(plugin: Path) -> str:
    for node in ast.parse(plugin.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{plugin} has no EXAMPLES")


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_examples_run(plugin: Path, site: Site, tmp_path: Path) -> None:
    BEFORE.get(plugin.stem, lambda _site: None)(site)
    access = service.access(site.root)
    environment = site.environment() | {name: access[key] for name, key in SECRETS.items()}
    playbook = tmp_path / "examples.yml"
    python = f"ansible_python_interpreter={sys.executable}"
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", python, playbook]
    with Anno(site.data, site.staging / "work") as anno:
        text = examples(plugin)
        for name, value in ((ROOT, str(site.tsd)), (SERVICE, access["url"]), (API, anno.url)):
            text = text.replace(name, value)
        tasks = "".join(f"    {line}\n" for line in text.splitlines())
        playbook.write_text(f"- hosts: localhost\n  gather_facts: false\n  tasks:\n{tasks}")
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stderr, done.stderr
    ended = sum(map(int, re.findall(r"\b(?:ok|skipped)=(\d+)", done.stdout)))
    assert ended == len(re.findall("^- name: ", text, re.MULTILINE)), done.stdout
