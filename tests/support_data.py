"""A small instance, with real parts: a live data folder, and a data archive made by GNU tar with newer packages."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from sandbox import packages
from sandbox.archive import make_archive
from support_tree import contents

LIVE: dict[str, packages.Version] = {"clinvar": "20230504", "hgmd": "2023.1", "seqrepo": "2018-08-21", "vep": 105}
ARCHIVE: dict[str, packages.Version] = {"clinvar": "20240107", "fasta": "37", "seqrepo": "2021-01-29"}
# It is in the archive's sources.json and not in the archive.
FOREIGN: dict[str, packages.Version] = {"hgmd": "1999.9", "gnomad": "0"}
CLINVAR, SEQREPO, FASTA, HGMD = (packages.RECIPES[n].destination for n in ("clinvar", "seqrepo", "fasta", "hgmd"))


class Site(NamedTuple):
    top: Path
    data: Path
    archive: Path


def site(top: Path) -> Site:
    return Site(top, top / "instance" / "data", top / "archive.tar")


def make_site(top: Path) -> Site:
    """``instance/data``, live, with ``LIVE``; ``archive.tar`` with ``ARCHIVE``."""
    found = site(top)
    packages.data_folder(found.data, LIVE)
    # A JSON number that no JSON library writes back as it was.
    replace(found.data / "sources.json", '"version": 105', '"version": 1.10')
    (found.data / "notes.txt").write_text("made by hand\n", encoding="utf-8")
    newer = top / "newer"
    packages.data_folder(newer, {**ARCHIVE, **FOREIGN})
    make_archive(found.archive, newer, sorted(ARCHIVE))
    shutil.rmtree(newer)
    return found


def copy_site(original: Site, top: Path) -> Site:
    shutil.copytree(original.top, top, symlinks=True)
    return site(top)


def below(data: Path, folder: str) -> dict[str, str]:
    """The files and links of one package."""
    return {name: content for name, content in contents(data).items() if name.startswith(folder + "/")}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
