"""module_utils/instance.py: what is live, and the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import instance, ledger
from sandbox.sites import make, tsd_instance


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, str]:
    make(tmp_path)
    found = tsd_instance(tmp_path, "staging")
    path = found.data.parent / "deployments.jsonl"
    return {"data": str(found.data), "image_link": str(found.image_link), "ledger_path": str(path)}


def test_an_instance_that_was_never_deployed_to(paths: dict[str, str]) -> None:
    live = instance.inspect(**paths)
    assert (live.release, live.deployed, live.by, live.generation) == (None, None, None, None)
    assert live.image == "anno-v3.1.0.sif"
    assert live.packages["clinvar"] == "20230504"
    assert live.packages["vep"] == "105"
    assert live.problems == []


def test_the_ledger_tells_the_release(paths: dict[str, str]) -> None:
    entries = [{"event": "start"}, {"event": "end", "outcome": "ok"}]
    request = ledger.Request("one", entries, release="v3.1.0", by="svc-anno")
    ledger.append(paths["ledger_path"], request)
    live = instance.inspect(**paths)
    assert (live.release, live.by) == ("v3.1.0", "svc-anno")
    assert live.deployed is not None


def test_what_cannot_be_read_hides_nothing_of_the_rest(paths: dict[str, str]) -> None:
    Path(paths["data"], "sources.json").write_text("{")
    link = Path(paths["image_link"])
    link.unlink()
    link.symlink_to("gone.sif")
    live = instance.inspect(**paths)
    assert live.image == "gone.sif"
    assert live.packages == {}
    assert len(live.problems) == 2
    assert "sources.json" in live.problems[0]
    assert "leads to nothing" in live.problems[1]
    link.unlink()
    link.mkdir()
    live = instance.inspect(paths["data"] + "-gone", paths["image_link"], paths["ledger_path"])
    assert live.image is None
    assert "no such folder" in live.problems[0]
    assert "no link" in live.problems[1]


def test_the_table() -> None:
    old = instance.Live(None, None, None, "anno-v3.1.0.sif", None, {"clinvar": "20230504", "vep": "105"}, [])
    new = instance.Live(
        "v3.2.0", "2026-03-02T09:14:01.204Z", "svc-anno", "anno-v3.2.0.sif", "g", {"clinvar": "20240107"},
        ["/x: broken"],
    )  # fmt: skip
    columns = [("TSD staging", new._asdict()), ("TSD prod", old._asdict()), ("NSC", None)]
    assert instance.table(columns).splitlines() == [
        "instance  TSD staging       TSD prod         NSC",
        "────────  ────────────────  ───────────────  ─────────",
        "release   v3.2.0            –                not asked",
        "deployed  2026-03-02 09:14  –                not asked",
        "by        svc-anno          –                not asked",
        "image     anno-v3.2.0.sif   anno-v3.1.0.sif  not asked",
        "clinvar   20240107          20230504         not asked",
        "vep       –                 105              not asked",
        "TSD staging: /x: broken",
    ]


def test_it_is_plain_json(paths: dict[str, str]) -> None:
    live = instance.inspect(**paths)._asdict()
    assert json.loads(json.dumps(live)) == live
