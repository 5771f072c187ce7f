"""module_utils/tar_reader.py: what GNU tar writes is read as tarfile reads it, all else is refused."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import tarfile
from pathlib import Path

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import tar_reader
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import open_archive
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import (
    FILE,
    FOLDER,
    HARDLINK,
    SYMLINK,
    Member,
    TarError,
    read_members,
)


def read(path: Path) -> list[Member]:
    with open_archive(str(path)) as file:
        return list(read_members(file))


def members(tmp_path: Path, content: bytes) -> list[Member]:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    return read(path)


def only(tmp_path: Path, *blocks: bytes) -> Member:
    (member,) = members(tmp_path, b"".join(blocks) + tar.END)
    return member


def refused(tmp_path: Path, content: bytes, found: str) -> TarError:
    with pytest.raises(TarError, match=found) as caught:
        members(tmp_path, content)
    assert caught.value.path == str(tmp_path / "a.tar")
    assert caught.value.expected and caught.value.todo
    return caught.value


# What GNU tar writes


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names of every length around the limits of the formats (100, and 155 before a slash), and all kinds."""
    top = tmp_path_factory.mktemp("tree")
    short = top / "variantDBs" / "clinvar"
    short.mkdir(parents=True)
    for length in (99, 100, 101, 200):
        (short / ("n" * (length - len("variantDBs/clinvar/")))).write_bytes(b"x" * length)
    (short / "empty").touch()
    (short / "one block").write_bytes(b"b" * 512)
    (short / "more").write_bytes(os.urandom(513))
    (short / "ærøskøbing").write_text("ø", encoding="utf-8")
    (short / "latest").symlink_to("more")
    os.link(short / "more", short / "again")
    os.utime(short / "more", ns=(1, 1_672_531_200_123_456_789))
    deep = top / "/".join(["d" * 60] * 3)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    (deep / "far").symlink_to("t" * 150)
    return top


@pytest.mark.parametrize("form", ["gnu", "posix", "ustar", "v7"])
def test_it_reads_what_tarfile_reads(tmp_path: Path, tree: Path, form: str) -> None:
    archive = tmp_path / "a.tar"
    # ustar and v7 leave out what they cannot name, and say so.
    run = subprocess.run(
        ["tar", "--create", f"--format={form}", "--file", archive, "--directory", tree, "."],
        capture_output=True, check=False,
    )  # fmt: skip
    assert run.returncode == (0 if form in ("gnu", "posix") else 2), run.stderr
    kinds = {tarfile.REGTYPE: FILE, tarfile.AREGTYPE: FILE, tarfile.DIRTYPE: FOLDER, tarfile.SYMTYPE: SYMLINK}
    expected = []
    with tarfile.open(archive, "r:") as reference:
        for info in reference:
            kind = kinds.get(info.type, HARDLINK)
            name = os.path.normpath(info.name)
            link = os.path.normpath(info.linkname) if kind == HARDLINK else info.linkname
            size = info.size if kind == FILE else 0
            expected.append(("" if name == "." else name, kind, size, int(info.mtime), info.offset_data, link))
    found = [(m.name, m.kind, m.size, m.mtime // 10**9, m.offset, m.link) for m in read(archive)]
    assert [entry[:4] + entry[5:] for entry in found] == [entry[:4] + entry[5:] for entry in expected]
    assert [e[4] for e in found if e[1] == FILE] == [e[4] for e in expected if e[1] == FILE]
    assert len(found) >= 13 if form in ("gnu", "posix") else len(found) >= 8


def test_posix_times_keep_their_nanoseconds(tmp_path: Path, tree: Path) -> None:
    archive = tmp_path / "a.tar"
    subprocess.run(
        ["tar", "--create", "--format=posix", "-f", archive, "-C", tree, "variantDBs/clinvar/more"], check=True
    )
    assert read(archive)[0].mtime == 1_672_531_200_123_456_789


def test_names_that_occur_twice_come_twice_in_order(tmp_path: Path) -> None:
    found = members(tmp_path, tar.entry("a", "1") + tar.entry("b", "2") + tar.entry("a", "33") + tar.END)
    assert [(member.name, member.size) for member in found] == [("a", 1), ("b", 1), ("a", 2)]


# At a glance


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "ustar"])
def test_ordinary_files_are_read_at_a_glance(tmp_path: Path, tree: Path, form: str) -> None:
    archive = tmp_path / "a.tar"
    names = ["variantDBs/clinvar/empty", "variantDBs/clinvar/more", "variantDBs/clinvar/ærøskøbing"]
    subprocess.run(["tar", "--create", f"--format={form}", "-f", archive, "-C", tree, *names], check=True)
    with open_archive(str(archive)) as file:
        headers = tar_reader._Headers(file)
        found = [headers.plain_file() for _ in names]
        assert headers.plain_file() is None
    assert [member.name for member in found if member] == names
    assert found == read(archive)


