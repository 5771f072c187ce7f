"""Data archives as ella-anno's ``make tar-data`` makes them: GNU tar, updated package by package."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.packages import RECIPES, read_sources


def archive_name(data: Path, names: Sequence[str]) -> str:
    """``clinvar_20240107-hgmd_2023.4.tar``"""
    sources = read_sources(data)
    return "-".join(f"{name}_{sources[name]['version']}" for name in sorted(names)) + ".tar"


def make_archive(dest: Path, data: Path, names: Sequence[str]) -> None:
    """Pack packages of a data directory into the file ``dest``.

    The archive was started at an earlier stage of the data and then updated (``tar -u``): sources.json and
    the packages' READMEs are in it twice, with other contents in front. sources.json is that of the whole
    data directory, so it knows packages that are not in the archive.
    """
    dest.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        earlier = Path(scratch, "earlier")
        readmes = [f"{RECIPES[name].destination}/README.md" for name in names if "README.md" in RECIPES[name].files]
        duplicates = ["sources.json", *readmes]
        for file in duplicates:
            path = earlier / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}\n" if file == "sources.json" else "Not complete yet.\n", encoding="utf-8")
            os.utime(path, (1_500_000_000, 1_500_000_000))
        _tar("--create", dest, earlier, *duplicates)
        _tar("--update", dest, data, "sources.json")
        for name in names:
            _tar("--update", dest, data, RECIPES[name].destination)
        packages = Path(scratch, "PACKAGES")
        packages.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
        _tar("--update", dest, packages.parent, packages.name)


def _tar(action: str, archive: Path, folder: Path, *members: str) -> None:
    subprocess.run(["tar", action, "--file", archive, "--directory", folder, *members], check=True)
