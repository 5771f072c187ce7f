"""module_utils/annotation_test.py: what is tested and how, and what is found, with the real vcfanno behind each way."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import annotation_test, data_folder, known_variants, ledger
from ansible_collections.ousamg.anno.plugins.module_utils.anno_api import AnnoApi
from ansible_collections.ousamg.anno.plugins.module_utils.annotation_test import AnnotationTestError, Ella, Request
from ansible_collections.ousamg.anno.plugins.module_utils.ella_api import EllaError, Login, Sample
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_run import Program, VcfannoError
from ansible_collections.ousamg.anno.plugins.module_utils.web import WebError
from peers import ella as ella_peer
from peers.anno import API, Anno
from sandbox.packages import data_folder as make_data
from sandbox.packages import read_sources
from support_validate import indexed
from support_vcfanno import needs_vcfanno

pytestmark = needs_vcfanno
DIGEST, OTHER = "5f70bf18" * 8, "0123abcd" * 8
VERSIONS = {"clinvar": "1", "hgmd": "2", "vep": "105"}
CLINVAR = "variantDBs/clinvar/clinvar_1.vcf.gz"
PASSWORD = "s3cret-Password-8713"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """An instance with a release that is live by the record."""
    make_data(tmp_path / "data", {**VERSIONS, "gnomad": "3"})
    (tmp_path / "anno-v3.2.0.sif").touch()
    (tmp_path / "anno.sif").symlink_to("anno-v3.2.0.sif")
    record(tmp_path, {"event": "start"}, {"event": "end", "outcome": "ok"})
    return tmp_path


def record(top: Path, *entries: dict[str, Any], manifest: str = DIGEST) -> None:
    given = ledger.Request("d1", entries, "TSD", "staging", "v3.2.0", manifest, "ola", "control", 7)
    ledger.append(str(top / "deployments.jsonl"), given)


def request(top: Path, **more: Any) -> Request:
    given = {
        "data": str(top / "data"), "packages": list(VERSIONS.items()), "ledger": str(top / "deployments.jsonl"),
        "manifest": DIGEST, "image": "anno-v3.2.0.sif", "image_link": str(top / "anno.sif"),
        "program": Program("vcfanno"), "name": "n", "timeout": 60.0, "work": str(top / "work"),
    }  # fmt: skip
    return Request(**{**given, **more})


def run(given: Request) -> dict[str, str]:
    return annotation_test.apply(given, annotation_test.plan(given))


def refused(given: Request) -> AnnotationTestError:
    with pytest.raises(AnnotationTestError) as caught:
        annotation_test.plan(given)
    return caught.value


# What is tested


def test_the_plan(top: Path) -> None:
    planned = annotation_test.plan(request(top))
    assert planned.methods == ("direct",)
    assert [(k.table.package, k.table.file) for k in planned.known] == [
        ("clinvar", CLINVAR), ("hgmd", "variantDBs/hgmd/hgmd_2.vcf.gz")
    ]  # fmt: skip
    assert [tuple(item) for item in planned.untestable] == [("vep", None, annotation_test.NO_TABLES)]
    assert planned.vcf.count("\n1\t") == 2
    result = planned.result()
    assert json.loads(json.dumps(result)) == result
    assert result["tested"][0] == {"package": "clinvar", "version": "1", "file": CLINVAR}
    assert result["reasons"][0].endswith(f"→ CLINVARJSON from {CLINVAR}")
    assert result["reasons"][2:] == [f"vep: {annotation_test.NO_TABLES}", "by vcfanno on this host"]


@pytest.mark.parametrize("packages", [[], [("vep", "105")]])
def test_where_no_updated_package_can_be_tested_all_are(top: Path, packages: list[tuple[str, str]]) -> None:
    planned = annotation_test.plan(request(top, packages=packages))
    assert sorted({k.table.package for k in planned.known}) == ["clinvar", "gnomad", "hgmd"]
    assert [item.package for item in planned.untestable] == [name for name, _ in packages]
    assert "all live ones" in planned.reasons[0]
    assert run(request(top, packages=packages)) == {}


def test_a_package_of_structural_variants_alone(top: Path) -> None:
    header = "##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    indexed(top / "data" / CLINVAR, header + "1\t5\t.\tN\t<DEL>\t.\t.\tCLINVARJSON=x;END=9\n", "vcf")
    planned = annotation_test.plan(request(top, packages=[("clinvar", "1")]))
    assert {k.table.package for k in planned.known} == {"gnomad", "hgmd"}
    assert [item.what for item in planned.untestable] == [f"clinvar ({CLINVAR})"]
    assert annotation_test.plan(request(top)).known[0].table.package == "hgmd"


def test_nothing_that_can_be_tested_is_no_pass(top: Path) -> None:
    (top / "data/sources.json").write_text(json.dumps({"vep": {"version": "105"}}))
    error = refused(request(top, packages=[("vep", "105")]))
    assert error.found == f"nothing can be tested. vep: {annotation_test.NO_TABLES}"


def test_the_ways(top: Path) -> None:
    ella = Ella("http://ella", Login("u", "p"), Sample(1, "HG002", "HBOC", "v1"))
    planned = annotation_test.plan(request(top, api="http://anno:6000", ella=ella))
    assert planned.methods == ("api", "ella")
    assert planned.reasons[-2:] == (
        "by a task of the anno service at http://anno:6000", "by a reanalysis of HG002 in ELLA at http://ella"
    )  # fmt: skip
    assert refused(request(top, ella=ella, work=None)).path == "ella"


# What is not live


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"manifest": OTHER}, f"by the record v3.2.0 (manifest {DIGEST[:12]}) is live"),
        ({"ledger": "{top}/none.jsonl"}, "by the record nothing is live"),
        ({"packages": [("clinvar", "0"), ("hgnc", "1")]}, "clinvar is 1 and not 0; hgnc is not there and not 1"),
        ({"image": "anno-v3.3.0.sif"}, "it leads to {top}/anno-v3.2.0.sif"),
    ],
)
def test_what_is_not_live_is_not_tested(top: Path, change: dict[str, Any], found: str) -> None:
    change = {key: value.format(top=top) if isinstance(value, str) else value for key, value in change.items()}
    error = refused(request(top, **change))
    assert error.found == found.format(top=os.path.realpath(top))
    assert "`-e release=…`" in error.todo


def test_not_while_somebody_deploys(top: Path) -> None:
    given = ledger.Request("d2", [{"event": "start"}], manifest=OTHER, by="kari", host="control", pid=1)
    ledger.append(str(top / "deployments.jsonl"), given)
    assert refused(request(top)).found.startswith("deployment d2 of kari is under way, since 2")


def test_a_deployment_meanwhile_is_no_pass(top: Path) -> None:
    planned = annotation_test.plan(request(top))
    record(top, {"event": "end", "outcome": "ok"}, manifest=OTHER)
    with pytest.raises(AnnotationTestError, match=f"manifest {OTHER[:12]}"):
        annotation_test.apply(request(top), planned)


# By vcfanno itself


def test_directly(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = top / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(annotation_test.tempfile, "tempdir", str(scratch))
    progress = top / "progress"
    assert run(request(top, progress=str(progress))) == {}
    assert json.loads(progress.read_text())["work"] == "minimal test"
    assert list(scratch.iterdir()) == []


def test_a_field_that_the_new_file_lacks(top: Path) -> None:
    for name in ("sources.json", "vcfanno_config.toml"):
        text = (top / "data" / name).read_text()
        (top / "data" / name).write_text(text.replace('"CLASS"', '"KLASS"'))
    with pytest.raises(AnnotationTestError) as caught:
        run(request(top))
    assert caught.value.found == (
        "hgmd (variantDBs/hgmd/hgmd_2.vcf.gz): HGMD__CLASS has no value, since the file has no such field"
    )
    assert caught.value.details["missing"] == [
        {
            "package": "hgmd", "version": "2", "file": "variantDBs/hgmd/hgmd_2.vcf.gz", "names": ("HGMD__CLASS",),
            "reason": "has no value, since the file has no such field",
        }
    ]  # fmt: skip


def test_a_table_that_the_configuration_lacks(top: Path) -> None:
    """As when somebody has mended it by hand."""
    config = top / "data/vcfanno_config.toml"
    pieces = config.read_text().split("[[annotation]]")
    config.write_text("[[annotation]]".join(piece for piece in pieces if CLINVAR not in piece))
    with pytest.raises(AnnotationTestError, match=r"clinvar \(.*\): CLINVARJSON is not in the header"):
        run(request(top))


def test_a_file_that_is_gone(top: Path) -> None:
    (top / "data" / CLINVAR).unlink()
    with pytest.raises(FileNotFoundError):
        annotation_test.plan(request(top))


def test_no_vcfanno_here(top: Path) -> None:
    with pytest.raises(VcfannoError, match="no-vcfanno: it cannot be run"):
        run(request(top, program=Program("no-vcfanno")))


def test_a_vcf_of_ones_own(top: Path) -> None:
    own = top / "own.vcf"
    own.write_text(annotation_test.plan(request(top)).vcf)
    assert run(request(top, vcf=str(own))) == {}
    own.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t5\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises(AnnotationTestError, match="CLINVARJSON has no value in any of 1 record;"):
        run(request(top, vcf=str(own)))
    own.write_text("no VCF")
    assert refused(request(top, vcf=str(own))).path == str(own)


def test_values_of_ones_own_vcf_are_no_pass(top: Path) -> None:
    own = top / "own.vcf"
    header = '##fileformat=VCFv4.2\n##INFO=<ID=CLINVARJSON,Number=1,Type=String,Description="x">\n'
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    own.write_text(f"{header}{columns}1\t5\t.\tA\tC\t.\t.\tAC=1;CLINVARJSON=old\n")
    assert annotation_test.plan(request(top, vcf=str(own))).vcf.endswith("\tAC=1\n")
    with pytest.raises(AnnotationTestError, match="CLINVARJSON has no value in any of 1 record;"):
        run(request(top, vcf=str(own)))


# Through the anno service


@pytest.fixture
def anno(top: Path) -> Iterator[Anno]:
    with Anno(top / "data", top / "work") as peer:
        yield peer


def test_through_the_service(top: Path, anno: Anno) -> None:
    given = request(top, api=anno.url)
    assert run(given) == {"api": "1"}
    assert (top / "work/1/input.vcf").read_text() == annotation_test.plan(given).vcf


def test_a_step_after_vcfanno_may_write_texts_anew(top: Path, anno: Anno, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's result is that of its last step; vcfanno's own output lies in the task's folder."""
    really = AnnoApi.result

    def anew(self: AnnoApi, task: str) -> bytes:
        return re.sub(rb"\tCLINVARJSON=\w+", b"\tCLINVARJSON=anew", really(self, task))

    monkeypatch.setattr(AnnoApi, "result", anew)
    assert run(request(top, api=anno.url)) == {"api": "1"}


