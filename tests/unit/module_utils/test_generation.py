"""module_utils/generation.py: where the generations lie and what they are called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import generation
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import (
    PARTIAL,
    RECEIPT,
    GenerationError,
    Partial,
    Store,
)
from support_mount import NEEDS_MOUNT, UNSHARE


def test_the_store_lies_beside_the_real_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    store = generation.open_store(str(tmp_path / "link"))
    assert store == Store(str(tmp_path / "real"), str(tmp_path / ".real.anno"))
    assert not store.inside
    assert generation.open_store(str(tmp_path / "real") + "/") == store


def test_no_folder_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, found in (("gone", "no such folder"), ("file", "no folder")):
        with pytest.raises(GenerationError, match=found) as caught:
            generation.open_store(str(tmp_path / name))
        assert caught.value.path == str(tmp_path / name)


def test_the_order_is_that_of_retirement_not_of_names(tmp_path: Path) -> None:
    store = generation.open_store(str(tmp_path))
    for name in ("000009.b", "000010.a", "000002.z", "stray", "1.x"):
        os.makedirs(os.path.join(store.generations, name))
    assert [kept.id for kept in generation.kept(store)] == ["a", "b", "z"]


def test_find(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    store = generation.open_store(str(tmp_path / "data"))
    with pytest.raises(GenerationError, match="no earlier generation is kept"):
        generation.find(store, None)
    for name in ("000001.a", "000002.b", "000003.c"):
        os.makedirs(os.path.join(store.generations, name))
    assert generation.find(store, None).id == "c"
    assert generation.find(store, "b").id == "b"
    with pytest.raises(GenerationError, match=r"the generation other is not kept.*one of: c, b, a"):
        generation.find(store, "other")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"generation": 1}'])
def test_a_receipt_that_is_none(tmp_path: Path, text: str) -> None:
    assert generation.read_receipt(str(tmp_path)) is None
    (tmp_path / RECEIPT).write_text(text)
    assert generation.read_receipt(str(tmp_path)) is None
    assert generation.id_of(str(tmp_path)).startswith("adopted-20")


# Where the data folder is a mount point


def test_the_kernel_tells_of_mounts() -> None:
    assert generation.is_mount_point("/proc")
    assert not generation.is_mount_point("/proc/self")


@NEEDS_MOUNT
def test_a_bind_mount_keeps_its_state_inside(tmp_path: Path) -> None:
    for name in ("real", "the data"):
        (tmp_path / name).mkdir()
    code = (
        "from ansible_collections.ousamg.anno.plugins.module_utils import generation; import sys;"
        "store = generation.open_store(sys.argv[1]); print(store.state, store.inside)"
    )
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$2"', "sh",
         tmp_path / "real", tmp_path / "the data", sys.executable, code],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout.strip() == f"{tmp_path / 'the data'}/.anno True", run.stderr


def test_a_state_that_lies_within_is_everybodys(tmp_path: Path) -> None:
    """A container has mounted the folder and works there: who sees no mount point meets the same lock."""
    (tmp_path / "data/.anno").mkdir(parents=True)
    assert generation.open_store(str(tmp_path / "data")).state == str(tmp_path / "data/.anno")


def test_two_state_folders_are_two_locks(tmp_path: Path) -> None:
    for name in ("data/.anno", ".data.anno"):
        (tmp_path / name).mkdir(parents=True)
    store = generation.open_store(str(tmp_path / "data"))
    with pytest.raises(GenerationError, match=f"rm -r {tmp_path}/.data.anno"):
        generation.check_alone(store)
    (tmp_path / ".data.anno").rmdir()
    generation.check_alone(store)


def test_whoever_has_mounted_it_begins_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    store = generation.open_store(str(tmp_path / "data"))
    generation.check_alone(store)
    (tmp_path / "data/.anno").mkdir()
    with pytest.raises(GenerationError, match="has begun to work in it"):
        generation.check_alone(store)


def test_a_mount_of_what_another_host_deploys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state folder beside the folder cannot be seen through the mount: the receipt tells of it."""
    data = tmp_path / "data"
    data.mkdir()
    generation.write_receipt(str(data), {"generation": "g", "state": generation.BESIDE}, Ownership(0o664))
    generation.check_alone(generation.open_store(str(data)))
    monkeypatch.setattr(generation, "is_mount_point", lambda path: path == str(data))
    with pytest.raises(GenerationError, match=f"mkdir {data}/.anno"):
        generation.check_alone(generation.open_store(str(data)))
    (data / ".anno").mkdir()
    generation.check_alone(generation.open_store(str(data)))


@NEEDS_MOUNT
def test_what_is_mounted_below(tmp_path: Path) -> None:
    place = tmp_path / "data" / "a b"
    place.mkdir(parents=True)
    code = (
        "from ansible_collections.ousamg.anno.plugins.module_utils import generation; import sys;"
        "print(generation.mounts_below(sys.argv[1]), generation.is_mount_point(sys.argv[1]))"
    )
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$1"', "sh",
         tmp_path / "data", place, sys.executable, code],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.stdout.strip() == f"['{place}'] False", run.stderr


def test_the_mark_of_a_partial_generation(tmp_path: Path) -> None:
    assert generation.read_partial(str(tmp_path)) is None
    partial = Partial(("sources.json",), ("p",), "base", "no links")
    generation.mark_partial(str(tmp_path), partial)
    assert generation.read_partial(str(tmp_path)) == partial
    for text in ("{", "[]", '{"files": [], "folders": [], "base": "x"}'):
        (tmp_path / PARTIAL).write_text(text)
        with pytest.raises(GenerationError, match="cannot be read"):
            generation.read_partial(str(tmp_path))


@pytest.mark.parametrize(
    "receipt",
    [
        "[]",
        '{"generation": 1}',
        '{"generation": "g", "packages": {}}',
        '{"generation": "g", "packages": [{"name": "clinvar"}]}',
        '{"generation": "g", "archive": {"sha256": "0"}}',
        '{"generation": "../g"}',
        '{"generation": "g", "packages": [{"name": "a", "destination": "a", "version": "1", "timestamp": "", '
        '"source": "", "ready": "", "archive": null}]}',
        "{",
    ],
)
def test_a_receipt_of_another_shape_is_none(tmp_path: Path, receipt: str) -> None:
    (tmp_path / RECEIPT).write_text(receipt)
    assert generation.read_receipt(str(tmp_path)) is None


T1, T2, T3, T4 = (f"2026112{number}T031500123Z-abcdef01" for number in range(1, 5))


@pytest.mark.parametrize(
    ("live", "former", "order"),
    [
        (T1, [], []),
        (T4, [T3, T2, T1], [T3, T2, T1]),
        # After a rollback from T3 the way back to it is kept, whatever it is worth …
        (T2, [T3, T1], [T3, T1]),
        # … and after the next deployment it is the first to go.
        (T4, [T2, T3, T1], [T2, T1, T3]),
        (T1, [T3, T2], [T3, T2]),
        (T4, [T1, T3, T2], [T1, T3, T2]),
        (T4, [T2, T3, "adopted-20261120T000000000Z"], [T2, "adopted-20261120T000000000Z", T3]),
        ("of another shape", [T2, "x", T1], [T2, "x", T1]),
    ],
)
def test_what_is_worth_keeping(live: str, former: list[str], order: list[str]) -> None:
    assert [former[number] for number in generation.retention(live, former)] == order
