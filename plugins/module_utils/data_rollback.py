# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to a kept generation of a data folder: the same switch as forward, whatever the size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_folder,
    data_place,
    data_switch,
    generation,
    lock,
    sources_json,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import DATA_READY
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Change, Contents
from ansible_collections.ousamg.anno.plugins.module_utils.files import is_folder, is_there
from ansible_collections.ousamg.anno.plugins.module_utils.generation import GenerationError, Kept, Partial, Store


class Plan(NamedTuple):
    """The generation to return to (None: it is live already), what it holds if it is a partial one, what changes by it,
    and the contents of both."""

    to: Kept | None
    partial: Partial | None
    live_id: str
    changes: tuple[Change, ...]
    live: Contents
    wanted: Contents


class Outcome(NamedTuple):
    """``generation`` is live now; ``previous`` was, and is kept (or is the next one again). ``caveat`` is what could
    not be promised on the way, None for the exchange."""

    generation: str
    previous: str
    strategy: str
    caveat: str | None


def obstacle(store: Store, live_id: str, kept: Kept) -> str | None:
    """Why a kept generation cannot be returned to as things are, in clauses; None where it can."""
    partial = generation.read_partial(kept.path)
    return _other_base(live_id, partial) or "; ".join(_missing(store, kept, partial)) or None


def _other_base(live_id: str, partial: Partial | None) -> str | None:
    if partial is None or partial.base == live_id:
        return None
    return f"it holds only what differs from {partial.base}, which is not live: return to that one first"


def _missing(store: Store, kept: Kept, partial: Partial | None) -> Iterator[str]:
    """What a kept generation lacks of what its receipt tells of, a clause for each."""
    receipt = generation.read_receipt(kept.path)
    if not os.path.isfile(os.path.join(kept.path, sources_json.FILE_NAME)):
        yield f"its {sources_json.FILE_NAME} is missing"
    if receipt is None and not kept.id.startswith(generation.ADOPTED):
        yield f"its {generation.RECEIPT} is missing or none"
    for record in (receipt or {}).get("packages", []):
        destination = record["destination"]
        # What a partial generation does not hold is taken from what is live.
        top = kept.path if partial is None or destination in partial.folders else store.data
        folder = os.path.join(top, destination)
        if not is_folder(folder):
            yield f"its folder {destination} is missing"
        elif not is_there(os.path.join(folder, DATA_READY)):
            yield f"its {destination}/{DATA_READY} is missing"
        elif data_folder.ready_digest(folder) != record["ready"]:
            yield f"its {destination}/{DATA_READY} is not the one that its receipt tells of"


def _choose(store: Store, to: str | None, live_id: str, keep: bool) -> Kept:
    chosen = generation.find(store, to)
    found = obstacle(store, live_id, chosen) if keep else _other_base(live_id, generation.read_partial(chosen.path))
    if found is not None:
        expected = f"a complete generation, one of: {', '.join(kept.id for kept in generation.kept(store))}"
        todo = "Put back what is missing, return to another one, or deploy the release that is wanted."
        raise GenerationError(
            chosen.path, f"the generation {chosen.id} cannot be returned to: {found}", expected, todo
        )  # fmt: skip
    return chosen


def plan(store: Store, to: str | None, keep: bool = True) -> Plan:
    """What returning to the kept generation ``to`` (None: the latest) would change.

    Raises GenerationError where it cannot be returned to, PlaceError where this user may not switch. With
    ``keep=False``, which undoes a switch, it is not asked to be complete: what was live before the first deployment
    may be an empty folder.
    """
    live_id = generation.id_of(store.data)
    live = data_folder.read_contents(store.data)
    if to == live_id:
        return Plan(None, None, live_id, (), live, live)
    chosen = _choose(store, to, live_id, keep)
    partial = generation.read_partial(chosen.path)
    data_place.check_rights(store)
    data_place.check_parts(store, partial.folders if partial else ())
    wanted = data_folder.read_contents(chosen.path)
    names = sorted({*live.sources, *wanted.sources})
    versions = [
        (name, live.sources[name].version if name in live.sources else None,
         wanted.sources[name].version if name in wanted.sources else None)
        for name in names
    ]  # fmt: skip
    changes = tuple(Change(name, None, before, after) for name, before, after in versions if before != after)
    return Plan(chosen, partial, live_id, changes, live, wanted)


def check(data: str, to: str | None, keep: bool = True) -> Plan:
    """A dry run of :func:`apply`."""
    store = generation.open_store(data)
    lock.check(store.lock)
    data_switch.check_recovered(store)
    return plan(store, to, keep)


def apply(data: str, to: str | None, keep: bool) -> tuple[Plan, Outcome | None]:
    """Switch back. With ``keep=False`` what was live is not kept to be returned to, but made ready as the next one:
    so a deployment that failed after its switch leaves everything as it was before."""
    store = generation.open_store(data)
    with data_switch.locked(store, "rollback"):
        planned = plan(store, to, keep)
        if planned.to is None:
            return planned, None
        strategy, former, caveat = data_switch.switch(store, planned.to.path, keep=keep)
        return planned, Outcome(planned.to.id, former, strategy, caveat)


def diff(plan: Plan) -> list[dict[str, str]]:
    """The plan as Ansible prints differences."""
    return data_folder.diff(list(plan.changes), plan.live, plan.wanted.sources_text, plan.wanted.config_text)


def result(plan: Plan, outcome: Outcome | None) -> dict[str, Any]:
    """What the module returns; ``outcome`` is None where nothing was switched."""
    strategy = caveat = None
    if outcome is not None:
        strategy, caveat = outcome.strategy, outcome.caveat
    elif plan.partial is not None:
        strategy = data_switch.PACKAGES
        caveat = data_switch.caveat(strategy, plan.partial.why)
    return {
        "changed": plan.to is not None,
        "packages": [change._asdict() for change in plan.changes],
        "generation": plan.to.id if plan.to else plan.live_id,
        "previous": outcome.previous if outcome else (plan.live_id if plan.to else None),
        "strategy": strategy,
        "caveat": caveat,
        "diff": diff(plan),
    }
