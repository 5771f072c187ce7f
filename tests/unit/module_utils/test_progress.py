"""module_utils/progress.py: the file, and the line that a person reads."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import progress
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress


def state(done: int, total: int | None, seconds: float, what: str = "clinvar") -> dict[str, object]:
    return {"work": "unpack", "what": what, "done": done, "total": total, "seconds": seconds}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            state(1_300_000_000, 3_100_000_000, 6.19),
            "unpack clinvar: 41 %, 1.3 GB of 3.1 GB, 210.0 MB/s, 9 s left",
        ),
        (state(0, 10_000, 1.0, ""), "unpack: 0 %, 0 B of 10.0 kB, 0 B/s"),
        (state(5, 10, 0.0, ""), "unpack: 50 %, 5 B of 10 B, 0 B/s"),
        (state(10, 10, 2.0, ""), "unpack: 100 %, 10 B of 10 B, 5 B/s, 2 s"),
        (state(0, 0, 0.0, ""), "unpack: 100 %, 0 B of 0 B, 0 B/s, 0 s"),
        (state(0, None, 75.2, "task 12, VCFANNO STARTED"), "unpack: task 12, VCFANNO STARTED, 1 min 15 s"),
    ],
)
def test_the_line(given: dict[str, object], text: str) -> None:
    assert progress.line(given) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (10**9, "1.0 GB"), (3.2e14, "320.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert progress.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


def test_it_writes_at_most_every_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = tmp_path / "progress.json"
    work = Progress(str(path), "unpack", 1000)
    work.what = "variantDBs/clinvar"
    for seconds, done, shown in [(0.0, 1, 1), (0.9, 400, 1), (1.0, 500, 500), (1.5, 700, 500), (1.6, 1000, 1000)]:
        now[0] = 100.0 + seconds
        work.update(done)
        assert json.loads(path.read_text())["done"] == shown
    assert json.loads(path.read_text()) == state(1000, 1000, 1.6, "variantDBs/clinvar")
    assert [file.name for file in tmp_path.iterdir()] == ["progress.json"]


def test_waiting_counts_the_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = tmp_path / "progress.json"
    work = Progress(str(path), "minimal test", None)
    for seconds, shown in [(0.0, 0.0), (0.9, 0.0), (1.0, 1.0), (61.0, 61.0)]:
        now[0] = 100.0 + seconds
        work.what = f"after {seconds}"
        work.update()
        assert json.loads(path.read_text())["seconds"] == shown
    assert progress.line(json.loads(path.read_text())) == "minimal test: after 61.0, 1 min 1 s"


def test_nowhere_is_allowed(tmp_path: Path) -> None:
    Progress(None, "unpack", 1).update(1)


def test_work_does_not_fail_because_it_cannot_be_shown(tmp_path: Path) -> None:
    Progress(str(tmp_path / "gone" / "progress.json"), "unpack", 1).update(1)


def test_a_package_is_named_by_its_label(tmp_path: Path) -> None:
    path = tmp_path / "p"
    shown = Progress(str(path), "unpack", 10, {"variantDBs/clinvar": "clinvar"})
    for what, label in (
        ("variantDBs/clinvar/sub/x.vcf.gz", "clinvar"),
        ("variantDBs/clinvar2/x", "variantDBs/clinvar2/x"),
        ("(sync to disk)", "(sync to disk)"),
        ("", ""),
    ):
        shown.what = what
        shown.update(10)
        assert json.loads(path.read_text())["what"] == label
