"""After the role: the link leads to the new image."""

import os
from pathlib import Path

from sandbox.sites import tsd_instance, tsd_root

ROOT = Path(os.environ["ANNO_SANDBOX"])


def test_the_link_leads_to_the_new_image(host):
    link = host.file(str(tsd_instance(ROOT, "staging").image_link))
    assert link.is_symlink
    assert link.linked_to == str(tsd_root(ROOT) / "incoming/anno-v3.2.0.sif")


def test_the_image_has_at_least_the_mode_774(host):
    assert host.file(str(tsd_root(ROOT) / "incoming/anno-v3.2.0.sif")).mode & 0o774 == 0o774


def test_the_other_env_is_as_it_was(host):
    link = host.file(str(tsd_instance(ROOT, "prod").image_link))
    assert link.linked_to.endswith("/anno-v3.1.0.sif")
