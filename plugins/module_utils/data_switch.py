# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch from one generation of a data folder to another, under a lock and a journal.

A full generation is switched to by one exchange of two folders, or by two renames; a partial one by two renames for
each part. Whatever a kill leaves behind, :func:`recover` finishes or undoes from the journal before anything else
happens.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import generation, lock, trash
from ansible_collections.ousamg.anno.plugins.module_utils.files import (
    exchange,
    is_folder,
    is_there,
    remove_tree,
    sync_file,
    sync_filesystem,
    sync_folder,
    write_atomic,
)
from ansible_collections.ousamg.anno.plugins.module_utils.generation import (
    RECEIPT,
    RECORD,
    GenerationError,
    Partial,
    Store,
)

EXCHANGE, RENAMES, PACKAGES = "exchange", "renames", "packages"
_JOURNAL_KEYS = {"incoming", "retired", "new", "generation"}
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class Part(NamedTuple):
    """One thing that a partial switch moves: a path below the data folder, a ``file`` or a folder; whether the live
    folder has one that goes, and whether one comes in its place."""

    path: str
    file: bool
    goes: bool
    comes: bool


class Switched(NamedTuple):
    """What a switch did: its strategy, the id under which the former generation is kept and, unless it was the
    exchange, what could not be promised and why."""

    strategy: str
    former: str
    caveat: str | None


def asked_for(strategy: str) -> str:
    """Why it was not the exchange, where that was somebody's wish."""
    return f"it was asked for (strategy: {strategy})"


def caveat(strategy: str, why: str, seconds: float | None = None) -> str:
    """What the strategies other than the exchange cannot promise, and why it is not the exchange, as a sentence.

    :param seconds: how long the switch took, None before it.
    """
    if strategy == RENAMES:
        return f"data/ {'is' if seconds is None else 'was'} absent for an instant (between two renames): {why}."
    when = "can see packages of both releases during the switch"
    if seconds is not None:
        when = f"could see packages of both releases for {seconds:.2f} s"
    return f"Readers {when}: {why}."


@contextlib.contextmanager
def locked(store: Store, purpose: str) -> Iterator[None]:
    """Hold the store's lock, with whatever an interrupted run left behind brought in order first.

    The state folder is made for it, and removed again if nothing was left in it. Raises LockError.
    """
    with contextlib.ExitStack() as stack:
        generation.check_alone(store)  # before there is a state folder
        stack.callback(_rmdir_if_empty, store.state)
        while True:
            os.makedirs(store.state, 0o775, exist_ok=True)
            try:
                stack.enter_context(lock.held(store.lock, purpose))
                break
            except FileNotFoundError:
                continue  # another run removed the empty state folder just now
        stack.callback(_rmdir_if_empty, store.generations)
        generation.check_alone(store)  # whoever was faster is there now
        recover(store)
        yield


def _rmdir_if_empty(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)


def switch(store: Store, incoming: str, *, keep: bool = True, allow_exchange: bool = True) -> Switched:
    """Make the complete, synced generation in the folder ``incoming`` the live one. No tree is walked for it.

    What was live becomes the latest kept generation, or with ``keep=False`` the next one again.
    """
    generation.check_alone(store)
    former = generation.id_of(store.data)
    if keep:
        os.makedirs(store.generations, 0o775, exist_ok=True)
        order = max([other.order for other in generation.kept(store)], default=0) + 1
        retired = os.path.join(store.generations, f"{order:06d}.{former}")
    else:
        retired = store.next
        if is_there(retired):
            trash.discard(store, retired)
    journal: dict[str, Any] = {
        "incoming": incoming,
        "retired": retired,
        "new": os.stat(incoming).st_ino,
        "generation": generation.id_of(incoming),
    }
    partial = generation.read_partial(incoming)
    if partial is not None:
        journal["parts"] = [part._asdict() for part in _parts(store, incoming, partial)]
        journal["why"] = partial.why
    content = (json.dumps(journal, indent=2) + "\n").encode()
    why: str | None
    try:
        write_atomic(store.journal, content, RECORD)
        started = time.monotonic()
        if partial is not None:
            strategy, why = PACKAGES, partial.why
            _switch_parts(store, journal)
        else:
            why = _switch_whole(store, incoming, retired, allow_exchange)
            strategy = RENAMES if why else EXCHANGE
        seconds = time.monotonic() - started
        _settle(store)
    except OSError:
        with contextlib.suppress(OSError):
            if not is_there(store.journal):  # its very last step has failed: the way back needs it, too
                write_atomic(store.journal, content, RECORD)
        with contextlib.suppress(OSError):
            _undo(store, journal)
        raise
    trash.empty(store, incoming, retired)
    return Switched(strategy, former, why and caveat(strategy, why, seconds))


def recover(store: Store) -> None:
    """Finish or undo the switch that the journal tells of; nothing where there is no journal."""
    journal = read_journal(store)
    if journal is None:
        return
    incoming, retired = journal["incoming"], journal["retired"]
    if "parts" in journal:
        _switch_parts(store, journal)
        trash.empty(store, incoming)
    elif not is_there(store.data):
        os.rename(incoming, store.data)
    elif os.stat(store.data).st_ino == journal["new"] and is_there(incoming):
        os.rename(incoming, retired)
    _settle(store)


