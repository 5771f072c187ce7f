"""module_utils/annotation_check.py on what the real vcfanno has written, and on what somebody has changed in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import annotation_check, known_variants
from ansible_collections.ousamg.anno.plugins.module_utils.annotated_vcf import AnnotatedVcfError
from ansible_collections.ousamg.anno.plugins.module_utils.annotation_check import Expected, Missing
from sandbox.packages import read_sources
from support_data import replace
from support_vcfanno import annotate, annotated_sample, needs_vcfanno

pytestmark = needs_vcfanno
CLINVAR, HGMD = "variantDBs/clinvar/clinvar_1.vcf.gz", "variantDBs/hgmd/hgmd_1.vcf.gz"
HGMD_NAMES = ("HGMD__ID", "HGMD__CLASS", "HGMD__GENE", "HGMD__RANKSCORE")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data`` and ``output.vcf``: variants of ClinVar and HGMD, annotated."""
    top = tmp_path_factory.mktemp("annotated")
    annotated_sample(top)
    data = top / "data"
    known = [known_variants.look(str(data), item.table) for item in expectations(data)]
    text = known_variants.render([variant for found in known for variant in found.variants])
    annotate(data / "vcfanno_config.toml", top / "output.vcf", "-base-path", str(data), folder=top, source=text)
    return top


@pytest.fixture
def top(original: Path, tmp_path: Path) -> Path:
    (tmp_path / "data").symlink_to(original / "data")
    shutil.copy(original / "output.vcf", tmp_path)
    return tmp_path


def expectations(data: Path, *, every: bool = False) -> list[Expected]:
    sources = read_sources(data)
    tables = [t for n in ("clinvar", "hgmd") for t in known_variants.tables_of(n, sources[n]["vcfanno"])]
    return [Expected(table, tuple(table.names) if every else ()) for table in tables]


def check(top: Path, *, every: bool = False, base_path: str | None = None) -> list[Missing]:
    path, data = str(top / "output.vcf"), top / "data"
    return annotation_check.check(path, expectations(data, every=every), str(data), base_path)


@pytest.mark.parametrize("every", [False, True])
def test_nothing_is_missing(top: Path, every: bool) -> None:
    assert check(top, every=every) == []


@pytest.mark.parametrize("base", ["/anno/data", "/a/variantDBs/data", "relative/data"])
def test_a_base_path_in_a_container(top: Path, original: Path, base: str) -> None:
    replace(top / "output.vcf", f"from {original / 'data'}/", f"from {base}/")
    assert check(top) == []
    assert check(top, base_path=base) == []
    assert len(check(top, base_path="/another")) == 2


def test_another_data_folder(top: Path, original: Path, tmp_path: Path) -> None:
    (tmp_path / "prod").mkdir()
    replace(top / "output.vcf", f"from {original / 'data'}/", f"from {tmp_path}/prod/")
    with pytest.raises(AnnotatedVcfError, match=f"it was annotated from the data folder {tmp_path}/prod"):
        check(top)


def test_another_version_is_named(top: Path) -> None:
    replace(top / "output.vcf", "clinvar_1.vcf.gz", "clinvar_0.vcf.gz")
    (missing,) = check(top)
    assert missing == Missing("clinvar", CLINVAR, ("CLINVARJSON",), "comes from variantDBs/clinvar/clinvar_0.vcf.gz")


def test_a_field_that_the_file_lacks(top: Path, original: Path) -> None:
    """vcfanno says nothing, but the header does."""
    data = top / "own"
    shutil.copytree(original / "data", data)
    replace(data / "vcfanno_config.toml", '["CLINVARJSON"]\nnames', '["CLNJSON"]\nnames')
    source = (top / "output.vcf").read_text()
    bare = "\n".join(line for line in source.splitlines() if "##INFO" not in line) + "\n"
    annotate(data / "vcfanno_config.toml", top / "output.vcf", "-base-path", str(data), folder=top, source=bare)
    found = annotation_check.check(str(top / "output.vcf"), expectations(data), str(data))
    assert found == [Missing("clinvar", CLINVAR, ("CLINVARJSON",), "has no value, since the file has no such field")]


def _without(name: str) -> Callable[[str], str]:
    def drop(line: str) -> str:
        columns = line.split("\t")
        columns[7] = ";".join(item for item in columns[7].split(";") if not item.startswith(name))
        return "\t".join(columns)

    return drop


@pytest.mark.parametrize(
    ("name", "every", "names"),
    [
        ("HGMD__", True, HGMD_NAMES),
        ("HGMD__", False, HGMD_NAMES),
        ("HGMD__CLASS", True, ("HGMD__CLASS",)),
        ("HGMD__CLASS", False, ()),
    ],
)
def test_names_without_a_value(top: Path, name: str, every: bool, names: tuple[str, ...]) -> None:
    path = top / "output.vcf"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line if line[0] == "#" else _without(name)(line) for line in lines) + "\n")
    expected = [Missing("hgmd", HGMD, names, "has no value in any of 2 records")] if names else []
    assert check(top, every=every) == expected


def test_no_record_at_all(top: Path) -> None:
    path = top / "output.vcf"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if line[0] == "#"))
    assert [missing.reason for missing in check(top)] == ["has no value in any of 0 records"] * 2


def test_a_large_vcf_is_read_until_all_is_seen_and_tells_how_far(top: Path) -> None:
    path = top / "output.vcf"
    with path.open("a") as stream:
        stream.writelines(f"1\t{n}\t.\tA\tC\t.\t.\t.\n" for n in range(50_000))
    ticks: list[int] = []
    path_data = (str(path), expectations(top / "data"), str(top / "data"))
    assert annotation_check.check(*path_data, tick=ticks.append) == []
    assert ticks == [1000]


def test_a_record_without_an_end_is_not_held_in_memory(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation_check, "_MAX_RECORD", 1 << 16)
    with (top / "output.vcf").open("ab") as stream:
        stream.write(bytes(1 << 17))
    with pytest.raises(AnnotatedVcfError, match="its record 3 has not ended after 65536 bytes"):
        check(top)


@pytest.mark.parametrize("text", ["", "<html>", "##fileformat=VCFv4.2\n"])
def test_what_is_no_vcf(top: Path, text: str) -> None:
    (top / "output.vcf").write_text(text)
    with pytest.raises(AnnotatedVcfError):
        check(top)
