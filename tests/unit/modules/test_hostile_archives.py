"""The module data_unpack and archives that no one should unpack: each is refused by name, and nothing is touched."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from support_data import CLINVAR, Site, make_site
from support_faults import memory_folder
from support_tree import snapshot

Run = Callable[..., Any]
P = "variantDBs/clinvar"
FILES = tar.package({"c.vcf.gz": "clinvar", "c.vcf.gz.tbi": "index"}, "20240107")
SOURCES = {"clinvar": tar.source("20240107", f"{P}/c.vcf.gz")}
BIG = b"\x80" + (1 << 40).to_bytes(11, "big")


class Instance:
    def __init__(self, top: Path) -> None:
        self.data = top / "site" / "data"
        self.archive = top / "site" / "a.tar"
        (self.data / P).mkdir(parents=True)
        (self.data / P / "old").write_text("old")
        (self.data / "sources.json").write_text(json.dumps({"clinvar": tar.source("1")}))

    def args(self) -> dict[str, str]:
        # What is in the files does not matter here.
        return {"src": str(self.archive), "data": str(self.data), "validate": "off"}


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def archive(*extra: bytes) -> bytes:
    """A good one, with these entries in its package."""
    return tar.data_archive(["clinvar"], SOURCES, [*tar.below(P, FILES), *extra])


HOSTILE: dict[str, tuple[bytes, str, str]] = {
    # what: blocks in an otherwise good archive, the name that is told, the reason
    "an absolute name": (tar.entry("/etc/cron.d/x", "x"), "'/etc/cron.d/x'", "absolute name"),
    "upwards": (tar.entry(f"{P}/../../../x", "x"), f"'{P}/../../../x'", "leads upwards"),
    "upwards by PAX": (tar.pax({"path": f"{P}/../x"}) + tar.entry("a", "x"), f"'{P}/../x'", "leads upwards"),
    "upwards by a long name": (tar.long_name(f"{P}/../x") + tar.entry("a", "x"), f"'{P}/../x'", "leads upwards"),
    "upwards by a prefix": (tar.entry("x", "x", prefix=P.encode() + b"/.."), f"'{P}/../x'", "leads upwards"),
    "NUL": (tar.pax({"path": f"{P}/a\0b"}) + tar.entry("a"), rf"'{P}/a\x00b'", "NUL or a newline"),
    "newline": (tar.entry(f"{P}/a\nb"), rf"'{P}/a\nb'", "NUL or a newline"),
    "a long component": (tar.long_name(f"{P}/{'n' * 256}") + tar.entry("a"), f"{P}/nnnn", "too long a name"),
    "a long name": (tar.long_name(P + "/d" * 600) + tar.entry("a"), f"{P}/d/d/d", "too long a name"),
    "another encoding": (tar.entry(f"{P}/ø".encode("latin-1")), rf"'{P}/\\xf8'", "not UTF-8"),
    "a link to /": (tar.symlink(f"{P}/l", "/etc"), f"'{P}/l'", "points out of its package, to '/etc'"),
    "a link upwards": (tar.symlink(f"{P}/l", "../hgmd"), f"'{P}/l'", "points out of its package"),
    "a link by a detour": (tar.symlink(f"{P}/l", "a/../../x"), f"'{P}/l'", "points out of its package"),
    "a hard link to /": (tar.hardlink(f"{P}/l", "/etc/passwd"), "'/etc/passwd'", "absolute name"),
    "a hard link upwards": (tar.hardlink(f"{P}/l", f"{P}/../../x"), f"'{P}/../../x'", "leads upwards"),
    "a hard link to a list": (tar.hardlink(f"{P}/l", "PACKAGES"), f"'{P}/l'", "points to 'PACKAGES'"),
    "a hard link to nothing": (tar.hardlink(f"{P}/l", f"{P}/gone"), f"'{P}/l'", f"points to '{P}/gone'"),
    "a hard link to a link": (
        tar.symlink(f"{P}/s", "c.vcf.gz") + tar.hardlink(f"{P}/l", f"{P}/s"), f"'{P}/l'", "points to",
    ),
    "through a planted link": (tar.symlink(f"{P}/s", ".") + tar.entry(f"{P}/s/x", "x"), f"'{P}/s'", "is a symlink"),
    "below a planted link, folder": (tar.symlink(f"{P}/s", ".") + tar.folder(f"{P}/s/x"), f"'{P}/s'", "is a symlink"),
    "below a hard link": (
        tar.hardlink(f"{P}/h", f"{P}/c.vcf.gz") + tar.entry(f"{P}/h/x", "x"), f"'{P}/h'", "is a hardlink",
    ),
    "below a file": (tar.entry(f"{P}/c.vcf.gz/x", "x"), f"'{P}/c.vcf.gz'", "which is a file"),
    "a file after what lies below": (
        tar.entry(f"{P}/d/x", "x") + tar.entry(f"{P}/d", "x"), f"'{P}/d'", "which is a file",
    ),
    "a link for the folder": (tar.symlink(P, "/tmp"), P, "is a symlink"),
    "a character device": (tar.entry(f"{P}/d", kind=b"3"), f"'{P}/d'", "a character device"),
    "a block device": (tar.entry(f"{P}/d", kind=b"4"), f"'{P}/d'", "a block device"),
    "a FIFO": (tar.entry(f"{P}/d", kind=b"6"), f"'{P}/d'", "a FIFO"),
    "sparse (GNU)": (tar.entry(f"{P}/d", "x", b"S", magic=b"ustar  \0"), f"'{P}/d'", "a sparse file"),
    "sparse (PAX 0.0)": (
        tar.pax({"GNU.sparse.size": "9", "GNU.sparse.numblocks": "0"}) + tar.entry(f"{P}/d"), "after", "a sparse file",
    ),
    "sparse (PAX 0.1)": (tar.pax({"GNU.sparse.map": "0,1"}) + tar.entry(f"{P}/d", "x"), "after", "a sparse file"),
    "sparse (PAX 1.0)": (
        tar.pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}) + tar.entry(f"{P}/d", "x"), "after", "sparse",
    ),
    "setuid": (tar.entry(f"{P}/tool", "x", mode=0o4755), f"'{P}/tool'", "setuid or setgid"),
    "setgid": (tar.entry(f"{P}/tool", "x", mode=0o2755), f"'{P}/tool'", "setuid or setgid"),
    "two sizes": (
        tar.pax({"size": "9"}) + tar.entry(f"{P}/d", "x" * 512) + bytes(512), f"'{P}/d'", "two sizes, 512 and 9",
    ),
    "a negative size": (tar.entry(f"{P}/d", size=b"\xff" * 11 + b"\xfe"), "byte", "impossible size"),
    "a size with a sign": (tar.entry(f"{P}/d", size=b"-0000000001\0"), "byte", "has the size"),
    "a PAX size with a sign": (tar.pax({"size": "-1"}) + tar.entry(f"{P}/d"), f"'{P}/d'", "the PAX size"),
    "a size beyond the end": (tar.entry(f"{P}/d", size=BIG), f"'{P}/d'", "bytes are missing"),
    "a PAX bomb": (tar.header("bomb", BIG, b"x"), "after", "claims 1099511627776 bytes"),
    "a long-name bomb": (tar.header("bomb", BIG, b"L"), "after", "claims 1099511627776 bytes"),
    "a global PAX header": (tar.pax({"path": "x"}, b"g"), "'PaxHeaders/x'", "a global PAX header"),
    "a damaged checksum": (tar.header(f"{P}/d").replace(b"d", b"e", 1), f"after '{P}/DATA_READY'", "bad checksum"),
    "an end in between": (bytes(512), "one block of zeros", "then more entries"),
    "data after the end": (tar.END, "after its end", "there are data"),
    "names that differ in case": (
        tar.folder(f"{P}/Data") + tar.folder(f"{P}/data"), f"'{P}/Data' and '{P}/data'", "differ only in case",
    ),
    "folders that differ in case": (
        tar.folder(f"{P}/X/b") + tar.folder(f"{P}/x/c"), f"'{P}/X' and '{P}/x'", "differ only in case",
    ),
    "outside of the packages": (tar.entry("variantDBs/other/x", "x"), "'variantDBs/other/x'", "lies outside of"),
    "another package": (b"".join(tar.below("variantDBs/hgmd", FILES)), "variantDBs/hgmd", "lists 1 packages"),
    "without a checksum": (tar.entry(f"{P}/more", "x"), f"{P}/more", "not in the MD5SUM"),
    "a list that is a link": (tar.symlink("PACKAGES", "/etc/passwd"), "PACKAGES", "is a symlink"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused_by_name_before_anything_is_touched(instance: Instance, run_module: Run, what: str) -> None:
    blocks, name, reason = HOSTILE[what]
    content = archive(blocks)
    if what == "a list that is a link":
        content = archive()[:-1024] + blocks + tar.END
    instance.archive.write_bytes(content)
    before = snapshot(instance.data.parent)
    dry = run_module("data_unpack", instance.args(), check=True)
    result = run_module("data_unpack", instance.args())
    assert result.failed and dry["msg"] == result["msg"]
    assert result["where"].startswith(str(instance.archive))
    assert name in result["found"] and reason in result["found"]
    assert result["expected"] and result["todo"]
    assert snapshot(instance.data.parent) == before


@pytest.mark.parametrize("name", [".anno", ".anno-receipt.json", "vcfanno_config.toml", ".tmp/p"])
def test_a_package_folder_in_the_place_of_our_own_files(instance: Instance, run_module: Run, name: str) -> None:
    content = tar.data_archive(["clinvar"], {"clinvar": tar.source()}, tar.below(name, FILES))
    instance.archive.write_bytes(content)
    result = run_module("data_unpack", instance.args())
    assert result.failed and f"the package folder {name} has a name that the data folder" in result["found"]


def test_bits_that_are_dropped(instance: Instance, run_module: Run) -> None:
    """Sticky, world-writable and the setgid of folders are harmless in a tar: modes come from the play."""
    content = archive(
        tar.entry(f"{P}/", kind=b"5", mode=0o3777),
        *[tar.entry(f"{P}/{name}", text, mode=0o1777) for name, text in FILES.items()],
        tar.entry(f"{P}/sub/", kind=b"5", mode=0o6777),
    )
    instance.archive.write_bytes(content)
    assert not run_module("data_unpack", {**instance.args(), "mode": "0640"}).failed
    found = snapshot(instance.data / P)
    assert set(found) == {*FILES, "sub"}
    assert {node.mode for name, node in found.items() if name != "sub"} == {0o640}
    assert found["sub"].mode == (instance.data / P).stat().st_mode & 0o7777 == 0o750


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([tar.entry(f"{P}/x", "x"), tar.folder(f"{P}/x"), tar.symlink(f"{P}/x/l", "../c.vcf.gz")], "folder"),
        ([tar.folder(f"{P}/x"), tar.symlink(f"{P}/x", "c.vcf.gz")], "link"),
        ([tar.symlink(f"{P}/x", "c.vcf.gz"), tar.folder(f"{P}/x")], "folder"),
        ([tar.symlink(f"{P}/c.vcf.gz", "gone"), tar.entry(f"{P}/c.vcf.gz", "clinvar")], None),
    ],
)
def test_of_a_name_that_changes_its_kind_the_last_one_counts(
    instance: Instance, run_module: Run, entries: list[bytes], kind: str | None
) -> None:
    instance.archive.write_bytes(archive(*entries))
    result = run_module("data_unpack", instance.args())
    assert not result.failed, result
    found = snapshot(instance.data / P)
    assert (found["x"].kind if "x" in found else None) == kind
    assert found["c.vcf.gz"].kind == "file"


# Whole archives


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("site"))


def pack_again(site: Site, tmp_path: Path, form: str) -> Path:
    """What is in the site's archive in another format: folders after what is in them, one of them not at all, nothing
    behind the two blocks of the end."""
    tree, again = tmp_path / "tree", tmp_path / "a.tar"
    tree.mkdir()
    subprocess.run(["tar", "-xf", site.archive, "-C", tree], check=True)
    names = subprocess.run(["find", ".", "-depth"], cwd=tree, capture_output=True, text=True, check=True).stdout.split()
    names.remove(f"./{CLINVAR}")
    command = ["tar", "--create", f"--format={form}", "--blocking-factor=1", "--no-recursion"]
    subprocess.run([*command, "-f", again, "-C", tree, *names], check=True)
    return again


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "posix", "ustar", "v7"])
def test_every_format_of_gnu_tar(site: Site, tmp_path: Path, run_module: Run, form: str) -> None:
    again = pack_again(site, tmp_path, form)
    found, expected = (run_module("data_archive_info", {"path": str(path)}) for path in (again, site.archive))
    assert found["packages"] == expected["packages"]


@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_cut_off_at_every_block(site: Site, tmp_path: Path, run_module: Run, form: str) -> None:
    path = pack_again(site, tmp_path, form)
    args = {"path": str(path)}
    assert not run_module("data_archive_info", args).failed
    size = path.stat().st_size
    assert size > 50 * 512
    for cut in range(size - 512, -1, -512):
        os.truncate(path, cut)
        result = run_module("data_archive_info", args)
        assert result.failed, f"{cut} of {size} bytes"
        assert result["where"].startswith(str(path)) and result["expected"] and result["todo"]


# Memory. VmHWM is the peak of one process alone, in KiB (proc(5)).

PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
INSPECT = """
import sys
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import inspect_archive
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
try:
    inspect_archive(sys.argv[1])
