#!/usr/bin/env bash
# images.sh FOLDER: makes images with Apptainer, of a few programs and the version files of the anno system; run inside
# the root that rootfs.sh made, as svc-anno. In FOLDER are afterwards:
#   anno-v3.2.0.sif   5 MB: ella-anno v2.7.1a as JSON, anno-targets v3.2.0 as a lone tag; sh, cat, sleep and vcfanno
#   signed.sif        the same, signed
#   keys/             the signer's key ring, for APPTAINER_KEYSDIR
set -euo pipefail
folder=${1:?usage: images.sh FOLDER}
log=$folder/log
work=$(mktemp -d)

content=$work/content
mkdir -p "$content"/{anno,anno-targets,bin,dev,etc,proc,sys,tmp}
printf '{"tag": "v2.7.1a", "commit": "0b5c1de"}\n' >"$content/anno/version"
printf 'v3.2.0\n' >"$content/anno-targets/version"
cp /usr/bin/busybox "$content/bin"
for program in cat sh sleep; do ln -s busybox "$content/bin/$program"; done
cp /usr/bin/vcfanno "$content/bin"
# Its libraries, by the names under which it looks for them.
for library in $(ldd /usr/bin/vcfanno | grep -o '/[^ ]*'); do install -D "$library" "$content$library"; done

{
    apptainer build "$folder/anno-v3.2.0.sif" "$content"
    cp "$folder/anno-v3.2.0.sif" "$folder/signed.sif"
    mkdir -m 700 "$folder/keys"
    export APPTAINER_KEYSDIR=$folder/keys
    apptainer key newpair --name release --email release@example.org --comment test --password '' --push=false
    apptainer sign "$folder/signed.sif"
} >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
