# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reviewer's checklist as people read it: a table on the terminal, and Markdown for the release issue.

Both take one mapping for each site: ``site`` (its name), ``checklists`` (env to lines, each a mapping as
``checklist.Line``; None where the site could not be asked) and ``problem`` (why not).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.ousamg.anno.plugins.module_utils.checklist import FAILED, NOT_CHECKED, OK, WARNING

_WORDS = {OK: "ok", FAILED: "FAILED", NOT_CHECKED: "not checked", WARNING: "warning"}
_HEADINGS = ("line", "state", "evidence")
_DETAILS = (("found", "found"), ("expected", "expected"), ("todo", "what to do"))
# Ansible indents a message: with it a terminal of 100 columns is full.
_WIDTH = 94
_UNASKED = "not asked"
# What Markdown takes for more than a character; an underscore within a word is none.
_SIGNS = re.compile(r"[\\`*\[\]<>|#]|(?<!\w)_|_(?!\w)")


def table(sites: Sequence[Mapping[str, Any]]) -> str:
    """One row for each line of each instance; below one that is not ok what was found, expected, and is to be done."""
    blocks = list(_blocks(sites))
    cells = [(line["line"], _WORDS[line["state"]]) for _name, lines, _problem in blocks for line in lines or ()]
    widths = [max(len(row[column]) for row in [_HEADINGS, *cells]) for column in range(2)]
    room = _WIDTH - sum(widths) - 2 * len(widths)
    text = [_joined(_HEADINGS, widths), "  ".join("─" * width for width in (*widths, room))]
    for name, lines, problem in blocks:
        text.append(name)
        if lines is None:
            text += _wrapped(f"{'found':<12}", problem)
        for line in lines or ():
            # All of it: the reason why a line was not checked may be its last words.
            first, *more = _pieces(line["evidence"], room)
            text.append(_joined((line["line"], _WORDS[line["state"]], first), widths))
            text += [_joined(("", "", piece), widths) for piece in more]
            for key, label in _DETAILS:
                if line.get(key):
                    text += _wrapped(f"{label:<12}", str(line[key]))
    return "\n".join([*text, "", verdict(sites)])


def markdown(sites: Sequence[Mapping[str, Any]], when: str) -> str:
    """A checklist for the release issue: a box is ticked where the line is ok, or is no more than doubtful."""
    text = ["# Deployment checklist", "", f"Checked {when}. {verdict(sites)}"]
    for site in sites:
        if site["checklists"] is None:
            text += ["", f"## {site['site']}", "", f"- [ ] **{_UNASKED}**: {_escaped(str(site['problem']))}"]
            continue
        for env, lines in site["checklists"].items():
            text += ["", f"## {site['site']} {env}", "", *(_item(line) for line in lines)]
    return "\n".join(text) + "\n"


def verdict(sites: Sequence[Mapping[str, Any]]) -> str:
    """One sentence: how many lines are in which state."""
    states = [line["state"] for site in sites for lines in (site["checklists"] or {}).values() for line in lines]
    unasked = [site["site"] for site in sites if site["checklists"] is None]
    counts = [f"{states.count(state)} {word}" for state, word in _WORDS.items() if state in states]
    return ", ".join(counts + [f"{name} {_UNASKED}" for name in unasked]) + "."


def _blocks(sites: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Mapping[str, Any]] | None, str]]:
    """Each instance with its lines; a site that could not be asked without any, and why."""
    for site in sites:
        if site["checklists"] is None:
            yield f"{site['site']}: {_UNASKED}", None, str(site["problem"])
            continue
        for env, lines in site["checklists"].items():
            yield f"{site['site']} {env}", lines, ""


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths)]
    return "  ".join([*padded, *cells[len(widths) :]]).rstrip()


def _wrapped(label: str, text: str) -> list[str]:
    indent = " " * 4
    first, *more = _pieces(text, _WIDTH - len(indent) - len(label))
    return [f"{indent}{label}{first}", *(f"{indent}{'':<{len(label)}}{piece}" for piece in more)]


def _pieces(text: str, room: int) -> list[str]:
    """A text over several rows; a path is never cut in two: somebody will want to copy it."""
    return textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]


def _item(line: Mapping[str, Any]) -> str:
    ticked = "x" if line["state"] in (OK, WARNING) else " "
    state = "" if line["state"] == OK else f" ({_WORDS[line['state']]})"
    text = [f"- [{ticked}] **{line['line']}**{state}: {_escaped(str(line['evidence']))}"]
    text += [f"  - {label}: {_escaped(str(line[key]))}" for key, label in _DETAILS if line.get(key)]
    return "\n".join(text)


def _escaped(text: str) -> str:
    """Plain text in Markdown: names of files have underscores and asterisks, and a reason may have several lines."""
    return " ".join(_SIGNS.sub(r"\\\g<0>", text).split())
