"""module_utils/package_folder.py: which packages a data folder has, and what makes one no whole package."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import package_folder
from ansible_collections.ousamg.anno.plugins.module_utils.package_folder import PackageError

PLACE = "variantDBs/clinvar"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one package: a file, one in a folder of it, an empty folder and a link."""
    folder = tmp_path / "data" / PLACE
    for name, content in tar.package({"c.vcf.gz": "clinvar", "sub/x": "x"}, "20231105").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "latest").symlink_to("sub")
    return tmp_path / "data"


def refused(data: Path, place: str, found: str) -> PackageError:
    with pytest.raises(PackageError, match=found) as caught:
        package_folder.read_package(str(data), PLACE)
    assert caught.value.path == str(data / place)
    assert caught.value.expected and caught.value.todo
    return caught.value


def test_a_package(data: Path) -> None:
    package = package_folder.read_package(str(data), PLACE)
    names = {node.name[len(PLACE) + 1 :]: node.link for node in package.nodes}
    assert names == {
        "": "", "DATA_READY": "", "MD5SUM": "", "c.vcf.gz": "", "empty": "", "latest": "sub", "sub": "", "sub/x": ""
    }  # fmt: skip
    digests = {name: digest.hex() for name, digest in package.md5.items()}
    assert digests == {f"{PLACE}/c.vcf.gz": tar.md5(b"clinvar"), f"{PLACE}/sub/x": tar.md5(b"x")}
    assert package.ready.version == "20231105"
    assert package.texts[f"{PLACE}/MD5SUM"] == (data / PLACE / "MD5SUM").read_bytes()


def test_complete_packages_are_found(data: Path) -> None:
    for place in (".tmp/variantDBs/hgmd", ".anno/generations/1/FASTA", "FASTA"):
        (data / place).mkdir(parents=True)
        (data / place / "DATA_READY").write_text("version: 1\n")
    (data / "VEP" / "cache").mkdir(parents=True)
    found = package_folder.find_packages(str(data))
    assert {place: ready.version for place, ready in found.items()} == {PLACE: "20231105", "FASTA": "1"}


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        package_folder.find_packages(str(tmp_path / "gone"))


@pytest.mark.parametrize("name", ["DATA_READY", "MD5SUM"])
def test_without_its_lists_it_is_not_complete(data: Path, name: str) -> None:
    (data / PLACE / name).unlink()
    refused(data, PLACE, f"has no file {name}")
    (data / PLACE / name).symlink_to("c.vcf.gz")
    refused(data, PLACE, f"has no file {name}")


def test_a_list_that_is_none(data: Path) -> None:
    (data / PLACE / "MD5SUM").write_text("what?\n")
    assert "Make the package anew" in refused(data, f"{PLACE}/MD5SUM", "line 1 is no checksum").todo


def test_a_listed_file_that_is_missing(data: Path) -> None:
    (data / PLACE / "sub/x").unlink()
    refused(data, f"{PLACE}/MD5SUM", "it lists 'sub/x', and there is no such file")


@pytest.mark.parametrize("name", ["surplus", "sub/.hidden", "sub/MD5SUM"])
def test_a_file_that_is_not_listed(data: Path, name: str) -> None:
    (data / PLACE / name).write_text("")
    refused(data, f"{PLACE}/{name}", "it is not in MD5SUM")


@pytest.mark.parametrize("target", ["../hgmd", "/etc", "..", "sub/../../hgmd", "sub/../sub"])
def test_a_link_out_of_the_package(data: Path, target: str) -> None:
    """`..` after a name leads to where that name, a link itself, leads."""
    (data / PLACE / "out").symlink_to(target)
    refused(data, f"{PLACE}/out", "points out of its package")


def test_a_fifo_a_socket_and_a_device(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data / PLACE / "odd"
    os.mkfifo(path)
    refused(data, f"{PLACE}/odd", "it is a FIFO")
    path.unlink()
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("odd")
        refused(data, f"{PLACE}/odd", "it is a socket")
    path.unlink()
    if os.geteuid() == 0:
        os.mknod(path, 0o020666, os.makedev(1, 3))
        refused(data, f"{PLACE}/odd", "it is a character device")


@pytest.mark.parametrize("name", [b"new\nline", b"\xff"])
def test_names_that_no_list_can_hold(data: Path, name: bytes) -> None:
    os.symlink("sub", os.path.join(os.fsencode(data / PLACE), name))
    with pytest.raises(PackageError, match="not plain text"):
        package_folder.read_package(str(data), PLACE)


def test_a_package_inside_of_another(data: Path) -> None:
    (data / PLACE / "sub/DATA_READY").write_text("version: 1\n")
    refused(data, f"{PLACE}/sub", "another package's folder")
    with pytest.raises(PackageError, match="a/b lies inside the package folder a"):
        package_folder.check_apart(["a-c", "a/b", "a"], "x.tar")
    package_folder.check_apart(["a-c", "a/b"], "x.tar")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_file_that_the_user_may_not_read(data: Path) -> None:
    for folder in (data, *data.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    (data / PLACE / "c.vcf.gz").chmod(0o600)
    os.seteuid(65534)
    try:
        refused(data, f"{PLACE}/c.vcf.gz", "this user may not read it")
    finally:
        os.seteuid(0)
