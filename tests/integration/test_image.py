"""Images with the real Apptainer, as the service user: what is read from inside, and what tells a damaged one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_hosts import REPOSITORY, SINGULARITY, Hosts
from support_sif import patch
from support_user import world_folder

UTILS = "ansible_collections.ousamg.anno.plugins.module_utils"
# Prints what image_look tells, or the text of its error.
LOOK = """\
import json, sys
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.image_look import Expected, look
path, arguments = sys.argv[1], json.loads(sys.argv[2])
try:
    print(json.dumps(look(path, Expected(**arguments.pop("expect")), **arguments)))
except AnnoError as error:
    print(json.dumps({"error": error.text()}))
"""
VERSIONS = {"ella_anno": "v2.7.1a", "anno_targets": "v3.2.0"}


class Host:
    """A host on which images are looked at; ``folder`` is seen by it, too."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self._hosts = hosts
        self.folder = folder
        folder.chmod(0o777)

    def run(self, *command: str | Path) -> None:
        done = self._hosts.run(*command, share=[self.folder])
        assert done.returncode == 0, done.stderr

    def look(self, path: Path, env: dict[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
        wanted = {"expect": {}, "sha256": False, "signature": "described", "program": SINGULARITY} | arguments
        done = self._hosts.run(
            *("python3", "-c", LOOK, path, json.dumps(wanted)),
            share=[self.folder],
            env={"PYTHONPATH": str(REPOSITORY / "collections"), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def copy(self, image: Path) -> Path:
        path = self.folder / "anno.sif"
        shutil.copyfile(image, path)
        path.chmod(0o755)
        return path


@pytest.fixture
def host(hosts: Hosts) -> Iterator[Host]:
    with world_folder() as folder:
        yield Host(hosts, folder)


def test_the_versions_are_read_from_inside_and_compared(host: Host, hosts: Hosts) -> None:
    found = host.look(hosts.image, expect={"versions": VERSIONS, "arch": "host"})
    assert found["versions"] == VERSIONS
    assert (found["versions_checked"], found["versions_reason"], found["runs_here"]) == (True, None, True)


def test_other_versions_are_refused(host: Host, hosts: Hosts) -> None:
    error = host.look(hosts.image, expect={"versions": {**VERSIONS, "anno_targets": "v3.1.0"}})["error"]
    assert "holds anno_targets v3.2.0, ella_anno v2.7.1a. Expected: anno_targets v3.1.0, ella_anno v2.7.1a" in error


def test_a_run_that_takes_too_long_leaves_nothing(hosts: Hosts) -> None:
    code = f"""\
import os
os.mkdir("scratch")
os.environ["TMPDIR"] = os.path.abspath("scratch")
from {UTILS} import singularity
try:
    singularity.read_versions({str(hosts.image)!r}, "/usr/bin/singularity", timeout=0.1)
except singularity.SingularityError as error:
    print("no answer" in error.found, os.listdir("scratch"))
"""
    env = {"PYTHONPATH": str(REPOSITORY / "collections"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = hosts.run("python3", "-c", code, env=env)
    assert done.stdout == "True []\n", done.stderr


def test_a_mount_of_the_users_does_not_hide_the_images_own_files(host: Host, hosts: Hosts) -> None:
    (host.folder / "version").write_text("v9.9.9\n")
    (host.folder / "version").chmod(0o644)
    env = {"SINGULARITY_BIND": f"{host.folder}/version:/anno/version"}
    shown = hosts.run(SINGULARITY, "exec", hosts.image, "cat", "/anno/version", env=env, share=[host.folder])
    assert shown.stdout == "v9.9.9\n", shown.stderr  # so it would hide them
    assert host.look(hosts.image, env=env)["versions"] == VERSIONS


def test_an_image_without_the_version_files_is_told(host: Host) -> None:
    image = host.folder / "other.sif"
    build = f"mkdir -p c/bin && cp /usr/bin/busybox c/bin/cat && mkdir c/anno && apptainer build {image} c"
    host.run("bash", "-c", build)
    error = host.look(image)["error"]
    assert "/anno/version" in error
    assert "No such file or directory" in error


def test_a_foreign_image_is_not_run(host: Host, hosts: Hosts) -> None:
    image = host.copy(hosts.image)
    for at in (45, 4096 + 2 * 585 + 201 + 8):  # the header's, the partition's
        patch(image, at, b"04\0")
    found = host.look(image, program=None)
    assert (found["arch"], found["host_arch"], found["runs_here"]) == ("arm64", "amd64", False)
    assert "is an image for arm64. Expected: one for amd64" in host.look(image)["error"]


def test_a_signed_image_is_verified_with_its_key(host: Host, hosts: Hosts) -> None:
    keys = {"APPTAINER_KEYSDIR": str(hosts.images / "keys")}
    signature = host.look(hosts.signed, keys, signature="verify")["signature"]
    assert (signature["state"], signature["digests_match"]) == ("signed", True)
    assert (signature["verified"], signature["reason"]) == (True, None)
    assert len(signature["signatures"][0]["entity"]) == 40
    signature = host.look(hosts.signed, signature="verify")["signature"]
    assert signature["verified"] is False
    assert "signature made by unknown entity" in signature["reason"]


def test_changed_data_are_found_by_the_signature_or_the_checksum_only(host: Host, hosts: Hosts) -> None:
    image = host.copy(hosts.signed)
    primary = host.look(image, program=None)["descriptors"][2]
    at = primary["offset"] + 2000  # in the first compressed block
    patch(image, at, bytes(64))
    # Nothing by itself: only the data are damaged.
    assert host.look(image, program=None)["signature"]["state"] == "signed"
    error = host.look(image, program=None, signature="digests")["error"]
    assert "data object 3 (FS) is not what was signed" in error
    error = host.look(image, program=None, expect={"sha256": "0" * 64})["error"]
    assert "has the SHA-256" in error


def test_a_truncated_image_is_told_though_apptainer_lists_it(host: Host, hosts: Hosts) -> None:
    image = host.copy(hosts.image)
    os.truncate(image, image.stat().st_size - 4096)
    host.run("apptainer", "sif", "list", image)
    assert "is truncated: 4096 bytes of data object 3 (FS) are missing" in host.look(image)["error"]


def test_a_changed_superblock_is_told(host: Host, hosts: Hosts) -> None:
    image = host.copy(hosts.image)
    offset = host.look(image, program=None)["descriptors"][2]["offset"]
    patch(image, offset + 20, b"\x09")
    assert "has the unknown compression 9" in host.look(image)["error"]


def test_what_is_no_image_is_told(host: Host) -> None:
    make = "mkdir c && echo 1 >c/file && mksquashfs c image.squashfs -quiet && tar -cf image.tar c && cp image.* $0"
    host.run("bash", "-c", make, host.folder)
    assert "looks like a bare squashfs file system" in host.look(host.folder / "image.squashfs")["error"]
    assert "looks like a tar archive" in host.look(host.folder / "image.tar")["error"]
