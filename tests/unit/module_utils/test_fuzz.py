"""What reads archives, all together, against Python's tarfile, with archives that nobody thought of.

What is accepted gives exactly the tree that tarfile reads; whatever else there is is refused with a message; nothing is
ever written outside of the folder. The examples are the same in every run.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import inspect_archive
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.extract import extract
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.members import Selection
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_faults import memory_folder
from support_tree import contents, snapshot

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
PACK = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd.compress}
# Of a header: where they begin, and how long they are.
FIELDS = {
    "name": (0, 100), "mode": (100, 8), "uid": (108, 8), "size": (124, 12), "mtime": (136, 12), "type": (156, 1),
    "link": (157, 100), "magic": (257, 8), "prefix": (345, 155),
}  # fmt: skip
VALUES = [
    b"", b"0", b"1", b"2", b"5", b"7", b"x", b"L", b"S", b"/", b"..", b"p/a", b"p", b"ustar\x0000", b"ustar  \0",
    b"\xe6", b"00000000000\0", b"00000001000\0", b"0000777\0", b"\x80" + bytes(10) + b"\1", b"\xff" * 12, b" 7 \0",
    b"-1\0",
]  # fmt: skip

names = st.sampled_from(["p/a", "p/b", "p/d/a", "p/d/b", "p/d", "p/" + "n" * 120, f"p/{'d/' * 60}x", "p/./e", "p/æ"])
sizes = st.sampled_from([0, 1, 511, 512, 513, 1500])
operations = st.one_of(
    st.tuples(st.just("file"), names, sizes),
    st.tuples(st.just("file"), names, sizes),
    st.tuples(st.just("folder"), names, st.just(0)),
    st.tuples(st.just("symlink"), names, st.sampled_from(["a", "../a", "d", "../../x", "/etc", ".", "d/../a"])),
    st.tuples(st.just("hardlink"), names, names),
)
places = st.integers(0, 40)
mutations = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 40 * 512), st.integers(1, 255)),
    st.tuples(st.just("field"), places, st.tuples(st.sampled_from(sorted(FIELDS)), st.sampled_from(VALUES))),
    st.tuples(st.just("cut"), st.integers(0, 40 * 512), st.just(0)),
    st.tuples(st.just("drop"), places, st.integers(1, 3)),
    st.tuples(st.just("repeat"), places, st.integers(1, 3)),
    st.tuples(st.just("splice"), places, st.tuples(places, st.integers(1, 4))),
    st.tuples(st.just("zero"), places, st.just(0)),
)


def build(form: str, steps: list[Any], complete: bool) -> bytes:
    """An archive of a package p with these members; with ``complete`` its MD5SUM is right."""
    winners: dict[str, bytes | None] = {}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[form], encoding="utf-8") as archive:

        def add(kind: str, name: str, content: bytes = b"", target: str = "") -> None:
            info = tarfile.TarInfo(name)
            types = {"folder": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}
            info.type, info.size, info.linkname = types.get(kind, tarfile.REGTYPE), len(content), target
            info.mtime = 1_700_000_000.5 if form == "pax" else 1_700_000_000
            try:
                archive.addfile(info, io.BytesIO(content))
            except ValueError:  # ustar cannot name it
                return
            path = os.path.normpath(name)
            winners.pop(path, None)
            winners[path] = content if kind == "file" else winners.get(target) if kind == "hardlink" else None

        add("file", "sources.json", b'{"p": {"version": "1"}}')
        for number, (kind, name, more) in enumerate(steps):
            content = bytes([65 + number % 26]) * more if kind == "file" else b""
            add(kind, name, content, more if kind in ("symlink", "hardlink") else "")
        files = {name: content for name, content in winners.items() if content is not None}
        sums = {name[2:]: tar.md5(content) for name, content in files.items() if name.startswith("p/")}
        if sums and not complete:
            sums.popitem()
        add("file", "p/MD5SUM", "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode())
        add("file", "p/DATA_READY", b"version: '1'\n")
        add("file", "PACKAGES", b"p\n")
    # Not all of the padding, so that changes do not fall into it.
    return buffer.getvalue().rstrip(b"\0") + bytes(2048 + -len(buffer.getvalue().rstrip(b"\0")) % 512)


def mutate(content: bytes, mutation: Any) -> bytes:
    kind, where, how = mutation
    blocks = [content[i : i + 512] for i in range(0, len(content), 512)]
    place = where % max(len(blocks), 1)
    if kind == "flip" and content:
        position = where % len(content)
        return content[:position] + bytes([content[position] ^ how]) + content[position + 1 :]
    if kind == "cut":
        return content[: where % (len(content) + 1)]
    if kind == "field" and blocks:
        headers = [number for number, block in enumerate(blocks) if block[257:262] == b"ustar"] or [place]
        place = headers[where % len(headers)]
        begin, width = FIELDS[how[0]]
        value = how[1][:width].ljust(width, b"\0")
        block = (blocks[place][:begin] + value + blocks[place][begin + width :]).ljust(512, b"\0")
        total = sum(block[:148] + b" " * 8 + block[156:])
        blocks[place] = block[:148] + b"%06o\0 " % total + block[156:]
    elif kind == "drop":
        del blocks[place : place + how]
    elif kind == "repeat":
        blocks[place:place] = blocks[place : place + how]
    elif kind == "splice":
        blocks[place:place] = blocks[how[0] : how[0] + how[1]]
    elif kind == "zero" and blocks:
        blocks[place] = bytes(512)
    return b"".join(blocks)


def unpack(folder: str, content: bytes) -> dict[str, str] | None:
    """The tree that the engine makes, None where it refuses to."""
    path, root = os.path.join(folder, "a.tar"), os.path.join(folder, "root")
    Path(path).write_bytes(content)
    os.mkdir(root)
    try:
        index = inspect_archive(path)
        assert len(list(index.members)) == len(index.members)
        chosen = Selection(index.members, [package.destination for package in index.packages])
        extract(path, root, chosen, Ownership(0o640), Progress(None, "unpack", len(content)))
    except (AnnoError, OSError) as error:
        assert isinstance(error, AnnoError), error
        assert path in error.path and error.found and error.expected and error.todo
        return None
    finally:
        assert sorted(os.listdir(folder)) == ["a.tar", "root"]
        assert {node.kind for node in snapshot(root).values()} <= {"file", "folder", "link"}
    folders = {name: "" for name, node in snapshot(root).items() if node.kind == "folder"}
    return {**folders, **contents(root)}


def reference(content: bytes) -> dict[str, str]:
    """The tree as tarfile reads it: what is below a package, of duplicates the last, with the folders on the way."""
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        for info in archive:
            name = os.path.normpath(info.name)
            if name in (".", "PACKAGES", "sources.json"):
                continue
            if info.isfile():
                stream = archive.extractfile(info)
                assert stream is not None
                value = hashlib.sha256(stream.read()).hexdigest()
            elif info.islnk():
                value = found.get(os.path.normpath(info.linkname), "dangling")
            else:
                assert info.issym() or info.isdir(), info.type
                value = info.linkname if info.issym() else ""
            found[name] = value
    ways = {parent: "" for name in found for parent in map(str, Path(name).parents) if parent != "."}
    return {**ways, **found}


@settings(max_examples=1500, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    form=st.sampled_from(sorted(FORMATS)),
    steps=st.lists(operations, max_size=6),
    complete=st.integers(0, 9).map(bool),
    changes=st.lists(mutations, max_size=3),
    packed=st.sampled_from(["plain", "plain", "gzip", "zstd"]),
    harm=st.one_of(st.none(), st.none(), mutations),
)
def run(
    folder: str,
    seen: Counter[str],
    form: str,
    steps: list[Any],
    complete: bool,
    changes: list[Any],
    packed: str,
    harm: Any,
) -> None:
    content = build(form, steps, complete)
    for change in changes:
        content = mutate(content, change)
    file = PACK[packed](content)
    if harm and packed != "plain":
        file = mutate(file, harm)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = unpack(scratch, file)
    seen["refused" if tree is None else "accepted, changed" if changes else "accepted"] += 1
    if tree is not None:
        assert tree == reference(content)


def test_what_is_accepted_is_what_tarfile_reads() -> None:
    seen: Counter[str] = Counter()
    with memory_folder() as folder:
        run(str(folder), seen)
    # Else the rest would say nothing.
    assert min(seen["accepted"], seen["accepted, changed"]) > 50 and seen["refused"] > 300, seen