def test_at_a_glance_nothing_else_is_found(tmp_path: Path) -> None:
    """Each byte of a header in turn is another one, with the right checksum and with the old one."""
    path = tmp_path / "a.tar"
    block = tar.header("p/a", b"%011o\0" % 9, mode=0o664, magic=b"ustar  \0")
    glances = 0
    for position, value in itertools.product(range(512), b"\0 /\xff"):
        changed = block[:position] + bytes([value]) + block[position + 1 :]
        total = sum(changed[:148] + b" " * 8 + changed[156:])
        for header in (changed, changed[:148] + b"%06o\0 " % total + changed[156:]):
            path.write_bytes(header + bytes(512) + tar.END)
            with open_archive(str(path)) as file:
                glance = tar_reader._Headers(file).plain_file()
                if glance is not None:
                    glances += 1
                    assert tar_reader._Headers(file).next_member() == glance
    assert 300 < glances < 3000


# The fields


def test_a_plain_entry(tmp_path: Path) -> None:
    assert only(tmp_path, tar.entry("./a//b/", kind=b"5")) == Member("a/b", FOLDER, 0, tar.MTIME * 10**9, 512, "")
    assert only(tmp_path, tar.entry("a", "xy")) == Member("a", FILE, 2, tar.MTIME * 10**9, 512, "")
    assert only(tmp_path, tar.symlink("a", "../b")).link == "../b"
    assert only(tmp_path, tar.hardlink("a", "./b/c")).link == "b/c"


def test_an_old_folder_is_a_file_with_a_slash(tmp_path: Path) -> None:
    assert only(tmp_path, tar.entry("a/", kind=b"\0")).kind == FOLDER


def test_a_gnu_long_name_and_link(tmp_path: Path) -> None:
    name, link = "n/" * 100 + "file", "l/" * 100 + "file"
    blocks = [tar.long_name(link, b"K"), tar.long_name(name), tar.symlink("short", "short")]
    found = members(tmp_path, b"".join(blocks) + tar.entry("next") + tar.END)
    assert [(member.name, member.link) for member in found] == [(name, link), ("next", "")]


def test_pax_records_come_before_the_header(tmp_path: Path) -> None:
    records = {"path": "p/æ", "size": "3", "mtime": "1700000001.5", "comment": "any", "atime": "1"}
    found = only(tmp_path, tar.pax(records), tar.entry("short", "abc", size=0, mtime=0))
    assert (found.name, found.size, found.mtime) == ("p/æ", 3, 1_700_000_001_500_000_000)


def test_pax_link_path(tmp_path: Path) -> None:
    assert only(tmp_path, tar.pax({"linkpath": "t" * 200}), tar.symlink("a", "t")).link == "t" * 200


@pytest.mark.parametrize(
    ("value", "mtime"), [("0", 0), ("7.000000001", 7_000_000_001), ("7.1234567899", 7_123_456_789)]
)
def test_pax_times(tmp_path: Path, value: str, mtime: int) -> None:
    assert only(tmp_path, tar.pax({"mtime": value}), tar.entry("a")).mtime == mtime


def test_the_prefix_of_ustar(tmp_path: Path) -> None:
    assert only(tmp_path, tar.entry("b", prefix=b"a/a")).name == "a/a/b"