def test_a_service_with_the_former_data(top: Path, anno: Anno) -> None:
    anno.data = top / "former"
    make_data(anno.data, {"clinvar": "0", "hgmd": "2"})
    with pytest.raises(AnnotationTestError, match=f"it was annotated from the data folder {top}/former") as caught:
        run(request(top, api=anno.url))
    assert caught.value.path == f"the result of {anno.url} task 1"


def test_a_service_with_a_former_file_of_the_same_name(top: Path, anno: Anno) -> None:
    """As in a container that was started before the switch, with a package that was made anew under its version."""
    given = request(top, api=anno.url)
    planned = annotation_test.plan(given)
    variant = planned.known[0].variants[0]
    field = '##INFO=<ID=CLINVARJSON,Number=1,Type=String,Description="ClinVar">\n'
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    place = f"{variant.contig}\t{variant.position}\t.\t{variant.ref}\t{variant.alt}"
    text = f"##fileformat=VCFv4.2\n##contig=<ID=1>\n{field}{columns}{place}\t.\t.\tCLINVARJSON=former\n"
    indexed(top / "data" / CLINVAR, text, "vcf")
    with pytest.raises(AnnotationTestError, match=r"clinvar \(.*\): CLINVARJSON has not the value of the file"):
        annotation_test.apply(given, planned)


