"""module_utils/unowned.py: what belongs to no package, in a data folder as hands and scripts leave it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import data_folder, unowned
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import write_receipt
from ansible_collections.ousamg.anno.plugins.module_utils.unowned import Unowned
from support_user import as_nobody, world_folder


def make(data: Path, *paths: str, sources: Any = None) -> Path:
    """Files, and folders where a path ends with a slash."""
    data.mkdir(exist_ok=True)
    for path in paths:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).mkdir() if path.endswith("/") else (data / path).touch()
    (data / "sources.json").write_text(json.dumps(sources or {}))
    return data


def inspect(data: Path, *replaced: str) -> Unowned:
    return unowned.inspect(str(data), data_folder.read_contents(str(data)), replaced)


def test_nothing_to_tell(tmp_path: Path) -> None:
    data = make(
        tmp_path / "data",
        "vcfanno_config.toml", ".anno-receipt.json", ".anno/generations/",
        "FASTA/DATA_READY", "FASTA/x", "variantDBs/clinvar/DATA_READY", "VEP/cache/DATA_READY", "VEP/cache/sub/y",
    )  # fmt: skip
    assert inspect(data) == Unowned((), ())
    assert unowned.notes(inspect(data)) == []


def test_a_folder_is_named_once_and_the_way_to_a_package_not_at_all(tmp_path: Path) -> None:
    data = make(
        tmp_path / "data",
        "unpack.log", "work/a", "work/b/c", "empty/", "variantDBs/old.vcf.gz", "variantDBs/half/x",
        "a/b/c/d/DATA_READY",
        "variantDBs/clinvar/DATA_READY", "variantDBs/clinvar/stray", ".tmp/clinvar/DATA_READY", ".tmp/hgmd/x",
    )  # fmt: skip
    (data / "link").symlink_to("variantDBs")
    (data / "package").symlink_to("variantDBs/clinvar")
    found = inspect(data)
    assert found == Unowned(
        (".tmp", "a", "empty", "link", "unpack.log", "variantDBs/half", "variantDBs/old.vcf.gz", "work"), ()
    )
    first, second = unowned.notes(found)
    assert first == "Of no package, kept as it is: .tmp, a, empty, link, unpack.log and 3 more."
    assert second.startswith(".tmp was probably left by ella-anno's own script")


def test_the_folders_of_annotation_files(tmp_path: Path) -> None:
    sources = {
        "clinvar": tar.source("1", "variantDBs/clinvar/c.vcf.gz"),
        "hgmd": tar.source("1", "variantDBs/hgmd/h.vcf.gz", "variantDBs/hgmd/./deep/h.vcf.gz"),
        "flat": tar.source("1", "variantDBs/flat.bed.gz"),
        "top": tar.source("1", "top.bed.gz"),
        "gone": tar.source("1", "gone/g.vcf.gz"),
    }
    data = make(
        tmp_path / "data",
        "variantDBs/clinvar/c.vcf.gz", "variantDBs/clinvar/notes", "variantDBs/hgmd/DATA_READY", "variantDBs/hgmd/x",
        "variantDBs/hgmd/deep/h.vcf.gz", "variantDBs/flat.bed.gz", "variantDBs/flat.bed.gz.tbi", "variantDBs/flat.txt",
        "top.bed.gz", "top.bed.gz.csi", "top.txt", sources=sources,
    )  # fmt: skip
    found = inspect(data)
    assert found == Unowned(("top.txt", "variantDBs/flat.txt"), ("variantDBs/clinvar",))
    assert unowned.notes(found)[1:] == [
        "Without DATA_READY, so perhaps not complete, kept as it is: variantDBs/clinvar."
    ]
    assert inspect(data, "variantDBs/clinvar").unready == (), "the archive has a new one"


def test_records_of_the_receipt_and_what_is_replaced(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "seqrepo/x", "FASTA/x", "vep/x")
    archive = {"path": "a", "size": 1, "mtime_ns": 1, "sha256": "0", "destinations": ["seqrepo"]}
    record = {"name": None, "destination": "seqrepo", "version": "1", "timestamp": None, "source": None, "ready": "0",
              "archive": archive}  # fmt: skip
    write_receipt(str(data), {"generation": "g", "packages": [record]}, Ownership(0o664))
    assert inspect(data, "FASTA") == Unowned(("vep",), ("seqrepo",))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_what_may_not_be_looked_into() -> None:
    with world_folder() as top:
        data = make(top / "data", "closed/DATA_READY", "open/DATA_READY")
        (data / "closed").chmod(0o700)
        with as_nobody():
            assert inspect(data) == Unowned(("closed",), ())
