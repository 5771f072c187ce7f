"""The role annotates and looks, and leaves nothing behind: its scenario compares the tree after the run too."""

import json
import os
from pathlib import Path

from support_tree import snapshot

ROOT = Path(os.environ["ANNO_SANDBOX"])


def test_nothing_was_written():
    before = json.loads(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "tree.json").read_text())
    assert {name: list(node) for name, node in snapshot(ROOT).items()} == before
