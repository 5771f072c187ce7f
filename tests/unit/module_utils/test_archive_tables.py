"""module_utils/archive_tables.py: what is refused before it goes live; the rules are tested where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import archive_tables
from ansible_collections.ousamg.anno.plugins.module_utils.archive_tables import TablesError
from support_validate import Judge, gnomad_exomes


def table(**changes: Any) -> dict[str, Any]:
    return {"file": "a.vcf.gz", "fields": ["AC"], "names": ["X"], "ops": ["first"], **changes}


def test_no_tables() -> None:
    assert archive_tables.check("a.tar", []) == []


def test_without_the_files_the_tables_alone_are_told() -> None:
    assert archive_tables.check("a.tar", [table(fields=["NOPE"]), table(file="gone.vcf.gz", names=["Y"])]) == []
    with pytest.raises(TablesError, match=r"it has 2 fields, 1 names, 2 ops; .* the op 'median'") as caught:
        archive_tables.check("a.tar", [table(fields=["AC", "AF"], ops=["median", "first"])])
    assert caught.value.path == "a.tar"


def test_with_the_files_all_is(tmp_path: Path) -> None:
    data = str(Judge(tmp_path).data)
    assert archive_tables.check("a.tar", [table(), table(file="./b.bed.gz", names=["Y"], columns=[4])][:1], data) == []
    with pytest.raises(TablesError, match="no INFO field 'NOPE'"):
        archive_tables.check("a.tar", [table(fields=["NOPE"])], data)
    with pytest.raises(TablesError, match=r"gone.vcf.gz: there is no such file"):
        archive_tables.check("a.tar", [table(file="gone.vcf.gz")], data)


def test_doubts_are_returned() -> None:
    rows = gnomad_exomes(as_published=True)
    lists = {"fields": [r.source for r in rows], "names": [r.name for r in rows], "ops": [r.op for r in rows]}
    (told,) = archive_tables.check("a.tar", [table(**lists)])
    assert "GNOMAD_EXOMES__Hom_OTH is made from nhomalt_sas" in told
