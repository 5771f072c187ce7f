"""The process that is interrupted: ``python -m torture.worker WORK DATA TARGET``.

Between two calls that only strace sees (:data:`BEGIN`, :data:`END`) it does nothing but the work. It ends with 0, or
with 3 and the error's text in place of a traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys

from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback, data_unpack, extract, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership

BEGIN, END = "/anno-torture/begin", "/anno-torture/end"
# The target of an unpack is an archive, that of a rollback a generation.
UNPACK, ROLLBACK = "unpack", "rollback"
FAILED = 3
# One generation is kept: the oldest of the scene goes in the same run.
KEEP = 1


def request(archive: str, data: str, *, activate: bool = True, strategy: str = unpack_plan.AUTO) -> unpack_plan.Request:
    return unpack_plan.Request(
        archive, data, Ownership(0o774), activate=activate, strategy=strategy, keep_generations=KEEP
    )


def work(what: str, data: str, target: str) -> None:
    if what == ROLLBACK:
        data_rollback.apply(data, target, True)
    else:
        data_unpack.apply(request(target, data))


def main() -> int:
    extract._BLOCK = 4096  # a small archive is many steps, too
    _mark(BEGIN)
    try:
        work(*sys.argv[1:])
        code, told = 0, ""
    except (AnnoError, OSError) as error:
        code, told = FAILED, failure(error)["msg"]
    _mark(END)
    os.writev(1, [told.encode()])  # write(2) may be made to fail
    return code


def _mark(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.stat(path)


if __name__ == "__main__":
    sys.exit(main())
