"""The folders of TSD and NSC below the sandbox's root: release v3.1.0 live everywhere, v3.2.0 just uploaded."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import yaml

from sandbox import packages
from sandbox.archive import archive_name, make_archive

IMAGES = Path(__file__).resolve().parents[1] / "fixtures" / "images"
LIVE = "v3.1.0"
LIVE_PACKAGES: dict[str, packages.Version] = {
    "clinvar": "20230504",
    "fasta": "v37",
    "gnomad": "2.1.1",
    "hgmd": "2023.1",
    "seqrepo": "2021-01-29",
    "vep": 105,
}
NEW = "v3.2.0"
# vep is in the sources.json of the machine the archive was made on, but not in the archive.
NEW_PACKAGES: dict[str, packages.Version] = {"clinvar": "20240107", "hgmd": "2023.4", "vep": 110}
NEW_ARCHIVE = ("clinvar", "hgmd")
# The tracks of ELLA and the packages that they are made from.
TRACKS = {"clinvar": "clinvar", "hgmd": "hgmd", "gnomad.exomes": "gnomad", "gnomad.genomes": "gnomad"}
ENVS = ("staging", "prod")


class Instance(NamedTuple):
    """Where one env of one site has its parts (absolute paths)."""

    data: Path
    image_link: Path
    work: Path


def tsd_root(root: Path) -> Path:
    return root / "tsd/ess/p22/data/durable/production/anno"


def nsc_root(root: Path, env: str) -> Path:
    return root / "nsc/boston/diag" / {"staging": "staging", "prod": "production"}[env] / "sw/annotation"


def ella_tracks(root: Path, env: str) -> Path:
    """The folder of ELLA's tracks; their configuration lies beside it."""
    return root / f"tsd/ess/p22/data/durable/production/ella/ella-{env}/data/igv-data/tracks"


def tsd_instance(root: Path, env: str) -> Instance:
    top = tsd_root(root) / f"anno-{env}"
    return Instance(top / "data", top / "anno.sif", top / "work")


def make(root: Path) -> None:
    """Lay out both sites below ``root``, an existing folder."""
    with tempfile.TemporaryDirectory() as scratch:
        live = Path(scratch, "live")
        packages.data_folder(live, LIVE_PACKAGES)
        packages.set_modes(live)
        upload = make_upload(Path(scratch))
        _make_tsd(root, live, upload)
        _make_nsc(root, live, upload)


def make_upload(scratch: Path) -> Path:
    """A folder below ``scratch`` with what is uploaded for v3.2.0: data archive, image, manifest."""
    data, upload = scratch / "data", scratch / "upload"
    upload.mkdir()
    packages.data_folder(data, NEW_PACKAGES)
    archive = upload / archive_name(data, NEW_ARCHIVE)
    make_archive(archive, data, NEW_ARCHIVE)
    image = _copy_image(NEW, upload)
    manifest = {
        "version": NEW,
        "ella_anno": "v2.7.1a",
        "kind": "minor",
        "packages": [
            {"name": name, "version": NEW_PACKAGES[name], "repository": packages.RECIPES[name].repository}
            for name in NEW_ARCHIVE
        ],
        "archive": _file_facts(archive),
        "image": {**_file_facts(image), "versions": {"ella_anno": "v2.7.1a", "anno_targets": NEW}},
        "tracks": [],
        "issue": None,
        "created": "2024-01-10T09:00:00+00:00",
    }
    text = "---\n" + yaml.safe_dump(manifest, sort_keys=False)
    (upload / f"{NEW}.yml").write_text(text, encoding="utf-8")
    # As uploads arrive: readable, nothing more. The deployment has to see to the modes.
    packages.set_modes(upload, files=0o644, folders=0o775)
    return upload


