# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far long work has come: written to a small file beside the work, read by whoever shows it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any

# Seconds between two states of the file.
INTERVAL = 1.0


class Progress:
    """Counts bytes of one piece of work and writes its state to ``path`` (None: nowhere), at most every second and
    at the end. Without a ``total`` it is waiting for something, and only the time counts.

    The file is JSON: ``{"work": str, "what": str, "done": int, "total": int, "seconds": float}`` with bytes for
    ``done`` and ``total`` (null where nothing is counted); it is renamed into place, so a reader never sees half of
    it. ``what`` is set to what is worked on or waited for: a path below one of the folders of ``labels`` is shown as
    that folder's label.
    """

    def __init__(
        self, path: str | None, work: str, total: int | None, labels: Mapping[str, str] | None = None
    ) -> None:
        self._path = path
        self._work = work
        self._total = total
        self._labels = labels or {}
        self._started = time.monotonic()
        self._written = float("-inf")
        self.what = ""

    def update(self, done: int = 0) -> None:
        now = time.monotonic()
        ended = self._total is not None and done >= self._total
        if self._path is None or (now - self._written < INTERVAL and not ended):
            return
        self._written = now
        state = {
            "work": self._work,
            "what": self._label(),
            "done": done,
            "total": self._total,
            "seconds": round(now - self._started, 3),
        }
        temporary = self._path + ".new"
        # Hours of work do not fail because nobody can be told how far they have come.
        with contextlib.suppress(OSError):
            with open(temporary, "w", encoding="utf-8") as stream:
                json.dump(state, stream)
            os.rename(temporary, self._path)

    def _label(self) -> str:
        folder = self.what
        while folder:
            if folder in self._labels:
                return self._labels[folder]
            folder = folder.rpartition("/")[0]
        return self.what


def line(state: Mapping[str, Any]) -> str:
    """One state as a person reads it: ``unpack clinvar: 42 %, 1.3 GB of 3.1 GB, 210.0 MB/s, 9 s left``, or, where
    nothing is counted, ``minimal test: task 12, VCFANNO STARTED, 40 s``."""
    if state["total"] is None:
        return f"{state['work']}: {state['what']}, {duration(float(state['seconds']))}"
    done, total, seconds = int(state["done"]), int(state["total"]), float(state["seconds"])
    percent = 100 * done // total if total else 100
    rate = done / seconds if seconds > 0 else 0.0
    what = f" {state['what']}" if state["what"] else ""
    so_far = f"{state['work']}{what}: {percent} %, {size(done)} of {size(total)}, {size(rate)}/s"
    if done >= total:
        return f"{so_far}, {duration(seconds)}"
    return f"{so_far}, {duration((total - done) / rate)} left" if rate > 0 else so_far


def size(count: float) -> str:
    """Bytes in decimal units, as disk and network people count them: ``1.3 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """``9 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
