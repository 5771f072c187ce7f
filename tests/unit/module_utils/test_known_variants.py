"""module_utils/known_variants.py: variants of every kind of table, and vcfanno as the judge that they are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import known_variants
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import BgzfError
from ansible_collections.ousamg.anno.plugins.module_utils.known_variants import Known, Table, Variant
from ansible_collections.ousamg.anno.plugins.module_utils.problems import ProblemError
from sandbox.packages import LOCAL_BED, data_folder, read_sources
from support_validate import bgzip, indexed
from support_vcfanno import PACKAGES, annotate, needs_vcfanno

HEADER = """\
##fileformat=VCFv4.2
##contig=<ID=1>
##INFO=<ID=A,Number=1,Type=String,Description="a">
##INFO=<ID=B,Number=.,Type=String,Description="b">
##INFO=<ID=FL,Number=0,Type=Flag,Description="f">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


def table(file: str = "t.vcf.gz", fields: list[Any] | None = None, **more: Any) -> Table:
    key = "columns" if file.endswith(".bed.gz") else "fields"
    (found,) = known_variants.tables_of("p", [{"file": file, key: fields or ["A"], **more}])
    return found


def look(folder: Path, records: str, wanted: Table) -> Known:
    bgzip(folder / "t.vcf.gz", HEADER + records)
    return known_variants.look(str(folder), wanted)


def record(position: int, info: str, ref: str = "A", alt: str = "C", name: str = ".", status: str = ".") -> str:
    return f"1\t{position}\t{name}\t{ref}\t{alt}\t.\t{status}\t{info}\n"


def places(known: Known) -> list[int]:
    return [variant.position for variant in known.variants]


def test_the_tables_of_a_list() -> None:
    assert table(fields=["A", "B"], names=["X", "Y"], ops=["self", "max"]) == Table(
        "p", "t.vcf.gz", (("A", "X", "self"), ("B", "Y", "max"))
    )
    assert table("./d/../t.vcf.gz", ["A"]) == Table("p", "t.vcf.gz", (("A", "A", ""),))
    assert table("b.bed.gz", [4], names=["N"], ops=["first"]).rows == (("4", "N", "first"),)


def test_records_until_each_field_has_been_seen(tmp_path: Path) -> None:
    records = record(5, "C=1") + record(6, "A=.;B=.,.") + record(7, "A=1") + record(8, "A=2") + record(9, "FL;B=.,x")
    known = look(tmp_path, records + record(10, "A=3"), table(fields=["A", "B", "FL"], names=["X", "Y", "Z"]))
    assert places(known) == [7, 9]
    assert known.names == ("X", "Y", "Z") and known.why is None
    assert known.values == ()


def test_the_value_of_a_text_that_is_copied(tmp_path: Path) -> None:
    wanted = table(fields=["A", "B", "FL"], names=["X", "Y", "Z"], ops=["first", "uniq", "self"])
    assert look(tmp_path, record(5, "A=a,b;B=c;FL"), wanted).values == (("X", "a,b"),)


def test_id_and_filter_are_fields_too(tmp_path: Path) -> None:
    records = record(5, ".") + record(6, ".", name="rs1") + record(7, ".", status="PASS")
    known = look(tmp_path, records, table(fields=["ID", "FILTER"], names=["X", "Y"]))
    assert (places(known), known.names) == ([6, 7], ("X", "Y"))


def test_a_vcf_without_its_own_values_of_some_names() -> None:
    text = HEADER + record(5, "A=1;B=2") + record(6, "A") + record(7, "AB=1")
    assert known_variants.without(text, {"A"}) == HEADER + record(5, "B=2") + record(6, ".") + record(7, "AB=1")


def test_a_lua_op_may_make_nothing_of_a_value(tmp_path: Path) -> None:
    known = look(tmp_path, record(5, "A=1;B=2"), table(fields=["A", "B"], ops=["lua:f(vals)", "self"]))
    assert (places(known), known.names) == ([5], ("B",))


def test_single_bases_are_preferred_and_what_is_no_plain_variant_is_left_out(tmp_path: Path) -> None:
    odd = (
        record(5, "A=1", alt="<DEL>") + record(6, "A=1", alt="C,G") + record(7, "A=1", alt="*") + record(8, "A=1", "N")
    )
    indel = record(9, "A=1", "AC", "A")
    assert places(look(tmp_path, odd + indel + record(10, "A=1", "a", "g"), table())) == [10]
    assert look(tmp_path, odd + indel, table()).variants == (Variant("1", 9, "AC", "A"),)
    none = look(tmp_path, odd, table())
    assert none.variants == () and none.why
    assert none.why.startswith("not testable this way: none of its first 4 records is a plain variant with a value")


