"""module_utils/checklist_facts.py: what is read on the target. Its judgement is tested with checklist."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import checklist_facts
from support_checklist import TOOLS, Deployed, make_deployed
from support_singularity import answering, stand_in
from support_supervisor import running_supervisord, sleeper
from support_tree import differences, snapshot


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return make_deployed(tmp_path)


def test_nothing_is_written(deployed: Deployed) -> None:
    before = snapshot(deployed.root)
    deployed.facts()
    assert differences(before, snapshot(deployed.root)) == set()


def test_the_manifests_of_the_releases_on_record(deployed: Deployed) -> None:
    deployed.deploy("v3.1.0a", kind="data", image=None)
    deployed.write_manifest("v3.0.0", kind="major")
    digest = deployed.write_manifest("v3.1.1", kind="patch")
    (deployed.images / "v3.1.1.yml").unlink()
    deployed.record({"event": "start"}, {"event": "end", "outcome": "ok"}, version="v3.1.1", digest=digest)
    found = deployed.facts()["manifests"]
    assert set(found) == {"v3.1.0", "v3.1.0a", "v3.1.1"}
    assert found["v3.1.1"] is None
    assert found["v3.1.0a"]["path"] == str(deployed.images / "v3.1.0a.yml")
    assert found["v3.1.0a"]["text"] == (deployed.images / "v3.1.0a.yml").read_text()


def test_a_folder_of_manifests_that_is_none_is_told_for_each_release(deployed: Deployed) -> None:
    instance = checklist_facts.Instance(
        "staging", str(deployed.data), str(deployed.link), str(deployed.images), str(deployed.ledger),
        [str(deployed.image)], None, None,
    )  # fmt: skip
    found = checklist_facts.inspect(instance, None, TOOLS)["manifests"]
    assert set(found) == {"v3.1.0"}
    assert found["v3.1.0"]["error"]["where"] == str(deployed.image)


def test_the_versions_are_read_with_singularity(deployed: Deployed, tmp_path: Path) -> None:
    program = answering(tmp_path, '{"tag": "v2.7.0"}', "v3.1.0")
    facts = deployed.facts(TOOLS._replace(singularity=program))["image"]
    assert (facts["program"], facts["unread"]) == (program, None)
    assert facts["versions"] == {"ella_anno": "v2.7.0", "anno_targets": "v3.1.0"}
    program = stand_in(tmp_path, "echo no squashfs here >&2; exit 255")
    facts = deployed.facts(TOOLS._replace(singularity=program))["image"]
    assert facts["versions"] is None
    assert "no squashfs here" in facts["unread"]["found"]


def test_an_image_for_another_machine_is_not_run(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    program = stand_in(tmp_path, f"touch {tmp_path}/was-run")
    facts = deployed.facts(TOOLS._replace(singularity=program))["image"]
    assert facts["unread"]["expected"] == "one for s390x"
    assert not (tmp_path / "was-run").exists()


def test_a_link_to_what_is_no_text(deployed: Deployed) -> None:
    deployed.link.unlink()
    os.symlink(b"anno-\xff.sif", deployed.link)
    facts = deployed.facts()["image"]
    assert facts["target"] == r"anno-\udcff.sif"
    assert facts["resolved"] == f"{deployed.link.parent}/{facts['target']}"


def test_a_part_that_cannot_be_read_hides_nothing_of_the_rest(deployed: Deployed) -> None:
    deployed.data.rename(deployed.data.with_name("elsewhere"))
    facts = deployed.facts()
    assert "error" in facts["data"] and "error" in facts["permissions"]
    assert facts["ledger"]["deployments"] and facts["image"]["size"]


def test_the_service_and_the_two_clocks(deployed: Deployed, tmp_path: Path) -> None:
    with running_supervisord(tmp_path / "s", {"anno": sleeper()}, "user", "password") as server:
        instance = checklist_facts.Instance(
            "staging", str(deployed.data), str(deployed.link), str(deployed.images), str(deployed.ledger), [],
            {"url": server.url, "program": "anno"}, None,
        )  # fmt: skip
        service = checklist_facts.inspect(instance, None, TOOLS)["service"]
        wrong = checklist_facts.inspect(instance, None, TOOLS._replace(password="other"))["service"]
    assert service["program"] == "anno"
    assert service["statename"] in ("STARTING", "RUNNING")
    assert abs(service["now"] - service["here"]) < 5
    assert 0 <= time.time() - service["start"] < 60
    assert "wrong user name or password" in wrong["error"]["found"]
    assert checklist_facts.inspect(instance._replace(supervisor=None), None, TOOLS)["service"] is None
