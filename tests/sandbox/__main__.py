"""``python -m sandbox make|start|stop|remove|status [--root DIR]``"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from sandbox import service, sites

REPOSITORY = Path(__file__).resolve().parents[2]
MARKER = ".anno-sandbox"


class SandboxError(Exception):
    """The folder cannot be made, used or removed as a sandbox."""


def make(root: Path) -> None:
    """Make the sandbox anew. An old sandbox in its place is removed, anything else is left alone."""
    remove(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / MARKER).touch()
    sites.make(root)
    service.access(root)


def remove(root: Path) -> None:
    """Stop the services and remove the sandbox; nothing happens where there is none."""
    if not root.exists() or not any(root.iterdir()):
        return
    check(root)
    service.stop(root)
    # The marker goes last: a removal that was interrupted can be run again.
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARKER:
            path.unlink()
    (root / MARKER).unlink()
    root.rmdir()


def check(root: Path) -> None:
    """Raise SandboxError unless ``root`` is a sandbox."""
    if not (root / MARKER).is_file():
        raise SandboxError(
            f"{root}: no sandbox is there. Expected: a folder with {MARKER}. "
            "What to do: make one with `python -m sandbox make`, in an empty or a new folder (--root)."
        )


def show(root: Path) -> bool:
    """Print the services' state; true if they run."""
    states = service.status(root)
    print(f"sandbox   {root}")
    print(f"services  {service.access(root)['url'] if states else 'stopped'}")
    for name, state in states.items():
        print(f"          {name} {state}")
    return bool(states)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="Both sites in local folders, with real parts."
    )
    parser.add_argument("action", choices=("make", "start", "stop", "remove", "status"))
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("ANNO_SANDBOX") or REPOSITORY / ".sandbox"),
        help="folder of the sandbox (default: $ANNO_SANDBOX, else .sandbox in the repository)",
    )
    args = parser.parse_args()
    root: Path = args.root.resolve()
    try:
        if args.action in ("make", "remove"):
            {"make": make, "remove": remove}[args.action](root)
            return 0
        check(root)
        if args.action == "status":
            return 0 if show(root) else 3
        {"start": service.start, "stop": service.stop}[args.action](root)
    except (SandboxError, service.ServiceError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
