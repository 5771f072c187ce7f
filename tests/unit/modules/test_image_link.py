"""The module image_link: what check mode predicts is what the run does, and only the run writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import files, image_link

IMAGES = Path(__file__).resolve().parents[2] / "fixtures" / "images"
OLD = "../archive/anno-v3.1.0.sif"
NEW = "../archive/anno-v3.2.0.sif"
Run = Callable[..., Any]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    (tmp_path / "anno-staging").mkdir()
    for source in IMAGES.glob("*.sif"):
        copy = tmp_path / "archive" / source.name
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o755)
    return tmp_path


@pytest.fixture
def link(site: Path) -> Path:
    path = site / "anno-staging" / "anno.sif"
    path.symlink_to(OLD)
    return path


def args(site: Path, **more: Any) -> dict[str, Any]:
    image = site / "archive" / "anno-v3.2.0.sif"
    return {
        "link": str(site / "anno-staging" / "anno.sif"),
        "image": str(image),
        "size": 40960,
        "sha256": hashlib.sha256((IMAGES / image.name).read_bytes()).hexdigest(),
        **more,
    }


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder: kind, mode, inode, times, and the text of links or the content of files."""
    tree = {}
    for path in sorted([root, *root.rglob("*")]):
        status = path.lstat()
        content: Any = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        tree[str(path)] = (status.st_mode, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, content)
    return tree


def target(link: Path) -> str | None:
    return os.readlink(link) if os.path.lexists(link) else None


def test_the_link_is_switched(run_module: Run, site: Path, link: Path) -> None:
    result = run_module("image_link", args(site))
    assert not result.failed
    assert (result["changed"], result["planned"]) == (True, True)
    assert (result["before"], result["after"]) == (OLD, NEW)
    assert result["image"] == str((site / "archive" / "anno-v3.2.0.sif").resolve())
    assert result["mode"] == "0775"
    assert target(link) == NEW
    assert (site / "archive" / "anno-v3.2.0.sif").stat().st_mode & 0o7777 == 0o775


@pytest.mark.parametrize("former", [OLD, NEW, "gone.sif", None])
@pytest.mark.parametrize("mode", ["0774", "0755"])
def test_check_mode_predicts_what_the_run_does(
    run_module: Run, site: Path, link: Path, former: str | None, mode: str
) -> None:
    link.unlink()
    if former is not None:
        link.symlink_to(former)
    wanted = args(site, mode=mode)
    before = snapshot(site)
    predicted = run_module("image_link", wanted, check=True, diff=True)
    assert snapshot(site) == before
    done = run_module("image_link", wanted, diff=True)
    assert done == predicted
    assert done["changed"] is (snapshot(site) != before)
    assert target(link) == done["after"] == NEW
    after = snapshot(site)
    second = run_module("image_link", wanted)
    assert (second["changed"], second["planned"], second["before"], second["after"]) == (False, False, NEW, NEW)
    assert snapshot(site) == after


def test_the_diff_shows_the_link(run_module: Run, site: Path, link: Path) -> None:
    shown = run_module("image_link", args(site, mode="0755"), check=True, diff=True)["diff"]
    assert (shown["before"], shown["after"]) == (f"{link} -> {OLD}\n", f"{link} -> {NEW}\n")


@pytest.mark.parametrize("former", [OLD, "gone.sif", "/nowhere/anno.sif", None])
def test_the_former_link_is_restored_exactly(run_module: Run, site: Path, link: Path, former: str | None) -> None:
    link.unlink()
    if former is not None:
        link.symlink_to(former)
    switched = run_module("image_link", args(site))
    back = {"link": str(link), "state": "restored", "restore_to": switched["before"]}
    before = snapshot(site)
    predicted = run_module("image_link", back, check=True)
    assert snapshot(site) == before
    done = run_module("image_link", back)
    assert done == predicted
    assert (done["changed"], done["before"], done["after"]) == (True, NEW, former)
    assert (done["image"], done["mode"]) == (None, None)
    assert target(link) == former
    assert run_module("image_link", back)["changed"] is False


def test_an_empty_text_to_restore_stands_for_no_link(run_module: Run, link: Path) -> None:
    # Templating makes an empty string of null in older releases of Ansible.
    run_module("image_link", {"link": str(link), "state": "restored", "restore_to": ""})
    assert target(link) is None


def test_an_image_still_to_be_archived_is_planned_for_its_place(run_module: Run, site: Path, link: Path) -> None:
    image, incoming = site / "archive" / "anno-v3.2.0.sif", site / "anno-v3.2.0.sif"
    wanted = args(site, src=str(incoming))
    image.rename(incoming)
    predicted = run_module("image_link", wanted, check=True)
    assert (predicted["before"], predicted["after"]) == (OLD, NEW)
    # The run itself does not link to what is not there.
    assert run_module("image_link", wanted).failed
    assert target(link) == OLD
    incoming.rename(image)
    assert run_module("image_link", wanted) == predicted


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"size": 1}, "has 40960 bytes"),
        ({"sha256": "0" * 64}, "has the SHA-256"),
        ({"mode": "504"}, "mode: is '504'"),
        ({"link": "/nowhere/anno.sif"}, "/nowhere: is not there"),
        ({"image": "/nowhere/anno.sif"}, "ENOENT"),
    ],
)
def test_a_refusal_changes_nothing(
    run_module: Run, site: Path, link: Path, change: dict[str, Any], text: str, check: bool
) -> None:
    before = snapshot(site)
    result = run_module("image_link", args(site, **change), check=check)
    assert result.failed
    assert text in result["msg"]
    assert "exception" not in result
    assert not result.get("changed", False)
    assert snapshot(site) == before


def test_a_damaged_image_is_not_switched_to(run_module: Run, site: Path, link: Path) -> None:
    os.truncate(site / "archive" / "anno-v3.2.0.sif", 40000)
    result = run_module("image_link", args(site))
    assert result.failed
    assert "truncated" in result["found"]
    assert target(link) == OLD


def test_a_file_in_place_of_the_link_is_kept(run_module: Run, site: Path, link: Path) -> None:
    link.unlink()
    link.write_bytes(b"precious")
    for state in ({}, {"state": "restored"}):
        result = run_module("image_link", args(site, **state))
        assert result.failed
        assert "not a symbolic link" in result["found"]
    assert link.read_bytes() == b"precious"


def test_a_failure_half_way_tells_what_to_restore(
    run_module: Run, site: Path, link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = files.link_atomic

    def switch_and_fail(path: str, text: str) -> None:
        really(path, text)
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(image_link, "link_atomic", switch_and_fail)
    result = run_module("image_link", args(site))
    assert result.failed
    assert (result["changed"], result["before"]) == (True, OLD)
    assert "EIO" in result["found"]
    monkeypatch.undo()
    run_module("image_link", {"link": str(link), "state": "restored", "restore_to": result["before"]})
    assert target(link) == OLD


def test_an_image_is_required_to_link(run_module: Run, link: Path) -> None:
    result = run_module("image_link", {"link": str(link)})
    assert result.failed
    assert "image" in result["msg"]
