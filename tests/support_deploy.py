"""Whole deployments: the real ansible-playbook against a sandbox with a real supervisord."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from sandbox import service, sites
from support_tree import Node, snapshot

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 150


class Run(NamedTuple):
    """An ended ansible-playbook. ``text`` is its output with each run of white space as one space (Ansible folds long
    messages); ``recap`` are its last lines, ``{"tsd": {"ok": 3, "changed": 0, …}}``."""

    code: int
    output: str

    @property
    def text(self) -> str:
        return " ".join(self.output.split())

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        lines = re.findall(r"^(\w+) +: (ok=.*)$", self.output, re.MULTILINE)
        return {host: {key: int(n) for key, n in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in lines}

    def changed(self, host: str = "tsd") -> int:
        return self.recap[host]["changed"]


class Site(NamedTuple):
    """A fresh sandbox and the paths that tests look at; ``home`` is the deployer's home directory."""

    root: Path
    home: Path

    @property
    def tsd(self) -> Path:
        return sites.tsd_root(self.root)

    @property
    def incoming(self) -> Path:
        return self.tsd / "incoming"

    @property
    def releases(self) -> Path:
        return self.tsd / "archive/releases"

    @property
    def staging(self) -> Path:
        return self.tsd / "anno-staging"

    @property
    def data(self) -> Path:
        return self.staging / "data"

    @property
    def link(self) -> Path:
        return self.staging / "anno.sif"

    @property
    def image(self) -> Path:
        """The image that was uploaded."""
        return self.incoming / f"anno-{sites.NEW}.sif"

    @property
    def archive(self) -> Path:
        """The data archive that was uploaded."""
        return next(self.incoming.glob("*.tar"))

    @property
    def manifest(self) -> Path:
        return self.incoming / f"{sites.NEW}.yml"

    def edit_manifest(self, **changes: Any) -> None:
        """Write the uploaded manifest anew with these keys."""
        content = yaml.safe_load(self.manifest.read_text()) | changes
        self.manifest.write_text("---\n" + yaml.safe_dump(content, sort_keys=False))

    def tree(self) -> dict[str, Node]:
        """Every file of both sites; supervisord's own logs lie elsewhere."""
        return {
            f"{top}/{name}": node
            for top in ("tsd/ess", "nsc")
            for name, node in snapshot(self.root / top).items()
        }

    def ledger(self, env: str = "staging") -> list[dict[str, Any]]:
        path = self.tsd / f"anno-{env}/deployments.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def story(self, env: str = "staging") -> list[str]:
        """The ledger in short: ``["start", "switch data", …, "end ok"]``."""
        return [" ".join(filter(None, (e["event"], e["what"], e["outcome"]))) for e in self.ledger(env)]

    def pids(self) -> dict[str, int]:
        """The process of each program that runs: the same pid means that it was not restarted."""
        return {info["name"]: info["pid"] for info in service.rpc(self.root).getAllProcessInfo() if info["pid"]}

    def version(self, package: str, data: Path | None = None) -> str:
        return str(json.loads(((data or self.data) / "sources.json").read_text())[package]["version"])

    def environment(self) -> dict[str, str]:
        return environment(self.home) | {"ANNO_SANDBOX": str(self.root)}

    def command(
        self, *args: str, limit: str = "tsd", env: str | None = "staging", playbook: str = "deploy.yml"
    ) -> list[str]:
        named = ["-e", f"env={env}"] if env else []
        return ["ansible-playbook", "-i", "inventories/sandbox", playbook, "-l", limit, *named, *args]


def environment(home: Path) -> dict[str, str]:
    """The environment of a deployer: nothing of the developer's own settings gets in."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "ANNO_", "PYTHON"))}
    return inherited | {
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Deploy(NamedTuple):
    """Runs a playbook from the repository root and asserts its return code. ``prefix`` is a command in front of it,
    ``answers`` what is typed."""

    site: Site
    playbook: str = "deploy.yml"

    def __call__(
        self,
        *args: str,
        limit: str = "tsd",
        env: str | None = "staging",
        expect: int = 0,
        prefix: Sequence[str] = (),
        answers: str = "",
    ) -> Run:
        done = subprocess.run(
            [*prefix, *self.site.command(*args, limit=limit, env=env, playbook=self.playbook)],
            cwd=REPOSITORY,
            env=self.site.environment(),
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == expect, done.stdout
        return Run(done.returncode, done.stdout)
