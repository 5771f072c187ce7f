"""After the role: both reports say that all is well."""

import json
import os
from pathlib import Path

REPORTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports"


def test_the_report_for_machines(host):
    [site] = json.loads((REPORTS / "verify-tsd-staging.json").read_text())["sites"]
    states = {line["line"]: line["state"] for line in site["checklists"]["staging"]}
    states.pop("image versions")  # where there is no Singularity they are not checked
    assert set(states.values()) == {"ok"}
    assert {"release", "image", "service", "minimal test"} <= set(states)


def test_the_report_for_people(host):
    text = (REPORTS / "verify-tsd-staging.md").read_text()
    assert "- [x] **release**: v3.2.0, deployed" in text
