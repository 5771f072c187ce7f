"""The switch of the link, with real links and images in a tree like that of a site."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import image_link
from ansible_collections.ousamg.anno.plugins.module_utils.image_expect import ImageExpectationError
from ansible_collections.ousamg.anno.plugins.module_utils.image_link import (
    Chmod,
    ImageError,
    Switch,
    apply,
    inspect_image,
    inspect_link,
    plan_restore,
    plan_switch,
    summary,
)
from ansible_collections.ousamg.anno.plugins.module_utils.sif import SifError

IMAGES = Path(__file__).resolve().parents[2] / "fixtures" / "images"
MODE = 0o774
NOBODY = 65534


@pytest.fixture
def site() -> Iterator[Path]:
    """Two images in the archive and the folder of an instance. Open to others, unlike pytest's own folders."""
    root = Path(tempfile.mkdtemp(prefix="image-link-"))
    root.chmod(0o755)
    try:
        releases = root / "archive" / "releases"
        releases.mkdir(parents=True)
        for version in ("v3.1.0", "v3.2.0"):
            copy = releases / f"anno-{version}.sif"
            copy.write_bytes((IMAGES / copy.name).read_bytes())
            copy.chmod(0o755)
        (root / "anno-staging").mkdir()
        yield root
    finally:
        (root / "anno-staging").chmod(0o755)
        shutil.rmtree(root)


@pytest.fixture
def link(site: Path) -> Path:
    return site / "anno-staging" / "anno.sif"


@pytest.fixture
def old(site: Path) -> Path:
    return site / "archive" / "releases" / "anno-v3.1.0.sif"


@pytest.fixture
def new(site: Path) -> Path:
    return site / "archive" / "releases" / "anno-v3.2.0.sif"


def plan(link: Path, image: Path, mode: int = 0o755) -> list[image_link.Action]:
    return plan_switch(inspect_link(str(link)), inspect_image(str(image)), mode)


def switch(link: Path, image: Path, mode: int = 0o755) -> list[image_link.Action]:
    actions = plan(link, image, mode)
    apply(actions)
    return actions


