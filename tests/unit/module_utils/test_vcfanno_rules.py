"""module_utils/vcfanno_rules.py, with vcfanno itself as the judge of what it takes."""

from __future__ import annotations

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support_validate import Judge
from support_vcfanno import needs_vcfanno

OPS = ("self", "first", "concat", "count", "flag", "uniq", "by_alt", "max", "mean", "min", "sum", "div2")
OTHER_OPS = ("delete", "setid", "DP2", "median", "First", "", "lua:", "lua:1", "lua:mean(vals)", "LUA:1")
FIELDS = ("AC", "S", "FL", "PAIR", "ID", "NOPE")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge(tmp_path_factory.mktemp("judge"))


def toml(header: str, table: dict[str, Any]) -> str:
    """JSON texts, numbers and lists of them are the same in TOML."""
    return f"[[{header}]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def vcf(**changes: Any) -> str:
    table = {"file": "a.vcf.gz", "fields": ["AC"], "names": ["X"], "ops": ["first"], **changes}
    return toml("annotation", {key: value for key, value in table.items() if value is not None})


def bed(**changes: Any) -> str:
    return vcf(**{"file": "b.bed.gz", "fields": None, "columns": [4], **changes})


def bam(**changes: Any) -> str:
    return vcf(**{"file": "r.bam", "fields": ["mapq"], "ops": ["mean"], **changes})


def post(**changes: Any) -> str:
    table = {"fields": ["X"], "op": "self", "name": "Y", "type": "Float", **changes}
    return vcf() + toml("postannotation", {key: value for key, value in table.items() if value is not None})


def codes(judge: Judge, config: str) -> list[str]:
    """The other files of the judge's folder are of no table, which is not what is asked."""
    return [found.code for found in judge.ours(config) if found.code != "file-unknown"]


# Domain: what was measured, row by row: the configuration, vcfanno's exit status, what it annotates, and what we say.
ROWS = {
    "unknown op": (vcf(ops=["median"]), 1, "", ["op-unknown"]),
    "file missing": (vcf(file="gone.vcf.gz"), 1, "", ["file-missing"]),
    "TOML syntax error": ("[[annotation]\n", 2, "", ["config-syntax"]),
    "lua: op without a lua file": (vcf(ops=["lua:mean(vals)"]), 1, "", ["lua-missing"]),
    "field not in the VCF header": (vcf(fields=["NOPE"]), 0, ".", ["field-missing"]),
    "names longer than fields": (vcf(names=["X", "SURPLUS"]), 0, "X=3", ["lengths-differ"]),
    "no annotation at all": ("", 0, ".", ["config-empty"]),
    "names left out": (vcf(names=None), 0, "AC=3", []),
    "a field used twice": (
        vcf(fields=["S"] * 2, names=["X", "Y"], ops=["first"] * 2),
        0,
        "X=foo;Y=foo",
        ["field-twice"],
    ),
}


@needs_vcfanno
@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_what_was_measured(judge: Judge, row: str) -> None:
    config, status, info, expected = ROWS[row]
    assert judge.vcfanno(config) == (status, info)
    assert codes(judge, config) == expected


def test_lists_of_other_lengths_hide_nothing(judge: Judge) -> None:
    config = vcf(fields=["NOPE", "AC", "GONE"], names=["X", "Y", "Z", "Z"], ops=["first", "median"])
    told = ["field-missing", "field-missing", "lengths-differ", "name-twice", "op-unknown"]
    assert codes(judge, config) == told
    assert codes(judge, bed(columns=[4, 9], ops=["first"])) == ["column-missing", "lengths-differ"]


@needs_vcfanno
def test_the_rows_about_the_index(tmp_path: Path) -> None:
    judge = Judge(tmp_path)
    index = judge.data / "a.vcf.gz.tbi"
    file = judge.data / "a.vcf.gz"
    later = index.stat().st_mtime_ns + 5_000_000_000
    os.utime(file, ns=(later, later))
    assert judge.vcfanno(vcf()) == (0, "X=3")
    assert codes(judge, vcf()) == ["index-old"]
    index.unlink()
    assert judge.vcfanno(vcf())[0] == 1
    assert codes(judge, vcf()) == ["index-missing"]