def test_base_256_sizes_and_times(tmp_path: Path) -> None:
    big = b"\x80" + (9 << 30).to_bytes(11, "big")
    path = tmp_path / "a.tar"
    with path.open("wb") as stream:  # a sparse file of 9 GiB: no room is used
        stream.write(tar.header("big", big, mtime=b"\x80" + (1_700_000_000).to_bytes(11, "big")))
        stream.truncate(512 + (9 << 30))
        stream.seek(0, os.SEEK_END)
        stream.write(tar.entry("next", "x"))
        stream.truncate(stream.tell() + 1024)
    big_member, next_member = read(path)
    assert (big_member.size, big_member.mtime) == (9 << 30, 1_700_000_000 * 10**9)
    assert (next_member.name, next_member.offset) == ("next", 512 + (9 << 30) + 512)


@pytest.mark.parametrize("field", [b"0000000005 \0", b"     5 \0\0\0\0\0", b"00000000005\0", b"000000000005"])
def test_octal_digits_in_every_usual_form(tmp_path: Path, field: bytes) -> None:
    assert only(tmp_path, tar.entry("a", "12345", size=field)).size == 5


def test_a_checksum_of_signed_bytes(tmp_path: Path) -> None:
    block = tar.header("æ")
    blanked = block[:148] + b" " * 8 + block[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in blanked)
    assert only(tmp_path, block[:148] + b"%06o\0 " % signed + block[156:]).name == "æ"


def test_a_time_after_2262_is_as_far_as_64_bits_go(tmp_path: Path) -> None:
    far = b"\x80" + ((1 << 63) - 1).to_bytes(11, "big")
    assert only(tmp_path, tar.entry("a", mtime=far)).mtime == (1 << 63) - 1


# What is refused


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/etc/passwd", "absolute"),
        ("../up", "upwards"),
        ("a/../../up", "upwards"),
        ("a/..", "upwards"),
        ("a\nb", "newline"),
        ("n" * 256, "too long"),
        ("d/" * 600 + "f", "too long"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: str, found: str) -> None:
    forms = [tar.long_name(name) + tar.entry("short"), tar.pax({"path": name}) + tar.entry("short")]
    if len(name) <= 100:
        forms.append(tar.entry(name))
    for blocks in forms:
        refused(tmp_path, blocks + tar.END, found)


@pytest.mark.parametrize("before", [tar.long_name("a\0b"), tar.pax({"path": "a\0b"})])
def test_a_nul_in_a_name_is_refused(tmp_path: Path, before: bytes) -> None:
    refused(tmp_path, before + tar.entry("short") + tar.END, "NUL")


@pytest.mark.parametrize("target", ["/etc/passwd", "../up"])
def test_hard_links_upwards_are_refused(tmp_path: Path, target: str) -> None:
    refused(tmp_path, tar.hardlink("a", target) + tar.END, "absolute|upwards")


@pytest.mark.parametrize("blocks", [tar.entry(b"a\xff"), tar.hardlink("a", b"\xff"), tar.symlink("a", b"\xe6")])
def test_names_in_another_encoding_are_refused(tmp_path: Path, blocks: bytes) -> None:
    assert "\\x" in refused(tmp_path, blocks + tar.END, "is not UTF-8").found


@pytest.mark.parametrize(
    ("blocks", "key"),
    [
        (tar.pax({"path": "b"}) + tar.pax({"path": "c"}), "path"),
        (tar.long_name("b") + tar.pax({"path": "c"}), "path"),
        (tar.pax({"linkpath": "b"}) + tar.long_name("c", b"K"), "linkpath"),
        (tar.entry("x", tar.pax_record("size", "0") * 2, b"x"), "size"),
    ],
)
def test_what_two_extended_headers_say_is_refused(tmp_path: Path, blocks: bytes, key: str) -> None:
    refused(tmp_path, tar.entry("z") + blocks + tar.entry("a") + tar.END, f"after 'z' has its {key} in two")


@pytest.mark.parametrize("magic", [b"ustar 00", b"posix\x0000", b"\0" * 7 + b" "])
def test_an_unknown_format_is_refused(tmp_path: Path, magic: bytes) -> None:
    refused(tmp_path, tar.entry("a", magic=magic) + tar.END, "unknown format")


def test_a_prefix_without_a_format_is_refused(tmp_path: Path) -> None:
    assert only(tmp_path, tar.entry("a", magic=bytes(8))).name == "a"
    for magic in (bytes(8), b"ustar  \0"):
        refused(tmp_path, tar.entry("a", magic=magic, prefix=b"14717340350\0") + tar.END, "unknown format")


