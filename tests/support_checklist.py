"""A deployed instance for the reviewer's checklist: the sandbox's staging of TSD, with its release on record."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ansible_collections.ousamg.anno.plugins.module_utils import checklist, checklist_facts, ledger, sources_json
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import ready_digest, source_digest
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import write_receipt
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import load
from sandbox import sites

TRACKS = [
    {"name": "clinvar", "package": "clinvar", "file": "*"},
    {"name": "hgmd", "package": "hgmd", "file": "*"},
    {"name": "gnomad.exomes", "package": "gnomad", "file": "*exomes*"},
    {"name": "gnomad.genomes", "package": "gnomad", "file": "*genomes*"},
]
TOOLS = checklist_facts.Tools("user", "password", "no-such-singularity", 0o774, TRACKS)


class Deployed(NamedTuple):
    """What was deployed into ``env`` of the site below ``root``."""

    root: Path
    env: str = "staging"

    @property
    def data(self) -> Path:
        return sites.tsd_instance(self.root, self.env).data

    @property
    def link(self) -> Path:
        return sites.tsd_instance(self.root, self.env).image_link

    @property
    def images(self) -> Path:
        return sites.tsd_root(self.root) / "archive/releases"

    @property
    def image(self) -> Path:
        return self.images / f"anno-{sites.LIVE}.sif"

    @property
    def ledger(self) -> Path:
        return self.data.parent / "deployments.jsonl"

    @property
    def tracks(self) -> Path:
        return sites.ella_tracks(self.root, self.env)

    def instance(self) -> dict[str, Any]:
        """As the inventory has it; without a service."""
        return {
            "data": str(self.data),
            "image_link": str(self.link),
            "ledger": str(self.ledger),
            "ella_tracks": str(self.tracks),
        }

    def write_manifest(self, version: str = sites.LIVE, **changes: Any) -> str:
        """Write the manifest of what is live and return its digest."""
        content = {
            "version": version,
            "ella_anno": None,
            "kind": "minor",
            "packages": [
                {"name": name, "version": sites.LIVE_PACKAGES[name], "repository": None}
                for name in ("clinvar", "gnomad")
            ],
            "archive": {"file": "data.tar", "size": 1, "sha256": 64 * "0"},
            "image": {
                "file": self.image.name,
                "size": self.image.stat().st_size,
                "sha256": hashlib.sha256(self.image.read_bytes()).hexdigest(),
                "versions": {"ella_anno": "v2.7.0", "anno_targets": sites.LIVE},
            },
            "tracks": [],
            "issue": None,
            "created": None,
        } | changes
        path = self.images / f"{version}.yml"
        path.write_text(yaml.safe_dump(content))
        return load(path.read_text(), str(path)).digest

    def write_receipt(self, generation: str) -> str:
        """As the engine writes it with a switch, of one package. Returns the id of the generation."""
        name, destination = "clinvar", "variantDBs/clinvar"
        source = sources_json.parse((self.data / sources_json.FILE_NAME).read_text(), sources_json.FILE_NAME)[name]
        stamp = {"path": "data.tar", "size": 1, "mtime_ns": 1, "sha256": 64 * "0", "destinations": [destination]}
        record = {
            "name": name, "destination": destination, "version": source.version, "timestamp": source.timestamp,
            "source": source_digest(source), "ready": ready_digest(str(self.data / destination)), "archive": stamp,
        }  # fmt: skip
        receipt = {"generation": generation, "packages": [record], "archive": stamp}
        write_receipt(str(self.data), receipt, Ownership(0o774))
        return generation

    def record(self, *entries: dict[str, Any], version: str = sites.LIVE, digest: str, deployment: str = "one") -> None:
        words = {"site": "TSD", "env": self.env, "release": version, "manifest": digest, "by": "kim"}
        request = ledger.Request(deployment, entries, **words)
        ledger.append(str(self.ledger), request)

    def deploy(self, version: str = sites.LIVE, **changes: Any) -> str:
        """Write the manifest and the record of its deployment, without a test. Returns the digest."""
        digest = self.write_manifest(version, **changes)
        after = {"generation": self.write_receipt(f"{version}-1")}
        words = [{"event": "start"}, {"event": "switch", "what": "data", "after": after}]
        words.append({"event": "end", "outcome": "ok"})
        self.record(*words, version=version, digest=digest, deployment=version)
        return digest

    def facts(self, tools: checklist_facts.Tools = TOOLS) -> dict[str, Any]:
        instance = checklist_facts.Instance(
            self.env, str(self.data), str(self.link), str(self.images), str(self.ledger), [str(self.images)],
            None, str(self.tracks),
        )  # fmt: skip
        staging = None if self.env == "staging" else str(Deployed(self.root).ledger)
        return checklist_facts.inspect(instance, staging, tools)

    def lines(self, facts: dict[str, Any] | None = None) -> dict[str, checklist.Line]:
        """The checklist, by name of the line."""
        known = facts or self.facts()
        found = checklist.judge(known, checklist.read_manifests(known["manifests"], load), 0o774)
        return {line.line: line for line in found}

    def not_ok(self, facts: dict[str, Any] | None = None) -> dict[str, str]:
        """The lines that are not ok, but that of the versions, for which this host lacks the program."""
        lines = self.lines(facts)
        lines.pop("image versions")
        return {name: line.state for name, line in lines.items() if line.state != "ok"}


def make_deployed(root: Path) -> Deployed:
    """A sandbox below ``root`` whose TSD staging was deployed and tested."""
    sites.make(root)
    deployed = Deployed(root)
    digest = deployed.deploy()
    deployed.record({"event": "test", "outcome": "ok"}, digest=digest)
    return deployed