@pytest.mark.parametrize("work", [True, False])
def test_a_step_that_fails_shows_its_log(top: Path, anno: Anno, work: bool) -> None:
    anno.fail = True
    with pytest.raises(AnnotationTestError) as caught:
        run(request(top, api=anno.url, work=str(top / "work") if work else None))
    error = caught.value
    assert error.path == f"{anno.url} task 1"
    assert error.found.startswith("the task has failed")
    if work:
        assert f"(step VCFANNO FAILED). The end of {top}/work/1/VCFANNO/output.log:\n" in error.found
        assert "/nowhere/variantDBs" in error.found
        assert (error.details["step"], error.details["task"]) == ("VCFANNO", "1")
    else:
        assert "work folder of the service, which the inventory does not name" in error.todo


def test_a_task_that_hangs(top: Path, anno: Anno) -> None:
    anno.hang = True
    with pytest.raises(AnnotationTestError) as caught:
        run(request(top, api=anno.url, timeout=1.0))
    assert caught.value.found.startswith("the task has not ended after 1 s (step VCFANNO STARTED). The end of")
    assert "waiting for a lock" in caught.value.found
    assert "minimal_test_timeout" in caught.value.todo


@pytest.mark.parametrize("mode", ["500", "html", "half", "closed", "garbage", "empty", "silent"])
@pytest.mark.parametrize("path", ["annotate", "status", "process"])
def test_bad_answers(top: Path, anno: Anno, path: str, mode: str) -> None:
    anno.bad[f"{API}/{path}"] = mode
    with pytest.raises(AnnoError) as caught:
        run(request(top, api=anno.url, timeout=1.0 if mode == "silent" else 60.0))
    assert isinstance(caught.value, (WebError, AnnotationTestError)) and anno.url in caught.value.path