def test_no_more_than_a_few_records_are_picked_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_variants, "MAX_RECORDS", 100)
    many = "".join(record(n, f"F{n}=1") for n in range(1, 200))
    known = look(tmp_path, many, table(fields=[f"F{n}" for n in range(1, 200)]))
    assert places(known) == list(range(1, known_variants.MAX_PICKS + 1))
    late = look(tmp_path, many, table(fields=["F150"]))
    assert late.why and "first 100 records" in late.why
    assert places(look(tmp_path, many, table(fields=["F99"]))) == [99]


def test_no_more_than_so_many_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_variants, "MAX_READ", 1000)
    records = "".join(record(n, "C=" + "x" * 60_000) for n in range(1, 20)) + record(30, "A=1")
    assert look(tmp_path, records, table()).why


def test_a_record_across_blocks_and_a_last_one_without_an_end(tmp_path: Path) -> None:
    records = record(5, "C=" + "x" * 200_000) + record(6, "A=1").rstrip("\n")
    assert places(look(tmp_path, records, table())) == [6]


@pytest.mark.parametrize("csi", [False, True])
def test_a_position_in_an_interval(tmp_path: Path, csi: bool) -> None:
    text = "1\t50\t60\t.\n1\t100\t200\talu\n"
    indexed(tmp_path / "b.bed.gz", text, "bed", csi=csi)
    known = known_variants.look(str(tmp_path), table("b.bed.gz", [4], names=["N"]))
    assert (places(known), known.names) == ([101], ("N",))


def test_a_bam_has_no_variants(tmp_path: Path) -> None:
    known = known_variants.look(str(tmp_path), table("r.bam", ["mapq"]))
    assert known.why == "not testable this way: a BAM has no variants"


def test_a_file_that_is_not_whole_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        known_variants.look(str(tmp_path), table())
    (tmp_path / "t.vcf.gz").write_bytes(b"no VCF")
    with pytest.raises(BgzfError, match=r"t\.vcf\.gz"):
        known_variants.look(str(tmp_path), table())
    bgzip(tmp_path / "t.vcf.gz", HEADER)
    with pytest.raises(ProblemError, match="a header and no record"):
        known_variants.look(str(tmp_path), table())
    bgzip(tmp_path / "b.bed.gz", "1\t50\t60\tx\n")
    with pytest.raises(FileNotFoundError):
        known_variants.look(str(tmp_path), table("b.bed.gz", [4]))


def test_the_vcf_is_sorted_and_has_each_once() -> None:
    given = [("X", 5), ("10", 7), ("2", 9), ("2", 8), ("GL1", 1), ("chr3", 1), ("10", 7), ("MT", 3), ("Y", 1)]
    text = known_variants.render([Variant(contig, position, "A", "C") for contig, position in given])
    lines = text.splitlines()
    contigs = [line[len("##contig=<ID=") : -1] for line in lines if line.startswith("##contig")]
    records = [tuple(line.split("\t")[:2]) for line in lines if not line.startswith("#")]
    assert contigs == ["2", "chr3", "10", "X", "Y", "MT", "GL1"]
    assert [contig for contig, _ in dict(records).items()] == contigs
    assert records[:2] == [("2", "8"), ("2", "9")] and len(records) == 8
    assert lines[0] == "##fileformat=VCFv4.2" and lines[-9].startswith("#CHROM\tPOS")


def test_values() -> None:
    assert known_variants.info_values("A=1;B=.;C;D=;E=.,.;F=.,2;=3;.;") == {"A": "1", "C": "", "F": ".,2"}


@needs_vcfanno
def test_vcfanno_knows_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data_folder(data, dict.fromkeys(PACKAGES, "1"))
    tables = [
        t for name, source in read_sources(data).items() for t in known_variants.tables_of(name, source["vcfanno"])
    ]
    tables += known_variants.tables_of("local", [{"file": LOCAL_BED, "columns": [4], "names": ["LOCAL__ARTEFACT"]}])
    known = [known_variants.look(str(data), found) for found in tables]
    assert all(found.names == tuple(found.table.names) for found in known)
    text = known_variants.render([variant for found in known for variant in found.variants])
    annotate(data / "vcfanno_config.toml", tmp_path / "o.vcf", "-base-path", str(data), folder=tmp_path, source=text)
    records = [line.split("\t") for line in (tmp_path / "o.vcf").read_text().splitlines() if line[0] != "#"]
    seen = set().union(*(known_variants.info_values(columns[7]) for columns in records))
    assert {name for found in known for name in found.names} <= seen