def as_another_user(function: Callable[[], object]) -> str:
    """What a function raises for a user without rights; '' when nothing. In a process of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = ""
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            function()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    return text


def test_a_first_link_is_made(link: Path, new: Path) -> None:
    (action,) = switch(link, new)
    assert action == Switch(
        str(link),
        None,
        "../archive/releases/anno-v3.2.0.sif",
        f"{link} is no link, wanted is a link to ../archive/releases/anno-v3.2.0.sif",
    )
    assert os.readlink(link) == action.after
    assert link.resolve() == new.resolve()


def test_a_link_is_switched_and_the_second_time_nothing_is_done(link: Path, old: Path, new: Path) -> None:
    switch(link, old)
    (action,) = switch(link, new)
    assert (action.before, action.after) == (
        "../archive/releases/anno-v3.1.0.sif",
        "../archive/releases/anno-v3.2.0.sif",
    )
    assert link.resolve() == new.resolve()
    assert plan(link, new) == []
    assert os.listdir(link.parent) == ["anno.sif"]


@pytest.mark.parametrize("text", ["gone.sif", "anno.sif", "/nowhere/anno.sif"])
def test_a_dangling_or_looping_link_is_switched(link: Path, new: Path, text: str) -> None:
    link.symlink_to(text)
    switch(link, new)
    assert link.resolve() == new.resolve()


def test_an_image_beside_the_link_is_linked_by_its_name(link: Path, new: Path) -> None:
    image = link.parent / new.name
    new.rename(image)
    (action,) = switch(link, image)
    assert action.after == "anno-v3.2.0.sif"


@pytest.mark.parametrize("text", ["{image}", "../anno-staging/../archive/releases/{name}", "second.sif"])
def test_a_link_that_leads_to_the_image_is_right_whatever_its_text(link: Path, new: Path, text: str) -> None:
    link.symlink_to(text.format(image=new, name=new.name))
    (link.parent / "second.sif").symlink_to(new)
    before = os.readlink(link)
    assert switch(link, new) == []
    assert os.readlink(link) == before


def test_the_relative_path_holds_through_linked_folders(site: Path, link: Path, new: Path) -> None:
    deep = site / "deep" / "er"
    deep.mkdir(parents=True)
    (deep / "archive").symlink_to(site / "archive" / "releases")
    (deep / "staging").symlink_to(link.parent)
    switch(deep / "staging" / "anno.sif", deep / "archive" / new.name)
    assert link.resolve() == new.resolve()
    assert os.readlink(link) == "../archive/releases/anno-v3.2.0.sif"


def test_the_tree_may_be_moved_with_its_link(site: Path, link: Path, new: Path) -> None:
    switch(link, new)
    moved = site.with_name(site.name + "-moved")
    site.rename(moved)
    try:
        assert (moved / "anno-staging" / "anno.sif").resolve().name == new.name
    finally:
        moved.rename(site)


def test_relative_paths_work(site: Path, link: Path, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(link.parent)
    switch(Path("anno.sif"), Path("..") / "archive" / "releases" / new.name)
    assert link.resolve() == new.resolve()


def test_the_link_itself_given_as_the_image_is_never_made_a_loop(link: Path, new: Path) -> None:
    switch(link, new)
    assert plan(link, link) == []


@pytest.mark.parametrize(
    ("now", "then"), [(0o755, 0o775), (0o600, 0o774), (0o774, None), (0o777, None), (0o4775, None)]
)
def test_the_image_gets_the_missing_permission_bits_only(
    link: Path, new: Path, now: int, then: int | None
) -> None:
    switch(link, new, 0)
    new.chmod(now)
    actions = plan(link, new, MODE)
    assert actions == (
        []
        if then is None
        else [Chmod(str(new.resolve()), now, then, f"{new.resolve()} has the mode {now:04o}, at least 0774 is wanted")]
    )
    apply(actions)
    assert new.stat().st_mode & 0o7777 == (now if then is None else then)
    assert plan(link, new, MODE) == []


def test_a_real_file_or_folder_in_place_of_the_link_is_refused(link: Path, new: Path) -> None:
    link.write_bytes(b"precious")
    with pytest.raises(ImageError, match="is a file, not a symbolic link"):
        inspect_link(str(link))
    assert link.read_bytes() == b"precious"
    link.unlink()
    link.mkdir()
    with pytest.raises(ImageError, match="is a folder, not a symbolic link"):
        inspect_link(str(link))


def test_a_missing_folder_is_refused(site: Path, new: Path) -> None:
    with pytest.raises(ImageError, match="nowhere: is not there"):
        inspect_link(str(site / "nowhere" / "anno.sif"))
    with pytest.raises(ImageError, match=r"\.sif: is no folder"):
        inspect_link(str(new / "anno.sif"))


@pytest.mark.parametrize("name", ["", "anno-staging/"])
def test_a_path_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="names no link"):
        inspect_link(name)


def test_a_folder_that_is_not_writable_is_refused_before_anything_is_done(link: Path, old: Path, new: Path) -> None:
    switch(link, old)
    link.parent.chmod(0o555)
    text = as_another_user(lambda: plan(link, new))
    assert text.startswith(f"ImageError: {link.parent.resolve()}: is not writable")
    # What is right already needs no rights.
    assert as_another_user(lambda: plan(link, old)) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs an image of somebody else")
def test_the_mode_of_somebody_elses_image_is_refused_before_anything_is_done(link: Path, new: Path) -> None:
    switch(link, new)
    text = as_another_user(lambda: plan(link, new, MODE))
    assert text.startswith(f"ImageError: {new.resolve()}: has the mode 0755 and another owner")


def test_size_and_checksum_are_compared(new: Path, old: Path) -> None:
    content = new.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    inspect_image(str(new), digest.upper(), len(content))
    with pytest.raises(ImageExpectationError, match=f"has {len(content)} bytes.*Expected: 1 bytes"):
        inspect_image(str(new), digest, 1)
    with pytest.raises(ImageExpectationError, match=f"SHA-256.*Expected: {digest}"):
        inspect_image(str(old), digest, len(content))


def test_a_damaged_image_is_refused(new: Path) -> None:
    os.truncate(new, 40000)
    with pytest.raises(SifError, match="960 bytes of data object 3"):
        inspect_image(str(new))
    new.unlink()
    with pytest.raises(FileNotFoundError):
        inspect_image(str(new))


def test_the_plan_for_an_image_that_is_still_to_be_moved_is_what_is_done_later(
    site: Path, link: Path, new: Path
) -> None:
    incoming = site / new.name
    new.rename(incoming)
    planned = plan_switch(inspect_link(str(link)), inspect_image(str(new), src=str(incoming)), MODE)
    incoming.rename(new)
    assert [action._replace(reason="") for action in planned] == [
        action._replace(reason="") for action in switch(link, new, MODE)
    ]


@pytest.mark.parametrize("text", ["../archive/releases/anno-v3.1.0.sif", "gone.sif", "/nowhere/anno.sif", None])
def test_the_former_link_is_put_back_exactly(link: Path, new: Path, text: str | None) -> None:
    if text is not None:
        link.symlink_to(text)
    before = inspect_link(str(link)).target
    assert before == text
    switch(link, new)
    apply(plan_restore(inspect_link(str(link)), before))
    assert (os.readlink(link) if os.path.lexists(link) else None) == text
    assert plan_restore(inspect_link(str(link)), before) == []
    assert os.listdir(link.parent) == ([] if text is None else ["anno.sif"])


def test_a_restore_is_refused_where_it_cannot_be_done(link: Path, new: Path) -> None:
    switch(link, new)
    link.parent.chmod(0o555)
    assert "is not writable" in as_another_user(lambda: plan_restore(inspect_link(str(link)), None))


def test_there_is_a_link_at_every_instant(link: Path, old: Path, new: Path) -> None:
    """A reader in a loop, while the link goes to and fro, sees one image or the other."""
    switch(link, old)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        seen = set()
        try:
            for _ in range(20000):
                seen.add(os.path.basename(os.readlink(link)))
        except OSError as error:
            seen.add(str(error))
        os.write(write, ",".join(sorted(seen)).encode())
        os._exit(0)
    os.close(write)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        switch(link, new)
        switch(link, old)
    with os.fdopen(read) as stream:
        assert stream.read() == "anno-v3.1.0.sif,anno-v3.2.0.sif"


def test_what_was_left_by_a_killed_run_is_no_hindrance(link: Path, old: Path, new: Path) -> None:
    (link.parent / ".anno.sif.new").symlink_to("half-way")
    switch(link, new)
    assert os.listdir(link.parent) == ["anno.sif"]


def test_a_file_system_that_does_something_else_is_told(
    link: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_link, "link_atomic", lambda path, target: os.symlink("other.sif", path))
    with pytest.raises(ImageError, match=r"is a link to other\.sif after the change"):
        switch(link, new)


def test_the_summary_tells_what_the_plan_leads_to(link: Path, old: Path, new: Path) -> None:
    switch(link, old)
    state, image = inspect_link(str(link)), inspect_image(str(new))
    told = summary(state, image, plan_switch(state, image, MODE))
    assert told["changed"] is told["planned"] is True
    assert (told["before"], told["after"], told["mode"]) == (
        "../archive/releases/anno-v3.1.0.sif",
        "../archive/releases/anno-v3.2.0.sif",
        "0775",
    )
    assert told["image"] == str(new.resolve())
    assert told["diff"]["before"] == f"{new.resolve()}: mode 0755\n{link} -> ../archive/releases/anno-v3.1.0.sif\n"
    assert told["diff"]["after"] == f"{new.resolve()}: mode 0775\n{link} -> ../archive/releases/anno-v3.2.0.sif\n"
    nothing = summary(state, None, [])
    assert nothing["msg"] == "Nothing to do."
    assert nothing["planned"] is False
    assert (nothing["before"], nothing["after"]) == ("../archive/releases/anno-v3.1.0.sif",) * 2
