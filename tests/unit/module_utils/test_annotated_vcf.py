"""module_utils/annotated_vcf.py, with headers that the real vcfanno has written, and with files that are none."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path
from typing import Any

import pysam
import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import annotated_vcf
from ansible_collections.ousamg.anno.plugins.module_utils.annotated_vcf import (
    MAX_HEADER,
    AnnotatedVcfError,
    Header,
    Info,
    Missing,
    as_error,
    inspect,
    missing,
)
from sandbox.packages import LOCAL_BED
from sandbox.vcf import write_bed
from support_vcfanno import INPUT, annotate, annotated_sample, needs_vcfanno

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
CLINVAR = "variantDBs/clinvar/clinvar_1.vcf.gz"
HEADER = f"""\
##fileformat=VCFv4.2
##contig=<ID=1>
##contig=<ID=2>
##INFO=<ID=CLINVARJSON,Number=1,Type=String,Description="ClinVar (from /anno/data/{CLINVAR})">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=LOST,Number=1,Type=String,Description="calculated by first of overlapping values in field GONE from /anno/data/{CLINVAR}">
##vcfanno=0.3.4
##vcfanno=0.3.5
{COLUMNS}\tFORMAT\tA\tB
"""  # noqa: E501
RECORD = "1\t100\t.\tA\tC\t.\tPASS\tDP=30\tGT\t0/1\t0/1\n"
PARSED = Header(
    "0.3.5",
    (
        Info("CLINVARJSON", "1", "String", CLINVAR, False),
        Info("DP", "1", "Integer", None, False),
        Info("LOST", "1", "String", CLINVAR, True),
    ),
    samples=2,
    contigs=2,
    runs=2,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.vcf"


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def with_info(line: str) -> str:
    return f"##fileformat=VCFv4.2\n{line}\n{COLUMNS}\n"


def refused(path: Path, found: str) -> None:
    with pytest.raises(AnnotatedVcfError, match=found) as caught:
        inspect(str(path))
    assert caught.value.path == str(path) and caught.value.expected and caught.value.todo


# What vcfanno writes


@needs_vcfanno
def test_a_sample_annotated_by_vcfanno_as_anno_does_it(tmp_path: Path) -> None:
    path, tables = annotated_sample(tmp_path)
    header = inspect(str(path), str(tmp_path / "data"))
    assert header.vcfanno and header.vcfanno in subprocess.run(["vcfanno"], capture_output=True, text=True).stderr
    assert header.sources == {table["file"]: sorted(names_of(table)) for table in sorted(tables, key=names_of)}
    assert missing(header, tables) == []
    rest = {info.name: info.source for info in header.infos if info.source is None}
    assert rest == {"DP": None, "GNOMAD__AC": None}, "the input's own and the post-annotation"
    assert (header.samples, header.contigs) == (1, 1)
    absolute = inspect(str(path)).sources
    assert set(absolute) == {f"{tmp_path}/data/{file}" for file in header.sources}


def names_of(table: Any) -> list[str]:
    return list(table["names"])


@needs_vcfanno
def test_another_release_of_a_package_and_a_name_that_no_file_gives(tmp_path: Path) -> None:
    path, tables = annotated_sample(tmp_path, "2")
    header = inspect(str(path), str(tmp_path / "data"))
    wanted = [{"file": CLINVAR, "names": ["CLINVARJSON", "OTHER"]}, {"file": LOCAL_BED, "fields": ["DP"]}]
    assert missing(header, [*tables, *wanted]) == [
        Missing(CLINVAR, "CLINVARJSON", CLINVAR.replace("_1", "_2"), f"comes from {CLINVAR.replace('_1', '_2')}"),
        Missing(CLINVAR, "OTHER", None, "is not in the header"),
        Missing(LOCAL_BED, "DP", None, "comes from no file"),
    ]


ODD_FILE = "odd (2) from_1.vcf.gz"
ODD = """\
##fileformat=VCFv4.2
##INFO=<ID=AF,Number=A,Type=Float,Description="A "share" (of all), \\"quoted\\" (from /old/x.vcf.gz)",Version="3">
##INFO=<ID=F,Number=0,Type=Flag,Description="">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
1\t100100\trs1\tA\tC\t.\tPASS\tAF=0.5;F
"""
ODD_CONFIG = f"""
[[annotation]]
file = "{ODD_FILE}"
fields = ["AF", "F", "F", "ID", "FILTER", "AF", "AF", "GONE"]
names = ["af", "copied", "flag", "id", "filter", "max", "lua", "gone"]
ops = ["self", "first", "flag", "self", "first", "max", "lua:join(vals, \\", (from x.gz)\\")", "self"]
[[annotation]]
file = "regions.bed.gz"
columns = [4, 4]
names = ["region", "max"]
ops = ["self", "uniq"]
[[annotation]]
file = "reads.bam"
fields = ["mapq", "mapq"]
names = ["quality", "mean"]
ops = ["first", "mean"]
[[postannotation]]
fields = ["af"]
op = "max"
name = "post"
type = "Float"
"""


def odd_data(folder: Path) -> None:
    with pysam.BGZFile(str(folder / ODD_FILE), "wb") as stream:
        stream.write(ODD.encode())
    pysam.tabix_index(str(folder / ODD_FILE), preset="vcf")
    write_bed(folder / "regions.bed.gz", [("1", 100_000, 120_000, "alu")])
    reads = str(folder / "reads.bam")
    with pysam.AlignmentFile(reads, "wb", header={"HD": {"VN": "1.6"}, "SQ": [{"SN": "1", "LN": 200_000}]}):
        pass
    pysam.index(reads)
    (folder / "odd.toml").write_text(ODD_CONFIG)
    (folder / "odd.lua").write_text("function join(values, by) return table.concat(values, by) end\n")


@needs_vcfanno
@pytest.mark.parametrize("base", ["", "data", "../{name}/data/", "{top}/data"])
def test_every_way_in_which_vcfanno_writes_a_source(tmp_path: Path, path: Path, base: str) -> None:
    base = base.format(name=tmp_path.name, top=tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    odd_data(data)
    options = ["-lua", str(data / "odd.lua"), *(["-base-path", base] if base else [])]
    annotate(data / "odd.toml", path, *options, folder=tmp_path if base else data)
    header = inspect(str(path), base)
    sources = {info.name: info.source for info in header.infos}
    assert sources == {
        **dict.fromkeys(("af", "copied", "flag", "id", "filter", "lua", "gone"), ODD_FILE),
        "region": "regions.bed.gz",
        "max": "regions.bed.gz",  # of two tables that give a name the later one counts
        **dict.fromkeys(("quality", "mean"), "reads.bam"),
        "post": None,
        "DP": None,
    }
    assert [info.name for info in header.infos if info.empty] == ["gone"]
    assert "gone=" not in path.read_text(), "vcfanno says so nowhere else"
    kinds = {info.name: (info.number, info.type) for info in header.infos}
    assert (kinds["af"], kinds["flag"], kinds["post"]) == (("A", "Float"), ("0", "Flag"), (".", "Float"))


@needs_vcfanno
def test_a_sample_that_is_annotated_twice(tmp_path: Path, path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        odd_data(tmp_path / name)
    options = ["-ends", "-lua", str(tmp_path / "first/odd.lua")]
    annotate(tmp_path / "first/odd.toml", path, *options, "-base-path", "first", folder=tmp_path)
    annotate(
        tmp_path / "second/odd.toml", path, *options, "-base-path", "second", folder=tmp_path, source=path.read_bytes()
    )
    header = inspect(str(path))
    assert set(header.sources) == {f"second/{name}" for name in (ODD_FILE, "regions.bed.gz", "reads.bam")}
    assert {"left_af", "right_af", "left_region"} <= {info.name for info in header.infos if info.source}
    assert path.read_text().count("##vcfanno=") == 2


@needs_vcfanno
def test_lua_code_of_several_lines_breaks_the_header(tmp_path: Path, path: Path) -> None:
    odd_data(tmp_path)
    config = tmp_path / "lines.toml"
    text = '[[annotation]]\nfile = "{}"\nfields = ["AF"]\nnames = ["af"]\nops = ["lua:\\nvals[1]\\n"]\n'
    config.write_text(text.format(ODD_FILE))
    annotate(config, path, "-lua", str(tmp_path / "odd.lua"), folder=tmp_path)
    refused(path, r"line \d+ is no INFO line .* by lua:'.*lua op .* on one line")


@pytest.mark.parametrize(
    ("description", "source", "empty"),
    [
        ("Depth", None, False),
        ("", None, False),
        ("Depth (from the caller)", None, False),
        ("calculated field: POST", None, False),
        (" (from a.vcf.gz)", "a.vcf.gz", False),
        ("Old (from a.vcf.gz) (from b.vcf.bgz)", "b.vcf.bgz", False),
        ("x (from a.vcf.gz) at end left", "a.vcf.gz", False),
        ("calculated by self of overlapping values in field X from a.vcf.gz at end right", "a.vcf.gz", True),
        ("calculated by first of overlapping values in field ID from a.vcf.gz", "a.vcf.gz", False),
        ("calculated by max of overlapping values in field X from a.vcf.gz", "a.vcf.gz", False),
        ("calculated by self of overlapping values in column 4 from a.bed.gz", "a.bed.gz", False),
        ("calculated by mean of overlapping values in field mapq from a.bam", "a.bam", False),
        (" (from a.bam)", "a.bam", False),
        ("calculated by hand", None, False),
    ],
)
def test_a_description_tells_the_source(path: Path, description: str, source: str | None, empty: bool) -> None:
    line = f'##INFO=<ID=X,Number=.,Type=String,Description="{description}">'
    assert inspect(write(path, with_info(line))).infos == (Info("X", ".", "String", source, empty),)


@pytest.mark.parametrize(
    ("base_path", "source"),
    [
        (None, "/anno/data/clinvar/a.vcf.gz"),
        ("/anno/data", "clinvar/a.vcf.gz"),
        ("/anno/data/", "clinvar/a.vcf.gz"),
        ("/anno/./data/clinvar", "a.vcf.gz"),
        ("/", "anno/data/clinvar/a.vcf.gz"),
        ("/anno/dat", "/anno/data/clinvar/a.vcf.gz"),
        ("/else", "/anno/data/clinvar/a.vcf.gz"),
    ],
)
def test_sources_below_the_base_path_are_relative_to_it(path: Path, base_path: str | None, source: str) -> None:
    line = '##INFO=<ID=X,Number=.,Type=String,Description="X (from /anno/data//clinvar/a.vcf.gz)">'
    assert inspect(write(path, with_info(line)), base_path).sources == {source: ["X"]}


# How the file is packed


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["plain", "gzip", "bgzip", "in many pieces"])
def test_the_same_header_however_it_is_packed(path: Path, form: str, end: str) -> None:
    content = (HEADER + RECORD).replace("\n", end).encode()
    if form == "bgzip":
        with pysam.BGZFile(str(path), "wb") as stream:
            stream.write(content)
    else:
        pieces = [content[start : start + 50] for start in range(0, len(content), 50)]
        packed = {"plain": content, "gzip": gzip.compress(content)}
        write(path, packed.get(form) or b"".join(gzip.compress(piece) for piece in pieces))
    assert inspect(str(path), "/anno/data") == PARSED


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS + "\tFORMAT"])
def test_a_vcf_without_samples_and_without_vcfanno(path: Path, columns: str) -> None:
    assert inspect(write(path, f"##fileformat=VCFv4.3\n{columns}\n")) == Header(None, (), 0, 0, 0)


@pytest.mark.parametrize("form", ["plain", "bgzip"])
def test_a_file_of_10_gb_costs_its_header(path: Path, form: str) -> None:
    content = (HEADER + RECORD).encode()
    if form == "bgzip":
        with pysam.BGZFile(str(path), "wb") as stream:
            stream.write(content)
    else:
        write(path, content)
    os.truncate(path, 10 << 30)
    before = bytes_read()
    assert inspect(str(path), "/anno/data") == PARSED
    assert bytes_read() - before < 1 << 20


def bytes_read() -> int:
    """By this process, all in all."""
    return int(Path("/proc/self/io").read_text().split()[1])


# What is no such file


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "it is empty"),
        (gzip.compress(b"", mtime=0), "it is empty"),
        ("<html>Not found</html>\n", "it begins with b'<html>"),
        (gzip.compress(b"BCF\2\2", mtime=0), "it begins with b'BCF"),
        (b"\x1f", r"it begins with b'\\x1f'"),
        (b"\x1f\x8b\x08junk that is not gzip data", "gzip data .* damaged"),
        (b"\x1f\x8bxx", "gzip data .* damaged"),
        ("##fileformat=VCFv4.2\n" + RECORD, "line 2, before the #CHROM line, is no header line"),
        ("##fileformat=VCFv4.2\n\n" + COLUMNS + "\n", "line 2, before the #CHROM line, is no header line"),
        ("##fileformat=VCFv4.2\n##contig=<ID=1>\n", "it ends after line 2"),
        ("##fileformat=VCFv4.2", "it ends after line 1"),
        ("##fileformat=VCFv4.2\n##conti", "it ends in the middle of line 2"),
        ("##fileformat=VCFv4.2\n" + COLUMNS, "it ends in the middle of line 2"),
        ("##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\n", "its columns, in line 2"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\n", "its columns, in line 2"),
        (with_info("##INFO=<ID=X>"), "line 2 is no INFO line"),
        (with_info('##INFO=<Number=1,ID=X,Type=String,Description="x">'), "line 2 is no INFO line"),
        (with_info("##INFO=<ID=X,Number=1,Type=String,Description=x>"), "line 2 is no INFO line"),
        (with_info('##INFO=<ID=X,Number=1,Type=String,Description="\xfc">').encode("latin-1"), "line 2 is not UTF-8"),
        (with_info("##vcfanno=\xfc").encode("latin-1"), "line 2 is not UTF-8"),
    ],
)
def test_what_is_no_annotated_vcf(path: Path, content: str | bytes, found: str) -> None:
    write(path, content)
    refused(path, found)


def test_a_gzip_file_that_is_cut_off_anywhere_in_its_header(path: Path) -> None:
    packed = gzip.compress(HEADER.encode())
    for length in range(2, len(packed)):
        write(path, packed[:length])
        try:
            assert inspect(str(path), "/anno/data") == PARSED, "the header is whole, and no more is looked at"
        except AnnotatedVcfError as error:
            assert "end too early" in error.found
    write(path, packed[: len(packed) // 2])
    refused(path, "end too early")


@pytest.mark.parametrize("form", ["lines", "one line", "compressed"])
def test_a_header_that_does_not_end(path: Path, form: str) -> None:
    start = b"##fileformat=VCFv4.2\n##x="
    if form == "one line":
        write(path, start)
        os.truncate(path, 10 << 30)
    else:
        lines = (b"#" * 1023 + b"\n") * ((MAX_HEADER >> 10) + 1)
        write(path, start + lines if form == "lines" else gzip.compress(start + lines, 1))
    before = bytes_read()
    refused(path, f"its header has not ended after {MAX_HEADER} bytes")
    assert bytes_read() - before < MAX_HEADER + (1 << 20)


def test_a_header_just_within_the_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, HEADER + RECORD)
    monkeypatch.setattr(annotated_vcf, "MAX_HEADER", len(HEADER) + 1)
    assert inspect(str(path), "/anno/data") == PARSED
    monkeypatch.setattr(annotated_vcf, "MAX_HEADER", len(HEADER))
    refused(path, "its header has not ended")


def test_a_long_line_full_of_what_is_looked_for_takes_no_long_time(path: Path) -> None:
    description = ' (from ") of overlapping values in  from ' * 100_000
    for ending, end in (('">', ""), ("", "no INFO line"), (')">', "")):
        write(path, with_info(f'##INFO=<ID=X,Number=1,Type=String,Description="calculated by {description}{ending}'))
        if end:
            refused(path, end)
        else:
            assert inspect(str(path)).infos[0].name == "X"


def test_a_fifo_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    refused(path, "it is no regular file")


def test_a_folder_and_nothing(tmp_path: Path, path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        inspect(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        inspect(str(path))


# What is expected of it


def test_names_are_compared_with_their_files() -> None:
    assert missing(PARSED, []) == []
    assert missing(PARSED, [{"file": f"./{CLINVAR}", "fields": ["CLINVARJSON"], "ops": ["first"]}]) == []
    fields_renamed = {"file": CLINVAR, "fields": ["DP"], "names": ["CLINVARJSON"]}
    assert missing(PARSED, [fields_renamed]) == []
    reason = "has no value, since the file has no such field"
    assert missing(PARSED, [{"file": CLINVAR, "names": ["LOST"]}]) == [Missing(CLINVAR, "LOST", CLINVAR, reason)]


def test_the_message_names_the_first_of_many() -> None:
    absent = missing(PARSED, [{"file": CLINVAR, "names": [f"N{number}" for number in range(7)]}])
    text = as_error("/output.vcf", absent).text()
    assert text.startswith(f"/output.vcf: N0 (expected from {CLINVAR}) is not in the header; N1 ")
    assert "N4" in text and "N5" not in text and "and 2 more" in text


@pytest.mark.parametrize(
    "table", [{}, {"file": "a"}, {"file": 1, "names": ["A"]}, {"file": "a", "names": "A"}, {"file": "a", "names": [1]}]
)
def test_what_is_no_table(table: dict[str, Any]) -> None:
    with pytest.raises(AnnotatedVcfError, match="is no such table"):
        missing(PARSED, [table])


def test_the_input_of_these_tests_is_not_annotated(path: Path) -> None:
    assert inspect(write(path, INPUT)).sources == {}