def _family() -> list[str]:
    """Configurations with and without mistakes."""
    lists = (["AC"], [], ["AC", "S"], None, "AC", [1], [[]], {"a": 1})
    names = (["X"], [], ["X", "Y"], None, "X", [""], ["a b"], ["X_int"])
    ops = (["first"], [], ["first", "first"], None, "first", [1])
    family = [vcf(fields=[field], ops=[op]) for field in FIELDS for op in (*OPS, *OTHER_OPS)]
    family += [vcf(fields=f, names=n, ops=o) for f, n, o in itertools.product(lists[:4], names[:4], ops[:3])]
    family += [vcf(fields=value) for value in lists] + [vcf(names=value) for value in names]
    family += [vcf(ops=value) for value in ops]
    family += [vcf(file=value) for value in ("", ".", "..", None, 1, ["a"], "./a.vcf.gz", "a.vcf", "/etc/passwd")]
    family += [vcf(columns=[1]), vcf(fields=None, columns=[1]), vcf(bogus=1), vcf(Fields=["S"]), vcf() + vcf()]
    family += [bed(columns=[column], ops=[op]) for column in (4, 5) for op in (*OPS, *OTHER_OPS)]
    family += [bed(columns=value) for value in ([0], [-1], [6], [99], [], None, [4, 5], ["4"], [4.0], [True], 4)]
    family += [bed(names=value) for value in names] + [bed(ops=value) for value in ops]
    family += [bed(columns=None, fields=["name"])]
    family += [
        bam(fields=[field], ops=[op])
        for field in ("mapq", "seq", "depth", "DP2")
        for op in ("mean", "count", "sum", "first", "DP2", "x", "flag")
    ]
    family += [bam(fields=None), bam(fields=None, ops=None), bam(ops=None), bam(names=None), bam(fields=None, ops=[])]
    family += [bam(fields=["mapq", "seq"], ops=["mean", "concat"], names=["X", "Y"]), bam(file="gone.bam")]
    family += [post(op=op) for op in (*OPS, *OTHER_OPS)] + [post(op="div2", fields=["X", "X"])]
    family += [post(**{key: value}) for key in ("fields", "op", "name", "type") for value in (None, "", [], 1)]
    family += [post(type=value) for value in ("Flag", "Integer", "String", "float", "Number")]
    family += [post(name=None, type=None, op="delete"), post(bogus=1)]
    family += [
        text + vcf()
        for text in ("a = 1\na = 2\n", "base = 1\n", "x = {a = 1\n}\n", "a = 'x'\n", "[annotation]\n", "\0", "a = \n")
    ]
    family += [vcf().replace("annotation", "annotations")]
    family += [f"annotation = {value}\n" for value in ("1", "[1]", "[]")]
    return list(dict.fromkeys(family))


# What vcfanno takes without a word, and we do not.
SILENT = {
    "config-empty",
    "field-missing",
    "key-unknown",
    "lengths-differ",
    "name-invalid",
    "name-twice",
    "op-unfit",
    "op-unknown",
    "path-outside",
    "table-incomplete",
}


@needs_vcfanno
def test_what_vcfanno_rejects_is_rejected(judge: Judge) -> None:
    family = _family()
    assert len(family) >= 300
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda item: judge.vcfanno(item[1], f"{item[0]}.toml")[0], enumerate(family)))
    refused, taken, missed, strange = 0, 0, [], []
    for config, status in zip(family, results):
        errors = {found.code for found in judge.ours(config) if found.severity == "error"}
        if status != 0:
            refused += 1
            if not errors:
                missed.append(config)
        else:
            taken += 1
            if errors - SILENT:
                strange.append((errors, config))
    assert not missed
    assert not strange
    assert refused > 100 and taken > 100