def check_recovered(store: Store) -> None:
    """Raise GenerationError where a switch was interrupted, or the state folder is not the only one; for a dry run,
    which may not mend it."""
    generation.check_alone(store)
    if is_there(store.journal):
        found = "a switch was interrupted here (its journal is there)"
        todo = "Run the deployment or the rollback (not the dry run): it brings this in order first."
        raise GenerationError(store.journal, found, "no journal", todo)


def prune(store: Store, keep: int) -> list[str]:
    """Remove kept generations until ``keep`` are left (see generation.retention); returns the ids of those removed.

    Each is renamed first, so that an interrupted removal leaves no half generation to return to. With 0 nothing is
    left to return to. What cannot be removed (a folder of another user in it) stays in the trash.
    """
    surplus = generation.surplus(store, keep)
    for former in surplus:
        trash.discard(store, former.path)
        trash.empty(store)
    trash.empty(store)
    return [former.id for former in surplus]


def _switch_whole(store: Store, incoming: str, retired: str, allow_exchange: bool) -> str | None:
    """By the exchange, or else by two renames: then the clause that says why."""
    why = asked_for(RENAMES)
    if allow_exchange:
        try:
            exchange(incoming, store.data)
        except OSError as error:
            if error.errno not in _NO_EXCHANGE:
                raise
            code = errno.errorcode[error.errno]
            why = f"this file system cannot exchange two folders in one step (renameat2 says {code})"
        else:
            sync_folder(os.path.dirname(store.data))
            os.rename(incoming, retired)
            return None
    os.rename(store.data, retired)
    os.rename(incoming, store.data)
    sync_folder(os.path.dirname(store.data))
    return why


def _parts(store: Store, incoming: str, partial: Partial) -> list[Part]:
    """Folders first, the receipt last: it tells that the rest is in place."""
    files = [path for path in partial.files if path != RECEIPT] + [RECEIPT]
    return [
        Part(
            path,
            path in files,
            is_there(os.path.join(store.data, path)),
            is_there(os.path.join(incoming, path)),
        )
        for path in (*partial.folders, *files)
    ]


def _switch_parts(store: Store, journal: Mapping[str, Any]) -> None:
    """Move part by part; each step looks at what is there, so that it can be done again after a kill."""
    incoming, retired = journal["incoming"], journal["retired"]
    parts = [Part(**part) for part in journal["parts"]]
    files, folders = (tuple(part.path for part in parts if part.file is kind) for kind in (True, False))
    os.makedirs(retired, 0o775, exist_ok=True)
    generation.mark_partial(retired, Partial(files, folders, journal["generation"], journal["why"]))
    for part in parts:
        live, old, new = (os.path.join(base, part.path) for base in (store.data, retired, incoming))
        if part.goes and not is_there(old):
            os.makedirs(os.path.dirname(old), 0o775, exist_ok=True)
            if part.file and part.comes:
                # A copy: the file is replaced by one rename and never missing. It is on disk before it has its name:
                # after a power cut a file of this name counts as the former one.
                shutil.copy2(live, old + ".new")
                sync_file(old + ".new")
                os.rename(old + ".new", old)
            else:
                os.rename(live, old)
        if part.comes and is_there(new):
            os.makedirs(os.path.dirname(live), 0o775, exist_ok=True)
            os.rename(new, live)
    sync_filesystem(store.data)
    if is_there(incoming):  # emptied: it is no generation any longer
        trash.discard(store, incoming)


def _undo(store: Store, journal: Mapping[str, Any]) -> None:
    """After an error in a switch, not a kill: back to what was live. What cannot be undone stays in the journal."""
    incoming, retired = journal["incoming"], journal["retired"]
    if "parts" in journal and not is_there(incoming):
        place = trash.find(store, journal["new"])
        if place is not None:
            os.rename(place, incoming)
    for part in reversed([Part(**part) for part in journal.get("parts", [])]):
        live, old, new = (os.path.join(base, part.path) for base in (store.data, retired, incoming))
        if part.comes and not is_there(new):
            os.rename(live, new)
        if part.goes and is_there(old):
            os.rename(old, live)
    if "parts" in journal:
        remove_tree(retired)
    elif not is_there(store.data):
        os.rename(retired, store.data)
    elif os.stat(store.data).st_ino == journal["new"]:
        old = incoming if is_there(incoming) else retired
        try:
            exchange(old, store.data)
        except OSError as error:
            if error.errno not in _NO_EXCHANGE:
                raise
            os.rename(store.data, incoming)
            os.rename(old, store.data)
        else:
            if old != incoming:
                os.rename(old, incoming)
    _settle(store)


def read_journal(store: Store) -> dict[str, Any] | None:
    """The journal of a switch that has begun and not ended. Raises GenerationError."""
    try:
        with open(store.journal, encoding="utf-8") as stream:
            journal: dict[str, Any] = json.load(stream)
        if not isinstance(journal, dict) or not journal.keys() >= _JOURNAL_KEYS:
            raise ValueError(f"it is not one of {', '.join(sorted(_JOURNAL_KEYS))}")
    except FileNotFoundError:
        return None
    except ValueError as error:
        # It is renamed into place complete: somebody else has written it.
        found = f"the journal of a switch cannot be read: {error}"
        todo = "Compare the data folder with its generations, then remove the journal."
        raise GenerationError(store.journal, found, "the JSON that a switch writes", todo) from None
    return journal


def _settle(store: Store) -> None:
    """The switch is done: make it durable, then forget the journal."""
    for folder in (store.generations, store.state, os.path.dirname(store.data)):
        if is_folder(folder):
            sync_folder(folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(store.journal)
    sync_folder(store.state)
