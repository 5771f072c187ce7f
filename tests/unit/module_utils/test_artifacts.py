"""The archive of artifacts: where files are found, what is planned, and that a move loses nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import artifacts
from ansible_collections.ousamg.anno.plugins.module_utils.artifacts import (
    ArtifactError,
    Chmod,
    Located,
    Missing,
    Move,
    Wanted,
    Write,
    apply,
    archive_name,
    inspect,
    plan,
    plan_manifest,
)

CONTENT = os.urandom(3 << 20)
SHA = hashlib.sha256(CONTENT).hexdigest()
NOBODY = 65534


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for folder in ("incoming", "other", "archive"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "incoming/x.tar")
    return tmp_path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than ``site``."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def put(path: Path, content: bytes = CONTENT, mode: int = 0o644) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_001_123_456_789))
    return path


def want(site: Path, **more: Any) -> Wanted:
    search = [str(site / "incoming"), str(site / "other")]
    return Wanted(**{"file": "x.tar", "size": len(CONTENT), "search": search, "dest": str(site / "archive"), **more})


def find(wanted: Wanted) -> Located:
    located = inspect(wanted)
    assert isinstance(located, Located)
    return located


def do(wanted: Wanted, mode: int = 0o774) -> list[artifacts.Action]:
    actions = plan([inspect(wanted)], mode)
    apply(actions)
    return actions


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def as_nobody(function: Callable[[], Any]) -> str:
    """Runs the function as a user who owns nothing here; returns the text of its error."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setuid(NOBODY)
            function()
        except Exception as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read().decode()
    os.waitpid(child, 0)
    return text


def test_a_file_is_moved_once(site: Path) -> None:
    inode = (site / "incoming/x.tar").stat().st_ino
    source, target = str(site / "incoming/x.tar"), str(site / "archive/x.tar")
    assert do(want(site)) == [Move(source, target, len(CONTENT), None, False), Chmod(target, 0o644, 0o774)]
    assert names(site / "incoming") == []
    status = (site / "archive/x.tar").stat()
    assert (status.st_ino, status.st_mode & 0o777) == (inode, 0o774)
    assert do(want(site)) == []


def test_the_archive_comes_first_then_the_folders_in_order(site: Path) -> None:
    put(site / "other/x.tar")
    assert find(want(site)).path == str(site / "incoming/x.tar")
    put(site / "archive/x.tar", mode=0o777)
    assert find(want(site)).path == str(site / "archive/x.tar")
    assert do(want(site)) == []
    assert names(site / "incoming") == ["x.tar"]


def test_more_permission_bits_are_kept(site: Path) -> None:
    put(site / "incoming/x.tar", mode=0o2775)
    do(want(site))
    assert (site / "archive/x.tar").stat().st_mode & 0o7777 == 0o2775


def test_without_dest_a_file_stays_as_it_is(site: Path) -> None:
    before = (site / "incoming/x.tar").stat()
    assert do(want(site, dest=None)) == []
    after = (site / "incoming/x.tar").stat()
    assert (after.st_mode, after.st_ctime_ns) == (before.st_mode, before.st_ctime_ns)
    (site / "other/y.tar").symlink_to(site / "incoming/x.tar")
    assert inspect(want(site, dest=None, file="y.tar")).target == str(site / "other/y.tar")


def test_across_file_systems_the_file_is_copied(site: Path, elsewhere: Path) -> None:
    (elsewhere / ".x.tar.new").write_bytes(b"left by a killed run")
    wanted = want(site, dest=str(elsewhere), sha256=SHA)
    move, chmod = do(wanted)
    assert isinstance(move, Move)
    assert move.copy
    assert chmod == Chmod(str(elsewhere / "x.tar"), 0o644, 0o774)
    assert names(site / "incoming") == []
    assert names(elsewhere) == ["x.tar"]
    target = elsewhere / "x.tar"
    assert target.read_bytes() == CONTENT
    # A data folder's receipt knows the archive by its time.
    assert target.stat().st_mtime_ns == 1_700_000_001_123_456_789
    assert target.stat().st_mode & 0o777 == 0o774
    assert do(wanted) == []


def test_two_mounts_of_one_file_system(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def refuse(before: str, after: str) -> None:
        if before == str(site / "incoming/x.tar"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), before, None, after)
        rename(before, after)

    monkeypatch.setattr(os, "rename", refuse)
    do(want(site, sha256=SHA))
    assert names(site / "incoming") == []
    assert (site / "archive/x.tar").read_bytes() == CONTENT


def test_a_copy_with_another_checksum_is_thrown_away(site: Path, elsewhere: Path) -> None:
    with pytest.raises(ArtifactError) as error:
        do(want(site, dest=str(elsewhere), sha256="0" * 64))
    assert error.value.path == str(site / "incoming/x.tar")
    assert SHA in error.value.found
    assert "0" * 64 in error.value.expected
    assert names(elsewhere) == []
    assert (site / "incoming/x.tar").read_bytes() == CONTENT


