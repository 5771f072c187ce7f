"""A data folder made by hand, with two small packages, and an archive with a newer one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack
from ansible_collections.ousamg.anno.plugins.module_utils.data_unpack import Outcome
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import Request

CONFIG = '[[annotation]]\nfile = "p/p_1.vcf.gz"\nfields = ["A"]\nnames = ["A"]\nops = ["first"]\n'


def make_archive(path: Path) -> Path:
    files = tar.package({"p_2.vcf.gz": "new" * 400, "sub/x": "x"}, "2")
    sources = {"p": tar.source("2", "p/p_2.vcf.gz"), "other": tar.source("9")}
    path.write_bytes(tar.data_archive(["p"], sources, [*tar.below("p", files), tar.symlink("p/latest", "sub")]))
    return path


def make(top: Path) -> Path:
    data = top / "data"
    for place, files in {"p": tar.package({"p_1.vcf.gz": "old"}), "same": tar.package({"s": "s"})}.items():
        for name, content in files.items():
            (data / place).mkdir(parents=True, exist_ok=True)
            (data / place / name).write_bytes(content)
    sources = {"p": tar.source("1", "p/p_1.vcf.gz"), "same": tar.source("1")}
    (data / "sources.json").write_text(json.dumps(sources))
    (data / "vcfanno_config.toml").write_text(CONFIG)
    return data


def request(archive: Path, data: Path, strategy: str, **changes: Any) -> Request:
    return Request(str(archive), str(data), Ownership(0o664), strategy=strategy, **changes)


def apply(wanted: Request) -> Outcome:
    return data_unpack.apply(wanted)[2]
