"""module_utils/vcfanno_run.py: the real vcfanno, and programs that do not do what it does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import vcfanno_run
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_run import Program, VcfannoError
from sandbox.packages import data_folder
from support_vcfanno import INPUT, needs_vcfanno


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.vcf").write_text(INPUT)
    return tmp_path


def script(folder: Path, text: str) -> Program:
    path = folder / "vcfanno"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Program(str(path))


def run(program: Program, folder: Path, seconds: float = 30) -> str:
    deadline = time.monotonic() + seconds
    return vcfanno_run.annotate(program, str(folder / "data"), str(folder), deadline, lambda: None)


@needs_vcfanno
def test_it_annotates(folder: Path) -> None:
    data_folder(folder / "data", {"clinvar": "1"})
    output = Path(run(Program("vcfanno"), folder))
    assert output.parent == folder and "##INFO=<ID=CLINVARJSON" in output.read_text()


@needs_vcfanno
def test_what_vcfanno_tells_is_shown(folder: Path) -> None:
    data_folder(folder / "data", {"clinvar": "1"})
    next((folder / "data/variantDBs/clinvar").glob("*.tbi")).unlink()
    with pytest.raises(
        VcfannoError, match=r"(?s)ended with status 1. The end of its log:\n.*clinvar_1.vcf.gz"
    ) as caught:
        run(Program("vcfanno"), folder)
    assert caught.value.path == "vcfanno"


def test_the_command_in_an_image(folder: Path) -> None:
    program = Program("vcfanno", "apptainer", "/srv/anno.sif")
    assert program.command("/srv/data", "/tmp/t") == [
        "apptainer", "exec", "--bind", "/srv/data", "--bind", "/tmp/t", "/srv/anno.sif",
        "vcfanno", "-p", "1", "-base-path", "/srv/data", "/srv/data/vcfanno_config.toml", "/tmp/t/in.vcf",
    ]  # fmt: skip
    assert str(program) == "apptainer exec /srv/anno.sif vcfanno"


def test_no_such_program(folder: Path) -> None:
    with pytest.raises(VcfannoError, match=r"no-vcfanno: it cannot be run \(No such file or directory\)"):
        run(Program("no-vcfanno"), folder)


def test_one_that_does_not_end_is_ended_with_all_that_it_started(folder: Path) -> None:
    program = script(folder, f"echo still reading >&2; sleep 3600 & echo $! >{folder}/pid; wait")
    with pytest.raises(VcfannoError, match=r"(?s)it has not ended in time. The end of its log:\nstill reading"):
        run(program, folder, 1.0)
    pid = (folder / "pid").read_text().strip()
    state = Path(f"/proc/{pid}/stat")
    # Nobody may collect it in a container without an init.
    deadline = time.monotonic() + 10
    while state.exists() and state.read_text().rpartition(") ")[2][0] != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not state.exists() or state.read_text().rpartition(") ")[2][0] == "Z"


def test_waiting_is_told(folder: Path) -> None:
    told: list[None] = []
    program = script(folder, "sleep 0.3")
    vcfanno_run.annotate(program, "data", str(folder), time.monotonic() + 30, lambda: told.append(None))
    assert told
