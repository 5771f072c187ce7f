"""After the role, which is a restart: the service runs, and was started anew."""

import os
from pathlib import Path

from sandbox import service

ROOT = Path(os.environ["ANNO_SANDBOX"])


def test_both_programs_run():
    assert service.status(ROOT) == {"anno-staging": "RUNNING", "anno-prod": "RUNNING"}


def test_only_staging_was_restarted():
    staging, prod = (service.rpc(ROOT).getProcessInfo(name) for name in ("anno-staging", "anno-prod"))
    assert staging["start"] > prod["start"]
