"""module_utils/mapping_pattern.py: names that say something else than their fields, and no false alarm."""

from __future__ import annotations

import time

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.mapping_pattern import judge
from ansible_collections.ousamg.anno.plugins.module_utils.vcf_header import Info
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_rules import Row, Table
from support_validate import gnomad_exomes, gnomad_genomes

CLINVAR = [Row("CLINVARJSON", "CLINVARJSON", "first")]


def table(rows: list[Row], file: str = "variantDBs/gnomAD/gnomad.exomes.r2.1.1.norm.vcf.gz") -> Table:
    return Table(f"[[annotation]] 1 ({file})", file, False, tuple(rows))


def rows(*pairs: tuple[str, str]) -> list[Row]:
    return [Row(source, name, "first") for source, name in pairs]


def swapped(found: list[Row], name: str, source: str) -> list[Row]:
    """The row of that name, made from another field."""
    assert name in {row.name for row in found}
    return [row._replace(source=source) if row.name == name else row for row in found]


def test_the_south_asian_homozygotes_that_are_shown_as_other() -> None:
    description = "Count of homozygous individuals in samples of South Asian ancestry"
    infos = {"nhomalt_sas": Info("A", "Integer", description), "nhomalt_oth": Info("A", "Integer", "…")}
    exomes = gnomad_exomes(as_published=True)
    assert len(exomes) == 55
    (found,) = judge(table(exomes), infos)
    assert (found.code, found.severity, found.path) == ("mapping-odd", "warning", "vcfanno_config.toml")
    assert found.message == (
        "[[annotation]] 1 (variantDBs/gnomAD/gnomad.exomes.r2.1.1.norm.vcf.gz): GNOMAD_EXOMES__Hom_OTH is made from "
        'nhomalt_sas: what its readers take for "other" (oth) is "South Asian" (sas) (the file says of nhomalt_sas: '
        f"{description}); the same field is called GNOMAD_EXOMES__Hom_SAS as well. Expected: nhomalt_oth, as the other "
        "names of the table are made. What to do: Have someone who knows the source compare the two; then correct "
        "datasets.json and make the package anew."
    )
    # A field that the file does not have is not told to be the right one.
    (found,) = judge(table(exomes), {"nhomalt_sas": infos["nhomalt_sas"]})
    assert "Expected: a name that says what the field is." in found.message
    # Also where the file is not there to be asked.
    (found,) = judge(table(exomes), {})
    assert '"other" (oth) is "South Asian" (sas)' in found.message and "Expected: nhomalt_oth" in found.message


@pytest.mark.parametrize("found", [gnomad_exomes(), gnomad_genomes(), CLINVAR])
def test_the_other_public_tables_are_all_right(found: list[Row]) -> None:
    assert judge(table(found), {}) == []


def test_every_single_slip_in_the_exomes_is_found() -> None:
    """Each field in turn in place of each other one that differs in one word, as copying and editing does it."""
    right = gnomad_exomes()
    patterned = [row for row in right if "_" in row.source and row.source != "OLD_MULTIALLELIC"]
    slips = missed = 0
    for row in patterned:
        for other in patterned:
            if other is row or len(set(row.source.split("_")) ^ set(other.source.split("_"))) != 2:
                continue
            slips += 1
            told = judge(table(swapped(right, row.name, other.source)), {})
            odd = [found for found in told if found.code == "mapping-odd"]
            assert all(row.name in found.message for found in odd)
            missed += len(odd) != 1
    assert slips > 400
    assert missed == 0


def test_a_list_that_is_shifted_is_one_problem() -> None:
    right = gnomad_exomes()
    fields = [row.source for row in right]
    fields = [*fields[:20], *fields[21:], fields[20]]
    (found,) = judge(table([row._replace(source=source) for row, source in zip(right, fields)]), {})
    assert found.code == "mapping-odd"
    assert "28 of 55 names say something else" in found.message
    assert "GNOMAD_EXOMES__AF_SAS from AF_male" in found.message
    assert "shifted" in found.message


def test_a_very_long_table() -> None:
    """What takes time with the square of the rows would take minutes."""
    many = rows(*((f"A_{n}", f"B_{(n + 1) % 20_000}") for n in range(20_000)))
    begin = time.process_time()
    assert len(judge(table(many), {})) == 1
    assert time.process_time() - begin < 3


def test_two_names_of_a_small_table_that_were_exchanged() -> None:
    found = judge(table(rows(("ID", "H__ID"), ("CLASS", "H__GENE"), ("GENE", "H__CLASS"))), {})
    assert [problem.code for problem in found] == ["mapping-odd"] * 2


@pytest.mark.parametrize(
    "legal",
    [
        rows(("AF_popmax", "POPMAX_AF"), ("popmax", "POPMAX"), ("AF", "AF")),
        rows(("AC_Adj", "E__AC"), ("AN_Adj", "E__AN"), ("AC_Hom", "E__Hom"), ("AC_Het", "E__Het")),
        rows(("AC", "W__AC"), ("AC_OUS", "W__AC_OUS"), ("filter", "W__FILTER"), ("indb", "W__inDB")),
        [Row("AF", "MAX_AF", "max"), Row("AF", "MEAN_AF", "mean")],
        rows(("AC", "SWEGEN_AC")),
        [],
    ],
)
def test_what_is_legal(legal: list[Row]) -> None:
    assert judge(table(legal), {}) == []


def test_a_field_or_column_used_twice() -> None:
    twice = rows(("CLASS", "H__CLASS"), ("CLASS", "H__KIND"))
    (found,) = judge(table(twice), {})
    assert (found.code, found.message.count("H__")) == ("field-twice", 2)
    columns = table(rows(("4", "A"), ("4", "B")))._replace(by_column=True)
    assert [problem.code for problem in judge(columns, {})] == ["field-twice"]
