"""Runs the real vcfanno, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from sandbox.packages import LOCAL_BED, data_folder, read_sources

needs_vcfanno = pytest.mark.skipif(shutil.which("vcfanno") is None, reason="needs vcfanno (scripts/setup.sh tests)")
PACKAGES = ("clinvar", "gnomad", "hgmd")
INPUT = """\
##fileformat=VCFv4.2
##contig=<ID=1>
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth (from the caller)">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG002
1\t100100\t.\tA\tC\t.\tPASS\tDP=30\tGT\t0/1
"""


def annotate(config: Path, output: Path, *options: str, folder: Path, source: str | bytes = INPUT) -> None:
    """``vcfanno [options] config input > output`` in a folder."""
    source_file = output.with_suffix(".in.vcf")
    source_file.write_bytes(source.encode() if isinstance(source, str) else source)
    with output.open("wb") as stream:
        command = ["vcfanno", *options, str(config), str(source_file)]
        done = subprocess.run(command, cwd=folder, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr


def annotated_sample(folder: Path, version: str = "1") -> tuple[Path, list[dict[str, object]]]:
    """A sample annotated from a data folder ``data`` below ``folder``, and the tables that it was annotated with."""
    data, output = folder / "data", folder / "output.vcf"
    data_folder(data, dict.fromkeys(PACKAGES, version))
    annotate(data / "vcfanno_config.toml", output, "-base-path", str(data), folder=folder)
    tables = [table for source in read_sources(data).values() for table in source["vcfanno"]]
    return output, [*tables, {"file": LOCAL_BED, "names": ["LOCAL__ARTEFACT"]}]
