"""Release manifests: what is accepted, what is refused with which words, and manifests derived from artifacts."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import VersionError
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import (
    SCHEMA,
    ArchiveFound,
    ImageFound,
    ManifestError,
    PackageFound,
    ReleaseManifest,
    derive,
    dump,
    load,
)

jsonschema = pytest.importorskip("jsonschema")
yaml = pytest.importorskip("yaml")

SHA = "0123456789abcdef" * 4
OTHER_SHA = "f" * 64
TEXT = f"""---
# A comment.
version: v3.2.0
ella_anno: v2.7.1a
kind: minor
packages:
  - {{name: hgmd, version: 2023.10, repository: anno-targets}}
  - {{name: clinvar, version: 20240107, repository: ella-anno}}
archive: {{file: clinvar_20240107-hgmd_2023.10.tar, size: 10240, sha256: {SHA}}}
image:
  file: anno-v3.2.0.sif
  size: 40960
  sha256: {OTHER_SHA}
  versions: {{ella_anno: v2.7.1a, anno_targets: v3.2.0}}
tracks: [clinvar, gnomad.exomes]
issue: https://gitlab.example.org/anno-targets/-/issues/1
created: 2024-01-10 10:00:00+01:00
"""


def document() -> dict[str, Any]:
    return copy.deepcopy(load(TEXT, "v3.2.0.yml").as_dict())


def read(content: Any, path: str = "m.yml") -> ReleaseManifest:
    return load(yaml.safe_dump(content), path)


def problems(content: Any, path: str = "m.yml") -> list[str]:
    with pytest.raises(ManifestError) as error:
        load(content, path) if isinstance(content, str) else read(content, path)
    assert error.value.path == path
    assert error.value.todo
    return error.value.found.split("; ")


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_load() -> None:
    manifest = load(TEXT, "releases/v3.2.0.yml")
    assert manifest.version == "v3.2.0"
    assert [(p.name, p.version) for p in manifest.packages] == [("clinvar", "20240107"), ("hgmd", "2023.10")]
    assert manifest.archive is not None
    assert manifest.archive.size == 10240
    assert manifest.image is not None
    assert manifest.image.versions == {"ella_anno": "v2.7.1a", "anno_targets": "v3.2.0"}
    assert manifest.tracks == ("clinvar", "gnomad.exomes")
    assert manifest.created == "2024-01-10T09:00:00Z"


def test_dump_and_load_are_inverse() -> None:
    manifest = load(TEXT, "v3.2.0.yml")
    text = dump(manifest, "Made by hand.")
    assert load(text, "v3.2.0.yml") == manifest
    assert text.startswith("---\n# Release v3.2.0")
    assert "# Made by hand.\n" in text
    assert [line.partition(":")[0] for line in text.splitlines() if line[0] not in "#- "] == list(SCHEMA["properties"])


def test_yaml_mangles_nothing() -> None:
    for version in ("1.10", "012", "12:30", "1_000", "no", "2021-01-29", "1e3", "0x10", "20230504"):
        manifest = load(TEXT.replace("2023.10,", f"{version},"), "v3.2.0.yml")
        assert manifest.packages[1].version == version
        assert load(dump(manifest), "v3.2.0.yml") == manifest


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("2024-01-10", "2024-01-10"),
        ("'2024-01-10T10:00:00Z'", "2024-01-10T10:00:00Z"),
        ("2024-01-10T10:00:00", "2024-01-10T10:00:00Z"),
        ("2024-01-10T00:30:00+01:00", "2024-01-09T23:30:00Z"),
        ("2024-01-10 10:00:00.5 +00:00", "2024-01-10T10:00:00.500000Z"),
        ("null", None),
    ],
)
def test_created_is_normalised(written: str, normal: str) -> None:
    assert load(TEXT.replace("2024-01-10 10:00:00+01:00", written), "v3.2.0.yml").created == normal


def test_the_digest_is_of_the_content() -> None:
    digest = load(TEXT, "v3.2.0.yml").digest
    same = yaml.safe_dump(document(), sort_keys=True, default_flow_style=True)
    assert load(f"# Other comment.\n{same}", "elsewhere.yml").digest == digest
    assert load(TEXT.replace("version: 20240107", "version: '20240107'"), "v3.2.0.yml").digest == digest
    for key, value in (("issue", None), ("ella_anno", "v2.7.1"), ("created", None), ("tracks", [])):
        assert read({**document(), key: value}).digest != digest


@pytest.mark.parametrize("key", list(SCHEMA["properties"]))
def test_a_missing_key_is_named(key: str) -> None:
    content = document()
    del content[key]
    assert problems(content) == [f"the key {key} is missing"]


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("version",), "3.2.0", "version is '3.2.0', expected a version tag"),
        (("version",), None, "version is null, expected a version tag"),
        (("ella_anno",), "latest", "ella_anno is 'latest'"),
        (("kind",), "big", "kind is 'big', expected major or minor or patch or data"),
        (("packages",), {}, "packages is a mapping, expected a list"),
        (("packages", 1, "name"), "two words", "packages[1].name is 'two words'"),
        (("packages", 0, "version"), None, "packages[0].version is null"),
        (("packages", 0, "repository"), "gitlab", "packages[0].repository is 'gitlab', expected ella-anno or anno-"),
        (("packages", 0, "size"), 3, "the key packages[0].size is unknown"),
        (("archive", "file"), "data/x.tar", "archive.file is 'data/x.tar', expected a plain file name"),
        (("archive", "file"), "..", "archive.file is '..'"),
        (("archive", "file"), ".hidden.tar", "archive.file is '.hidden.tar'"),
        (("archive", "size"), 0, "archive.size is 0, expected the size in bytes"),
        (("archive", "size"), "10240", "archive.size is '10240'"),
        (("archive", "sha256"), SHA.upper(), "expected 64 lower-case hexadecimal digits"),
        (("archive", "sha256"), SHA + "\n", "expected 64 lower-case hexadecimal digits"),
        (("archive", "sha256"), SHA[1:], "archive.sha256 is"),
        (("archive",), "x.tar", "archive is 'x.tar', expected the data archive with file, size and sha256, or null"),
        (("image", "md5"), "x", "the key image.md5 is unknown"),
        (("image", "versions"), {"ella_anno": "v2.7.1a"}, "the key image.versions.anno_targets is missing"),
        (("tracks",), None, "tracks is null, expected a list"),
        (("tracks", 0), "a/b", "tracks[0] is 'a/b'"),
        (("tracks", 0), "gnomad.exomes", "tracks is a list"),
        (("issue",), 7, "issue is 7"),
        (("created",), "yesterday", "created is 'yesterday', expected a date or a time"),
        (("created",), "2024-02-30", "created is '2024-02-30', which is no time of the calendar"),
        (("relase",), 1, "the key relase is unknown"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(place: tuple[Any, ...], value: Any, expected: str) -> None:
    content = document()
    inner: Any = content
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    (problem,) = problems(content)
    assert expected in problem


def test_all_problems_at_once() -> None:
    content = document()
    del content["issue"]
    del content["archive"]["sha256"]
    content["image"]["size"] = -1
    content["extra"] = 1
    content["created"] = "2024-13-01"
    found = problems(content)
    assert sorted(problem.split(",")[0] for problem in found) == [
        "created is '2024-13-01'",
        "image.size is -1",
        "the key archive.sha256 is missing",
        "the key extra is unknown",
        "the key issue is missing",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"archive": None, "image": None, "packages": []}, "archive and image are both null"),
        ({"kind": "data", "image": None}, "expected a letter in the version"),
        ({"version": "v3.2.0a"}, "expected a letter in the version"),
        ({"image": None}, "image is null in a release of the kind 'minor'"),
        ({"packages": []}, "packages are empty"),
        ({"archive": None}, "packages are listed without an archive"),
    ],
)
def test_contradictions(change: dict[str, Any], expected: str) -> None:
    assert any(expected in problem for problem in problems({**document(), **change}))


def test_a_package_named_twice() -> None:
    content = document()
    content["packages"].append({**content["packages"][0], "version": "other"})
    assert problems(content) == ["packages name 'clinvar' more than once"]


def test_code_only_and_data_only() -> None:
    assert read({**document(), "archive": None, "packages": []}).archive is None
    assert read({**document(), "image": None, "version": "v3.2.0a", "kind": "data"}).image is None


def test_the_file_is_named_after_its_version() -> None:
    assert problems(TEXT, "releases/v3.2.1.yml") == ["version is 'v3.2.0' in a file that is named after another"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: v1\n  kind: x\n", "line 2, column 7: mapping values"),
        ("a: [1, 2\nb: 3\n", "line 2, column 2"),
        ("kind: minor\nkind: major\n", "line 2, column 1: the key kind is there twice"),
        ("archive:\n  size: 1\n  size: 1\n", "line 3, column 3: the key size is there twice"),
        ("a: &x {}\nb: *x\n", "line 2, column 4: an alias is used"),
        ("a: 1\nb: \x01\n", "line 2, column 4: special characters"),
        ("--- 1\n--- 2\n", "line 2, column 1: but found another document"),
        ("? [a]\n: b\n", "line 1, column 3: found unhashable key"),
        ("a: !!python/object/apply:os.getcwd []\n", "line 1, column 4: could not determine a constructor"),
        ("[" * 5000, "nested too deeply"),
        ("", "it is empty"),
        ("# Nothing.\n", "it is empty"),
        ("- a\n", "it holds a list, expected a mapping"),
        ("just text\n", "it holds 'just text'"),
    ],
)
def test_bad_yaml(text: str, expected: str) -> None:
    assert expected in "; ".join(problems(text))


@pytest.mark.parametrize(("name", "package"), [("yaml", "PyYAML"), ("jsonschema", "jsonschema")])
def test_a_missing_library_is_named_when_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ManifestError, match=f"pip install {package}"):
        load(TEXT, "v3.2.0.yml")


def test_the_import_needs_the_standard_library_only() -> None:
    code = (
        "import sys; sys.modules['yaml'] = sys.modules['jsonschema'] = None\n"
        "import ansible_collections.ousamg.anno.plugins.module_utils.release_manifest\n"
    )
    collections = Path(__file__).resolve().parents[3] / "collections"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(collections)})


PACKAGES = [
    PackageFound("hgmd", "2023.4", "2024-01-07 12:00:00.25+02:00"),
    PackageFound("clinvar", "20240107", "2024-01-07T09:59:59"),
    PackageFound("fasta", "v37", "long ago"),
    PackageFound("vep", "110", None),
]
ARCHIVE = ArchiveFound("data.tar", 10240, SHA, PACKAGES)
IMAGE = ImageFound("anno-v3.2.0.sif", 40960, OTHER_SHA, "2024-01-10T09:00:00Z")


def test_derive_from_both() -> None:
    manifest = derive(ARCHIVE, IMAGE, None)
    assert manifest.as_dict() == {
        "version": "v3.2.0",
        "ella_anno": None,
        "kind": "minor",
        "packages": [
            {"name": "clinvar", "version": "20240107", "repository": None},
            {"name": "fasta", "version": "v37", "repository": None},
            {"name": "hgmd", "version": "2023.4", "repository": None},
            {"name": "vep", "version": "110", "repository": None},
        ],
        "archive": {"file": "data.tar", "size": 10240, "sha256": SHA},
        "image": {"file": "anno-v3.2.0.sif", "size": 40960, "sha256": OTHER_SHA, "versions": None},
        "tracks": [],
        "issue": None,
        "created": "2024-01-10T09:00:00Z",
    }
    assert load(dump(manifest, "Derived."), "v3.2.0.yml") == manifest
    assert derive(ARCHIVE._replace(packages=PACKAGES[::-1]), IMAGE, "v3.2.0").digest == manifest.digest


def test_derive_from_one() -> None:
    data = derive(ARCHIVE, None, "v3.2.0a")
    assert (data.kind, data.image, data.created) == ("data", None, "2024-01-07T10:00:00.250000Z")
    assert derive(ARCHIVE._replace(packages=PACKAGES[2:]), None, "v3.2.0a").created is None
    code = derive(None, IMAGE._replace(file="anno-targets_v4.0.0.sif"), None)
    assert (code.version, code.kind, code.archive, code.packages) == ("v4.0.0", "major", None, ())


@pytest.mark.parametrize(
    ("archive", "image", "release", "expected"),
    [
        (ARCHIVE, None, None, "-e release="),
        (ARCHIVE, None, "v3.2.0", "no image is given"),
        (None, IMAGE._replace(file="anno.sif"), None, "none. Expected: exactly one"),
        (None, IMAGE._replace(file="v1.0.0-v2.0.0.sif"), None, "v1.0.0, v2.0.0"),
        (ARCHIVE._replace(packages=[]), IMAGE, None, "packages are empty"),
        (ARCHIVE._replace(packages=[PackageFound("a", None, None)]), IMAGE, None, "packages[0].version is null"),
        (ARCHIVE._replace(file=".tar"), IMAGE, None, "archive.file is '.tar'"),
    ],
)
def test_artifacts_that_make_no_release(archive: Any, image: Any, release: str, expected: str) -> None:
    with pytest.raises(ManifestError) as error:
        derive(archive, image, release)
    assert expected in str(error.value)


def test_derive_refuses_a_release_that_is_no_version() -> None:
    with pytest.raises(VersionError):
        derive(None, IMAGE, "3.2.0")
