"""Bad input: refused with a message that says where, what, what instead and what to do; nothing was changed by it.

Each case spoils a fresh sandbox, deploys, and compares every file of both sites and the processes of the services.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sandbox import service
from support_deploy import Deploy, Run, Site
from support_mount import NEEDS_MOUNT, UNSHARE
from support_tree import differences

# A deployment that began and was undone: on record, and nothing else (the folder's time tells that it has a new file).
INSTANCE = "tsd/ess/p22/data/durable/production/anno/anno-staging"
LATE = {INSTANCE, f"{INSTANCE}/deployments.jsonl"}


class Refusal(NamedTuple):
    """``words`` are in the message; ``args`` go to ansible-playbook. ``late``: found out only while unpacking, so the
    ledger has the start and the end of it; everything else must be the same all the same."""

    words: tuple[str, ...]
    args: tuple[str, ...] = ()
    limit: str = "tsd"
    env: str | None = "staging"
    code: int = 2
    late: bool = False


def facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"file": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def tar(site: Site, *args: str | Path) -> None:
    """Change the uploaded archive with GNU tar, and the manifest with it."""
    subprocess.run(["tar", "--file", site.archive, *args], check=True)
    site.edit_manifest(archive=facts(site.archive))


def append(site: Site, name: str, text: str) -> None:
    """The last member of a name wins."""
    path = site.home / "members" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    tar(site, "--append", "--directory", site.home / "members", name)


# ---- what was asked for


def the_env_is_missing(site: Site) -> Refusal:
    return Refusal(
        ("env: it is not given", "Expected: staging or prod", "What to do: add -e env=staging to the command"), env=None
    )


def the_env_is_misspelt(site: Site) -> Refusal:
    words = ("env: there is no stagin.", "Expected: staging or prod", "What to do: add -e env=staging to the command")
    return Refusal(words, env="stagin")


def the_site_is_not_in_the_inventory(site: Site) -> Refusal:
    # Ansible itself refuses, before anything of the playbook runs.
    words = ("Could not match supplied host pattern, ignoring: oslo", "--limit leaves us with no hosts to target")
    return Refusal(words, limit="oslo", code=1)


def one_of_the_sites_is_not_in_the_inventory(site: Site) -> Refusal:
    words = ("--limit: oslo is not in the inventory", "Expected: one of nsc, tsd", "What to do: correct the limit")
    return Refusal(words, limit="tsd,oslo")


def the_release_is_not_there(site: Site) -> Refusal:
    places = f"{site.releases}, {site.incoming}"
    return Refusal(
        (
            f"{places}: has no manifest v9.9.9.yml; there are: v3.2.0",
            "Expected: that one",
            "What to do: Correct `-e release=…`",
        ),
        args=("-e", "release=v9.9.9"),
    )


# ---- the manifest


def the_manifest_is_missing(site: Site) -> Refusal:
    site.manifest.unlink()
    return Refusal(
        (
            f"{site.releases}, {site.incoming}: has no release manifest",
            "Expected: a file <version>.yml",
            "What to do: Put the manifest into one of the folders",
        )
    )


def the_manifest_is_no_yaml(site: Site) -> Refusal:
    site.manifest.write_text("version: [v3.2.0\nkind: minor\n")
    return Refusal(
        (
            f"{site.manifest}: line 2, column 5: expected ',' or ']', but got ':'",
            "Expected: a release manifest in YAML",
            "What to do: Correct the file, or write it anew",
        )
    )


def the_manifest_has_an_unknown_key(site: Site) -> Refusal:
    site.edit_manifest(colour="blue")
    return Refusal(
        (
            f"{site.manifest}: the key colour is unknown",
            "Expected: a release manifest with exactly the keys version, ella_anno, kind",
            "What to do: Correct the file, or write it anew.",
        )
    )


def the_manifest_lacks_a_key(site: Site) -> Refusal:
    lines = site.manifest.read_text().splitlines(keepends=True)
    site.manifest.write_text("".join(line for line in lines if not line.startswith("issue:")))
    return Refusal(
        (
            f"{site.manifest}: the key issue is missing",
            "Expected: a release manifest with exactly the keys",
            "What to do: Correct the file",
        )
    )


# ---- the artifacts


def the_archive_is_missing(site: Site) -> Refusal:
    path = site.archive
    path.unlink()
    return Refusal(
        (
            f"archive/data/{path.name}: there is no such file",
            "Expected: the data archive",
            "What to do: Upload the data archive, or correct its path; deploy looks in the archive and in incoming",
        )
    )


def the_image_is_missing(site: Site) -> Refusal:
    site.image.unlink()
    return Refusal(
        (
            f"{site.image.name}: is in none of these folders: {site.releases}, {site.incoming}",
            "Expected: the file in one of them",
            "What to do: Upload the file again",
        )
    )


def the_archive_has_another_size(site: Site) -> Refusal:
    size = site.archive.stat().st_size
    with site.archive.open("r+b") as stream:
        stream.truncate(size - 1024)
    return Refusal(
        (
            f"{site.archive}: has {size - 1024} bytes",
            f"Expected: {size} bytes",
            "What to do: Upload the file again and compare",
        )
    )


def the_archive_has_another_sha256(site: Site) -> Refusal:
    found = facts(site.archive)
    site.edit_manifest(archive=found | {"sha256": "0" * 64})
    return Refusal(
        (
            f"{site.archive}: its sha256 is {found['sha256']}",
            f"Expected: {'0' * 64}",
            "What to do: Fetch the archive again; if it stays so, the release manifest belongs to another archive",
        ),
        late=True,
    )


def the_image_has_another_sha256(site: Site) -> Refusal:
    found = facts(site.image)
    site.edit_manifest(image=found | {"sha256": "0" * 64, "versions": None})
    return Refusal(
        (
            f"{site.image}: has the SHA-256 {found['sha256']}",
            f"Expected: {'0' * 64}",
            "What to do: Fetch or copy the image again",
        )
    )


def the_image_is_truncated(site: Site) -> Refusal:
    with site.image.open("r+b") as stream:
        stream.truncate(site.image.stat().st_size - 4096)
    site.edit_manifest(image=facts(site.image) | {"versions": None})
    return Refusal(
        (
            f"{site.image}: is truncated: 4096 bytes of data object 3 (FS) are missing",
            "Expected: at least 40960 bytes, not 36864",
            "What to do: Fetch or copy the image again",
        )
    )


def the_archive_has_no_packages_list(site: Site) -> Refusal:
    tar(site, "--delete", "PACKAGES")
    return Refusal(
        (
            f"{site.archive}: it has no member PACKAGES",
            "Expected: the list of its packages in PACKAGES",
            "What to do: Make the archive anew with ella-anno's `make tar-data`",
        )
    )


def a_package_is_listed_and_absent(site: Site) -> Refusal:
    append(site, "PACKAGES", "clinvar\nhgmd\nvep\n")
    return Refusal(
        (
            f"{site.archive}: PACKAGES lists 3 packages (clinvar, hgmd, vep), and 2 folders have a DATA_READY",
            "Expected: one complete folder for each package",
            "What to do: Make the archive anew",
        )
    )


def a_file_differs_from_its_md5(site: Site) -> Refusal:
    append(site, "variantDBs/hgmd/README.md", "HGMD 2023.4, and a flipped bit\n")
    return Refusal(
        (
            f"{site.archive}:variantDBs/hgmd/README.md: its MD5 is ",
            "(MD5SUM). What to do: Fetch the archive again; if it stays so, make the package anew",
        ),
        late=True,
    )


def the_archive_is_truncated(site: Site) -> Refusal:
    with site.archive.open("r+b") as stream:
        stream.truncate(site.archive.stat().st_size * 2 // 3)
    site.edit_manifest(archive=facts(site.archive))
    return Refusal(
        (
            f"{site.archive}: it ends after 'variantDBs/hgmd/",
            "Expected: two blocks of zeros at the end of the archive",
            "What to do: Fetch the archive again",
        )
    )


def the_archives_sources_are_no_json(site: Site) -> Refusal:
    append(site, "sources.json", '{"clinvar": {"version": ')
    words = (f"{site.archive}:sources.json: it is not JSON", "Expected: a JSON object of packages", "What to do: ")
    return Refusal(words)


# ---- what is live


def the_live_sources_are_no_json(site: Site) -> Refusal:
    path = site.data / "sources.json"
    path.write_text('{"clinvar": ')
    return Refusal((f"{path}: it is not JSON", "line 1", "Expected: a JSON object", "What to do: Mend the file"))


def the_live_config_is_no_toml(site: Site) -> Refusal:
    path = site.data / "vcfanno_config.toml"
    path.write_text('[[annotation]]\nfile = "a.vcf.gz"\nfields = [\n')
    words = (f"{path}: it is not TOML", "Expected: TOML with [[annotation]] tables", "What to do: Mend the file")
    return Refusal(words)


def the_data_folder_is_missing(site: Site) -> Refusal:
    shutil.rmtree(site.data)
    return Refusal(
        (
            f"{site.data}: there is no such folder",
            "Expected: the data folder of the instance",
            "What to do: Check the inventory; make the folder",
        )
    )


def the_link_is_a_folder(site: Site) -> Refusal:
    site.link.unlink()
    site.link.mkdir()
    return Refusal(
        (
            f"{site.link}: is a folder, not a symbolic link",
            "Expected: a symbolic link to an image, or nothing",
            "What to do: Move it away, then run again",
        )
    )


def the_link_is_a_file(site: Site) -> Refusal:
    shutil.copyfile(site.link.resolve(), site.home / "image")
    site.link.unlink()
    shutil.copyfile(site.home / "image", site.link)
    words = (f"{site.link}: is a file, not a symbolic link", "Expected: a symbolic link", "What to do: Move it away")
    return Refusal(words)


# ---- the service


def a_task_runs(site: Site) -> Refusal:
    (site.staging / "work/7").mkdir()
    (site.staging / "work/7/ACTIVE").touch()
    (site.staging / "work/7/STATUS").write_text("2024-01-10 10:00:00\tVCFANNO\tSTARTED\n")
    return Refusal(
        (
            f"{site.staging}/work: running tasks: 7 in VCFANNO since 20",
            "Expected: no running task",
            "What to do: Wait until they have ended",
        )
    )


def the_password_is_wrong(site: Site) -> Refusal:
    url = service.access(site.root)["url"]
    return Refusal(
        (
            f"{url}/RPC2: wrong user name or password (user anno)",
            "Expected: the credentials of supervisord's [inet_http_server]",
            "What to do: Correct the user name and password",
        ),
        args=("-e", "anno_supervisor_password=not-the-p4ssw0rd"),
    )


def the_program_is_unknown(site: Site) -> Refusal:
    url = service.access(site.root)["url"]
    variables = site.home / "variables.yml"
    variables.write_text("service_program: anno-stagging\n")
    return Refusal(
        (
            f"{url}/RPC2: no program 'anno-stagging'",
            "Expected: one of: anno-prod, anno-staging",
            "What to do: Correct the name in the inventory",
        ),
        args=("-e", f"@{variables}"),
    )


CASES: tuple[Callable[[Site], Refusal], ...] = (
    the_env_is_missing,
    the_env_is_misspelt,
    the_site_is_not_in_the_inventory,
    one_of_the_sites_is_not_in_the_inventory,
    the_release_is_not_there,
    the_manifest_is_missing,
    the_manifest_is_no_yaml,
    the_manifest_has_an_unknown_key,
    the_manifest_lacks_a_key,
    the_archive_is_missing,
    the_image_is_missing,
    the_archive_has_another_size,
    the_archive_has_another_sha256,
    the_image_has_another_sha256,
    the_image_is_truncated,
    the_archive_has_no_packages_list,
    a_package_is_listed_and_absent,
    a_file_differs_from_its_md5,
    the_archive_is_truncated,
    the_archives_sources_are_no_json,
    the_live_sources_are_no_json,
    the_live_config_is_no_toml,
    the_data_folder_is_missing,
    the_link_is_a_folder,
    the_link_is_a_file,
    a_task_runs,
    the_password_is_wrong,
    the_program_is_unknown,
)


@pytest.mark.parametrize("spoil", CASES, ids=lambda spoil: spoil.__name__)
def test_bad_input(site: Site, deploy: Deploy, spoil: Callable[[Site], Refusal]) -> None:
    refusal = spoil(site)
    tree, pids = site.tree(), site.pids()
    run = deploy(*refusal.args, limit=refusal.limit, env=refusal.env, expect=refusal.code)
    check(run, refusal)
    assert set(pids) == {"anno-staging", "anno-prod"}
    assert site.pids() == pids
    assert differences(tree, site.tree()) == (LATE if refusal.late else set())
    assert site.story() == (["start", "end rolled_back"] if refusal.late else [])


def check(run: Run, refusal: Refusal) -> None:
    for words in refusal.words:
        assert words in run.text, run.output
    assert "Traceback" not in run.output
    assert "not-the-p4ssw0rd" not in run.output


def test_supervisor_is_down(site: Site, deploy: Deploy) -> None:
    service.stop(site.root)
    tree = site.tree()
    run = deploy(expect=2)
    url = service.access(site.root)["url"]
    words = (f"{url}/RPC2: not reachable (Connection refused)", "Expected: a supervisord that answers")
    check(run, Refusal((*words, "What to do: Check the URL")))
    assert differences(tree, site.tree()) == set()


# ---- what the system does not allow


@pytest.fixture
def ordinary(tmp_path: Path) -> list[str]:
    """A command that runs another one without root's right to write everywhere."""
    command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    tmp_path.chmod(0o555)
    try:
        probe = subprocess.run([*command, "test", "-w", tmp_path], check=False)
    except FileNotFoundError:
        pytest.skip("root may write everywhere, and setpriv (util-linux) is not there to take that away")
    finally:
        tmp_path.chmod(0o755)
    if probe.returncode != 1:
        pytest.skip("a folder of the mode 0555 can be written to here")
    return command


