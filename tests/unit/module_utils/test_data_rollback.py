"""module_utils/data_rollback.py: what a way back would change, and the way itself; the kills are in test_generation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback, data_unpack, generation, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.data_place import PlaceError
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import GenerationError
from sandbox.sites import make, tsd_instance, tsd_root
from support_tree import contents
from support_user import as_nobody, world_folder

WAY_BACK = [("clinvar", "20240107", "20230504"), ("hgmd", "2023.4", "2023.1")]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An instance with the new packages live and the former generation kept."""
    make(tmp_path)
    folder = tsd_instance(tmp_path, "staging").data
    (archive,) = (tsd_root(tmp_path) / "incoming").glob("*.tar")
    data_unpack.apply(unpack_plan.Request(str(archive), str(folder), Ownership(0o774)))
    return folder


def test_the_plan_says_what_changes_and_changes_nothing(data: Path) -> None:
    before = contents(data.parent)
    plan = data_rollback.check(str(data), None)
    assert [(c.name, c.before, c.after) for c in plan.changes] == WAY_BACK
    result = data_rollback.result(plan, None)
    assert result["changed"] is True
    assert str(result["generation"]).startswith("adopted-")
    assert [part["before_header"] for part in result["diff"]] == [
        "packages (live)", "sources.json (live)", "vcfanno_config.toml (live)",
    ]  # fmt: skip
    assert contents(data.parent) == before


def test_back_and_forth(data: Path) -> None:
    new = contents(data)
    plan, outcome = data_rollback.apply(str(data), None, keep=True)
    assert outcome is not None
    assert [(c.name, c.before, c.after) for c in plan.changes] == WAY_BACK
    assert contents(data) != new
    again, back = data_rollback.apply(str(data), None, keep=True)
    assert back is not None
    assert back.generation == outcome.previous
    assert [(c.name, c.after, c.before) for c in again.changes] == WAY_BACK
    assert contents(data) == new


def test_the_live_one_is_no_way_to_go(data: Path) -> None:
    live = generation.id_of(str(data))
    plan, outcome = data_rollback.apply(str(data), live, keep=True)
    assert (plan.to, plan.changes, outcome) == (None, (), None)
    assert data_rollback.result(plan, outcome)["changed"] is False


def test_without_keeping_it_is_ready_again(data: Path) -> None:
    live = generation.id_of(str(data))
    data_rollback.apply(str(data), None, keep=False)
    store = generation.open_store(str(data))
    assert generation.kept(store) == []
    assert generation.id_of(store.next) == live


def test_one_that_is_not_kept_is_refused(data: Path) -> None:
    with pytest.raises(GenerationError, match="the generation other is not kept"):
        data_rollback.check(str(data), "other")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_dry_run_finds_that_the_user_may_not_switch() -> None:
    with world_folder() as top:
        former = top / ".data.anno/generations/000001.adopted-x"
        former.mkdir(parents=True)
        (former / "sources.json").write_text("{}\n")
        (top / "data").mkdir()
        with as_nobody(), pytest.raises(PlaceError, match=f"{top / 'data'}: this user may not write there"):
            data_rollback.check(str(top / "data"), None)
