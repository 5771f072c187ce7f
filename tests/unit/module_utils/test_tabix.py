"""module_utils/tabix.py against indexes that htslib's tabix made."""

from __future__ import annotations

import struct
from pathlib import Path

import pysam
import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import tabix
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import EOF_BLOCK, Bgzf
from ansible_collections.ousamg.anno.plugins.module_utils.tabix import TabixError
from sandbox.vcf import CHROMOSOMES, vcf_text
from support_validate import bgzip, indexed


@pytest.mark.parametrize("csi", [False, True])
def test_contigs_and_ends(tmp_path: Path, csi: bool) -> None:
    path = tmp_path / "x.vcf.gz"
    text = vcf_text("clinvar", "1")
    indexed(path, text, "vcf", csi=csi)
    index = tabix.read(f"{path}.{'csi' if csi else 'tbi'}", "i")
    assert (index.contigs, index.meta, index.skip) == (CHROMOSOMES, "#", 0)
    assert index.begin == text.index("\n1\t") + 1  # all in the first block
    assert index.end == (path.stat().st_size - len(EOF_BLOCK)) << 16


def test_many_blocks(tmp_path: Path) -> None:
    path = tmp_path / "x.bed.gz"
    indexed(path, "".join(f"{c}\t{n}\t{n + 1}\tx\n" for c in "12" for n in range(0, 3_000_000, 100)), "bed")
    index = tabix.read(f"{path}.tbi", "i")
    with Bgzf(str(path), "x") as file:
        offsets = [offset for offset, _content in file.blocks()]
    assert (index.contigs, index.begin, index.end) == (("1", "2"), 0, offsets[-1] << 16)
    assert (index.name_column, index.begin_column, index.zero_based) == (1, 2, True)


def test_positions_from_one_on(tmp_path: Path) -> None:
    bgzip(tmp_path / "x.tsv.gz", "x\t1\t50\n")
    pysam.tabix_index(str(tmp_path / "x.tsv.gz"), seq_col=1, start_col=2, end_col=2, force=True)
    index = tabix.read(str(tmp_path / "x.tsv.gz.tbi"), "i")
    assert (index.name_column, index.begin_column, index.zero_based) == (2, 3, False)


def packed(*parts: bytes | int) -> bytes:
    return b"".join(part if isinstance(part, bytes) else struct.pack("<i", part) for part in parts)


HEAD = (2, 1, 2, 0, 35, 0, 2, b"1\0")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"TBI\1",
        b"BAI\1" + bytes(100),
        packed(b"TBI\1", 1, *HEAD),
        packed(b"TBI\1", 2, *HEAD, 0, 0, 0, 0),
        packed(b"TBI\1", -1, *HEAD),
        packed(b"TBI\1", 1, *HEAD[:-2], -2, b"1\0", 0, 0),
        packed(b"TBI\1", 1, *HEAD, 2**31 - 1),
        packed(b"TBI\1", 1, *HEAD, 1, 5, -1, 0),
        packed(b"TBI\1", 1, *HEAD, 1, 5, 2**31 - 1, 0),
        packed(b"TBI\1", 1, *HEAD, 0, 2**31 - 1),
        packed(b"TBI\1", 1, *HEAD[:4], -5, *HEAD[5:], 0, 0),
        packed(b"CSI\1", 14, 2**31 - 1, 30, *HEAD, 1, 0),
        packed(b"CSI\1", 14, 5, 2**31 - 1, *HEAD, 1, 0),
    ],
)
def test_what_is_no_index(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tbi"
    bgzip(path, content)
    with pytest.raises(TabixError) as caught:
        tabix.read(str(path), "x.tbi")
    assert (caught.value.code, caught.value.path) == ("index-damaged", "x.tbi")


def test_an_index_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf.gz"
    indexed(path, vcf_text("hgmd", "1"), "vcf")
    index = Path(f"{path}.tbi")
    whole = index.read_bytes()
    for length in range(0, len(whole), 37):
        index.write_bytes(whole[:length])
        with pytest.raises(TabixError):
            tabix.read(str(index), "x.tbi")


def test_an_index_that_decompresses_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabix, "_MAX_BYTES", 1 << 20)
    path = tmp_path / "x.tbi"
    bgzip(path, bytes(2 << 20))
    with pytest.raises(TabixError, match="more than 1 MB"):
        tabix.read(str(path), "x.tbi")