@pytest.mark.parametrize("place", ["data", "instance"])
def test_a_folder_is_not_writable(site: Site, deploy: Deploy, ordinary: list[str], place: str) -> None:
    folder = site.data if place == "data" else site.staging
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        tree, pids = site.tree(), site.pids()
        run = deploy(prefix=ordinary, expect=2)
        assert differences(tree, site.tree()) == set()
    finally:
        folder.chmod(mode)
    check(
        run,
        Refusal(
            (
                f"{folder}: this user may not write there",
                "Expected: a folder of the service user",
                "What to do: Run as the service user, or have the owner run: chmod u+rwx",
            )
        ),
    )
    assert site.pids() == pids


# The instance's folder as a small file system, in a mount namespace that ends with the command.
SMALL = """
folder=$1 room=$2 notes=$3
shift 3
cp -a "$folder" "$notes/instance"
mount -t tmpfs -o "$room" none "$folder"
cp -a "$notes/instance/." "$folder"
export PYTHONPATH="$PWD/tests"
python -m support_tree "$folder" >"$notes/before.json"
code=0
"$@" || code=$?
python -m support_tree "$folder" >"$notes/after.json"
exit "$code"
"""


@NEEDS_MOUNT
@pytest.mark.parametrize("lacking", ["bytes", "files"])
def test_the_disk_is_full(site: Site, deploy: Deploy, tmp_path: Path, lacking: str) -> None:
    entries = list(site.staging.rglob("*"))
    blocks = sum(-(-path.stat().st_size // 4096) for path in entries if path.is_file() and not path.is_symlink())
    # 8 blocks are less than the archive takes; the next generation has some 50 names.
    room = f"size={(blocks + 8) * 4096}" if lacking == "bytes" else f"nr_inodes={len(entries) + 20}"
    tree, pids = site.tree(), site.pids()
    prefix = [*UNSHARE, "sh", "-ec", SMALL, "sh", str(site.staging), room, str(tmp_path)]
    run = deploy(prefix=prefix, expect=2)
    before, after = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("before", "after"))
    if lacking == "bytes":
        words = (" kB are free on its file system. Expected: ", " kB. What to do: Free space on this file system")
        assert differences(before, after) == set()
    else:
        # Only the building of the next generation meets it.
        words = ("No space left on device (ENOSPC)", "Expected: free space", "What to do: Free space on this")
        assert differences(before, after) == {"deployments.jsonl"}
    check(run, Refusal((str(site.data.parent), *words)))
    assert differences(tree, site.tree()) == set()
    assert site.pids() == pids
