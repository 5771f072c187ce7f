"""Interruptions of the data engine at system calls, a part of them; ``make torture`` runs all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from support_faults import memory_folder
from torture import matrix, mounts, trace
from torture.matrix import Tally, Variant

POINTS = 3
TRACED = pytest.mark.skipif(trace.missing() is not None, reason=str(trace.missing()))


def no_problems(tallies: Iterable[Tally]) -> None:
    assert [f"{tally.what}: {problem}" for tally in tallies for problem in tally.problems] == []


@TRACED
@pytest.mark.parametrize("work", matrix.WORKS)
@pytest.mark.parametrize("variant", matrix.VARIANTS, ids=lambda variant: variant.name)
def test_interrupted_at_system_calls(variant: Variant, work: str) -> None:
    with memory_folder() as folder:
        tallies = matrix.interruptions(folder, variant, work, POINTS)
    no_problems(tallies)
    killed = tallies[1]
    assert killed.rest["old"] and killed.rest["new"], "the kills were on both sides of the switch"
    assert sum(killed.seen.values()) > killed.points


@TRACED
@pytest.mark.skipif(mounts.missing() is not None, reason=str(mounts.missing()))
@pytest.mark.parametrize("what", [mounts.FULL, mounts.POWER])
def test_on_a_file_system_of_its_own(tmp_path: Path, what: str) -> None:
    no_problems(mounts.run(what, tmp_path, 2))


@TRACED
def test_the_reader_can_tell(tmp_path: Path) -> None:
    """What it is there to find, it finds."""
    with matrix.bench(tmp_path, matrix.VARIANTS[0], "unpack") as bench:
        scene = bench.original.copy(bench.run)
        assert bench.judge.look(scene.data) == "old"
        name = next(name for name in bench.original.old if name.endswith(".vcf.gz"))
        os.truncate(scene.data / name, 100)
        assert bench.judge.look(scene.data) == "torn"
        scene.data.rename(tmp_path / "elsewhere")
        assert bench.judge.look(scene.data) == "absent"
