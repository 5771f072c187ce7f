"""module_utils/sources_json.py: entries replaced, everything else as it was written."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import SourcesError

ODD = """\
{ "vep":{"version":1.10,"timestamp" : null },
  "clinvar": {"version": "20230504",   "timestamp": "2023-05-04",
     "vcfanno": [ {"file": "variantDBs/clinvar/c.vcf.gz", "columns": [4], "names": ["A"]} ]},
"hgmd" :{"version":2023,"timestamp":true, "note": "\\u00e5 { } [ ] , \\" :"}, "æ": {"version": 1e400, "x": -0.0}
}
"""


def test_versions_are_as_they_are_written() -> None:
    found = sources_json.parse(ODD, "s")
    versions = {name: (source.version, source.timestamp) for name, source in found.items()}
    assert versions == {
        "vep": ("1.10", None),
        "clinvar": ("20230504", "2023-05-04"),
        "hgmd": ("2023", "true"),
        "æ": ("1e400", None),
    }
    assert found["clinvar"].vcfanno[0]["columns"] == [4]
    assert found["vep"].vcfanno == []


def test_entries_keep_every_byte() -> None:
    found = sources_json.parse(ODD, "s")
    assert found["vep"].text == '{"version":1.10,"timestamp" : null }'
    text = sources_json.render(found)
    for source in found.values():
        assert source.text in text
    assert '"æ"' in text
    assert list(json.loads(text)) == ["vep", "clinvar", "hgmd", "æ"]


def test_rendering_what_was_rendered_changes_nothing() -> None:
    once = sources_json.render(sources_json.parse(ODD, "s"))
    assert sources_json.render(sources_json.parse(once, "s")) == once


@pytest.mark.parametrize("text", ["{}", " { } \n"])
def test_no_entries(text: str) -> None:
    assert sources_json.parse(text, "s") == {}
    assert sources_json.render({}) == "{}\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "line 1, column 1"),
        ('{"a": {"version": 1},\n  "b": }', "line 2, column 8"),
        ('{"a": {}} x', "Extra data at line 1, column 11"),
        ("\ufeff{}", "BOM"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ('"text"', "no JSON object"),
        ('{"a": {}, "b": {}, "a": {}}', "'a' is in it twice"),
        ('{"a": {}, "\\u0061": {}}', "'a' is in it twice"),
        ('{"a": "1.0"}', "'a' is no object"),
        ('{"a": {"vcfanno": {}}}', "vcfanno of 'a'"),
        ('{"a": {"vcfanno": ["x"]}}', "vcfanno of 'a'"),
        ('{"a": {"vcfanno": [{"fields": []}]}}', "vcfanno of 'a'"),
        ('{"a": {"vcfanno": [{"file": 1}]}}', "vcfanno of 'a'"),
        ('{"a":' * 100_000, "nested too deeply|not JSON"),
        ('{"a": {"version": "\\ud800"}}', r"half of a character: '\\ud800'"),
        ('{"a\\udc00": {}}', "half of a character"),
        ('{"a": {"b": ' + "[" * 100_000 + "]" * 100_000 + "}}", "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, found: str) -> None:
    with pytest.raises(SourcesError, match=found) as caught:
        sources_json.parse(text, "data/sources.json")
    assert caught.value.path == "data/sources.json"


def test_a_number_of_any_length_is_kept() -> None:
    digits = "1" * 5000
    found = sources_json.parse(f'{{"a": {{"version": {digits}}}}}', "s")
    assert found["a"].version == digits


def test_an_entry_without_a_version() -> None:
    assert sources_json.parse('{"a": {"vcfanno": null}}', "s")["a"][2:] == (None, None)