@pytest.mark.parametrize(("begin", "what"), [(108, "uid"), (116, "gid"), (329, "device"), (337, "device")])
def test_a_damaged_number_is_refused_also_where_it_is_not_used(tmp_path: Path, begin: int, what: str) -> None:
    block = tar.header("a")
    damaged = block[:begin] + b"what?\0\0\0" + block[begin + 8 :]
    blanked = damaged[:148] + b" " * 8 + damaged[156:]
    refused(tmp_path, damaged[:148] + b"%06o\0 " % sum(blanked) + damaged[156:] + tar.END, f"has the {what}")


@pytest.mark.parametrize("kind", [b"0", b"7"])
def test_a_file_with_the_name_of_a_folder_is_refused(tmp_path: Path, kind: bytes) -> None:
    refused(tmp_path, tar.entry("a/", "x", kind) + tar.END, "a file with the name of a folder")


@pytest.mark.parametrize("target", [b"", b"a\nb"])
def test_odd_targets_of_symbolic_links_are_refused(tmp_path: Path, target: bytes) -> None:
    refused(tmp_path, tar.symlink("a", target) + tar.END, "target")
    refused(tmp_path, tar.long_name(b"t/" * 600, b"K") + tar.symlink("a", "t") + tar.END, "has the target")


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (tar.CHARACTER, "character device"),
        (tar.BLOCK_DEVICE, "block device"),
        (tar.FIFO, "FIFO"),
        (tar.SPARSE, "sparse"),
        (tar.GLOBAL_PAX, "global PAX"),
        (b"D", "GNU dump"),
        (b"M", "another volume"),
        (b"V", "volume label"),
        (b"Z", "unknown type"),
    ],
)
def test_kinds_that_are_refused(tmp_path: Path, kind: bytes, found: str) -> None:
    error = refused(tmp_path, tar.entry("planted", kind=kind) + tar.END, found)
    assert "'planted'" in error.found


@pytest.mark.parametrize(
    ("kind", "mode"), [(b"0", 0o4755), (b"0", 0o2755), (b"7", 0o6755)], ids=["setuid", "setgid", "both"]
)
def test_setuid_bits_of_files_are_refused(tmp_path: Path, kind: bytes, mode: int) -> None:
    refused(tmp_path, tar.entry("tool", "x", kind, mode=mode) + tar.END, "setuid or setgid")


def test_the_setgid_bit_of_a_folder_is_usual(tmp_path: Path) -> None:
    assert only(tmp_path, tar.entry("a/", kind=b"5", mode=0o2775)).kind == FOLDER


def test_real_devices_and_fifos_and_sparse_files(tmp_path: Path) -> None:
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "fifo")
    with (tmp_path / "sparse").open("wb") as stream:
        stream.seek(1 << 20)
        stream.write(b"end")
    for form, name, found in [("gnu", "pipe", "FIFO"), ("gnu", "sparse", "sparse"), ("posix", "sparse", "sparse")]:
        subprocess.run(
            ["tar", "--create", "--sparse", f"--format={form}", "-f", tmp_path / "a.tar", "-C", tmp_path, name],
            check=True,
        )
        with pytest.raises(TarError, match=found):
            read(tmp_path / "a.tar")


@pytest.mark.parametrize(
    "size", [b"\xff" * 12, b"\xc0" + bytes(11), b"\x80" + b"\xff" * 11, b"-0000000001\0", b"0000000000x\0", b"9" * 12]
)
def test_impossible_sizes_are_refused(tmp_path: Path, size: bytes) -> None:
    refused(tmp_path, tar.entry("a", size=size) + tar.END, "impossible size|has the size")


def test_an_impossible_time_is_refused_where_it_stands(tmp_path: Path) -> None:
    refused(tmp_path, tar.entry("a", "x") + tar.entry("b", "y" * 2000, mtime=b"\xff" * 12) + tar.END, "byte 1024 ")


@pytest.mark.parametrize("value", ["-1", "", "1e3", "0x10", "1" * 19])
def test_impossible_pax_sizes_are_refused(tmp_path: Path, value: str) -> None:
    refused(tmp_path, tar.pax({"size": value}) + tar.entry("a", "x") + tar.END, "PAX size")


