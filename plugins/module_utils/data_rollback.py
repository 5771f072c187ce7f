# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to a kept generation of a data folder: the same switch as forward, whatever the size."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import data_folder, data_switch, generation, lock
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Change, Contents
from ansible_collections.ousamg.anno.plugins.module_utils.generation import Kept, Store


class Plan(NamedTuple):
    """The generation to return to (None: it is live already), what changes by it, and the contents of both."""

    to: Kept | None
    live_id: str
    changes: tuple[Change, ...]
    live: Contents
    wanted: Contents


class Outcome(NamedTuple):
    """``generation`` is live now; ``previous`` was, and is kept (or is the next one again)."""

    generation: str
    previous: str
    strategy: str


def plan(store: Store, to: str | None) -> Plan:
    """What returning to the kept generation ``to`` (None: the latest) would change. Raises GenerationError."""
    live_id = generation.id_of(store.data)
    live = data_folder.read_contents(store.data)
    if to == live_id:
        return Plan(None, live_id, (), live, live)
    chosen = generation.find(store, to)
    wanted = data_folder.read_contents(chosen.path)
    names = sorted({*live.sources, *wanted.sources})
    versions = [
        (name, live.sources[name].version if name in live.sources else None,
         wanted.sources[name].version if name in wanted.sources else None)
        for name in names
    ]  # fmt: skip
    changes = tuple(Change(name, None, before, after) for name, before, after in versions if before != after)
    return Plan(chosen, live_id, changes, live, wanted)


def check(data: str, to: str | None) -> Plan:
    """A dry run of :func:`apply`."""
    store = generation.open_store(data)
    lock.check(store.lock)
    data_switch.check_recovered(store)
    return plan(store, to)


def apply(data: str, to: str | None, keep: bool) -> tuple[Plan, Outcome | None]:
    """Switch back. With ``keep=False`` what was live is not kept to be returned to, but made ready as the next one:
    so a deployment that failed after its switch leaves everything as it was before."""
    store = generation.open_store(data)
    with data_switch.locked(store, "rollback"):
        planned = plan(store, to)
        if planned.to is None:
            return planned, None
        strategy, former = data_switch.switch(store, planned.to.path, keep=keep)
        return planned, Outcome(planned.to.id, former, strategy)


def diff(plan: Plan) -> list[dict[str, str]]:
    """The plan as Ansible prints differences."""
    return data_folder.diff(list(plan.changes), plan.live, plan.wanted.sources_text, plan.wanted.config_text)


def result(plan: Plan, outcome: Outcome | None) -> dict[str, Any]:
    """What the module returns; ``outcome`` is None where nothing was switched."""
    return {
        "changed": plan.to is not None,
        "packages": [change._asdict() for change in plan.changes],
        "generation": plan.to.id if plan.to else plan.live_id,
        "previous": outcome.previous if outcome else (plan.live_id if plan.to else None),
        "strategy": outcome.strategy if outcome else None,
        "diff": diff(plan),
    }
