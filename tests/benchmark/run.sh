#!/usr/bin/env bash
# Prints one table of figures; BENCH_DIR says where the files are made (default: .ansible/bench, about 8 GB).
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

export PYTHONPATH=$PWD/collections:$PWD/tests
exec python -m benchmark "${BENCH_DIR:-$PWD/.ansible/bench}"
