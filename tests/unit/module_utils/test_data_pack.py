"""module_utils/data_pack.py: a kill or an error at every step of a whole run. Its promises and refusals are tested with
the module."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import data_archive, data_pack, pack
from ansible_collections.ousamg.anno.plugins.module_utils.data_pack import DataPackError, Request
from support_faults import broken_disk, full_disk, memory_folder, run_and_kill

FILES = tar.package({"p_2.vcf.gz": os.urandom(20_000), "sub/x": b"x"}, "2")


@pytest.fixture
def top() -> Iterator[Path]:
    """``data`` with the packages p and q, ``q.tar`` with an older q and with r."""
    with memory_folder() as folder:
        sources = {"p": tar.source("2", "p/p_2.vcf.gz"), "q": tar.source("1"), "other": tar.source("9")}
        for place, files in {"p": FILES, "q": tar.package({"y": "y"})}.items():
            for name, content in files.items():
                path = folder / "data" / place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                os.utime(path, (tar.MTIME, tar.MTIME))
        (folder / "data/sources.json").write_text(json.dumps(sources))
        entries = [
            *tar.below("q", tar.package({"old": "q"}, "0")), *tar.below("r", tar.package({"r": b"r" * 9000}, "7"))
        ]  # fmt: skip
        older = {"q": tar.source("0"), "r": tar.source("7")}
        (folder / "q.tar").write_bytes(tar.data_archive(["q", "r"], older, entries))
        yield folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here: no waiting for the disk."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(pack, "_BLOCK", 4096)


def request(folder: Path, top: Path) -> Request:
    """Both packages into an archive that is there, which has one of them and keeps a third."""
    folder.mkdir(exist_ok=True)
    dest = folder / "a.tar"
    shutil.copy2(top / "q.tar", dest)
    return Request(str(top / "data"), str(dest), update=True)


def finished(top: Path) -> bytes:
    """What the archive is when nothing goes wrong."""
    wanted = request(top / "reference", top)
    data_pack.apply(wanted)
    return Path(wanted.dest).read_bytes()


def test_killed_at_every_step(top: Path) -> None:
    old, new = (top / "q.tar").read_bytes(), finished(top)
    found = []
    for number in itertools.count(1):
        wanted = request(top / str(number), top)
        dest = Path(wanted.dest)
        ended = run_and_kill(lambda: data_pack.apply(wanted), number)  # noqa: B023
        found.append(dest.read_bytes() == new)
        assert found[-1] or dest.read_bytes() == old
        assert data_pack.check(wanted)[1].rewrite != found[-1]
        data_pack.apply(wanted)
        assert dest.read_bytes() == new
        if not found[-1]:
            assert os.listdir(dest.parent) == ["a.tar"], "what the killed run had left is gone"
        if ended:
            break
    assert number > 8
    assert found == sorted(found)


@pytest.mark.parametrize("disk", [broken_disk, full_disk])
def test_an_error_at_every_step(top: Path, disk: Any) -> None:
    old, new = (top / "q.tar").read_bytes(), finished(top)
    failures = 0
    for number in itertools.count(1):
        wanted = request(top / str(number), top)
        dest = Path(wanted.dest)
        with disk(number) as reached:
            try:
                data_pack.apply(wanted)
                failed = False
            except OSError:
                failed = True
        # Where removing that failed: its process would be gone by now.
        Path(dest.parent, ".a.tar.lock").unlink(missing_ok=True)
        failures += failed
        assert dest.read_bytes() == (old if failed else new)
        assert os.listdir(dest.parent) == ["a.tar"]
        if not reached():
            break
    assert failures > 7


def test_an_archive_that_changes_while_it_is_taken_over(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = request(top / "site", top)
    really = pack.write

    def changing(*args: Any) -> str:
        sha256 = really(*args)
        Path(wanted.dest).write_bytes(b"somebody else's")
        return sha256

    monkeypatch.setattr(pack, "write", changing)
    with pytest.raises(DataPackError, match="it was changed meanwhile"):
        data_pack.apply(wanted)
    assert Path(wanted.dest).read_bytes() == b"somebody else's"
    assert os.listdir(top / "site") == ["a.tar"]


def test_what_a_deployment_would_refuse_is_not_made(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: here a limit of the reader."""
    wanted = Request(str(top / "data"), str(top / "new.tar"))
    monkeypatch.setattr(data_archive, "_MAX_MEMBERS", 3)
    with pytest.raises(DataPackError, match=r"it has more than 3 entries.*a deployment would refuse") as caught:
        data_pack.apply(wanted)
    assert caught.value.path == wanted.dest
    assert not os.path.exists(wanted.dest) and ".new.tar.new" not in os.listdir(top)


def test_names_with_space(top: Path) -> None:
    sources = json.loads((top / "data/sources.json").read_text())
    sources["p q"] = sources.pop("p")
    (top / "data/sources.json").write_text(json.dumps(sources))
    with pytest.raises(DataPackError, match="it has a package 'p q', and PACKAGES has one name a line"):
        data_pack.check(Request(str(top / "data"), str(top / "new.tar")))
