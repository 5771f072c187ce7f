"""module_utils/vcfanno_config.py: tables replaced, every other byte kept."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit
from ansible_collections.ousamg.anno.plugins.module_utils import vcfanno_config
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_config import ConfigError, Update

TEXT = """\
# made by hand
title = "anno"   # kept

# ClinVar: ask before changing
[[annotation]]
file="variantDBs/clinvar/clinvar_1.vcf.gz"   # the file
fields = [
  "CLINVARJSON", # hexadecimal
]
names = ["CLINVARJSON"]
ops = ["first"]

[[postannotation]]
fields = ["A", "B"]
op = "sum"
name = 'A_B'
type = "Integer"

# local regions
[[annotation]]
file = "local/regions.bed.gz"
columns = [4]
names = ["LOCAL"]
ops = ["first"]
# the end
"""


def table(file: str, *fields: str) -> dict[str, Any]:
    names = list(fields or ("CLINVARJSON",))
    return {"file": file, "fields": names, "names": names, "ops": ["first"] * len(names)}


def update(*tables: dict[str, Any], destination: str = "variantDBs/clinvar") -> Update:
    return Update(destination, tables)


def rebuild(text: str, *updates: Update) -> str:
    result = vcfanno_config.rebuild(text, updates, "config")
    assert vcfanno_config.rebuild(result, updates, "config") == result, "the same update again changes nothing"
    return result


def files(text: str) -> list[str]:
    return [annotation["file"] for annotation in tomlkit.parse(text).get("annotation", [])]


CLINVAR_2 = table("variantDBs/clinvar/clinvar_2.vcf.gz")


def test_only_the_file_changes_where_only_the_file_differs() -> None:
    assert rebuild(TEXT, update(CLINVAR_2)) == TEXT.replace("clinvar_1", "clinvar_2")


def test_what_is_the_same_is_not_touched() -> None:
    assert rebuild(TEXT, update(table("variantDBs/clinvar/clinvar_1.vcf.gz"))) == TEXT
    assert rebuild(TEXT) == TEXT


def test_a_second_table_follows_the_first() -> None:
    second = table("variantDBs/clinvar/second.vcf.gz", "X")
    result = rebuild(TEXT, update(CLINVAR_2, second))
    assert files(result) == [CLINVAR_2["file"], second["file"], "local/regions.bed.gz"]
    kept = TEXT.replace("clinvar_1", "clinvar_2")
    at = kept.index("\n[[postannotation]]")
    assert result.startswith(kept[:at])
    assert result.endswith(kept[at:])


def test_a_table_that_goes_leaves_the_comments_of_its_neighbours() -> None:
    result = rebuild(TEXT, update())
    assert "clinvar_1" not in result
    assert result.startswith('# made by hand\ntitle = "anno"   # kept\n')
    assert result.endswith(TEXT[TEXT.index("[[postannotation]]") :])


def test_a_new_package_comes_at_the_end() -> None:
    hgmd = table("variantDBs/hgmd/h.vcf.gz", "ID")
    result = rebuild(TEXT, update(hgmd, destination="variantDBs/hgmd"))
    assert result.startswith(TEXT)
    assert tomlkit.parse(result)["annotation"][2].unwrap() == hgmd  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "# empty", 'title = "no newline at the end"'])
def test_a_text_without_tables(text: str) -> None:
    result = rebuild(text, update(CLINVAR_2))
    assert result.startswith(text)
    assert files(result) == [CLINVAR_2["file"]]


def test_a_folder_that_begins_alike_is_another() -> None:
    text = '[[annotation]]\nfile = "variantDBs/clinvar_old/c.vcf.gz"\n'
    assert rebuild(text, update(CLINVAR_2)).startswith(text)


@pytest.mark.parametrize("file", ["./variantDBs//clinvar/c.vcf.gz", "variantDBs/x/../clinvar/c.vcf.gz"])
def test_paths_are_compared_by_their_meaning(file: str) -> None:
    assert files(rebuild(f'[[annotation]]\nfile = "{file}"\n', update(CLINVAR_2))) == [CLINVAR_2["file"]]


def test_former_files_are_replaced_wherever_they_lie() -> None:
    text = '[[annotation]]\nfile = "old/place.vcf.gz"\n'
    moved = Update("variantDBs/clinvar", [CLINVAR_2], ("old/place.vcf.gz",))
    assert files(vcfanno_config.rebuild(text, [moved], "c")) == [CLINVAR_2["file"]]


def test_several_packages_whose_tables_are_mixed() -> None:
    text = "".join(f'[[annotation]]\nfile = "{name}/{n}"\n' for n in (1, 2) for name in ("a", "b"))
    new_a = [table("a/3"), table("a/4")]
    assert files(rebuild(text, Update("a", new_a), Update("b", []))) == ["a/3", "a/4"]
    assert files(rebuild(text, Update("a", new_a))) == ["a/3", "b/1", "a/4", "b/2"]


def test_the_keys_of_a_table_follow() -> None:
    text = '[[annotation]]\nfile = "a/1"\ncolumns = [4] # fourth\nnames = ["A"]\nops = ["first"]\n'
    (found,) = tomlkit.parse(rebuild(text, Update("a", [table("a/2", "X", "Y")])))["annotation"].unwrap()
    assert found == table("a/2", "X", "Y")


def test_headers_within_strings_and_arrays_are_no_headers() -> None:
    text = (
        "[[postannotation]]\n"
        'op = """lua:\n[[annotation]]\nfile = "variantDBs/clinvar/in a string"\n"""\n'
        "other = '''\n[x]\n'''\n"
        'fields = [\n["A"],\n  [ "B" ]\n]\n'
        '[[annotation]]\nfile = "variantDBs/clinvar/c_1.vcf.gz"\n'
    )
    result = rebuild(text, update(CLINVAR_2))
    at = text.rindex("[[annotation]]")
    assert result.startswith(text[:at])
    assert files(result) == [CLINVAR_2["file"]]


def test_windows_line_ends_stay() -> None:
    text = TEXT.replace("\n", "\r\n")
    assert rebuild(text, update(CLINVAR_2)) == text.replace("clinvar_1", "clinvar_2")
    removed = rebuild(text, update())
    assert removed.replace("\r\n", "").count("\n") == 0
    assert files(removed) == ["local/regions.bed.gz"]


def test_headers_with_spaces_and_comments() -> None:
    text = '  [[ annotation ]]  # c\n  file = "variantDBs/clinvar/c_1" # f\n\t[[annotation]]\nfile = "b/1"\n'
    assert rebuild(text, update({"file": "variantDBs/clinvar/c_2"})) == text.replace("c_1", "c_2")


def test_a_table_without_a_file_stays() -> None:
    text = '[[annotation]]\nnames = ["A"]\n'
    assert rebuild(text, update()) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a = ", "in the middle|line 1"),
        ("[[annotation]]\nfile = \"x\"\nfile = \"y\"\n", "not TOML.*exists"),
        ("[[annotation]]\nfile == 1\n", "line 2"),
        ('[[annotation]]\nfile = "not closed\n', "not TOML"),
        ("[annotation]\nfile = 'x'\n", "one inline array|not TOML"),
        ('annotation = [{file = "x"}]\n', "one inline array"),
        ("annotation = 1\n", "one inline array"),
        ("{}", "not TOML"),
        ("\0", "not TOML"),
    ],
)
def test_what_is_refused(text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found) as caught:
        vcfanno_config.rebuild(text, [update(CLINVAR_2)], "data/vcfanno_config.toml")
    assert caught.value.path == "data/vcfanno_config.toml"
    assert caught.value.todo


@pytest.mark.parametrize("reader", ["tomllib", "tomlkit"])
def test_parse_gives_plain_values(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if reader == "tomlkit":
        monkeypatch.setattr(vcfanno_config, "_fast_loads", None)
    found = vcfanno_config.parse(TEXT, "config")
    assert found["annotation"][1] == {
        "file": "local/regions.bed.gz",
        "columns": [4],
        "names": ["LOCAL"],
        "ops": ["first"],
    }
    assert type(found["annotation"][0]["fields"]) is list
    for text in ("a = 1\nfile == 1\n", "a = 1\nb = [1"):
        with pytest.raises(ConfigError, match=r"not TOML: .*line 2"):
            vcfanno_config.parse(text, "config")
    with pytest.raises(ConfigError, match="not TOML"):
        vcfanno_config.parse("a = " + "[" * 100_000, "config")


@pytest.mark.parametrize("text", ["", '[[annotation]]\nfile = "variantDBs/clinvar/1"\n'])
@pytest.mark.parametrize("value", [None, [None], {"a": None}, {}, [{"a": 1}], [["a"]]])
def test_a_value_that_toml_does_not_have_or_that_is_no_value_of_vcfanno_is_refused(text: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"variantDBs/clinvar/2"):
        vcfanno_config.rebuild(text, [update({"file": "variantDBs/clinvar/2", "fields": value})], "config")


def test_a_table_below_an_annotation_is_refused() -> None:
    text = '[[annotation]]\nfile = "local/1"\n[[annotation]]\nfile = "variantDBs/clinvar/1"\n[annotation.more]\nx = 1\n'
    with pytest.raises(ConfigError, match="a table below annotation"):
        vcfanno_config.rebuild(text, [update()], "config")


def test_without_tomlkit_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcfanno_config, "HAS_TOMLKIT", False)
    with pytest.raises(ConfigError, match="tomlkit") as caught:
        vcfanno_config.rebuild("", [], "config")
    assert "Install tomlkit" in caught.value.todo


def test_many_comments_are_no_trouble() -> None:
    text = "# a line\n" * 1_000 + '[[annotation]]\nfile = "variantDBs/clinvar/1"\n' + "# a line\n" * 1_000
    assert files(rebuild(text, update(CLINVAR_2))) == [CLINVAR_2["file"]]
