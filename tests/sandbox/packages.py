"""Packages in a data directory, as ella-anno and anno-targets make them: their files, MD5SUM, DATA_READY,
their entry in sources.json, and the directory's vcfanno_config.toml."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Union

import yaml

from sandbox.vcf import write_bed, write_vcf

Version = Union[str, int]


class Table(NamedTuple):
    """One VCF of a package and the ``[[annotation]]`` that uses it."""

    source: str
    file: str
    fields: tuple[str, ...]
    names: tuple[str, ...]
    ops: tuple[str, ...]


class Recipe(NamedTuple):
    """How a package is made. ``{version}`` is replaced in names, texts and link targets."""

    repository: str
    destination: str
    tables: tuple[Table, ...] = ()
    files: Mapping[str, str] = {}
    links: Mapping[str, str] = {}


def _gnomad(kind: str) -> Table:
    fields = ("AC", "AN", "AF", "nhomalt", "nhomalt_nfe", "nhomalt_sas")
    names = ("AC", "AN", "AF", "Hom", "Hom_NFE", "Hom_SAS")
    prefix = f"GNOMAD_{kind.upper()}__"
    return Table(
        f"gnomad.{kind}",
        f"gnomad.{kind}_{{version}}.vcf.gz",
        fields,
        tuple(prefix + name for name in names),
        ("first",) * len(fields),
    )


RECIPES = {
    "clinvar": Recipe(
        "ella-anno",
        "variantDBs/clinvar",
        (Table("clinvar", "clinvar_{version}.vcf.gz", ("CLINVARJSON",), ("CLINVARJSON",), ("first",)),),
        {"README.md": "ClinVar {version}\n"},
    ),
    "hgmd": Recipe(
        "anno-targets",
        "variantDBs/hgmd",
        (
            Table(
                "hgmd",
                "hgmd_{version}.vcf.gz",
                ("ID", "CLASS", "GENE", "RANKSCORE"),
                ("HGMD__ID", "HGMD__CLASS", "HGMD__GENE", "HGMD__RANKSCORE"),
                ("first", "first", "first", "first"),
            ),
        ),
        {"README.md": "HGMD {version}\n"},
    ),
    "gnomad": Recipe("ella-anno", "variantDBs/gnomad", (_gnomad("exomes"), _gnomad("genomes"))),
    "fasta": Recipe(
        "ella-anno",
        "FASTA",
        files={
            "human_g1k_{version}.fasta": ">1\nACGTACGTACGTACGTACGT\n>2\nTTGACCATTGACCATTGACC\n",
            "human_g1k_{version}.fasta.fai": "1\t20\t3\t20\t21\n2\t20\t27\t20\t21\n",
        },
    ),
    "seqrepo": Recipe(
        "ella-anno",
        "seqrepo",
        files={
            "{version}/aliases.sqlite3": "aliases of {version}\n",
            "{version}/sequences/db.sqlite3": "sequences of {version}\n",
        },
        links={"latest": "{version}"},
    ),
    "vep": Recipe(
        "ella-anno",
        "VEP/cache",
        files={
            "homo_sapiens_merged/{version}_GRCh37/info.txt": "species\thomo_sapiens\nversion\t{version}\n",
            "homo_sapiens_merged/{version}_GRCh37/1/1-1000000.txt": "transcripts of VEP {version}\n",
        },
    ),
}

# What the release responsible added by hand and no package owns: an update must leave it as it is.
LOCAL_BED = "local/recurrent_artefacts.bed.gz"
_BY_HAND_TOP = """\
# vcfanno configuration of anno. The tables of the packages are rebuilt at each update;
# this comment, the local table and the post-annotation are kept by hand.

"""
_BY_HAND_END = f"""\
[[annotation]]  # local regions: ask the laboratory before removing
file = "{LOCAL_BED}"
columns = [4]
names = ["LOCAL__ARTEFACT"]
ops = ["first"]

[[postannotation]]
fields = ["GNOMAD_EXOMES__AC", "GNOMAD_GENOMES__AC"]
op = "sum"
name = "GNOMAD__AC"
type = "Integer"
"""


def data_folder(data: Path, packages: Mapping[str, Version]) -> None:
    """Make a data directory with these packages (``{"clinvar": "20230504", "vep": 105}``)."""
    for name, version in packages.items():
        make_package(data, name, version)
    write_bed(data / LOCAL_BED, [("1", 100_000, 120_000, "alu"), ("X", 390_000, 400_000, "par")])
    write_config(data)


def make_package(data: Path, name: str, version: Version) -> None:
    """Make one package: its files, MD5SUM, DATA_READY (last, as ella-anno does) and its entry in sources.json."""
    recipe = RECIPES[name]
    folder = data / recipe.destination
    for file, text in recipe.files.items():
        path = folder / file.format(version=version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(version=version), encoding="utf-8")
    for link, target in recipe.links.items():
        (folder / link).symlink_to(target.format(version=version))
    for table in recipe.tables:
        write_vcf(folder / table.file.format(version=version), table.source, str(version))
    write_md5sum(folder)
    timestamp = "2023-06-01 08:00:00+00:00"
    ready = yaml.safe_dump({"timestamp": timestamp, "version": version})
    (folder / "DATA_READY").write_text(ready, encoding="utf-8")
    entry: dict[str, Any] = {"version": version, "timestamp": timestamp}
    if recipe.tables:
        entry["vcfanno"] = [
            {
                "file": f"{recipe.destination}/{table.file.format(version=version)}",
                "fields": list(table.fields),
                "names": list(table.names),
                "ops": list(table.ops),
            }
            for table in recipe.tables
        ]
    sources = read_sources(data) | {name: entry}
    (data / "sources.json").write_text(json.dumps(sources, indent=4) + "\n", encoding="utf-8")


def write_md5sum(folder: Path) -> None:
    """Write MD5SUM over all regular files of a package, itself and DATA_READY excepted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    lines = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(folder)}\n"
        for path in files
        if str(path.relative_to(folder)) not in ("MD5SUM", "DATA_READY")
    ]
    (folder / "MD5SUM").write_text("".join(lines), encoding="utf-8")


def read_sources(data: Path) -> dict[str, Any]:
    """The sources.json of a data directory; empty where there is none yet."""
    path = data / "sources.json"
    sources: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return sources


def write_config(data: Path) -> None:
    """Write vcfanno_config.toml: the tables of all packages between the parts kept by hand."""
    text = _BY_HAND_TOP
    for entry in read_sources(data).values():
        for table in entry.get("vcfanno", []):
            # A JSON string or list of strings is the same in TOML.
            text += "[[annotation]]\n" + "".join(f"{key} = {json.dumps(table[key])}\n" for key in table) + "\n"
    (data / "vcfanno_config.toml").write_text(text + _BY_HAND_END, encoding="utf-8")


def set_modes(top: Path, files: int = 0o774, folders: int = 0o775) -> None:
    """Give every file and folder of a tree its mode, whatever the umask was."""
    for folder, _, names in os.walk(top):
        Path(folder).chmod(folders)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(files)
