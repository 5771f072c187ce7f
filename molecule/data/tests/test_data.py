"""After the role: the packages of the archive are live, the rest is as it was."""

import json
import os
from pathlib import Path

from sandbox.sites import tsd_instance

ROOT = Path(os.environ["ANNO_SANDBOX"])
DATA = tsd_instance(ROOT, "staging").data
FORMER = tsd_instance(ROOT, "prod").data  # the same as staging was


def test_the_versions_are_those_of_the_archive(host):
    sources = json.loads(host.file(str(DATA / "sources.json")).content_string)
    former = json.loads(host.file(str(FORMER / "sources.json")).content_string)
    assert (sources["clinvar"]["version"], sources["hgmd"]["version"]) == ("20240107", "2023.4")
    assert {k: v for k, v in sources.items() if k not in ("clinvar", "hgmd")} == {
        k: v for k, v in former.items() if k not in ("clinvar", "hgmd")
    }


def test_every_package_agrees_with_its_checksums(host):
    for folder in ("variantDBs/clinvar", "variantDBs/hgmd", "variantDBs/gnomad", "seqrepo"):
        assert host.run(f"cd {DATA / folder} && md5sum --check --strict MD5SUM").succeeded, folder


def test_the_former_files_of_a_replaced_package_are_gone(host):
    names = host.file(str(DATA / "variantDBs/clinvar")).listdir()
    assert "clinvar_20240107.vcf.gz" in names
    assert "clinvar_20230504.vcf.gz" not in names


def test_the_config_names_the_new_files_and_keeps_what_is_local(host):
    config = host.file(str(DATA / "vcfanno_config.toml"))
    assert config.mode & 0o774 == 0o774
    assert "variantDBs/clinvar/clinvar_20240107.vcf.gz" in config.content_string
    assert "20230504" not in config.content_string
    assert "[[postannotation]]" in config.content_string


def test_the_former_generation_is_kept(host):
    kept = host.file(str(DATA.parent / ".data.anno/generations")).listdir()
    assert len(kept) == 1
