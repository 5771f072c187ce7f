#!/usr/bin/env bash
# rootfs.sh FOLDER: makes the root file system of the test hosts in a new folder, from Debian's packages.
# It takes root and mmdebstrap, 45 seconds and 250 MB. What fails is told in the last line of stderr.
set -euo pipefail
root=${1:?usage: rootfs.sh FOLDER}

die() {
    printf 'rootfs.sh: %s\n' "$*" >&2
    exit 1
}

[[ $EUID == 0 ]] || die "only root can make the root file system of the test hosts"
command -v mmdebstrap >/dev/null || die "needs mmdebstrap (scripts/setup.sh tests installs it)"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -r $keyring ]] || die "needs Debian's keys, $keyring (the package debian-archive-keyring)"

# This machine's own mirror: it may be the only one that can be reached.
# shellcheck disable=SC2016 # apt's own variables
mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 ~ /debian$/ && $2 !~ /security/ && $3 == "main" && !found {print $1; found = 1}')
[[ $mirror ]] || die "apt knows no mirror of Debian (apt-get update makes it known)"

# What a site's hosts have, and what tests look through. libc-bin has ldd, busybox-static is for images.
packages=(
    apptainer busybox-static ca-certificates curl iproute2 libc-bin openssh-server procps python3 python3-tomlkit rsync
    strace sudo supervisor tabix vcfanno
)
# No release of Debian has Apptainer, only the development branch; a mirror's copy of it may be older than its date allows.
options=(
    --variant=minbase --keyring="$keyring" --include="$(IFS=,; echo "${packages[*]}")"
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"'
)
for folder in doc locale man; do options+=(--dpkgopt="path-exclude=/usr/share/$folder/*"); done

mkdir -p "$root"
# As a tar file in between: mmdebstrap makes its own folder below /tmp, with what it mounts there.
if ! log=$(mmdebstrap --quiet "${options[@]}" sid - "$mirror" 2>&1 >"$root.tar"); then
    rm -f "$root.tar"
    printf '%s\n' "$log" >&2
    die "mmdebstrap failed with Debian sid of $mirror: $(tail -n 1 <<<"$log")"
fi
tar -C "$root" -xf "$root.tar"
rm "$root.tar"

# With its capabilities root could not run an image in a namespace; the service user needs nothing.
sed -i 's/^root default capabilities.*/root default capabilities = no/' "$root/etc/apptainer/apptainer.conf"
# Apptainer mounts both into every container.
ln -sf ../usr/share/zoneinfo/UTC "$root/etc/localtime"
touch "$root/etc/hosts"
chroot "$root" useradd --create-home --shell /bin/bash svc-anno