def test_a_copy_that_fails_leaves_nothing(site: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    actions = plan([inspect(want(site, dest=str(elsewhere)))], 0o774)

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        apply(actions)
    assert names(elsewhere) == []
    assert (site / "incoming/x.tar").read_bytes() == CONTENT


def test_the_copies_must_fit_together(site: Path) -> None:
    put(site / "incoming/y.tar")
    located = [
        find(want(site, file=file))._replace(dest_device=-1, dest_free=2 * len(CONTENT) - 1)
        for file in ("x.tar", "y.tar")
    ]
    assert len(plan(located[:1], 0o774)) == 2
    with pytest.raises(ArtifactError) as error:
        plan(located, 0o774)
    assert error.value.path == str(site / "archive")
    assert str(2 * len(CONTENT) - 1) in error.value.found
    assert str(2 * len(CONTENT)) in error.value.expected


def test_missing(site: Path) -> None:
    with pytest.raises(ArtifactError) as error:
        inspect(want(site, file="z.tar"))
    assert error.value.path == "z.tar"
    for folder in ("archive", "incoming", "other"):
        assert str(site / folder) in error.value.found


def test_one_that_may_be_missing(site: Path) -> None:
    gone = inspect(want(site, file="z.tar", required=False))
    assert gone == Missing(want(site, file="z.tar", required=False), str(site / "archive/z.tar"))
    assert plan([gone], 0o774) == []
    assert inspect(want(site, file="z.tar", required=False, dest=None)).target == str(site / "incoming/z.tar")
    with pytest.raises(ArtifactError, match="no folder"):
        inspect(want(site, file="z.tar", required=False, dest=None, search=[]))
    do(want(site, required=False))
    assert names(site / "archive") == ["x.tar"]


def test_another_size(site: Path) -> None:
    put(site / "incoming/x.tar", CONTENT[:-1])
    put(site / "other/x.tar")
    with pytest.raises(ArtifactError) as error:
        inspect(want(site))
    assert error.value.path == str(site / "incoming/x.tar")
    assert error.value.found == f"has {len(CONTENT) - 1} bytes"
    assert error.value.expected == f"{len(CONTENT)} bytes"


def test_what_is_no_regular_file(site: Path) -> None:
    place = site / "archive/x.tar"
    for make, kind in (
        (place.mkdir, "a folder"),
        (lambda: place.symlink_to(site / "incoming/x.tar"), "a symbolic link"),
        (lambda: os.mkfifo(place), "a device, a pipe or a socket"),
    ):
        make()
        with pytest.raises(ArtifactError) as error:
            inspect(want(site))
        assert (error.value.path, error.value.found) == (str(place), f"is {kind}")
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()


@pytest.mark.parametrize("file", ["../x.tar", "a/x.tar", "/x.tar", "", ".", ".."])
def test_no_plain_name(site: Path, file: str) -> None:
    with pytest.raises(ArtifactError, match="is no plain name"):
        inspect(want(site, file=file))


def test_the_folder_of_the_archive_is_missing(site: Path) -> None:
    for folder, found in (("nowhere", "is not there"), ("incoming/x.tar", "is no folder")):
        with pytest.raises(ArtifactError) as error:
            inspect(want(site, dest=str(site / folder)))
        assert (error.value.path, error.value.found) == (str(site / folder), found)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_what_this_user_may_not_do_is_refused_in_the_plan() -> None:
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        for path in (site, site / "incoming", site / "other", site / "archive"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        put(site / "incoming/x.tar")

        def planned() -> None:
            plan([inspect(want(site))], 0o774)

        assert as_nobody(planned).startswith(f"{site}/archive: is not writable")
        (site / "archive").chmod(0o777)
        assert as_nobody(planned).startswith(f"{site}/incoming: is not writable")
        (site / "incoming").chmod(0o777)
        assert as_nobody(planned).startswith(f"{site}/incoming/x.tar: has the mode 0644 and another owner")
        (site / "incoming/x.tar").chmod(0o774)
        assert as_nobody(planned) == ""
        (site / "archive").chmod(0o755)
        manifest = as_nobody(lambda: plan_manifest(str(site / "archive/v1.0.0.yml"), "a: 1\n", 0o774))
        assert manifest.startswith(f"{site}/archive: is not writable")


def test_the_manifest_is_recorded_once(site: Path) -> None:
    path = site / "archive/v3.2.0.yml"
    actions = plan_manifest(str(path), "version: v3.2.0 # ø\n", 0o774)
    assert actions == [Write(str(path), "version: v3.2.0 # ø\n", 0o774)]
    apply(actions)
    assert path.read_text(encoding="utf-8") == "version: v3.2.0 # ø\n"
    assert path.stat().st_mode & 0o777 == 0o774
    assert plan_manifest(str(path), "version: v3.2.0 # ø\n", 0o774) == []
    with pytest.raises(ArtifactError, match="has other content"):
        plan_manifest(str(path), "version: v3.2.0\n", 0o774)
    with pytest.raises(ArtifactError, match="is not there"):
        plan_manifest(str(site / "nowhere/v3.2.0.yml"), "", 0o774)


def test_archive_name() -> None:
    packages = [{"name": "hgmd", "version": "2023.1"}, {"name": "clinvar", "version": 20230504, "files": 3}]
    assert archive_name(packages) == "clinvar_20230504-hgmd_2023.1.tar"
    assert archive_name([{"name": "seqrepo", "version": "2021-01-29"}]) == "seqrepo_2021-01-29.tar"


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ([], "are empty"),
        ([{"name": "a/b", "version": "1"}], "name of the package 'a/b'"),
        ([{"name": "a", "version": "1 2"}], "version of the package 'a': is '1 2'"),
        ([{"name": "a", "version": "1\n"}], "version of the package 'a'"),
        ([{"name": "..", "version": "1"}], "name of the package '..'"),
        ([{"name": "-a", "version": "1"}], "name of the package '-a'"),
        ([{"name": "a", "version": None}], "is None"),
        ([{"name": "a", "version": True}], "is True"),
        ([{"name": "a"}], "version of the package 'a'"),
        ([{"name": "a", "version": "1"}, {"name": "a", "version": "2"}], "name a twice"),
        ([{"name": f"p{i}", "version": "1" * 20} for i in range(20)], "characters"),
    ],
)
def test_no_archive_name(packages: list[dict[str, Any]], expected: str) -> None:
    with pytest.raises(ArtifactError) as error:
        archive_name(packages)
    assert expected in str(error.value)
