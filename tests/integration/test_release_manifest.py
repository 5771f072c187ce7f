"""The task release_manifest as ansible-playbook runs it: the target's half and the controller's half together."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sandbox import sites
from support_deploy import REPOSITORY, environment


def facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"file": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


class Shop:
    """A folder with an upload, and one play for all questions about it and its copies: a run costs seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = sites.make_upload(folder).rename(folder / "incoming")
        (self.tar,) = self.incoming.glob("*.tar")
        (self.image,) = self.incoming.glob("*.sif")
        self.manifest = self.incoming / "v3.2.0.yml"
        self.content: dict[str, Any] = yaml.safe_load(self.manifest.read_text())

    def copy(self, name: str, **manifests: Any) -> Path:
        """A folder with the same artifacts and, as JSON, these manifests (``v3_2_0={…}``)."""
        folder = self.folder / name
        folder.mkdir()
        for path in (self.tar, self.image):
            shutil.copyfile(path, folder / path.name)
        for version, content in manifests.items():
            text = content if isinstance(content, str) else json.dumps(content, indent=1)
            (folder / f"{version.replace('_', '.')}.yml").write_text(text)
        return folder

    def ask(self, *questions: dict[str, Any]) -> list[dict[str, Any]]:
        """The results, in the order of the questions: each the task's arguments, with ``folder`` for both searches."""
        tasks: list[dict[str, Any]] = []
        for number, question in enumerate(questions):
            folder = str(question.pop("folder", self.incoming))
            args = {"search": [folder], "artifact_search": [folder]} | question
            tasks.append({"ousamg.anno.release_manifest": args, "register": f"found{number}", "ignore_errors": True})
        for number in range(len(questions)):
            keep = {"content": f"{{{{ found{number} | to_json }}}}", "dest": str(self.folder / f"{number}.json")}
            tasks.append({"ansible.builtin.copy": keep | {"mode": "0600"}})
        variables = {"ansible_python_interpreter": sys.executable}
        play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
        (self.folder / "play.yml").write_text(json.dumps([play]))
        done = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "-c", "local", self.folder / "play.yml"],
            cwd=REPOSITORY,
            env=environment(self.folder) | {"ANSIBLE_COLLECTIONS_PATH": "collections"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "Traceback" not in done.stdout
        return [json.loads((self.folder / f"{number}.json").read_text()) for number in range(len(questions))]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_what_is_found(shop: Shop) -> None:
    as_json = shop.copy("json", v3_1_0=shop.content | {"version": "v3.1.0"}, v3_2_0=shop.content)
    bare, elsewhere = shop.copy("bare"), shop.copy("elsewhere")
    names = {"data_archive": shop.tar.name, "image": shop.image.name}
    named, newest, described, derived, again = shop.ask(
        {"release": "v3.2.0"},
        {"folder": as_json},
        names,
        names | {"folder": bare},
        names | {"folder": elsewhere},
    )
    assert not any(answer["changed"] or answer.get("failed") for answer in (named, newest, described, derived, again))

    assert (named["origin"], named["path"]) == ("file", str(shop.manifest))
    assert named["text"] == shop.manifest.read_text()
    assert named["manifest"]["packages"][0] == shop.content["packages"][0]
    assert named["msg"] == f"v3.2.0: named, {shop.manifest}"
    # JSON is YAML: only the formatting differs.
    assert newest["digest"] == named["digest"]
    assert (newest["available"], newest["msg"]) == (["v3.1.0", "v3.2.0"], f"v3.2.0: newest of 2 in {as_json}")

    # Artifacts that were named, and their manifest lies there.
    assert (described["origin"], described["digest"]) == ("file", named["digest"])
    assert described["manifest"]["ella_anno"] == "v2.7.1a"

    # And where none does.
    assert (derived["origin"], derived["path"]) == ("derived", None)
    assert (derived["manifest"]["kind"], derived["manifest"]["archive"]) == ("minor", facts(shop.tar))
    assert [(package["name"], package["version"]) for package in derived["manifest"]["packages"]] == [
        (name, str(sites.NEW_PACKAGES[name])) for name in sites.NEW_ARCHIVE
    ]
    assert derived["msg"] == f"v3.2.0: derived from {shop.tar.name} and {shop.image.name}"
    # It is the same at each site.
    assert (again["digest"], again["text"]) == (derived["digest"], derived["text"])


def test_what_is_refused(shop: Shop) -> None:
    without = {key: value for key, value in shop.content.items() if key != "issue"}
    wrong = shop.copy("wrong", v3_2_0=without | {"kind": "big"})
    broken = shop.copy("broken", v3_2_0="version: [\n")
    cut = shop.copy("cut")
    (cut / shop.tar.name).write_bytes(shop.tar.read_bytes()[:700])
    answers = shop.ask(
        {"folder": wrong},
        {"folder": broken},
        {"release": "v9.9.9"},
        {"image": shop.image.name},
        {"folder": cut, "data_archive": shop.tar.name},
        {"folder": cut, "data_archive": shop.tar.name, "release": "v3.2.0a"},
    )
    for answer in answers:
        assert answer["failed"]
        assert answer["msg"] == (
            f"{answer['where']}: {answer['found']}. Expected: {answer['expected']}. What to do: {answer['todo']}"
        )
    keys, yaml_error, unknown, other, nameless, truncated = answers
    assert keys["where"] == str(wrong / "v3.2.0.yml")
    assert "the key issue is missing" in keys["found"]
    assert "kind is 'big'" in keys["found"]
    assert (yaml_error["where"], "line 2, column 1" in yaml_error["found"]) == (str(broken / "v3.2.0.yml"), True)
    assert (unknown["where"], "v9.9.9" in unknown["found"]) == (str(shop.incoming), True)
    # The manifest names an archive too.
    assert other["where"] == str(shop.manifest)
    assert shop.tar.name in other["found"]
    assert shop.tar.name not in other["expected"]
    assert "-e release=" in nameless["todo"]
    assert truncated["where"].startswith(str(cut / shop.tar.name))