except AnnoError as error:
    print(error)
"""
UNPACK = """
import sys
from ansible_collections.ousamg.anno.plugins.modules import data_unpack
try:
    data_unpack.main()
except SystemExit as ended:
    print(" exit", ended.code)
"""


def run_alone(code: str, *arguments: str | Path) -> tuple[str, int]:
    """What a process of its own prints, and its peak of memory in MB."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code + PEAK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    output, _newline, peak = done.stdout.strip().rpartition("\n")
    return output, int(peak) * 1024 // 10**6


def numbered(name: str, numbers: range) -> Iterator[bytes]:
    """Headers of empty files: ``name`` has seven digits to be counted up."""
    block = tar.header(name, magic=b"ustar  \0")
    start, zeros = block.index(b"0000000"), sum(b"0000000")
    for number in numbers:
        digits = b"%07d" % number
        checksum = b"%06o" % (int(block[148:154], 8) + sum(digits) - zeros)
        yield block[:start] + digits + block[start + 7 : 148] + checksum + block[154:]


def test_a_million_empty_members_are_refused_in_little_memory() -> None:
    with memory_folder() as folder:
        path = folder / "a.tar"
        with path.open("wb") as stream:
            stream.writelines(numbered("seqrepo/2021-01-29/sequences/0000000", range(1_000_000)))
            stream.write(tar.END)
        output, peak = run_alone(INSPECT, path)
    assert "it has more than 500000 entries" in output
    assert peak < 150


def test_a_hundred_thousand_files_are_unpacked_in_little_memory() -> None:
    count, sums, files = 100_000, io.BytesIO(), {"c.vcf.gz": b"x"}
    sums.writelines(b"%s  sequences/%07d\n" % (tar.md5(b"").encode(), number) for number in range(count))
    with memory_folder() as folder:
        instance = Instance(folder)
        package = tar.package(files)
        package["MD5SUM"] += sums.getvalue()
        blocks = [*numbered(f"{P}/sequences/0000000", range(count)), *tar.below(P, package)]
        instance.archive.write_bytes(tar.data_archive(["clinvar"], {"clinvar": tar.source()}, blocks))
        output, peak = run_alone(UNPACK, json.dumps({"ANSIBLE_MODULE_ARGS": instance.args()}))
        assert output.endswith(" exit 0")
        assert len(os.listdir(instance.data / P / "sequences")) == count
    assert peak < 100
