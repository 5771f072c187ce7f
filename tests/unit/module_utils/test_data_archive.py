"""module_utils/data_archive.py: which packages are in an archive, and what makes one no whole archive."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import data_archive
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFileError
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import ArchiveError, ArchiveIndex
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import SourcesError
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import TarError
from sandbox import packages
from sandbox.archive import make_archive

CLINVAR = tar.package({"c.vcf.gz": "clinvar", "c.vcf.gz.tbi": "index"}, "20231105")
HGMD = tar.package({"h.vcf.gz": "hgmd"}, "2023.4")
CLINVAR_SOURCE = tar.source("20231105", "variantDBs/clinvar/c.vcf.gz")
FOLDER = "variantDBs/clinvar"


def write(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    return str(path)


def clinvar(
    *extra: bytes,
    names: Sequence[str] = ("clinvar",),
    sources: Any = None,
    files: Mapping[str, bytes] = CLINVAR,
) -> bytes:
    """A good archive of ClinVar, or one that differs from it in what is given."""
    entries = [*tar.below(FOLDER, files), *extra]
    return tar.data_archive(names, {"clinvar": CLINVAR_SOURCE} if sources is None else sources, entries)


def inspect(tmp_path: Path, content: bytes, *datasets: str) -> ArchiveIndex:
    return data_archive.inspect_archive(write(tmp_path, content), datasets)


def refused(tmp_path: Path, content: bytes, found: str) -> ArchiveError:
    with pytest.raises(ArchiveError, match=found) as caught:
        inspect(tmp_path, content)
    assert caught.value.path.startswith(str(tmp_path / "a.tar"))
    assert caught.value.expected and caught.value.todo
    return caught.value


# What make tar-data writes


def test_an_archive_of_gnu_tar(tmp_path: Path) -> None:
    data = tmp_path / "data"
    packages.data_folder(data, {"clinvar": "20240107", "seqrepo": "2021-01-29", "vep": 110})
    make_archive(tmp_path / "a.tar", data, ["clinvar", "seqrepo"])
    index = data_archive.inspect_archive(str(tmp_path / "a.tar"))
    assert index.names == ("clinvar", "seqrepo")
    assert index.size == (tmp_path / "a.tar").stat().st_size
    assert "vep" in index.sources, "the entries of other packages are there, and no package is made of them"
    summary = {package["name"]: package for package in data_archive.summary(index)}
    assert list(summary) == ["clinvar", "seqrepo"]
    files = [path for path in (data / FOLDER).rglob("*") if path.is_file()]
    assert summary["clinvar"] == {
        "name": "clinvar",
        "version": "20240107",
        "timestamp": "2023-06-01 08:00:00+00:00",
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "destination": FOLDER,
    }
    names = [member.name for member in index.members]
    assert len(names) == len(set(names)), "of a name that occurs twice the last one counts"
    readme = next(member for member in index.members if member.name == f"{FOLDER}/README.md")
    with (tmp_path / "a.tar").open("rb") as stream:
        assert os.pread(stream.fileno(), readme.size, readme.offset) == b"ClinVar 20240107\n"


def test_members_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    index = inspect(tmp_path, clinvar(tar.entry(f"{FOLDER}/c.vcf.gz", "clinvar")))
    offsets = [member.offset for member in index.members]
    assert offsets == sorted(offsets)
    assert [member.name for member in index.members][-2:] == [f"{FOLDER}/c.vcf.gz", "PACKAGES"]


def test_md5sum_of_the_last_one_counts(tmp_path: Path) -> None:
    newer = tar.package({"c.vcf.gz": "newer"}, "20231105")
    content = tar.data_archive(
        ["clinvar"], {"clinvar": CLINVAR_SOURCE}, [*tar.below(FOLDER, {**CLINVAR}), *tar.below(FOLDER, newer)]
    )
    # The index file of the older one is in the archive still, and the newer MD5SUM does not know it.
    refused(tmp_path, content, "c.vcf.gz.tbi is not in .*MD5SUM")


# Lists


def test_without_packages_it_is_no_data_archive(tmp_path: Path) -> None:
    content = tar.entry("sources.json", "{}") + b"".join(tar.below(FOLDER, CLINVAR)) + tar.END
    assert "half of one" in refused(tmp_path, content, "no member PACKAGES").todo


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), "PACKAGES is empty"),
        (("clinvar", "clinvar"), "lists a package twice"),
        (("clinvar", "hgmd"), "lists hgmd, and sources.json has no entry"),
    ],
)
def test_packages_that_say_something_odd(tmp_path: Path, names: Sequence[str], found: str) -> None:
    refused(tmp_path, clinvar(names=names), found)


def test_a_listed_package_that_is_absent(tmp_path: Path) -> None:
    sources = {"clinvar": CLINVAR_SOURCE, "hgmd": tar.source("2023.4")}
    error = refused(tmp_path, clinvar(names=("clinvar", "hgmd"), sources=sources), "lists 2 packages .*, and 1 folders")
    assert "clinvar, hgmd" in error.found and FOLDER in error.found


def test_a_package_that_is_not_listed(tmp_path: Path) -> None:
    refused(tmp_path, clinvar(*tar.below("variantDBs/hgmd", HGMD)), "lists 1 packages .* and 2 folders")


def test_without_sources_json(tmp_path: Path) -> None:
    content = b"".join(tar.below(FOLDER, CLINVAR)) + tar.entry("PACKAGES", "clinvar\n") + tar.END
    refused(tmp_path, content, "no member sources.json")


def test_sources_that_are_no_json_say_where(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="line 2, column 3") as caught:
        inspect(tmp_path, clinvar(sources='{"clinvar":\n  oops}'))
    assert caught.value.path == str(tmp_path / "a.tar") + ":sources.json"


@pytest.mark.parametrize("extra", [tar.entry("PACKAGES", b"\xff"), tar.entry("sources.json", b'{"\xff": {}}')])
def test_lists_that_are_no_text(tmp_path: Path, extra: bytes) -> None:
    content = tar.entry("PACKAGES", "clinvar\n") + tar.entry("sources.json", "{}") + extra
    refused(tmp_path, content + b"".join(tar.below(FOLDER, CLINVAR)) + tar.END, "not UTF-8")


@pytest.mark.parametrize("extra", [tar.folder("PACKAGES"), tar.symlink("PACKAGES", "x"), tar.hardlink("PACKAGES", "x")])
def test_a_list_that_is_no_file(tmp_path: Path, extra: bytes) -> None:
    content = clinvar()[:-1024] + extra + tar.END
    refused(tmp_path, content, "PACKAGES is a (folder|symlink|hardlink)")


# Folders


def test_a_folder_without_data_ready_was_never_completed(tmp_path: Path) -> None:
    files = {name: content for name, content in CLINVAR.items() if name != "DATA_READY"}
    refused(tmp_path, clinvar(files=files), "0 folders have a DATA_READY")


@pytest.mark.parametrize("others", [(), ("variantDBs-sv", "variantDBs.old")])
def test_packages_inside_packages(tmp_path: Path, others: Sequence[str]) -> None:
    """Also where folders stand between them in alphabetical order."""
    names = ("clinvar", "outer", *others)
    entries = tar.below("variantDBs", tar.package({"x": "x"}))
    entries += [entry for other in others for entry in tar.below(other, tar.package({"x": "x"}))]
    content = clinvar(*entries, names=names, sources=dict.fromkeys(names, tar.source()))
    refused(tmp_path, content, f"{FOLDER} lies inside the package folder variantDBs$|variantDBs\\.")


@pytest.mark.parametrize(
    "extra",
    [
        tar.entry("README", "x"),
        tar.entry("variantDBs/README", "x"),
        tar.entry("other/file", "x"),
        tar.folder("empty"),
        tar.symlink("link", "variantDBs"),
        tar.entry("vcfanno_config.toml", "x"),
    ],
)
def test_entries_outside_of_the_packages(tmp_path: Path, extra: bytes) -> None:
    refused(tmp_path, clinvar(extra), "lies outside of the packages")


def test_data_ready_at_the_top(tmp_path: Path) -> None:
    refused(tmp_path, clinvar(tar.entry("DATA_READY", "version: 1\n")), "outside of any folder")


def test_folders_have_entries_of_their_own_or_not(tmp_path: Path) -> None:
    index = inspect(tmp_path, clinvar(tar.folder("."), tar.folder("variantDBs"), tar.folder(FOLDER)))
    assert [(package.name, package.destination) for package in index.packages] == [("clinvar", FOLDER)]


@pytest.mark.parametrize("name", ["variantDBs", FOLDER])
@pytest.mark.parametrize("make", [lambda n: tar.entry(n, "x"), lambda n: tar.symlink(n, "elsewhere")])
def test_a_package_folder_that_is_no_folder(tmp_path: Path, name: str, make: Any) -> None:
    refused(tmp_path, clinvar(make(name)), f"the package folder {name} is a (file|symlink)")


# Links


@pytest.mark.parametrize(
    ("name", "target"),
    [("latest", "2021-01-29"), ("a/b", "../c.vcf.gz"), ("a/b", ".."), ("self", "."), ("x", "a//./b"), ("x", "gone")],
)
def test_symbolic_links_inside_a_package(tmp_path: Path, name: str, target: str) -> None:
    index = inspect(tmp_path, clinvar(tar.symlink(f"{FOLDER}/{name}", target)))
    (link,) = (member for member in index.members if member.kind == "symlink")
    assert link.link == target


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "..", "../hgmd/h.vcf.gz", "../../sources.json", "../clinvar_old/c", "a/../../../x", "a/../c"],
)
def test_symbolic_links_out_of_a_package(tmp_path: Path, target: str) -> None:
    refused(tmp_path, clinvar(tar.symlink(f"{FOLDER}/link", target)), "points out of its package")


def test_links_that_lead_out_together(tmp_path: Path) -> None:
    """Each by itself stays inside when its text alone is looked at."""
    extra = [tar.symlink(f"{FOLDER}/p/q/up", "../.."), tar.symlink(f"{FOLDER}/out", "p/q/up/../../x")]
    refused(tmp_path, clinvar(*extra), "'variantDBs/clinvar/out' points out of its package")


def test_nothing_is_written_through_a_planted_link(tmp_path: Path) -> None:
    extra = [tar.symlink(f"{FOLDER}/sub", "."), tar.entry(f"{FOLDER}/sub/file", "x")]
    refused(tmp_path, clinvar(*extra), "lies below '.*sub', which is a symlink")


def test_nothing_lies_below_a_file(tmp_path: Path) -> None:
    refused(tmp_path, clinvar(tar.entry(f"{FOLDER}/c.vcf.gz/x", "x")), "which is a file")


def linked(md5: str | None, *extra: bytes) -> bytes:
    """ClinVar with one more name for c.vcf.gz, which MD5SUM has with this checksum."""
    line = f"{md5}  again\n" if md5 else ""
    files = {**CLINVAR, "MD5SUM": CLINVAR["MD5SUM"] + line.encode()}
    return clinvar(*extra, tar.hardlink(f"{FOLDER}/again", f"{FOLDER}/c.vcf.gz"), files=files)


def test_a_hard_link_inside_a_package(tmp_path: Path) -> None:
    index = inspect(tmp_path, linked(tar.md5(b"clinvar")))
    assert index.packages[0].files == 5


def test_a_hard_link_with_another_checksum_than_its_file(tmp_path: Path) -> None:
    refused(tmp_path, linked(tar.md5(b"other")), "a hard link to")
    refused(tmp_path, linked(None), "again is not in")


@pytest.mark.parametrize("target", ["variantDBs/hgmd/h", "PACKAGES", f"{FOLDER}/gone", FOLDER, f"{FOLDER}_old/x"])
def test_hard_links_to_anything_else(tmp_path: Path, target: str) -> None:
    refused(tmp_path, clinvar(tar.hardlink(f"{FOLDER}/again", target)), "the hard link .* points to")


def test_a_hard_link_before_its_file(tmp_path: Path) -> None:
    refused(tmp_path, linked(tar.md5(b"clinvar")).replace(tar.END, b"")[:-1024] + b"".join(
        [tar.entry("PACKAGES", "clinvar\n"), tar.entry(f"{FOLDER}/c.vcf.gz", "clinvar"), tar.END]
    ), "stands before its file")  # fmt: skip


# MD5SUM and DATA_READY


def test_md5sum_lists_a_file_that_is_absent(tmp_path: Path) -> None:
    files = {**CLINVAR, "MD5SUM": CLINVAR["MD5SUM"] + b"0" * 32 + b"  gone/file\n"}
    refused(tmp_path, clinvar(files=files), "lists 'gone/file', which is not in the archive")


def test_md5sum_leaves_a_file_out(tmp_path: Path) -> None:
    refused(tmp_path, clinvar(tar.entry(f"{FOLDER}/surplus", "x")), "surplus is not in .*MD5SUM")


def test_without_md5sum(tmp_path: Path) -> None:
    files = {name: content for name, content in CLINVAR.items() if name != "MD5SUM"}
    refused(tmp_path, clinvar(files=files), "has no MD5SUM")


@pytest.mark.parametrize("line", [b"no checksum\n", b"0" * 31 + b"  c.vcf.gz\n", b"0" * 32 + b"\n"])
def test_md5sum_that_is_none(tmp_path: Path, line: bytes) -> None:
    refused(tmp_path, clinvar(files={**CLINVAR, "MD5SUM": CLINVAR["MD5SUM"] + line}), "line 3 is no checksum")


@pytest.mark.parametrize(
    "line",
    ["{}  a b", "{} *a b", "{}\ta b", "{}   ./a b", "{}  ./x/../a b"],
)
def test_forms_of_md5sum(line: str) -> None:
    digest = "0123456789abcdef" * 2
    content = "\n" + line.format(digest.upper()) + "\r\n\n"
    assert list(data_archive.md5_lines(content.encode(), "MD5SUM")) == [("a b", bytes.fromhex(digest))]


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("timestamp: 2023-11-06 08:00:00\nversion: '20231105'\n", ("20231105", "2023-11-06 08:00:00")),
        ('version: "1.10"\n', ("1.10", None)),
        ("---\nversion: 1.10  \nother: x\n", ("1.10", None)),
        ("", (None, None)),
        ("no yaml {", (None, None)),
    ],
)
def test_forms_of_data_ready(text: str, ready: tuple[str | None, str | None]) -> None:
    assert data_archive.parse_ready(text) == ready


# Files


def test_an_empty_file_and_something_else(tmp_path: Path) -> None:
    with pytest.raises(ArchiveFileError, match="empty"):
        inspect(tmp_path, b"")
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(ArchiveFileError, match="no regular file"):
            data_archive.inspect_archive(str(path))
    with pytest.raises(FileNotFoundError):
        data_archive.inspect_archive(str(tmp_path / "gone"))


def test_a_truncated_archive(tmp_path: Path) -> None:
    with pytest.raises(TarError, match=r"cut off|ends after"):
        inspect(tmp_path, clinvar()[:3000])


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_archive, "_MAX_MEMBERS", 5)
    refused(tmp_path, clinvar(), "more than 5 entries")


def test_a_list_that_claims_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_archive, "_MAX_TEXT", 7)
    refused(tmp_path, clinvar(), "PACKAGES is a file of 8 bytes")