@pytest.mark.parametrize("value", ["-1", "1.x", "1" * 12, "nan"])
def test_impossible_pax_times_are_refused(tmp_path: Path, value: str) -> None:
    refused(tmp_path, tar.pax({"mtime": value}) + tar.entry("a", "x") + tar.END, "PAX time")


def test_two_sizes_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, tar.pax({"size": "1024"}) + tar.entry("a", "x" * 512) + bytes(512) + tar.END, "two sizes")


@pytest.mark.parametrize("kind", [b"1", b"2", b"5"])
def test_a_link_or_a_folder_with_content_is_refused(tmp_path: Path, kind: bytes) -> None:
    refused(tmp_path, tar.entry("a", "content", kind, link="b") + tar.END, "claims 7 bytes")


@pytest.mark.parametrize(
    "content", [b"12 path=a\n", b"path=a\n", b"0 path=a\n", b"8 path=a", b"9 path a\n", b"99999999999 path=a\n",
     b"11 path=ab\nand nothing that has a length"],
)  # fmt: skip
def test_damaged_pax_headers_are_refused(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path, tar.entry("x", content, b"x") + tar.entry("a") + tar.END, "damaged PAX header")


@pytest.mark.parametrize("kind", [b"x", b"L", b"K"])
@pytest.mark.parametrize("size", [(1 << 20) + 1, 8 << 30])
def test_a_header_bomb_is_refused_and_not_read(tmp_path: Path, kind: bytes, size: int) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar.header("bomb", b"\x80" + size.to_bytes(11, "big"), kind))
    with path.open("r+b") as stream:
        stream.truncate(512 + size + 2048)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TarError, match=f"claims {size} bytes"):
        read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # in KiB


def test_an_extended_header_alone_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, tar.pax({"path": "a"}) + tar.END, "no entry after it")


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    first, second = tar.entry("a", "x"), bytearray(tar.entry("b", "y"))
    second[0] ^= 1
    refused(tmp_path, first + bytes(second) + tar.END, "the header after 'a' is damaged .* byte 1024")


@pytest.mark.parametrize("content", [b"PK\3\4" + bytes(2000), b"no tar at all" * 100])
def test_something_else_is_no_tar(tmp_path: Path, content: bytes) -> None:
    refused(tmp_path, content, "no tar archive")


def test_one_block_of_zeros_is_no_end(tmp_path: Path) -> None:
    refused(tmp_path, tar.entry("a") + bytes(512), "second block of zeros")
    refused(tmp_path, tar.entry("a") + bytes(512) + tar.entry("b") + tar.END, "one block of zeros, then more")


def test_a_missing_end_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, tar.entry("a", "x"), "it ends after 'a'")


def test_zeros_behind_the_end_are_usual_and_anything_else_is_refused(tmp_path: Path) -> None:
    whole = tar.entry("a", "x") + tar.END
    assert len(members(tmp_path, whole + bytes(3 << 20))) == 1
    refused(tmp_path, whole + bytes(2 << 20) + b"x", "data after its end")
    refused(tmp_path, whole + tar.entry("second archive") + tar.END, "data after its end")


def test_zeros_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar.entry("a", "x") + tar.END)
    os.truncate(path, 100 << 30)
    with pytest.raises(TarError, match="more than 67108864 bytes after its end"):
        read(path)


def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = (
        tar.pax({"path": "x"}) + tar.entry("a", "x" * 1000) + tar.long_name("n" * 150) + tar.entry("b", "y") + tar.END
    )
    assert len(members(tmp_path, whole)) == 2
    cuts = {*range(0, len(whole), 512), *range(100, len(whole), 512)}
    for cut in sorted(cuts - {0}):
        refused(tmp_path, whole[:cut], "ends after|cut off|no entry after it")


def test_a_cut_off_member_says_how_much_is_missing(tmp_path: Path) -> None:
    refused(tmp_path, tar.entry("big", "x" * 2000)[:1000], "cut off in 'big': 1512 bytes are missing")


def test_long_names_are_cut_in_messages(tmp_path: Path) -> None:
    assert len(refused(tmp_path, tar.pax({"path": "/n" * 4500}) + tar.entry("a") + tar.END, "absolute").text()) < 700
