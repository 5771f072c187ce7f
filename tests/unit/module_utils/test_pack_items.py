"""module_utils/pack_items.py: the same package gives the same entries, wherever it comes from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import pack_items, sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.pack import Region
from ansible_collections.ousamg.anno.plugins.module_utils.pack_items import Package

SECONDS = 1_700_000_000
SOURCE = sources_json.parse('{"p": {"version": "2", "timestamp": "now"}}', "sources.json")["p"]
FILES = tar.package({"a": "aa", "sub/b": "b"}, "1")


def from_folder(data: Path) -> Package:
    for name, content in FILES.items():
        path = data / "P" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (SECONDS + len(name), SECONDS + len(name)))
    if not (data / "P/latest").is_symlink():
        (data / "P/latest").symlink_to("sub")
    return pack_items.from_folder(str(data), "p", "P", SOURCE)


def test_a_package_of_a_folder(tmp_path: Path) -> None:
    package = from_folder(tmp_path)
    found = [(item.entry.name, item.entry.kind, item.entry.mtime - SECONDS) for item in package.items]
    ready = len("DATA_READY")
    assert found == [
        ("P", "folder", ready),
        ("P/DATA_READY", "file", ready),
        ("P/MD5SUM", "file", len("MD5SUM")),
        ("P/a", "file", 1),
        ("P/latest", "symlink", ready),
        ("P/sub", "folder", ready),
        ("P/sub/b", "file", len("sub/b")),
    ]
    assert (package.version, package.files, package.ready_time) == ("2", 4, SECONDS + ready)
    assert package.bytes == sum(map(len, FILES.values()))


def test_times_of_folders_and_links_do_not_count(tmp_path: Path) -> None:
    package = from_folder(tmp_path)
    for name in ("P", "P/sub", "P/latest"):
        os.utime(tmp_path / name, (1, 1), follow_symlinks=False)
    assert [item.entry for item in from_folder(tmp_path).items] == [item.entry for item in package.items]


def test_a_package_of_an_archive_is_that_of_the_folder(tmp_path: Path) -> None:
    package = from_folder(tmp_path / "data")
    entries = [
        tar.entry(f"P/{name}", content, mtime=SECONDS + len(name)) for name, content in reversed(FILES.items())
    ]
    links = [tar.symlink("P/latest", "sub"), tar.folder("P/sub"), tar.folder("P")]
    (tmp_path / "a.tar").write_bytes(tar.data_archive(["p"], {"p": tar.source("2")}, [*entries, *links]))
    archive = pack_items.read_archive(str(tmp_path / "a.tar"), ())
    again = pack_items.from_archive(archive, archive.listing.packages[0], "p", SOURCE)
    assert [item.entry for item in again.items] == [item.entry for item in package.items]
    regions = {item.entry.name: item.content for item in again.items if isinstance(item.content, Region)}
    assert {name: region.md5 for name, region in regions.items()} == {
        "P/a": bytes.fromhex(tar.md5(b"aa")), "P/sub/b": bytes.fromhex(tar.md5(b"b"))
    }  # fmt: skip


def test_a_second_name_is_a_file_of_its_own(tmp_path: Path) -> None:
    """In the archive as in the folder: how a disk stores it does not count."""
    files = tar.package({"a": "aa", "b": "aa"})
    data = tmp_path / "data/P"
    data.mkdir(parents=True)
    for name in ("MD5SUM", "DATA_READY", "a"):
        (data / name).write_bytes(files[name])
        os.utime(data / name, (tar.MTIME, tar.MTIME))
    os.link(data / "a", data / "b")
    linked = pack_items.from_folder(str(data.parent), "p", "P", SOURCE)
    (data / "b").unlink()
    shutil.copy2(data / "a", data / "b")
    copied = pack_items.from_folder(str(data.parent), "p", "P", SOURCE)
    entries = [tar.folder("P"), *(tar.entry(f"P/{name}", files[name]) for name in ("a", "MD5SUM", "DATA_READY"))]
    content = tar.data_archive(["p"], {"p": tar.source("2")}, [*entries, tar.hardlink("P/b", "P/a")])
    (tmp_path / "a.tar").write_bytes(content)
    archive = pack_items.read_archive(str(tmp_path / "a.tar"), ())
    taken = pack_items.from_archive(archive, archive.listing.packages[0], "p", SOURCE)
    for package in (copied, taken):
        assert [item.entry for item in package.items] == [item.entry for item in linked.items]
    a, b = (item.content for item in taken.items if item.entry.name in ("P/a", "P/b"))
    assert a == b


@pytest.mark.parametrize("order", [1, -1])
def test_the_lists(tmp_path: Path, order: int) -> None:
    package = from_folder(tmp_path)
    packages = [package._replace(name="q"), package][::order]
    first, *_, last = pack_items.all_items(packages, '{"å": {}}')
    assert (first.entry.name, first.entry.size, first.content) == ("sources.json", 10, '{"å": {}}'.encode())
    assert (last.entry.name, last.content) == ("PACKAGES", b"p\nq\n")
    assert first.entry.mtime == last.entry.mtime == package.ready_time
