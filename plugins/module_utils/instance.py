# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is live in an instance, and the table that shows it for several."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import data_folder, generation, ledger
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure

_NOTHING = "–"


class Live(NamedTuple):
    """What is live. ``release``, ``deployed`` (UTC) and ``by`` are those of the ledger's last deployment that ended
    well, ``image`` is the name of the file that the link leads to, ``packages`` maps names to versions; None where
    there is none. ``problems`` are the error texts of what could not be read."""

    release: str | None
    deployed: str | None
    by: str | None
    image: str | None
    generation: str | None
    packages: Mapping[str, str | None]
    problems: Sequence[str]


def inspect(data: str, image_link: str, ledger_path: str) -> Live:
    """Read one instance. What cannot be read is a problem of its own and hides nothing of the rest."""
    problems: list[str] = []
    packages: dict[str, str | None] = {}
    live_generation = release = deployed = by = None
    try:
        contents = data_folder.read_contents(generation.open_store(data).data)
        packages = {name: source.version for name, source in contents.sources.items()}
        receipt = generation.read_receipt(data)
        live_generation = str(receipt["generation"]) if receipt else None
    except (AnnoError, OSError) as error:
        problems.append(failure(error)["msg"])
    try:
        last = ledger.live(ledger.read(ledger_path).entries)
        if last is not None:
            release, deployed, by = last["release"], last["time"], last["by"]
    except (AnnoError, OSError) as error:
        problems.append(failure(error)["msg"])
    image = None
    if os.path.islink(image_link):
        image = os.path.basename(os.readlink(image_link))
        if not os.path.exists(image_link):
            problems.append(f"{image_link}: it leads to nothing. Expected: an image. What to do: deploy a release.")
    elif os.path.lexists(image_link):
        problems.append(f"{image_link}: it is no link. Expected: a link to an image. What to do: replace it by one.")
    return Live(release, deployed, by, image, live_generation, packages, problems)


def table(instances: Sequence[tuple[str, Mapping[str, Any] | None]]) -> str:
    """One column for each instance, one line for each thing that is live in it.

    :param instances: a heading and what :func:`inspect` found (as a mapping), None where nothing could be asked.
    """
    headings, found = [heading for heading, live in instances], [live for heading, live in instances]
    names = sorted({name for live in found if live for name in live["packages"]})
    lines = [["instance", *headings]]
    for label in ("release", "deployed", "by", "image"):
        lines.append([label, *(_cell(live, live and _short(live[label])) for live in found)])
    for name in names:
        lines.append([name, *(_cell(live, live and live["packages"].get(name)) for live in found)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    text.insert(1, "  ".join("─" * width for width in widths))
    text += [f"{heading}: {problem}" for heading, live in instances if live for problem in live["problems"]]
    return "\n".join(text)


def _cell(live: Mapping[str, Any] | None, value: Any) -> str:
    return "not asked" if live is None else str(value or _NOTHING)


def _short(value: str | None) -> str | None:
    """``2026-11-24T03:15:00.123Z`` → ``2026-11-24 03:15``; everything else as it is."""
    return f"{value[:10]} {value[11:16]}" if value and value[4:5] == "-" and value[10:11] == "T" else value