def test_a_task_that_is_not_ours(top: Path, anno: Anno) -> None:
    anno.task_id = "99"
    with pytest.raises(WebError, match="no task 99"):
        run(request(top, api=anno.url))


@pytest.mark.parametrize("work", [True, False])
def test_the_result_of_an_earlier_task_is_no_pass(top: Path, anno: Anno, work: bool) -> None:
    given = request(top, api=anno.url, work=str(top / "work") if work else None)
    assert run(given) == {"api": "1"}
    anno.task_id = "1"
    with pytest.raises(AnnotationTestError, match="task 1 was there before this test"):
        run(given)


def test_the_service_of_another_instance_is_no_pass(top: Path, anno: Anno) -> None:
    with pytest.raises(AnnotationTestError, match=f"there is no task 1 in {top}/prod"):
        run(request(top, api=anno.url, work=str(top / "prod")))


def test_a_service_that_is_down(top: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(WebError, match=r"not reachable \(Connection refused\), tried for 1 s"):
        run(request(top, api=url, timeout=0.6))


# Through ELLA


@pytest.fixture
def ella(top: Path, anno: Anno) -> Iterator[Any]:
    anno.samples["HG002"] = annotation_test.plan(request(top)).vcf
    with ella_peer.Ella(anno.url, "tester", PASSWORD) as peer:
        yield peer


def through_ella(ella: Any, password: str = PASSWORD, sample: str = "HG002") -> Ella:
    return Ella(ella.url, Login("tester", password), Sample(7, sample, "HBOC", "v1.0.0"))


def test_a_reanalysis(top: Path, ella: Any) -> None:
    assert run(request(top, ella=through_ella(ella))) == {"ella": "1"}
    assert ella.jobs[0]["properties"]["analysis_name"] == "n"


def test_both_ways(top: Path, anno: Anno, ella: Any) -> None:
    assert run(request(top, api=anno.url, ella=through_ella(ella))) == {"api": "1", "ella": "2"}


def test_a_job_with_an_earlier_task_is_no_pass(top: Path, anno: Anno, ella: Any) -> None:
    given = request(top, ella=through_ella(ella))
    assert run(given) == {"ella": "1"}
    anno.task_id = "1"
    with pytest.raises(AnnotationTestError, match="task 1 was there before this test"):
        run(given)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda ella, anno: anno.samples.clear(), "the job is FAILED (SUBMISSION): no such sample"),
        (
            lambda ella, anno: setattr(anno, "fail", True),
            "the job is FAILED (PROCESSING) (step VCFANNO FAILED). The end",
        ),
        (lambda ella, anno: setattr(ella, "deposit", False), "the job is FAILED (DEPOSIT): no such gene panel (step"),
    ],
)
def test_a_job_that_fails(top: Path, anno: Anno, ella: Any, spoil: Callable[[Any, Anno], None], words: str) -> None:
    spoil(ella, anno)
    with pytest.raises(AnnotationTestError) as caught:
        run(request(top, ella=through_ella(ella)))
    assert caught.value.found.startswith(words)
    assert caught.value.path == f"{ella.url} job 41"