def _file_facts(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    return {"file": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _copy_image(version: str, folder: Path) -> Path:
    image = folder / f"anno-{version}.sif"
    shutil.copyfile(IMAGES / image.name, image)
    image.chmod(0o774)
    return image


def _make_tsd(root: Path, live: Path, upload: Path) -> None:
    top = tsd_root(root)
    for folder in ("archive/data", "archive/releases"):
        (top / folder).mkdir(parents=True)
    image = _copy_image(LIVE, top / "archive/releases")
    for env in ENVS:
        instance = tsd_instance(root, env)
        shutil.copytree(live, instance.data, symlinks=True)
        instance.image_link.symlink_to(image)
        _make_finished_task(instance, "1")
        _make_tracks(root, env, instance.data)
    shutil.copytree(upload, top / "incoming")


def _make_nsc(root: Path, live: Path, upload: Path) -> None:
    for env, data in (("staging", "data"), ("prod", "anno/anno/data")):
        top = nsc_root(root, env)
        shutil.copytree(live, top / data, symlinks=True)
        (top / "anno").mkdir(exist_ok=True)
        (top / "anno/anno.sif").symlink_to(_copy_image(LIVE, top / "anno").name)
    (nsc_root(root, "prod") / "releases").mkdir()
    shutil.copytree(upload, nsc_root(root, "prod") / "incoming")


def _make_tracks(root: Path, env: str, data: Path) -> None:
    """ELLA's tracks as the procedure leaves them: made from the live data, which the description tells."""
    folder = ella_tracks(root, env)
    folder.mkdir(parents=True)
    config = {"^STATIC/.*": {"presets": ["Default"], "type": "variant"}}
    for track, package in TRACKS.items():
        version = LIVE_PACKAGES[package]
        update_track(folder, track, data / f"variantDBs/{package}/{track}_{version}.vcf.gz")
        config[f"^STATIC/{track}-current"] = {"description": f"{track} {version}", "show": True}
    (folder.parent / "track_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    packages.set_modes(folder.parent)


def update_track(folder: Path, track: str, source: Path) -> None:
    """Copy a file and its index into ELLA's folder and point the links to them."""
    for end in ("", ".tbi"):
        shutil.copy2(f"{source}{end}", folder)
        link = folder / f"{track}-current.vcf.gz{end}"
        link.unlink(missing_ok=True)
        link.symlink_to(f"{source.name}{end}")


def _make_finished_task(instance: Instance, task: str) -> None:
    """The folder that a finished analysis leaves in ``work``."""
    folder = instance.work / task
    steps = ("VCFANNO", "VEP", "TARGETS")
    for step in steps:
        (folder / step).mkdir(parents=True)
    names = [("QUEUED", ""), *((step, state) for step in steps for state in ("STARTED", "DONE")), ("FINALIZED", "")]
    status = "".join(
        "\t".join(filter(None, (f"2023-06-02 10:{minute:02d}:00", name, state))) + "\n"
        for minute, (name, state) in enumerate(names)
    )
    (folder / "STATUS").write_text(status, encoding="utf-8")
    (folder / "SUCCESS").touch()
    vcfanno = folder / "VCFANNO"
    shutil.copy(instance.data / "vcfanno_config.toml", vcfanno)
    (vcfanno / "cmd.sh").write_text(
        f"vcfanno -p 4 -base-path {instance.data} vcfanno_config.toml input.vcf > output.vcf\n", encoding="utf-8"
    )
    (vcfanno / "output.log").write_text("annotated 1 variants\n", encoding="utf-8")
    clinvar = instance.data / f"variantDBs/clinvar/clinvar_{LIVE_PACKAGES['clinvar']}.vcf.gz"
    (vcfanno / "output.vcf").write_text(
        "##fileformat=VCFv4.2\n"
        f'##INFO=<ID=CLINVARJSON,Number=1,Type=String,Description="ClinVar records as JSON (from {clinvar})">\n'
        "##vcfanno=0.3.5\n"
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "1\t100500\t.\tA\tC\t.\tPASS\t.\n",
        encoding="utf-8",
    )
    packages.set_modes(folder)
