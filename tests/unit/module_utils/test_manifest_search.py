"""Finding manifests and artifacts, and describing artifacts that came without a manifest."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import manifest_search
from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import VersionError
from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFileError
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.generation import RECEIPT
from ansible_collections.ousamg.anno.plugins.module_utils.manifest_search import SearchError, inspect
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import ManifestError
from ansible_collections.ousamg.anno.plugins.module_utils.sif import SifError
from backports import zstd

IMAGE = Path(__file__).resolve().parents[2] / "fixtures" / "images" / "anno-v3.2.0.sif"
TAR = "clinvar_20240107.tar"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for folder in ("releases", "incoming"):
        (tmp_path / folder).mkdir()
    shutil.copy(IMAGE, tmp_path / "incoming" / IMAGE.name)
    make_archive(tmp_path / "incoming" / TAR)
    return tmp_path


def make_archive(path: Path) -> None:
    vcf = b"not looked into here"
    members = {
        "sources.json": json.dumps({"clinvar": {"version": "20240107", "timestamp": "2024-01-07 10:00:00"}}).encode(),
        "variantDBs/clinvar/clinvar.vcf.gz": vcf,
        "variantDBs/clinvar/MD5SUM": f"{hashlib.md5(vcf).hexdigest()}  clinvar.vcf.gz\n".encode(),  # noqa: S324
        "variantDBs/clinvar/DATA_READY": b"timestamp: 2024-01-07 10:00:00\nversion: 20240107\n",
        "PACKAGES": b"clinvar\n",
    }
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def run(site: Path, **args: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "search": [str(site / "releases"), str(site / "incoming")],
        "release": None,
        "data_archive": None,
        "image": None,
        "artifact_search": [str(site / "releases"), str(site / "incoming")],
        "data": None,
    }
    return inspect(**{**defaults, **args})


def put(site: Path, *places: str) -> None:
    for place in places:
        (site / place).write_text(f"version: {Path(place).stem}\n")


def test_the_newest_release_is_chosen(site: Path) -> None:
    put(site, "releases/v3.9.0.yml", "releases/v3.10.0.yml", "incoming/v3.10.0a.yml", "incoming/v4.0.0-rc.yml")
    put(site, "incoming/notes.yml", "incoming/v5.0.yml", "incoming/v6.0.0.txt")
    found = run(site)
    assert found["path"] == str(site / "incoming/v3.10.0a.yml")
    assert found["text"] == "version: v3.10.0a\n"
    assert found["available"] == ["v3.9.0", "v3.10.0", "v3.10.0a", "v4.0.0-rc"]
    assert found["reason"] == f"newest of 3 in {site}/releases, {site}/incoming"
    assert found["archive"] is None
    assert found["image"] is None


def test_the_named_release_is_chosen(site: Path) -> None:
    put(site, "releases/v3.9.0.yml", "incoming/v4.0.0-rc.yml", "incoming/v3.10.0.yml")
    assert run(site, release="v4.0.0-rc")["path"] == str(site / "incoming/v4.0.0-rc.yml")
    assert run(site, release="v3.9.0")["path"] == str(site / "releases/v3.9.0.yml")
    assert run(site, release="")["path"] == str(site / "incoming/v3.10.0.yml")


def test_the_first_folder_wins(site: Path) -> None:
    put(site, "releases/v3.9.0.yml", "incoming/v3.9.0.yml")
    assert run(site)["path"] == str(site / "releases/v3.9.0.yml")


def test_two_manifests_of_the_version(site: Path) -> None:
    put(site, "releases/v3.9.0.yml", "incoming/v3.9.0.yml", "releases/v3.8.0.yml")
    (site / "incoming/v3.9.0.yml").write_text("version: v3.9.0 # changed\n")
    with pytest.raises(SearchError) as error:
        run(site)
    assert error.value.path == str(site / "incoming/v3.9.0.yml")
    assert error.value.found == f"differs from {site}/releases/v3.9.0.yml"
    assert run(site, release="v3.8.0")["text"] == "version: v3.8.0\n"


def test_no_manifest(site: Path) -> None:
    shutil.rmtree(site / "releases")
    with pytest.raises(SearchError) as error:
        run(site)
    assert error.value.path == f"{site}/releases, {site}/incoming"
    assert "data_archive" in error.value.todo
    put(site, "incoming/v4.0.0-rc.yml")
    with pytest.raises(SearchError, match=r"but of release candidates: v4\.0\.0-rc"):
        run(site)
    with pytest.raises(SearchError, match=r"no manifest v4\.0\.0\.yml; there are: v4\.0\.0-rc"):
        run(site, release="v4.0.0")
    with pytest.raises(VersionError):
        run(site, release="newest")


def test_what_is_no_text_file(site: Path) -> None:
    path = site / "releases/v1.0.0.yml"
    for make, expected in (
        (path.mkdir, "no regular file"),
        (lambda: os.mkfifo(path), "no regular file"),
        (lambda: path.write_bytes(b"version: \xff\n"), "not UTF-8 (byte 9)"),
        (lambda: path.write_bytes(b"#" * (1 << 20) + b"#"), "too large"),
    ):
        make()
        with pytest.raises((SearchError, IsADirectoryError)) as error:
            run(site)
        if isinstance(error.value, SearchError):
            assert expected in error.value.found
        path.rmdir() if path.is_dir() else path.unlink()


def test_artifacts_are_described(site: Path) -> None:
    put(site, "releases/v3.1.0.yml")
    found = run(site, data_archive=TAR, image=IMAGE.name)
    tar = site / "incoming" / TAR
    assert found["archive"] == {
        "file": TAR,
        "size": tar.stat().st_size,
        "sha256": hashlib.sha256(tar.read_bytes()).hexdigest(),
        "packages": [{"name": "clinvar", "version": "20240107", "timestamp": "2024-01-07 10:00:00"}],
    }
    assert found["image"]["file"] == IMAGE.name
    assert found["image"]["size"] == IMAGE.stat().st_size
    assert found["image"]["sha256"] == hashlib.sha256(IMAGE.read_bytes()).hexdigest()
    assert found["image"]["created"].endswith("Z")
    assert (found["path"], found["text"]) == (None, None)
    assert found["available"] == ["v3.1.0"]


def test_the_manifest_of_that_version_comes_along(site: Path) -> None:
    put(site, "releases/v3.2.0.yml", "releases/v3.3.0.yml")
    assert run(site, image=IMAGE.name)["path"] == str(site / "releases/v3.2.0.yml")
    assert run(site, image=IMAGE.name, release="v3.3.0")["path"] == str(site / "releases/v3.3.0.yml")


def test_the_receipt_spares_the_checksum(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = (site / "incoming" / TAR).stat()
    data = site / "data"
    data.mkdir()
    stamp = {"path": TAR, "size": status.st_size, "mtime_ns": status.st_mtime_ns, "destinations": []}
    stamp["sha256"] = "c" * 64
    args = {"data_archive": TAR, "release": "v3.2.0a", "data": str(data)}

    def write(archive: Any) -> None:
        (data / RECEIPT).write_text(json.dumps({"generation": "g", "archive": archive}))

    real = run(site, **args)["archive"]["sha256"]
    for other in (None, "text", {}, {**stamp, "size": 1}, {**stamp, "mtime_ns": 1}, {**stamp, "sha256": None}):
        write(other)
        assert run(site, **args)["archive"]["sha256"] == real
    write(stamp)
    monkeypatch.setattr(manifest_search, "sha256_of", lambda path: pytest.fail(f"{path} was read"))
    assert run(site, **args)["archive"]["sha256"] == "c" * 64


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_compressed_archive_is_described_by_its_file(site: Path, pack: Any) -> None:
    path = site / "incoming" / TAR
    plain = run(site, data_archive=TAR, release="v3.2.0a")["archive"]
    content = pack(path.read_bytes())
    path.write_bytes(content)
    packed = run(site, data_archive=TAR, release="v3.2.0a")["archive"]
    assert packed == {**plain, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_path_that_was_moved_to_the_archive(site: Path) -> None:
    incoming = site / "incoming" / IMAGE.name
    assert run(site, image=str(incoming))["image"]["file"] == IMAGE.name
    incoming.rename(site / "releases" / IMAGE.name)
    assert run(site, image=str(incoming))["image"]["file"] == IMAGE.name


@pytest.mark.parametrize(
    ("args", "error", "expected"),
    [
        ({"image": "anno-v9.9.9.sif"}, SearchError, "'anno-v9.9.9.sif' is not in "),
        ({"image": "/nowhere/anno-v9.9.9.sif"}, SearchError, "/nowhere/anno-v9.9.9.sif: is not there"),
        ({"image": "incoming/anno-v3.2.0.sif"}, SearchError, "is a relative path"),
        ({"image": "x.sif", "artifact_search": []}, SearchError, "no other folder"),
        ({"data_archive": TAR}, ManifestError, "-e release="),
        ({"data_archive": TAR, "release": "v3.2.0"}, ManifestError, "no image is given"),
        ({"image": TAR, "release": "v3.2.0"}, SifError, "tar archive"),
        ({"data_archive": IMAGE.name, "release": "v3.2.0a"}, AnnoError, IMAGE.name),
        ({"data_archive": "empty.tar", "release": "v3.2.0a"}, ArchiveFileError, "empty (0 bytes)"),
    ],
)
def test_bad_artifacts(site: Path, args: dict[str, Any], error: type[AnnoError], expected: str) -> None:
    (site / "incoming/empty.tar").touch()
    with pytest.raises(error) as raised:
        run(site, **args)
    assert expected in str(raised.value)