def test_a_job_that_hangs(top: Path, anno: Anno, ella: Any) -> None:
    anno.hang = True
    with pytest.raises(
        AnnotationTestError, match=r"job 41: the job is still RUNNING after 1 s \(step VCFANNO STARTED\)"
    ):
        run(request(top, ella=through_ella(ella), timeout=1.0))


def test_a_wrong_password(top: Path, ella: Any) -> None:
    with pytest.raises(EllaError) as caught:
        run(request(top, ella=through_ella(ella, "wrong-Password-5521")))
    assert "5521" not in json.dumps(caught.value.result())


def test_a_sample_without_variants_of_a_package(top: Path, anno: Anno, ella: Any) -> None:
    sources = read_sources(top / "data")
    tables = known_variants.tables_of("hgmd", sources["hgmd"]["vcfanno"])
    anno.samples["HG002"] = known_variants.render(known_variants.look(str(top / "data"), tables[0]).variants)
    with pytest.raises(AnnotationTestError) as caught:
        run(request(top, ella=through_ella(ella)))
    assert caught.value.path == str(top / "work/1/VCFANNO/output.vcf")
    assert caught.value.found == f"clinvar ({CLINVAR}): CLINVARJSON has no value in any of 1 record"
    assert "choose a sample" in caught.value.todo


def test_a_sample_that_was_annotated_before(top: Path, anno: Anno, ella: Any) -> None:
    """Its own values would be taken for the release's."""
    line = "##fileformat=VCFv4.2\n"
    anno.samples["HG002"] = anno.samples["HG002"].replace(line, f"{line}##vcfanno=0.3.5\n")
    with pytest.raises(AnnotationTestError, match="vcfanno annotated it 2 times, by its header") as caught:
        run(request(top, ella=through_ella(ella)))
    assert caught.value.details["task"] == "1"


def test_a_task_whose_folder_is_gone(top: Path, ella: Any) -> None:
    (top / "elsewhere").mkdir()
    with pytest.raises(AnnotationTestError, match=f"there is no task 1 in {top}/elsewhere"):
        run(request(top, ella=through_ella(ella), work=str(top / "elsewhere")))


def test_the_live_data_are_read_only(top: Path, anno: Anno) -> None:
    before = data_folder.read_contents(str(top / "data"))
    run(request(top, api=anno.url))
    assert data_folder.read_contents(str(top / "data")) == before
