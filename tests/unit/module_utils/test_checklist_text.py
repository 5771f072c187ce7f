"""module_utils/checklist_text.py and filter/checklist_text.py: the table and the Markdown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.filter.checklist_text import FilterModule
from ansible_collections.ousamg.anno.plugins.module_utils import checklist_text
from ansible_collections.ousamg.anno.plugins.module_utils.checklist import FAILED, NOT_CHECKED, OK, WARNING, Line

SITES: list[dict[str, Any]] = [
    {
        "site": "TSD",
        "problem": None,
        "checklists": {
            "staging": [
                Line("release", OK, "v3.2.0, deployed 2026-01-01 00:00:00 UTC by kim")._asdict(),
                Line("image permissions", FAILED, "0600", "a_b has mode 0600", "at least 0774", "Mend it")._asdict(),
                Line("image versions", NOT_CHECKED, "there is no Singularity to run it with")._asdict(),
            ],
            "prod": [Line("data", WARNING, "data_validate: *1* warning", "x", "y", "z")._asdict()],
        },
    },
    {"site": "NSC", "problem": "Failed to connect:\n no route", "checklists": None},
]


def test_the_table() -> None:
    assert checklist_text.table(SITES).splitlines() == [
        "line               state        evidence",
        "─────────────────  ───────────  " + 62 * "─",
        "TSD staging",
        "release            ok           v3.2.0, deployed 2026-01-01 00:00:00 UTC by kim",
        "image permissions  FAILED       0600",
        "    found       a_b has mode 0600",
        "    expected    at least 0774",
        "    what to do  Mend it",
        "image versions     not checked  there is no Singularity to run it with",
        "TSD prod",
        "data               warning      data_validate: *1* warning",
        "    found       x",
        "    expected    y",
        "    what to do  z",
        "NSC: not asked",
        "    found       Failed to connect:  no route",
        "",
        "1 ok, 1 FAILED, 1 not checked, 1 warning, NSC not asked.",
    ]


def test_the_markdown() -> None:
    assert checklist_text.markdown(SITES, "2026-01-02 10:00 UTC").splitlines() == [
        "# Deployment checklist",
        "",
        "Checked 2026-01-02 10:00 UTC. 1 ok, 1 FAILED, 1 not checked, 1 warning, NSC not asked.",
        "",
        "## TSD staging",
        "",
        "- [x] **release**: v3.2.0, deployed 2026-01-01 00:00:00 UTC by kim",
        "- [ ] **image permissions** (FAILED): 0600",
        "  - found: a_b has mode 0600",
        "  - expected: at least 0774",
        "  - what to do: Mend it",
        "- [ ] **image versions** (not checked): there is no Singularity to run it with",
        "",
        "## TSD prod",
        "",
        "- [x] **data** (warning): data_validate: \\*1\\* warning",
        "  - found: x",
        "  - expected: y",
        "  - what to do: z",
        "",
        "## NSC",
        "",
        "- [ ] **not asked**: Failed to connect: no route",
    ]


def test_it_fits_a_terminal_and_no_line_ends_in_blanks() -> None:
    long = Line("data", FAILED, 30 * "evidence ", 30 * "found ", 30 * "expected ", 30 * "todo ")._asdict()
    text = checklist_text.table([{"site": "TSD", "problem": None, "checklists": {"prod": [long]}}])
    assert max(map(len, text.splitlines())) <= 94
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert text.split().count("found") == 31  # all of it, and the label
    assert text.split().count("evidence") == 31


def test_evidence_is_not_cut_off() -> None:
    reason = "no manifest says what it should be"
    path = f"/{8 * 'folder/'}anno.sif"
    line = Line("image", NOT_CHECKED, f"anno-v3.2.0.sif, {path}; {reason}")._asdict()
    text = checklist_text.table([{"site": "TSD", "problem": None, "checklists": {"prod": [line]}}])
    first, second = text.splitlines()[3:5]
    assert first == "image  not checked  anno-v3.2.0.sif,"
    assert second == " " * len("image  not checked  ") + f"{path}; no"
    assert reason in " ".join(text.split())


def test_a_path_is_not_cut_in_two() -> None:
    path = "/" + 30 * "folder/" + "file"
    long = Line("data", FAILED, path, path, "y", "z")._asdict()
    assert path in checklist_text.table([{"site": "TSD", "problem": None, "checklists": {"prod": [long]}}])


@pytest.mark.parametrize(("given", "text"), [("_a_ <b>", r"\_a\_ \<b\>"), ("a_b [x](y)", r"a_b \[x\](y)")])
def test_what_markdown_would_take_for_more_than_text(given: str, text: str) -> None:
    line = Line("data", OK, given)._asdict()
    shown = checklist_text.markdown([{"site": "T", "problem": None, "checklists": {"prod": [line]}}], "now")
    assert f"- [x] **data**: {text}\n" in shown


def test_the_filter() -> None:
    text = FilterModule().filters()["checklist_text"]
    assert text(SITES) == checklist_text.table(SITES)
    assert text(SITES, "markdown", "now") == checklist_text.markdown(SITES, "now")
