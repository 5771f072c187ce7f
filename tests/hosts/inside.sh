#!/usr/bin/env bash
# inside.sh ROOTFS USER COMMAND...: runs a command in the root that rootfs.sh made, as root or as svc-anno. What it
# writes is in memory and gone when it ends, but in the folders of SHARE (see root.bash); so are the processes that it
# leaves behind. Its directory is the user's home. Takes root.
set -euo pipefail

if [[ ${1-} != --unshared ]]; then
    exec unshare --mount --pid --ipc --fork --kill-child --propagation private \
        bash "${BASH_SOURCE[0]}" --unshared "$@"
fi
shift
rootfs=$1 user=$2
shift 2
# shellcheck source=tests/hosts/root.bash
. "$(dirname -- "${BASH_SOURCE[0]}")/root.bash"
layer_root "$rootfs" /mnt
enter_root /mnt/root
hash -r
home=$(getent passwd "$user" | cut -d: -f6)
cd "$home"
# No exec: this shell is the namespace's init, and sees to what the command leaves behind.
env -i HOME="$home" USER="$user" LOGNAME="$user" LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --reuid "$user" --regid "$user" --init-groups "$@"
