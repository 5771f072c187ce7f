"""Stands in for the anno service: needs its image and its data to start, then runs until SIGTERM."""

from __future__ import annotations

import json
import signal
import sys


def main() -> int:
    image, data = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        with open(image, "rb") as stream:
            if b"SIF_MAGIC" not in stream.read(64):
                raise ValueError(f"{image} is no SIF image")
        with open(f"{data}/sources.json", encoding="utf-8") as stream:
            versions = {name: entry["version"] for name, entry in json.load(stream).items()}
    except (OSError, ValueError) as error:
        print(f"anno cannot start: {error}", file=sys.stderr)
        return 1
    print(f"anno is ready with {versions}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    print("anno has stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
