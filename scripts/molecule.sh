#!/usr/bin/env bash
# Runs Molecule's scenarios, all or those that are named. Everything they write is below .ansible/.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

export MOLECULE_GLOB='molecule/*/molecule.yml'
export XDG_CACHE_HOME=$PWD/.ansible/cache
export ANSIBLE_HOME=$PWD/.ansible
if (($#)); then
    for scenario; do molecule test --scenario-name "$scenario"; done
else
    molecule test --all
fi
