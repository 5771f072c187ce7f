"""module_utils/checklist.py: every line of the reviewer's checklist, and each way it fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from ansible_collections.ousamg.anno.plugins.module_utils.checklist import FAILED, NOT_CHECKED, OK, WARNING
from sandbox import sites
from support_checklist import Deployed, make_deployed

CLINVAR = "variantDBs/clinvar/clinvar_20230504.vcf.gz"


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    return make_deployed(tmp_path)


def test_a_deployed_and_tested_instance_is_all_ok(deployed: Deployed) -> None:
    lines = deployed.lines()
    assert deployed.not_ok() == {}
    assert list(lines) == [
        "release", "image", "image permissions", "image file", "image versions", "sources.json",
        "vcfanno_config.toml", "data generation", "data permissions", "data", "track clinvar", "track hgmd",
        "track gnomad.exomes", "track gnomad.genomes", "minimal test",
    ]  # fmt: skip
    assert all(line.evidence for line in lines.values())
    assert lines["release"].evidence.startswith("v3.1.0, deployed 20")
    assert "clinvar 20230504, gnomad 2.1.1" in lines["sources.json"].evidence
    assert "clinvar_20230504.vcf.gz" in lines["vcfanno_config.toml"].evidence


def link_to_another_image(deployed: Deployed) -> None:
    other = deployed.image.with_name("anno-v3.0.0.sif")
    other.write_bytes(deployed.image.read_bytes())
    other.chmod(0o774)
    deployed.link.unlink()
    deployed.link.symlink_to(other)


def no_link(deployed: Deployed) -> None:
    deployed.link.unlink()


def a_link_to_nothing(deployed: Deployed) -> None:
    deployed.image.unlink()


def a_file_in_place_of_the_link(deployed: Deployed) -> None:
    deployed.link.unlink()
    deployed.link.write_text("")


def an_image_that_not_all_may_read(deployed: Deployed) -> None:
    deployed.image.chmod(0o770)


def a_truncated_image(deployed: Deployed) -> None:
    deployed.image.write_bytes(deployed.image.read_bytes()[:20_000])


def an_image_of_another_size(deployed: Deployed) -> None:
    with deployed.image.open("ab") as stream:
        stream.write(bytes(10))


def an_image_with_a_changed_byte(deployed: Deployed) -> None:
    """In the data of its file system, of the size that it had and still a whole SIF."""
    content = bytearray(deployed.image.read_bytes())
    content[-1] ^= 1
    deployed.image.write_bytes(content)


def no_sources(deployed: Deployed) -> None:
    (deployed.data / "sources.json").unlink()


def sources_that_are_no_json(deployed: Deployed) -> None:
    (deployed.data / "sources.json").write_text('{"clinvar": ')


def a_source_of_another_version(deployed: Deployed) -> None:
    path = deployed.data / "sources.json"
    path.write_text(path.read_text().replace('"20230504"', '"20230404"', 1))


def a_tight_list(deployed: Deployed) -> None:
    (deployed.data / "sources.json").chmod(0o664)


def a_tight_configuration(deployed: Deployed) -> None:
    (deployed.data / "vcfanno_config.toml").chmod(0o700)


def a_table_that_was_removed(deployed: Deployed) -> None:
    path = deployed.data / "vcfanno_config.toml"
    tables = path.read_text().split("[[annotation]]")
    path.write_text("[[annotation]]".join(part for part in tables if "clinvar_" not in part))


def a_package_that_lost_its_tables(deployed: Deployed) -> None:
    """In both lists, so that they agree: nothing is annotated from it, and data_validate has no more than a doubt."""
    a_table_that_was_removed(deployed)
    path = deployed.data / "sources.json"
    sources = json.loads(path.read_text())
    del sources["clinvar"]["vcfanno"]
    path.write_text(json.dumps(sources))


def another_generation(deployed: Deployed) -> None:
    """Of packages of the same versions, as after data_rollback or data_unpack by hand."""
    deployed.write_receipt("another-1")


def no_receipt(deployed: Deployed) -> None:
    (deployed.data / ".anno-receipt.json").unlink()


def a_tight_file(deployed: Deployed) -> None:
    (deployed.data / "variantDBs/clinvar/README.md").chmod(0o600)


def an_older_index(deployed: Deployed) -> None:
    os.utime(deployed.data / f"{CLINVAR}.tbi", (1, 1))


def a_track_of_another_version(deployed: Deployed) -> None:
    (deployed.tracks / "clinvar_20230504.vcf.gz").rename(deployed.tracks / "clinvar_20230404.vcf.gz")
    link = deployed.tracks / "clinvar-current.vcf.gz"
    link.unlink()
    link.symlink_to("clinvar_20230404.vcf.gz")


def a_track_without_its_index(deployed: Deployed) -> None:
    (deployed.tracks / "hgmd-current.vcf.gz.tbi").unlink()


def another_manifest(deployed: Deployed) -> None:
    deployed.write_manifest(issue="https://example.org/1")


def no_manifest(deployed: Deployed) -> None:
    (deployed.images / "v3.1.0.yml").unlink()


def a_manifest_that_is_none(deployed: Deployed) -> None:
    (deployed.images / "v3.1.0.yml").write_text("version: 1\n")


def a_deployment_under_way(deployed: Deployed) -> None:
    deployed.record({"event": "start"}, digest=64 * "a", deployment="two")


WITHOUT_MANIFEST = {
    "release": FAILED,
    "image": NOT_CHECKED,
    "image file": NOT_CHECKED,
    "sources.json": NOT_CHECKED,
    "vcfanno_config.toml": NOT_CHECKED,
}
NO_IMAGE = {"image": FAILED, "image permissions": NOT_CHECKED, "image file": NOT_CHECKED}


@pytest.mark.parametrize(
    ("wrong", "states", "said"),
    [
        (link_to_another_image, {"image": FAILED, "image file": NOT_CHECKED}, ("image", "anno-v3.0.0.sif")),
        (no_link, NO_IMAGE, ("image", "there is no link")),
        (a_link_to_nothing, NO_IMAGE, ("image", "is not there")),
        (a_file_in_place_of_the_link, NO_IMAGE, ("image", "is a file, not a symbolic link")),
        (an_image_that_not_all_may_read, {"image permissions": FAILED}, ("image permissions", "mode 0770")),
        (a_truncated_image, {"image file": FAILED}, ("image file", "20000")),
        (an_image_of_another_size, {"image file": FAILED}, ("image file", "40970 bytes")),
        (an_image_with_a_changed_byte, {"image file": FAILED}, ("image file", "has the SHA-256")),
        (
            no_sources,
            {"sources.json": FAILED, "vcfanno_config.toml": FAILED, "data generation": FAILED, "data": FAILED}
            | dict.fromkeys([f"track {track}" for track in sites.TRACKS], NOT_CHECKED),
            ("sources.json", "there is no such file"),
        ),
        (
            sources_that_are_no_json,
            {"sources.json": FAILED, "vcfanno_config.toml": FAILED, "data generation": FAILED, "data": FAILED}
            | dict.fromkeys([f"track {track}" for track in sites.TRACKS], NOT_CHECKED),
            ("sources.json", "JSON"),
        ),
        (
            a_source_of_another_version,
            {
                "sources.json": FAILED, "vcfanno_config.toml": FAILED, "data generation": FAILED, "data": FAILED,
                "track clinvar": FAILED,
            },
            ("sources.json", "clinvar 20230404"),
        ),
        (a_tight_list, {"sources.json": FAILED, "data permissions": FAILED}, ("sources.json", "mode 0664")),
        (
            a_tight_configuration,
            {"vcfanno_config.toml": FAILED, "data permissions": FAILED},
            ("vcfanno_config.toml", "mode 0700"),
        ),
        (
            a_table_that_was_removed,
            {"vcfanno_config.toml": FAILED, "data": FAILED},
            ("vcfanno_config.toml", "clinvar uses no file"),
        ),
        (
            a_package_that_lost_its_tables,
            {"data generation": FAILED, "track clinvar": FAILED},
            ("data generation", "replaced by hand: clinvar"),
        ),
        (another_generation, {"data generation": FAILED}, ("data generation", "is another-1")),
        (no_receipt, {"data generation": FAILED}, ("data generation", "is adopted-")),
        (a_tight_file, {"data permissions": FAILED}, ("data permissions", "variantDBs/clinvar/README.md 0600")),
        (an_older_index, {"data": FAILED}, ("data", "index-old")),
        (a_track_of_another_version, {"track clinvar": FAILED}, ("track clinvar", "clinvar_20230404.vcf.gz")),
        (a_track_without_its_index, {"track hgmd": FAILED}, ("track hgmd", "hgmd-current.vcf.gz.tbi leads to no file")),
        (another_manifest, WITHOUT_MANIFEST, ("release", "not the manifest that was deployed")),
        (no_manifest, WITHOUT_MANIFEST, ("release", "there is no manifest")),
        (a_manifest_that_is_none, WITHOUT_MANIFEST, ("release", "v3.1.0.yml")),
        (a_deployment_under_way, {"release": FAILED}, ("release", "two has begun")),
    ],
)
def test_what_is_wrong_fails_its_line_alone(
    deployed: Deployed, wrong: Callable[[Deployed], None], states: dict[str, str], said: tuple[str, str]
) -> None:
    wrong(deployed)
    assert deployed.not_ok() == states
    line = deployed.lines()[said[0]]
    assert line.found is not None and said[1] in line.found
    assert line.expected and line.todo


@pytest.mark.parametrize(
    ("outcome", "state"), [("rolled_back", {}), ("partial", {"release": WARNING}), ("failed", {"release": WARNING})]
)
def test_a_later_deployment_that_did_not_end_well(deployed: Deployed, outcome: str, state: dict[str, str]) -> None:
    words = [{"event": "start"}, {"event": "end", "outcome": outcome}]
    deployed.record(*words, version="v3.2.0", digest=64 * "a", deployment="two")
    # That it was rolled back says nothing of the one before it.
    back = [{"event": "start"}, {"event": "end", "outcome": "rolled_back"}]
    deployed.record(*back, version="v3.2.0", digest=64 * "a", deployment="three")
    assert deployed.not_ok() == state
    if state:
        assert f"a deployment of v3.2.0 has ended as {outcome}" in (deployed.lines()["release"].found or "")


def test_a_package_of_an_earlier_release_may_have_been_replaced(deployed: Deployed) -> None:
    facts = deployed.facts()
    facts["data"]["replaced"] = ["vep"]
    line = deployed.lines(facts)["data generation"]
    assert (line.state, line.found) == (WARNING, "replaced by hand: vep")


def test_only_a_deployment_that_ended_well_tells_the_generation(deployed: Deployed) -> None:
    switch = {"event": "switch", "what": "data", "after": {"generation": "v3.2.0-1"}}
    words = [{"event": "start"}, switch, {"event": "end", "outcome": "rolled_back"}]
    deployed.record(*words, version="v3.2.0", digest=64 * "a", deployment="two")
    assert deployed.not_ok() == {}


def test_a_record_that_names_no_generation(deployed: Deployed) -> None:
    words = [{"event": "switch", "what": "data", "after": "unknown"}, {"event": "end", "outcome": "ok"}]
    digest = ledger.read(str(deployed.ledger)).entries[-1].manifest or ""
    deployed.record(*words, digest=digest, deployment="two")
    assert deployed.lines()["data generation"].state == NOT_CHECKED


def test_nothing_on_record(deployed: Deployed) -> None:
    deployed.ledger.unlink()
    assert deployed.not_ok() == WITHOUT_MANIFEST | {"data generation": NOT_CHECKED, "minimal test": NOT_CHECKED}


def test_a_record_that_cannot_be_read(deployed: Deployed) -> None:
    deployed.ledger.unlink()
    deployed.ledger.mkdir()
    assert deployed.not_ok() == WITHOUT_MANIFEST | {"data generation": NOT_CHECKED, "minimal test": NOT_CHECKED}
    assert "Is a directory" in (deployed.lines()["release"].found or "")


def test_a_damaged_record_is_a_warning(deployed: Deployed) -> None:
    with deployed.ledger.open("a") as stream:
        stream.write("scribble\n")
    assert deployed.not_ok() == {"release": WARNING}


def test_a_data_only_release_leaves_the_image_of_the_one_before(deployed: Deployed) -> None:
    digest = deployed.deploy("v3.1.0a", kind="data", image=None)
    deployed.record({"event": "test", "outcome": "ok"}, version="v3.1.0a", digest=digest, deployment="v3.1.0a")
    assert deployed.not_ok() == {}
    (deployed.images / "v3.1.0.yml").unlink()
    assert deployed.not_ok() == {"image": NOT_CHECKED, "image file": NOT_CHECKED}


def test_a_code_only_release_leaves_the_data_of_the_one_before(deployed: Deployed) -> None:
    deployed.deploy("v3.1.1", kind="patch", archive=None, packages=[])
    assert deployed.not_ok() == {"minimal test": FAILED}
    a_table_that_was_removed(deployed)
    assert deployed.not_ok() == {"minimal test": FAILED, "vcfanno_config.toml": FAILED, "data": FAILED}


def test_a_data_folder_that_is_not_there(deployed: Deployed) -> None:
    deployed.data.rename(deployed.data.with_name("elsewhere"))
    found = deployed.not_ok()
    assert found.pop("data") == found.pop("data permissions") == FAILED
    assert set(found.values()) == {NOT_CHECKED}


def test_warnings_of_the_data_are_warnings(deployed: Deployed) -> None:
    (deployed.data / "variantDBs/clinvar/latest").symlink_to("gone")
    assert deployed.not_ok() == {"data": WARNING}
    assert "link-dangling" in (deployed.lines()["data"].found or "")


# The image versions


def with_image(deployed: Deployed, **changes: Any) -> dict[str, Any]:
    facts = deployed.facts()
    facts["image"] |= {"program": "singularity"} | changes
    return facts


def test_without_singularity_the_versions_are_not_checked(deployed: Deployed) -> None:
    line = deployed.lines()["image versions"]
    assert line.state == NOT_CHECKED
    assert "singularity exec" in (line.todo or "")


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ({"ella_anno": "v2.7.0", "anno_targets": "v3.1.0"}, OK),
        ({"ella_anno": "v2.7.0", "anno_targets": "v3.0.0"}, FAILED),
    ],
)
def test_the_versions_inside_are_those_of_the_manifest(
    deployed: Deployed, versions: dict[str, str], state: str
) -> None:
    line = deployed.lines(with_image(deployed, versions=versions))["image versions"]
    assert line.state == state
    assert versions["anno_targets"] in line.evidence


def test_versions_that_cannot_be_read_have_failed(deployed: Deployed) -> None:
    error = {"where": "anno.sif", "found": "ended with 255", "expected": "a tag", "todo": "Run it by hand."}
    line = deployed.lines(with_image(deployed, unread=error))["image versions"]
    assert (line.state, line.found, line.todo) == (FAILED, "anno.sif: ended with 255", "Run it by hand.")


# The service

SWITCHED = 1_767_225_600  # 2026-01-01T00:00:00Z


def with_service(deployed: Deployed, start: int, now: int = SWITCHED + 100, **changes: Any) -> dict[str, Any]:
    facts = deployed.facts()
    facts["ledger"]["switched"] = "2026-01-01T00:00:00.500Z"
    facts["image"]["linked"] = SWITCHED + 0.2
    facts["service"] = {
        "url": "http://x", "program": "anno", "statename": "RUNNING", "start": start, "now": now,
        "here": SWITCHED + 100.4,
    } | changes  # fmt: skip
    return facts


@pytest.mark.parametrize(
    ("start", "now", "state"),
    [
        (SWITCHED + 3, SWITCHED + 100, OK),
        (SWITCHED, SWITCHED + 100, OK),  # in the same second, of which Supervisor tells no parts
        (SWITCHED - 60, SWITCHED + 100, FAILED),
        (SWITCHED + 3 - 3600, SWITCHED + 100 - 3600, OK),  # the clock of Supervisor's host is an hour late
        (SWITCHED - 60 + 3600, SWITCHED + 100 + 3600, FAILED),  # or early
    ],
)
def test_the_process_was_started_after_the_switch(deployed: Deployed, start: int, now: int, state: str) -> None:
    line = deployed.lines(with_service(deployed, start, now))["service"]
    assert line.state == state
    assert ("clock of Supervisor" in line.evidence) is (abs(now - SWITCHED - 100) > 10)
    if state == FAILED:
        assert "Restart anno" in (line.todo or "")


def test_a_link_that_was_made_by_hand_after_the_process_was_started(deployed: Deployed) -> None:
    facts = with_service(deployed, SWITCHED + 3)
    facts["image"]["linked"] = SWITCHED + 60.0
    line = deployed.lines(facts)["service"]
    assert (line.state, line.expected) == (FAILED, "a start after the switch of 2026-01-01T00:01:00Z")
    assert "link of the image made 2026-01-01 00:01:00 UTC" in line.evidence
    facts["image"] = {"error": {"where": "x", "found": "y", "expected": "z", "todo": "Mend it."}}
    assert deployed.lines(facts)["service"].state == OK


def test_a_service_that_does_not_run(deployed: Deployed) -> None:
    line = deployed.lines(with_service(deployed, SWITCHED + 3, statename="FATAL"))["service"]
    assert (line.state, line.found, line.expected) == (FAILED, "anno is FATAL", "RUNNING")


def test_a_service_that_cannot_be_asked(deployed: Deployed) -> None:
    facts = deployed.facts()
    error = {"where": "http://x", "found": "not reachable", "expected": "a supervisord", "todo": "Check it."}
    facts["service"] = {"error": error}
    assert deployed.not_ok(facts) == {"service": FAILED}


def test_a_switch_whose_time_is_none(deployed: Deployed) -> None:
    facts = with_service(deployed, SWITCHED)
    facts["ledger"]["switched"] = "yesterday"
    assert deployed.lines(facts)["service"].state == NOT_CHECKED


def test_no_switch_on_record(deployed: Deployed) -> None:
    facts = with_service(deployed, SWITCHED)
    facts["ledger"]["switched"] = None
    assert deployed.lines(facts)["service"].state == NOT_CHECKED


# The minimal test


def test_a_test_that_was_not_done(deployed: Deployed) -> None:
    entries = deployed.ledger.read_text().splitlines(keepends=True)
    deployed.ledger.write_text("".join(entries[:-1]))
    line = deployed.lines()["minimal test"]
    assert (line.state, line.found) == (FAILED, "the test was not done yet")


def test_a_test_that_has_failed(deployed: Deployed) -> None:
    digest = ledger.read(str(deployed.ledger)).entries[-1].manifest or ""
    deployed.record({"event": "test", "outcome": "failed", "message": "no CLINVARJSON"}, digest=digest)
    line = deployed.lines()["minimal test"]
    assert line.state == FAILED
    assert (line.found or "").endswith("has failed: no CLINVARJSON")
    deployed.record({"event": "test", "outcome": "ok"}, digest=digest)
    assert deployed.not_ok() == {}


def test_a_test_of_an_older_release(deployed: Deployed) -> None:
    deployed.deploy("v3.1.1", kind="patch")
    line = deployed.lines()["minimal test"]
    assert line.state == FAILED
    assert "the last test is of v3.1.0" in (line.found or "")


def test_prod_has_the_test_of_staging(deployed: Deployed) -> None:
    prod = Deployed(deployed.root, "prod")
    prod.deploy()
    assert prod.not_ok() == {}
    assert " in staging by kim" in prod.lines()["minimal test"].evidence
    other = deployed.deploy("v3.1.1", kind="patch")
    prod.record({"event": "start"}, {"event": "end", "outcome": "ok"}, version="v3.1.1", digest=other, deployment="b")
    assert prod.not_ok() == {"minimal test": FAILED}


def test_facts_and_lines_are_plain_json(deployed: Deployed) -> None:
    facts = json.loads(json.dumps(deployed.facts()))
    assert deployed.lines(facts) == deployed.lines()
