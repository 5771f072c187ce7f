"""Version tags: reading, order, kind, successors, and tags within names."""

from __future__ import annotations

import itertools
import random

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import (
    KINDS,
    AnnoVersion,
    VersionError,
    versions_in,
)

ORDER = [
    "v0.9.0",
    "v2.7.1-rc",
    "v2.7.1-rc2",
    "v2.7.1-rc10",
    "v2.7.1",
    "v2.7.1a-rc",
    "v2.7.1a",
    "v2.7.1b",
    "v2.7.2",
    "v2.10.0",
    "v10.0.0",
]
v = AnnoVersion.parse


@pytest.mark.parametrize("tag", ORDER)
def test_text_and_version_are_the_same_thing(tag: str) -> None:
    assert str(v(tag)) == tag
    assert v(str(v(tag))) == v(tag)


def test_parts() -> None:
    assert v("v2.7.1a") == AnnoVersion(2, 7, 1, "a", None)
    assert v("v2.7.1-rc").candidate == 0
    assert v("v2.7.1-rc3").candidate == 3


def test_order() -> None:
    for a, b in itertools.combinations(map(v, ORDER), 2):
        assert a < b
        assert b > a
        assert a.sort_key < b.sort_key
    shuffled = [v(tag) for tag in ORDER]
    random.Random(7).shuffle(shuffled)
    assert list(map(str, sorted(shuffled))) == ORDER


@pytest.mark.parametrize(
    "text",
    [
        "", "2.7.1", "v2.7", "v2.7.1A", "v2.7.1ab", "v02.7.1", "v2.7.1-rc0", "v2.7.1-RC",
        "v2.7.1-beta", " v2.7.1", "v2.7.1\n", "v2.7.1.2", "v٢.7.1", "v2.7." + "9" * 5000,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(VersionError) as error:
        v(text)
    assert repr(text[:80]) in str(error.value)
    assert "v2.7.1a" in error.value.expected


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("v3.0.0", "major"), ("v2.7.0", "minor"), ("v2.7.1", "patch"), ("v2.7.1a", "data"),
        ("v3.0.0a", "data"), ("v2.7.0-rc", "minor"), ("v0.0.0", "major"),
    ],
)
def test_kind(tag: str, kind: str) -> None:
    assert v(tag).kind == kind


@pytest.mark.parametrize(
    ("tag", "kind", "next_tag"),
    [
        ("v2.7.1", "data", "v2.7.1a"),
        ("v2.7.1a", "data", "v2.7.1b"),
        ("v2.7.1a", "patch", "v2.7.2"),
        ("v2.7.1", "minor", "v2.8.0"),
        ("v2.7.1b", "major", "v3.0.0"),
        ("v2.7.1-rc2", "patch", "v2.7.1"),
        ("v2.8.0-rc", "minor", "v2.8.0"),
        ("v2.8.0-rc", "patch", "v2.8.1"),
        ("v2.7.1-rc", "minor", "v2.8.0"),
        ("v3.0.0-rc", "major", "v3.0.0"),
    ],
)
def test_bump(tag: str, kind: str, next_tag: str) -> None:
    assert str(v(tag).bump(kind)) == next_tag


def test_the_next_release_is_of_its_kind_and_comes_later() -> None:
    for tag, kind in itertools.product(ORDER, KINDS):
        if kind == "data" and "-rc" in tag:
            continue
        assert v(tag).bump(kind).kind == kind
        assert v(tag).bump(kind) > v(tag)
        assert v(tag).bump(kind).candidate is None


@pytest.mark.parametrize(
    ("tag", "kind", "reason"),
    [("v2.7.1z", "data", "after z"), ("v2.7.1-rc", "data", "release candidate"), ("v2.7.1", "huge", "'huge'")],
)
def test_no_successor(tag: str, kind: str, reason: str) -> None:
    with pytest.raises(VersionError, match=reason) as error:
        v(tag).bump(kind)
    assert error.value.todo


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("anno-v3.2.0.sif", ["v3.2.0"]),
        ("anno-targets_v3.2.0.sif", ["v3.2.0"]),
        ("v3.2.0a", ["v3.2.0a"]),
        ("anno-v3.2.0-rc2.sif", ["v3.2.0-rc2"]),
        ("anno-v3.2.0-amd64.sif", ["v3.2.0"]),
        ("anno-v3.2.0_v3.2.0.sif", ["v3.2.0"]),
        ("ella-anno_v2.7.1a-targets_v3.2.0.sif", ["v2.7.1a", "v3.2.0"]),
        ("anno.sif", []),
        ("anno-v3.2.sif", []),
        ("anno-v3.2.0.1.sif", []),
        ("anno-v3.2.0-rc.1.sif", []),
        ("anno-v3.2.0-5-g1a2b3c4.sif", []),
        ("conv3.2.0.sif", []),
    ],
)
def test_tags_within_names(name: str, tags: list[str]) -> None:
    assert list(map(str, versions_in(name))) == tags
