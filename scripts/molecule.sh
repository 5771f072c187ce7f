#!/usr/bin/env bash
# Runs Molecule's scenarios, all or those that are named, two at a time. Everything they write is below .ansible/; what
# a scenario printed is shown when it fails, and kept in .ansible/molecule/<scenario>.log.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

export MOLECULE_GLOB='molecule/*/molecule.yml'
export XDG_CACHE_HOME=$PWD/.ansible/cache
export ANSIBLE_HOME=$PWD/.ansible
logs=$PWD/.ansible/molecule
mkdir -p "$logs"

run() {
    local began=$SECONDS log=$logs/$1.log
    if molecule test --scenario-name "$1" >"$log" 2>&1; then
        printf 'molecule %-20s passed in %d s\n' "$1" $((SECONDS - began))
    else
        cat "$log"
        printf 'molecule %-20s FAILED, see above\n' "$1"
        return 1
    fi
}
export -f run
export logs

scenarios=("$@")
if ((${#scenarios[@]} == 0)); then
    # The longest first, so that the others fit beside it.
    for path in molecule/default molecule/[!d]* molecule/d[!e]*; do
        if [[ $path == molecule/minimal_test ]] && ! command -v vcfanno >/dev/null; then
            echo 'molecule minimal_test         skipped: needs vcfanno (scripts/setup.sh tests)'
            continue
        fi
        scenarios+=("${path#molecule/}")
    done
fi
printf '%s\0' "${scenarios[@]}" | xargs -0 -n 1 -P 2 bash -c 'run "$1"' molecule
printf '%d scenarios passed.\n' "${#scenarios[@]}"
