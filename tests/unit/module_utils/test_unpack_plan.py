"""module_utils/unpack_plan.py: what a plan says where names or lists are missing. All the rest: tests of the module."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import UnpackError
from support_unpack import apply, make, make_archive, request


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "a.tar")


def test_a_package_whose_name_is_unknown_is_replaced_all_the_same(tmp_path: Path, archive: Path) -> None:
    data = make(tmp_path / "site")
    entries = [*tar.below("zzz", tar.package({"a": "1"})), *tar.below("yyy", tar.package({"b": "1"}))]
    archive.write_bytes(tar.data_archive(["seq", "fasta"], {"seq": tar.source(), "fasta": tar.source()}, entries))
    wanted = request(archive, data, unpack_plan.AUTO)
    situation, plan, _ = data_unpack.apply(wanted)
    assert [change.name for change in plan.changes] == ["yyy", "zzz"]
    assert set(json.loads((data / "sources.json").read_text())) == {"p", "same", "seq", "fasta"}
    assert (data / "zzz" / "a").exists() and situation.archive is not None
    assert not data_unpack.check(wanted)[1].reasons
    with pytest.raises(UnpackError, match="which folder is seq cannot be told"):
        data_unpack.check(request(archive, data, unpack_plan.AUTO, packages=("seq",), sha256="0" * 64))


def test_the_config_is_made_where_there_is_none(tmp_path: Path, archive: Path) -> None:
    data = make(tmp_path / "site")
    (data / "vcfanno_config.toml").unlink()
    sources = json.loads((data / "sources.json").read_text())
    sources["same"] = tar.source("1", "same/s")
    (data / "sources.json").write_text(json.dumps(sources))
    apply(request(archive, data, unpack_plan.AUTO))
    text = (data / "vcfanno_config.toml").read_text()
    assert [line for line in text.splitlines() if line.startswith("file")] == [
        'file = "same/s"', 'file = "p/p_2.vcf.gz"'
    ]  # fmt: skip
