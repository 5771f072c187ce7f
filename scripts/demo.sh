#!/usr/bin/env bash
# Deploys a release into the sandbox as one would into a site: a dry run, the deployment, the same again, prod, and
# what is live in the end. Needs no root; everything is below .sandbox/ and .ansible/.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

export PYTHONPATH=tests ANNO_SANDBOX=$PWD/.sandbox
export ANSIBLE_INVENTORY=inventories/sandbox

bold=$(tput bold 2>/dev/null || true)
plain=$(tput sgr0 2>/dev/null || true)
chapter() { printf '\n%s── %s%s\n' "$bold" "$1" "$plain"; }
run() {
    printf '%s$ %s%s\n' "$bold" "$*" "$plain"
    "$@"
}

chapter 'A sandbox: both sites in local folders, with a real Supervisor, real VCFs, a real image'
python -m sandbox make
python -m sandbox start
python -m sandbox status

chapter 'A dry run: everything is checked, nothing is changed'
run ansible-playbook deploy.yml -l tsd -e env=staging --check --diff

chapter 'The deployment into staging'
run ansible-playbook deploy.yml -l tsd -e env=staging

if command -v vcfanno >/dev/null; then
    chapter 'The minimal test: does it annotate as it should?'
    run ansible-playbook test.yml -l tsd -e env=staging
fi

chapter 'The same again: nothing to do'
run ansible-playbook deploy.yml -l tsd -e env=staging

chapter 'Both sites, and then prod'
run ansible-playbook deploy.yml -e env=staging
run ansible-playbook deploy.yml -e env=prod

cat <<EOF

${bold}── The sandbox is yours${plain}
  It lies in .sandbox/, its Supervisor runs. To work on in it:
    source .venv/bin/activate
    export LC_ALL=C.UTF-8 ANSIBLE_INVENTORY=inventories/sandbox
    ansible-playbook deploy.yml -l tsd -e env=staging
  To stop it: make sandbox-stop. To begin anew: make sandbox.
EOF
