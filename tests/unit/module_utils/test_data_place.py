"""module_utils/data_place.py: places, rights and room; what a user reads of it is tested with data_unpack."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_place, generation
from ansible_collections.ousamg.anno.plugins.module_utils.data_place import PlaceError
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Store
from support_mount import NEEDS_MOUNT, UNSHARE
from support_user import NOBODY, as_nobody, world_folder

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "data").mkdir()
    return generation.open_store(str(tmp_path / "data"))


def room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        values: list[Any] = list(real(path))
        values[1], values[4] = 1, free  # f_frsize, f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_room_for_the_content_and_a_block_a_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    room(monkeypatch, 1000 + 2 * 4096)
    data_place.check_space(store, 2, 1000)
    with pytest.raises(PlaceError, match=r"data: 9\.2 kB are free on its file system\. Expected: 9\.2 kB"):
        data_place.check_space(store, 2, 1001)


def test_what_a_half_built_generation_takes_is_room_unless_it_is_linked(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(store.next).mkdir(parents=True)
    Path(store.next, "half").write_bytes(b"x" * 40_000)
    room(monkeypatch, 0)
    data_place.check_space(store, 1, 30_000)
    os.link(Path(store.next, "half"), Path(store.data, "half"))
    with pytest.raises(PlaceError):
        data_place.check_space(store, 1, 30_000)


def test_the_room_is_that_of_the_mount_point_and_not_of_what_is_above(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = store._replace(state=os.path.join(store.data, ".anno"))
    real = os.statvfs

    def statvfs(path: str) -> os.statvfs_result:
        values: list[Any] = list(real(path))
        values[1], values[4] = 1, 1 << 20 if path.startswith(store.data) else 0  # f_frsize, f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", statvfs)
    data_place.check_space(inside, 1, 1000)
    Path(inside.state).mkdir()
    data_place.check_space(inside, 1, 1000)


def test_what_is_being_removed_is_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run removes nothing, and has to find the room that the run makes before it looks."""
    trash = Path(store.state, "trash.000001.g1/p")
    trash.mkdir(parents=True)
    (trash / "old").write_bytes(b"x" * 40_000)
    room(monkeypatch, 0)
    data_place.check_space(store, 1, 30_000)


@AS_ROOT
def test_what_another_user_has_put_into_it_is_no_room(own: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trash = Path(own.state, "trash.000001.g1/p")
    trash.mkdir(parents=True)
    (trash / "old").write_bytes(b"x" * 40_000)
    room(monkeypatch, 0)
    with as_nobody(), pytest.raises(PlaceError):
        data_place.check_space(own, 1, 30_000)


@NEEDS_MOUNT
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("--bind", "variantDBs"),
        ("--bind", "variantDBs/clinvar"),
        ("-t tmpfs", "variantDBs/clinvar"),
        ("-t tmpfs", "variantDBs/clinvar/old"),
    ],
)
def test_a_mount_point_in_the_place_of_a_package(store: Store, kind: str, place: str) -> None:
    """Renamed with what is around it, it would be a part of the kept generation, and be emptied with that one."""
    mounted, other = Path(store.data, place), Path(store.data).parent / "other"
    mounted.mkdir(parents=True)
    other.mkdir()
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils import data_place, generation\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import ArchivePackage\n"
        "Path(sys.argv[1], 'variantDBs/clinvar').mkdir(parents=True, exist_ok=True)\n"
        "package = ArchivePackage('clinvar', 'variantDBs/clinvar', '1', None, 1, 1, None)\n"
        "data_place.check_place(generation.open_store(sys.argv[1]), package, 'a.tar')\n"
    )
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", f'mount {kind} "$1" "$2" && shift 2 && exec "$@"', "sh", other, mounted, sys.executable,
         "-c", script, store.data], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert f"PlaceError: {mounted}: it is a mount point" in run.stderr


@pytest.fixture
def own() -> Iterator[Store]:
    with world_folder() as top:
        (top / "data/variantDBs/clinvar").mkdir(parents=True)
        for path in (top, *top.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield generation.open_store(str(top / "data"))


@AS_ROOT
def test_the_rights_that_each_way_needs(own: Store) -> None:
    """The exchange needs the data folder and the one above; package by package needs the packages' folders, too."""
    with as_nobody():
        data_place.check_rights(own)
        data_place.check_parts(own, ["variantDBs/clinvar", "FASTA"])
    package = Path(own.data, "variantDBs/clinvar")
    package.chmod(0o555)
    with as_nobody():
        data_place.check_rights(own)
        with pytest.raises(PlaceError, match=rf"chmod u\+rwx,g\+rwx {package}"):
            data_place.check_parts(own, ["variantDBs/clinvar"])
    for folder in (Path(own.data), Path(own.data).parent):
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(PlaceError, match=rf"{folder}: this user may not write there"):
            data_place.check_rights(own)
        folder.chmod(0o755)
    Path(own.state).mkdir(mode=0o755)  # as a run of root leaves it
    with as_nobody(), pytest.raises(PlaceError, match=rf"{own.state}: this user may not write there"):
        data_place.check_rights(own)
