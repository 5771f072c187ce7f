"""What is made of Singularity's answers. The real one needs user namespaces: tests/integration/test_image.py has it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.singularity import (
    SingularityError,
    find,
    read_versions,
    verify,
)
from support_singularity import answering, stand_in

V310 = str(Path(__file__).resolve().parents[2] / "fixtures/images/anno-v3.1.0.sif")


@pytest.mark.parametrize("anno_targets", ["v3.1.0", "v3.1.0\n", '{\n  "tag": "v3.1.0"\n}\n'])
def test_versions_are_read_from_json_and_from_plain_tags(tmp_path: Path, anno_targets: str) -> None:
    program = answering(tmp_path, '{"tag": "v2.7.1a", "commit": "abc"}', anno_targets)
    assert read_versions(V310, program) == {"ella_anno": "v2.7.1a", "anno_targets": "v3.1.0"}


@pytest.mark.parametrize("content", ["", '{"version": "v1"}', "[1]", "12", "two words", '{"tag": null}'])
def test_a_version_file_without_a_tag_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(SingularityError, match=r"/anno-targets/version in the image holds"):
        read_versions(V310, answering(tmp_path, "v2.7.1", content))


def test_the_reason_of_singularity_is_passed_on(tmp_path: Path) -> None:
    program = stand_in(
        tmp_path, "echo 'FATAL: no squashfs' >&2; echo ': exit status 1' >&2; echo 'INFO: bye' >&2; exit 255"
    )
    with pytest.raises(SingularityError, match=r"ended with 255: FATAL: no squashfs / : exit status 1\. ") as caught:
        read_versions(V310, program)
    assert f"exec {V310} cat /anno/version" in caught.value.found


def test_a_failure_without_a_word_is_told_too(tmp_path: Path) -> None:
    with pytest.raises(SingularityError, match="ended with 3: no message"):
        read_versions(V310, stand_in(tmp_path, "exit 3"))


def test_an_answer_that_is_not_both_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SingularityError, match=r"wrote 'v2\.7\.1\\n'"):
        read_versions(V310, stand_in(tmp_path, "echo v2.7.1"))


def test_what_would_show_the_hosts_files_is_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINGULARITY_BIND", "/etc/hostname:/anno/version")
    monkeypatch.setenv("APPTAINER_BINDPATH", "/etc/hostname:/anno/version")
    monkeypatch.setenv("APPTAINER_CACHEDIR", "/scratch")
    program = stand_in(tmp_path, f"env >{tmp_path}/env; exit 1")
    with pytest.raises(SingularityError):
        read_versions(V310, program)
    seen = (tmp_path / "env").read_text()
    assert "BIND" not in seen
    assert "APPTAINER_CACHEDIR=/scratch\n" in seen


def test_a_run_that_never_ends_is_ended_with_its_children(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"sleep 60 & echo $! >{tmp_path}/child; wait")
    begin = time.monotonic()
    with pytest.raises(SingularityError, match=r"no answer in 0\.5 seconds"):
        read_versions(V310, program, timeout=0.5)
    assert time.monotonic() - begin < 10
    status = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    # Gone, or dead and not yet reaped by init.
    while status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("variable", ["APPTAINER_TMPDIR", "SINGULARITY_TMPDIR", "TMPDIR"])
def test_what_it_has_unpacked_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)  # what an earlier test has made of TMPDIR
    monkeypatch.setenv(variable, str(scratch))
    unpack = f"mkdir -p $APPTAINER_TMPDIR/rootfs/usr; chmod 555 $APPTAINER_TMPDIR/rootfs; ls {scratch} >{tmp_path}/seen"
    program = stand_in(tmp_path, f"{unpack}; sleep 60 & wait")
    with pytest.raises(SingularityError, match="no answer"):
        read_versions(V310, program, timeout=0.5)
    assert (tmp_path / "seen").read_text().startswith("sif-info-")
    assert not list(scratch.iterdir())


def test_an_executable_is_found_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = stand_in(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("singularity") == find(program) == program
    assert find("apptainer") is None
    assert find(str(tmp_path / "nothing")) is None


def test_the_outcome_of_a_verification_is_told(tmp_path: Path) -> None:
    good = stand_in(tmp_path, '[ "$1 $2" = "verify --local" ] || exit 9')
    assert verify(V310, good).good
    bad = verify(V310, stand_in(tmp_path, "echo 'FATAL:   made by unknown entity' >&2; exit 255"))
    assert (bad.good, bad.words) == (False, "FATAL:   made by unknown entity")
