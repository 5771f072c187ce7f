"""module_utils/data_switch.py: the switch, and what a kill or an error at any of its steps leaves behind."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback, data_switch, generation, trash
from ansible_collections.ousamg.anno.plugins.module_utils.data_switch import EXCHANGE, PACKAGES, RENAMES, Switched
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import (
    PARTIAL,
    RECEIPT,
    GenerationError,
    Partial,
    Store,
)
from ansible_collections.ousamg.anno.plugins.module_utils.lock import LockError
from support_faults import broken_disk, memory_folder, run_and_kill
from support_tree import contents, snapshot

STRATEGIES = (EXCHANGE, RENAMES, PACKAGES)
OLD = {"sources.json": "old", "vcfanno_config.toml": "old", "p/old": "old", "p/both": "old", "gone/x": "x",
       "same/a": "a"}  # fmt: skip
NEW = {"sources.json": "new", "vcfanno_config.toml": "new", "p/new": "new", "p/both": "new", "fresh/deep/y": "y",
       "same/a": "a"}  # fmt: skip
FOLDERS = ("p", "gone", "fresh/deep")
LISTS = ["sources.json", "vcfanno_config.toml"]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here: no waiting for the disk."""
    for name in ("sync_filesystem", "sync_folder"):
        monkeypatch.setattr(data_switch, name, lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def receipt(folder: Path, name: str) -> None:
    generation.write_receipt(str(folder), {"generation": name}, Ownership(0o664))


def make(top: Path, strategy: str) -> Store:
    """A live folder and a next generation beside it, complete."""
    data = top / "data"
    write(data, OLD)
    store = generation.open_store(str(data))
    following = Path(store.next)
    if strategy == PACKAGES:
        write(following, {name: text for name, text in NEW.items() if not name.startswith("same")})
        base = generation.id_of(str(data))
        generation.mark_partial(str(following), Partial((*LISTS, RECEIPT), FOLDERS, base, "no links here"))
    else:
        write(following, NEW)
    receipt(following, "new")
    return store


def switch(store: Store, strategy: str, incoming: str | None = None, **options: Any) -> Switched:
    with data_switch.locked(store, "test"):
        return data_switch.switch(
            store, incoming or store.next, allow_exchange=strategy == EXCHANGE, **options
        )  # fmt: skip


def live(store: Store) -> dict[str, str] | None:
    """The texts of the live folder, None where there is none."""
    if not os.path.isdir(store.data):
        return None
    return {name: Path(store.data, name).read_text() for name in contents(store.data)}


def state(store: Store) -> list[str]:
    return sorted(os.listdir(store.state)) if os.path.isdir(store.state) else []


# The switch


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_switch_and_the_way_back_twice(tmp_path: Path, strategy: str) -> None:
    store = make(tmp_path, strategy)
    former = generation.id_of(store.data)
    before = snapshot(store.data)
    assert switch(store, strategy)[:2] == (strategy, former)
    assert live(store) == NEW
    assert generation.id_of(store.data) == "new"
    assert state(store) == ["generations"]
    assert [kept.id for kept in generation.kept(store)] == [former]
    after = snapshot(store.data)
    for _ in range(2):
        assert switch(store, strategy, generation.find(store, None).path)[1] == "new"
        assert live(store) == OLD
        assert generation.id_of(store.data) == former, "the id of a generation made by hand is always the same"
        assert [kept.id for kept in generation.kept(store)] == ["new"]
        assert switch(store, strategy, generation.find(store, "new").path)[1] == former
        assert live(store) == NEW
    if strategy != PACKAGES:
        assert snapshot(store.data) == after
        switch(store, strategy, generation.find(store, None).path)
        assert snapshot(store.data) == before


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_way_back_without_keeping(tmp_path: Path, strategy: str) -> None:
    """As after a deployment that failed after its switch: everything is as before, and made ready once more."""
    store = make(tmp_path, strategy)
    before = snapshot(tmp_path)
    former = switch(store, strategy).former
    write(Path(store.next), {"half": "built"})
    switch(store, strategy, generation.find(store, former).path, keep=False)
    assert live(store) == OLD
    assert generation.kept(store) == []
    assert generation.id_of(store.next) == "new"
    assert not os.path.exists(os.path.join(store.next, "half"))
    if strategy != PACKAGES:
        assert snapshot(tmp_path) == before
    switch(store, strategy)
    assert live(store) == NEW


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_exchange_there_are_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def without(a: str, b: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(data_switch, "exchange", without)
    store = make(tmp_path, EXCHANGE)
    strategy, _, caveat = switch(store, EXCHANGE)
    assert strategy == RENAMES
    assert caveat is not None and caveat.startswith("data/ was absent for an instant (between two renames): ")
    assert f"cannot exchange two folders in one step (renameat2 says {errno.errorcode[number]})" in caveat
    assert live(store) == NEW


def test_what_cannot_be_promised_is_said_on_every_way(tmp_path: Path) -> None:
    assert switch(make(tmp_path / EXCHANGE, EXCHANGE), EXCHANGE).caveat is None
    asked = switch(make(tmp_path / RENAMES, RENAMES), RENAMES).caveat or ""
    assert asked == "data/ was absent for an instant (between two renames): it was asked for (strategy: renames)."
    store = make(tmp_path / PACKAGES, PACKAGES)
    for incoming in (store.next, None, None):
        done = switch(store, PACKAGES, incoming or generation.find(store, None).path)
        text = r"Readers could see packages of both releases for \d+\.\d\d s: no links here\."
        assert re.fullmatch(text, done.caveat or ""), "also on the way back and forth"


def test_lists_are_never_missing_in_a_partial_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path, PACKAGES)
    rename = os.rename

    def watching(a: str, b: str) -> None:
        rename(a, b)
        assert all(os.path.exists(os.path.join(store.data, name)) for name in (*LISTS, "same/a"))

    monkeypatch.setattr(os, "rename", watching)
    switch(store, PACKAGES)
    assert live(store) == NEW


def test_lists_are_on_disk_before_they_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut leaves a name without content, and the recovery takes it for the former file."""
    store = make(tmp_path, PACKAGES)
    synced: set[int] = set()
    kept: list[str] = []
    rename = os.rename

    def watching(a: str, b: str) -> None:
        if b.startswith(store.generations) and os.path.isfile(a):
            assert os.stat(a).st_ino in synced, b
            kept.append(os.path.basename(b))
        rename(a, b)

    monkeypatch.setattr(os, "fsync", lambda fd: synced.add(os.fstat(fd).st_ino))
    monkeypatch.setattr(os, "rename", watching)
    switch(store, PACKAGES)
    assert kept == [PARTIAL, *LISTS]


def test_a_list_that_is_a_link_is_kept_as_what_it_says(tmp_path: Path) -> None:
    store = make(tmp_path, PACKAGES)
    os.rename(tmp_path / "data/sources.json", tmp_path / "elsewhere")
    (tmp_path / "data/sources.json").symlink_to("../elsewhere")
    switch(store, PACKAGES)
    former = Path(generation.find(store, None).path)
    assert (former / "sources.json").read_text() == "old"
    switch(store, PACKAGES, str(former))
    assert live(store) == OLD


# Killed at every step


def killed(tmp_path: Path, strategy: str, prepare: Any, work: Any) -> Iterator[Store]:
    """The store as a kill before each step leaves it, and at last as it is when nothing happens."""
    for number in itertools.count(1):
        top = tmp_path / str(number)
        store = prepare(top, strategy)
        ended = run_and_kill(lambda: work(store), number)  # noqa: B023
        yield store
        shutil.rmtree(top)
        if ended:
            assert number > 8
            return


def judge_at_once(store: Store, strategy: str) -> None:
    """What a running analysis may meet right after the kill."""
    found = live(store)
    if strategy == EXCHANGE:
        assert found in (OLD, NEW)
    elif strategy == RENAMES:
        assert found in (None, OLD, NEW)
    else:
        assert found is not None
        assert found["same/a"] == "a"
        assert set(LISTS) <= set(found)
        for package in ("p", "gone", "fresh"):
            mine = {name: text for name, text in found.items() if name.startswith(package + "/")}
            whole = [{n: t for n, t in side.items() if n.startswith(package + "/")} for side in (OLD, NEW)]
            assert mine in (*whole, {})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_every_step_of_a_switch(tmp_path: Path, strategy: str) -> None:
    found = []
    for store in killed(tmp_path, strategy, make, lambda store: switch(store, strategy)):
        judge_at_once(store, strategy)
        again = generation.open_store(store.data)
        with data_switch.locked(again, "the next run"):
            pass
        found.append(live(store))
        assert found[-1] in (OLD, NEW)
        # The next journal replaces the one, the next unpack or prune removes the other.
        left = [name for name in state(store) if name not in (".journal.json.new", "trash.next")]
        assert left == (["next"] if found[-1] == OLD else ["generations"])
        if found[-1] == OLD:
            switch(store, strategy)
            assert live(store) == NEW
        switch(store, strategy, generation.find(store, None).path)
        assert live(store) == OLD
    assert found == sorted(found, key=[OLD, NEW].index), "first the old one, from some step on the new one"
    assert OLD in found


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_every_step_of_a_rollback(tmp_path: Path, strategy: str, keep: bool) -> None:
    def prepare(top: Path, strategy: str) -> Store:
        store = make(top, strategy)
        switch(store, strategy)
        # In memory the newest name is removed first: a receipt that goes in that order would stay longest.
        os.mkdir(store.next)
        receipt(Path(store.next), "staged")
        write(Path(store.next), {"sources.json": "staged", "p/half": "x"})
        return store

    def work(store: Store) -> None:
        switch(store, strategy, generation.find(store, None).path, keep=keep)

    for store in killed(tmp_path, strategy, prepare, work):
        judge_at_once(store, strategy)
        with data_switch.locked(generation.open_store(store.data), "the next run"):
            pass
        assert live(store) in (OLD, NEW)
        following = generation.read_receipt(store.next)
        if following is not None and following["generation"] == "staged":
            names = set(contents(store.next))
            assert names == {"sources.json", "p/half"}, "what has a receipt is complete"
        if live(store) == NEW:
            switch(store, strategy, generation.find(store, None).path)
        assert live(store) == OLD
        following = generation.read_receipt(store.next) or {}
        way_forward = store.next if following.get("generation") == "new" else generation.find(store, "new").path
        switch(store, strategy, way_forward)
        assert live(store) == NEW


@pytest.mark.parametrize(("strategy", "first"), [(EXCHANGE, 8), (RENAMES, 8), (PACKAGES, 18)])
def test_killed_again_while_it_recovers(tmp_path: Path, strategy: str, first: int) -> None:
    for second in itertools.count(1):
        top = tmp_path / str(second)
        store = make(top, strategy)
        assert not run_and_kill(lambda: switch(store, strategy), first)  # noqa: B023

        def recover() -> None:
            with data_switch.locked(generation.open_store(store.data), "x"):  # noqa: B023
                pass

        ended = run_and_kill(recover, second)
        recover()
        assert live(store) in (OLD, NEW)
        if live(store) == OLD:
            switch(store, strategy)
        assert live(store) == NEW
        shutil.rmtree(top)
        if ended:
            break


# An error at every step


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_error_at_every_step_of_a_switch(tmp_path: Path, strategy: str) -> None:
    failures = 0
    for number in itertools.count(1):
        top = tmp_path / str(number)
        store = make(top, strategy)
        before = snapshot(top)
        with broken_disk(number) as reached:
            try:
                switch(store, strategy)
                failed = False
            except OSError:
                failed = True
        Path(store.lock).unlink(missing_ok=True)  # where that failed: its process would be gone by now
        assert live(store) == (OLD if failed else NEW)
        if failed:
            failures += 1
            if strategy != PACKAGES:
                assert snapshot(top) == before
            switch(store, strategy)
            assert live(store) == NEW
        switch(store, strategy, generation.find(store, None).path)
        assert live(store) == OLD
        shutil.rmtree(top)
        if not reached():
            break
    assert failures > 3


@pytest.mark.parametrize("name", ["sync_folder", "sync_filesystem"])
@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_sync_that_fails_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, number: int, name: str
) -> None:
    store = make(tmp_path, strategy)
    count = 0

    def fail(path: str) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(data_switch, name, fail)
    try:
        switch(store, strategy)
    except OSError:
        assert live(store) == OLD
    else:
        assert count < number
        assert live(store) == NEW


# Kept generations


def keep_many(tmp_path: Path, count: int) -> Store:
    store = make(tmp_path, EXCHANGE)
    for number in range(count):
        if number:
            write(Path(store.next), NEW)
            receipt(Path(store.next), f"new{number}")
        switch(store, EXCHANGE)
    return store


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_prune_spares_the_live_one_the_next_one_and_the_way_back(tmp_path: Path, strategy: str) -> None:
    """Also after a rollback, when what was live longest is what was retired last."""
    store = make(tmp_path, strategy)
    former = switch(store, strategy)[1]
    switch(store, strategy, generation.find(store, former).path)
    write(Path(store.next), NEW)
    receipt(Path(store.next), "staged")
    assert data_switch.prune(store, 1) == []
    assert (live(store), generation.find(store, None).id, generation.id_of(store.next)) == (OLD, "new", "staged")
    switch(store, strategy, generation.find(store, None).path)
    assert live(store) == NEW
    assert data_switch.prune(store, 0) == [former], "nothing is kept when nothing is to be kept"
    assert (live(store), generation.kept(store), generation.id_of(store.next)) == (NEW, [], "staged")


def test_prune_and_find_agree_on_the_latest_whatever_the_orders_are(tmp_path: Path) -> None:
    """More retirements than the six digits of a folder's name, and one number twice, as after a copy by hand."""
    store = make(tmp_path, EXCHANGE)
    for name in ("999999.a", "999999.b", "1000000.c"):
        write(Path(store.generations, name), OLD)
    assert [kept.id for kept in generation.kept(store)] == ["c", "b", "a"]
    former = switch(store, EXCHANGE)[1]
    assert os.path.exists(os.path.join(store.generations, f"1000001.{former}"))
    for keep, gone in ((3, ["a"]), (2, ["b"]), (1, ["c"])):
        assert data_switch.prune(store, keep) == gone
        assert generation.find(store, None).id == former
    assert live(store) == NEW


def test_what_cannot_be_removed_is_no_generation_any_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = keep_many(tmp_path, 3)
    remove = trash.remove_tree

    def refuse(path: str) -> None:
        if os.path.lexists(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(trash, "remove_tree", refuse)
    removed = data_switch.prune(store, 1)
    assert len(removed) == 2
    assert len(generation.kept(store)) == 1
    assert len(trash.paths(store)) == 2
    monkeypatch.setattr(trash, "remove_tree", remove)
    assert data_switch.prune(store, 1) == []
    assert state(store) == ["generations"]


def test_prune_removes_the_oldest_and_never_the_live_one(tmp_path: Path) -> None:
    store = keep_many(tmp_path, 4)
    ids = [kept.id for kept in generation.kept(store)]
    assert ids[:3] == ["new2", "new1", "new"]
    assert data_switch.prune(store, 3) == ids[3:]
    assert data_switch.prune(store, 3) == []
    assert data_switch.prune(store, 0) == ids[:3]
    assert live(store) == NEW
    assert generation.kept(store) == []


def test_killed_at_every_step_of_a_prune(tmp_path: Path) -> None:
    def prune(store: Store) -> None:
        with data_switch.locked(store, "prune"):
            data_switch.prune(store, 1)

    for store in killed(tmp_path, EXCHANGE, lambda top, _: keep_many(top, 3), prune):
        for kept in generation.kept(store):
            assert set(contents(kept.path)) == set(OLD if kept.id.startswith("adopted") else NEW)
        assert live(store) == NEW
        prune(store)
        assert [kept.id for kept in generation.kept(store)] == ["new1"]
        assert state(store) == ["generations"]


def test_a_partial_generation_is_returned_to_only_from_what_it_differs_from(tmp_path: Path) -> None:
    store = make(tmp_path, PACKAGES)
    former = switch(store, PACKAGES)[1]
    write(Path(store.next), {**NEW, "p/new": "third"})
    receipt(Path(store.next), "third")
    switch(store, EXCHANGE)
    (kept,) = (kept for kept in generation.kept(store) if kept.id == former)
    assert "what differs from new, which is not live" in (data_rollback.obstacle(store, "third", kept) or "")
    switch(store, EXCHANGE, generation.find(store, "new").path)
    switch(store, EXCHANGE, generation.find(store, former).path)
    assert live(store) == OLD


# The store


def test_the_state_folder_is_made_and_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    store = generation.open_store(str(tmp_path / "data"))
    with data_switch.locked(store, "x"):
        assert state(store) == ["lock"]
        with pytest.raises(LockError), data_switch.locked(store, "y"):
            pass
    assert not os.path.exists(store.state)
    with pytest.raises(ZeroDivisionError), data_switch.locked(store, "x"):
        raise ZeroDivisionError
    assert not os.path.exists(store.state)


def test_a_dry_run_tells_of_an_interrupted_switch(tmp_path: Path) -> None:
    store = make(tmp_path, RENAMES)
    number = 1
    while os.path.isdir(store.data):
        run_and_kill(lambda: switch(store, RENAMES), number)
        number += 1
    again = generation.open_store(store.data)
    with pytest.raises(GenerationError, match="interrupted"):
        data_switch.check_recovered(again)
    with data_switch.locked(again, "x"):
        pass
    data_switch.check_recovered(again)
    assert live(store) == NEW


@pytest.mark.parametrize("text", ["{", "[]", "5", '{"incoming": "x"}'])
def test_a_journal_of_somebody_else_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    store = make(tmp_path, EXCHANGE)
    Path(store.state, "journal.json").write_text(text)
    with pytest.raises(GenerationError, match="cannot be read"), data_switch.locked(store, "x"):
        pass
    assert live(store) == OLD
    assert state(store) == ["journal.json", "next"]


def test_trash_that_cannot_be_removed_is_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(tmp_path, EXCHANGE)

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(trash, "remove_tree", refuse)
    switch(store, EXCHANGE)
    assert live(store) == NEW
