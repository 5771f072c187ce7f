# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data archive into a data folder: plan the next generation (``unpack_plan``), build and verify it
(``next_generation``), switch (``data_switch``). Nothing live changes before all of it was verified and is on disk.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_folder,
    data_switch,
    former_folder,
    generation,
    lock,
    next_generation,
    trash,
    unowned,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import (
    Change,
    Contents,
)
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Store
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import (
    AUTO,
    Plan,
    Request,
    Situation,
    UnpackError,
    inspect,
    is_ready,
    plan,
    why_by_packages,
)

_SHOWN = 50  # of the paths that belong to no package


class Outcome(NamedTuple):
    """What apply did. ``generation`` is the one that is live now, or the next one where it was only made ready;
    ``caveat`` is what could not be promised by the switch, None for the exchange."""

    generation: str
    previous: str | None
    strategy: str | None
    reused: bool
    removed: tuple[str, ...]
    caveat: str | None = None


def check(request: Request) -> tuple[Situation, Plan]:
    """A dry run: the plan of what :func:`apply` would do now. Raises what apply would raise before it starts."""
    store = generation.open_store(request.data)
    lock.check(store.lock)
    data_switch.check_recovered(store)
    situation = inspect(request)
    return situation, plan(request, situation)


def apply(request: Request) -> tuple[Situation, Plan, Outcome]:
    """Do it. On any failure the live generation is as it was, and what was half built is removed."""
    store = generation.open_store(request.data)
    with data_switch.locked(store, f"unpack {os.path.basename(request.src)}"):
        trash.empty(store)  # its room is needed
        former_receipt = generation.read_receipt(store.data)
        situation = inspect(request)
        planned = plan(request, situation)
        removed: list[str] = []
        if not planned.reasons:
            if request.activate and request.keep_generations is not None:
                removed = data_switch.prune(store, request.keep_generations)
            return situation, planned, Outcome(generation.id_of(store.data), None, None, False, tuple(removed))
        index = situation.archive
        reused = index is not None and is_ready(request, store, index, planned.extract)
        try:
            built = next_generation.build(request, store, situation, planned, reused)
            # Hours may have passed. Who has the data folder mounted has another state folder, and so another lock.
            generation.check_alone(store)
            if generation.read_receipt(store.data) != former_receipt:
                found = "another release was deployed here while the next generation was built"
                todo = "Find out who else works here, then run again."
                raise UnpackError(store.data, found, "nobody else at work", todo)
        except BaseException:
            trash.remove_next(store)
            raise
        if not request.activate:
            return situation, planned, Outcome(built, None, None, reused, ())
        allow = request.strategy == AUTO
        strategy, former, caveat = data_switch.switch(store, store.next, allow_exchange=allow)
        if request.keep_generations is not None:
            # The new generation is live: what cannot be removed now is for the next run to tell.
            with contextlib.suppress(OSError):
                removed = data_switch.prune(store, request.keep_generations)
        return situation, planned, Outcome(built, former, strategy, reused, tuple(removed), caveat)


def diff(plan: Plan, live: Contents) -> list[dict[str, str]]:
    """The plan as Ansible prints differences."""
    changes = list(plan.changes) if plan.extract else []
    for former in plan.former:
        if former.obstacle is None:
            version = live.sources[former.name].version
            changes.append(Change(f"{former.name} in {former.folder}", former.folder, version or "there", None))
    return data_folder.diff(changes, live, plan.sources_text, plan.config_text)


def result(request: Request, situation: Situation, plan: Plan, outcome: Outcome | None) -> dict[str, Any]:
    """What the module returns; ``outcome`` is None for a dry run."""
    planned = bool(plan.reasons or plan.removed)
    surplus = [] if plan.reasons else [f"generation {name}: kept → removed" for name in plan.removed]
    live_id = generation.id_of(situation.store.data)
    strategy = caveat = None
    if outcome is not None:
        strategy, caveat = outcome.strategy, outcome.caveat
    elif plan.reasons and request.activate:
        strategy, caveat = _foreseen(request, situation.store)
    return {
        "changed": planned,
        "planned": planned,
        "reasons": [*plan.reasons, *surplus],
        "packages": [change._asdict() for change in plan.changes],
        "files": plan.files,
        "bytes": plan.bytes,
        "generation": outcome.generation if outcome else (None if plan.reasons else live_id),
        "previous": outcome.previous if outcome else (live_id if plan.reasons and request.activate else None),
        "strategy": strategy,
        "caveat": caveat,
        "moved": [former._asdict() for former in plan.former],
        "unowned": list(plan.unowned.paths[:_SHOWN]),
        "unowned_count": len(plan.unowned.paths),
        "unready": list(plan.unowned.unready),
        "notes": [*former_folder.notes(plan.former), *unowned.notes(plan.unowned), *plan.doubts],
        "reused": bool(outcome and outcome.reused),
        "removed": list(outcome.removed if outcome else plan.removed),
        "left": trash.left(situation.store),
        # What is only made ready changes nothing that is live.
        "diff": diff(plan, situation.live) if request.activate else [],
    }


def _foreseen(request: Request, store: Store) -> tuple[str | None, str | None]:
    """The strategy and its caveat as a dry run can tell them. Whether a file system has exchange and hard links shows
    only when they are tried: then it is None, or what an earlier run has found when it made the next generation."""
    why = why_by_packages(request, store)
    if why is None and generation.read_receipt(store.next):
        partial = generation.read_partial(store.next)
        why = partial.why if partial else None
    if why is not None:
        return data_switch.PACKAGES, data_switch.caveat(data_switch.PACKAGES, why)
    if request.strategy == data_switch.RENAMES:
        return request.strategy, data_switch.caveat(request.strategy, data_switch.asked_for(request.strategy))
    return None, None
