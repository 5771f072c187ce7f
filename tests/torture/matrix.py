"""Kills and errors at each system call, for each way of switching; what was found is counted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, generation, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

from torture import scene as scenes
from torture import worker
from torture.judge import ABSENT, MIXED, NEW, OLD, Judge, Watch
from torture.scene import Original, Scene
from torture.trace import Point, Tracer

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
# What takes room on a disk; openat(2) does when it makes a file.
_TAKES_ROOM = ("write", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat")
# What the switch turns on: all of these are in each version of it.
_TURNING = ("rename", "renameat2", "fsync", "syncfs")
# Python's own memory: without it nothing goes on, and how often it asks for more differs from run to run.
_PYTHON_ITSELF = ("mmap", "munmap")


class Variant(NamedTuple):
    """A way of switching, enforced by what the kernel answers (``forced``), and what a reader may find in it."""

    name: str
    strategy: str
    forced: tuple[str, ...]
    allowed: frozenset[str]


VARIANTS = (
    Variant(data_switch.EXCHANGE, unpack_plan.AUTO, (), frozenset({OLD, NEW})),
    Variant(
        data_switch.RENAMES,
        data_switch.RENAMES,
        ("inject=renameat2:error=EINVAL",),
        frozenset({OLD, NEW, ABSENT}),
    ),
    Variant(
        data_switch.PACKAGES,
        data_switch.PACKAGES,
        ("inject=linkat:error=EPERM",),
        frozenset({OLD, NEW, MIXED}),
    ),
)
WORKS = (worker.UNPACK, scenes.ACTIVATE, worker.ROLLBACK)


@dataclass
class Tally:
    """What one series of interruptions came to. ``rest`` counts what was live right after each, ``seen`` what the
    reader found meanwhile; ``problems`` says what should not have been."""

    what: str
    points: int = 0
    rest: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, values: dict[str, Any]) -> Tally:
        """From ``vars()`` of another, by way of JSON."""
        return cls(**{**values, "rest": Counter(values["rest"]), "seen": Counter(values["seen"])})

    def line(self) -> str:
        rest = ", ".join(f"{self.rest[name]} {name}" for name in (OLD, NEW, ABSENT, MIXED) if self.rest[name])
        seen = sum(self.seen.values())
        watched = f"; {seen} reads meanwhile" if seen else ""
        return f"{self.what}: {self.points} points; live afterwards: {rest}{watched}; {len(self.problems)} problems"


class Bench(NamedTuple):
    """One work by one way of switching, ready to be interrupted at any of its points."""

    variant: Variant
    original: Original
    tracer: Tracer
    points: list[Point]
    run: Path

    @property
    def judge(self) -> Judge:
        return Judge(self.original.old, self.original.new)

    def building(self) -> list[Point]:
        """The points before the journal of the switch is written: the extraction, the links, the lists."""
        return self.points[: self._journal()]

    def switch(self) -> list[Point]:
        """All points from the journal on."""
        return self.points[self._journal() :]

    def _journal(self) -> int:
        return next(n for n, point in enumerate(self.points) if _makes(point) and "journal.json" in point.text)

    def expressions(self, injected: Iterable[str]) -> list[str]:
        """Those of the variant, and the interruption; of two for one call the latter counts."""
        injected = list(injected)
        names = {expression.split(":")[0] for expression in injected}
        return [forced for forced in self.variant.forced if forced.split(":")[0] not in names] + injected

    def interrupt(self, injected: Iterable[str], tally: Tally) -> tuple[Scene, int, str]:
        """A fresh scene, the work with these interruptions, and a reader all the while."""
        injected = list(injected)
        scene = self.original.copy(self.run)
        watch = Watch(self.judge, scene.data)
        try:
            done = self.tracer.run(self.original.arguments(scene), self.expressions(injected))
        finally:
            seen = watch.end()
        tally.points += 1
        tally.seen += seen
        if wrong := set(seen) - self.variant.allowed:
            tally.problems.append(f"{injected}: a reader found it {', '.join(sorted(wrong))}")
        return scene, done.returncode, done.stdout + done.stderr

    def converges(self, scene: Scene) -> Iterator[str]:
        """What is wrong after running again, and after the way back from there."""
        try:
            self.original.again(scene, self.variant.strategy)
            yield from self.finished(scene)
            if self.original.again(scene, self.variant.strategy):
                yield "a second run still had something to do"
        except (AnnoError, OSError) as error:
            yield f"running again fails: {error}"
            return
        if not scene.roll_back() or self.judge.look(scene.data) != OLD:
            yield f"the way back does not lead to the old release: {self.judge.look(scene.data)}"

    def finished(self, scene: Scene) -> Iterator[str]:
        found = self.judge.look(scene.data)
        if found != NEW:
            yield f"running again gives {found}"
        left = sorted(os.listdir(scene.state))
        if self.original.work == worker.ROLLBACK:  # it does not wait for what a kill left to be removed
            left = [name for name in left if not name.startswith("trash.")]
        if left != ["generations"]:
            yield f"running again leaves {left}"


@contextlib.contextmanager
def bench(folder: Path, variant: Variant, work: str) -> Iterator[Bench]:
    """Make a scene and list the points; everything is below the folder, and removed in the end."""
    scratch = folder / f"{variant.name}-{work}"
    scratch.mkdir()
    try:
        tracer = Tracer(scratch)
        original = scenes.make(scratch / "original", work, variant.strategy)
        run = scratch / "run"
        for _ in range(2):  # the first one compiles Python
            scene = original.copy(run)
            points = tracer.points(original.arguments(scene), variant.forced)
        points = [point for point in points if point.name not in _PYTHON_ITSELF]
        yield Bench(variant, original, tracer, points, run)
    finally:
        shutil.rmtree(scratch)


def sample(points: Sequence[Point], count: int | None, also: Sequence[str] = ()) -> list[Point]:
    """About ``count`` of them, evenly (None: all), and all of the names ``also``."""
    step = max(1, len(points) // count) if count else 1
    return [point for number, point in enumerate(points) if number % step == 0 or point.name in also]


def kills(bench: Bench, phase: str, count: int | None) -> Tally:
    """Kill the work at these points: one of the two releases is live, and running again converges."""
    points = sample(bench.building(), count) if phase == "build" else sample(bench.switch(), count, _TURNING)
    tally = _tally(bench, f"kill, {phase}")
    for point in points:
        scene, code, output = bench.interrupt([point.inject("signal=KILL")], tally)
        found = bench.judge.look(scene.data)
        tally.rest[found] += 1
        _note(tally, point, () if code in KILLED else [f"it ended with {code}: {output}"])
        if phase == "build":
            _note(tally, point, () if found == OLD else [f"after the kill it is {found}, before any switch"])
        _note(tally, point, () if found in bench.variant.allowed else [f"after the kill it is {found}"])
        _note(tally, point, bench.converges(scene))
    return tally


def full_disk(bench: Bench, count: int | None) -> Tally:
    """From each point on nothing has room any more."""

    def injected(point: Point) -> Iterator[str]:
        for name in _TAKES_ROOM:
            yield f"inject={name}:error=ENOSPC:when={point.counts.get(name, 0) + 1}+"
        if point.name not in _TAKES_ROOM:
            yield point.inject("error=ENOSPC")

    points = [point for point in bench.points if point.name in _TAKES_ROOM or _makes(point)]
    return _errors(bench, "full disk", sample(points, count), injected)


def broken(bench: Bench, count: int | None) -> Tally:
    """Each call by itself fails with EIO."""
    return _errors(bench, "EIO", sample(bench.points, count), lambda point: [point.inject("error=EIO")])


def _errors(
    bench: Bench, what: str, points: Sequence[Point], injected: Callable[[Point], Iterable[str]]
) -> Tally:
    """An error is told, and the old release is live; or it was not in the way, and the new one is."""
    tally = _tally(bench, what)
    for point in points:
        scene, code, output = bench.interrupt(injected(point), tally)
        found = bench.judge.look(scene.data)
        tally.rest[found] += 1
        _note(tally, point, _after_error(bench, scene, code, output, found))
        _note(tally, point, bench.converges(scene))
    return tally


def _after_error(bench: Bench, scene: Scene, code: int, output: str, found: str) -> Iterator[str]:
    if code not in (0, worker.FAILED):
        yield f"it ended with {code}: {output}"
    elif code == 0 and found != NEW:
        yield f"it reported success and {found} is live"
    elif code == worker.FAILED:
        if "What to do: " not in output:
            yield f"the error does not say what to do: {output}"
        # What could not be undone either, the journal tells.
        if found != OLD and not (scene.state / "journal.json").exists():
            yield f"it failed ({output}) and {found} is live"
        there = [*scene.kept(), *([] if found == ABSENT else [generation.id_of(str(scene.data))])]
        if not set(bench.original.kept) <= set(there):
            yield f"it failed ({output}) and a generation that was kept is gone: {scene.kept()}"


def _tally(bench: Bench, what: str) -> Tally:
    return Tally(f"{bench.variant.name}, {bench.original.work}, {what}")


def _makes(point: Point) -> bool:
    return point.name == "openat" and "O_CREAT" in point.text


def _note(tally: Tally, point: Point, problems: Iterable[str]) -> None:
    tally.problems += [f"at {point.name} {point.number} ({point.text[:80]}): {problem}" for problem in problems]


def interruptions(folder: Path, variant: Variant, work: str, count: int | None) -> list[Tally]:
    """All kinds of them, for one work by one way of switching; ``count`` limits the points of each, None: all."""
    with bench(folder, variant, work) as ready:
        return [
            kills(ready, "build", count),
            kills(ready, "switch", count),
            full_disk(ready, count),
            broken(ready, count),
        ]
