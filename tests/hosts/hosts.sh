#!/usr/bin/env bash
# hosts.sh ROOTFS PUBLIC_KEY COMMAND...: runs a command while two hosts are up, tsd (10.99.0.11) and nsc (10.99.0.12).
# Each is the root that rootfs.sh made, with a network, an sshd and a 127.0.0.1 of its own; the key may log in as root and
# as svc-anno. What is written there is in memory, but in the folders of SHARE (see root.bash). Everything ends with the
# command, which reaches the two hosts and no other. Takes root.
set -euo pipefail

# unshared PART FLAG... -- ARGUMENT...: replaces this shell by one in new namespaces, which goes on with a part below.
unshared() {
    local part=$1 flags=()
    shift
    while [[ $1 != -- ]]; do
        flags+=("$1")
        shift
    done
    shift
    exec unshare --mount --net --pid "${flags[@]}" --fork --kill-child --propagation private \
        bash "${BASH_SOURCE[0]}" "--$part" "$@"
}

# What a host does: it waits for its network, then it is an init with an sshd.
host() {
    local name=$1 address=$2
    hostname "$name"
    enter_root "/mnt/$name/root"
    hash -r
    until ip link show eth0 >/dev/null 2>&1; do sleep .02; done
    ip link set lo up
    ip address add "$address/24" dev eth0
    ip link set eth0 up
    /usr/sbin/sshd -D -E /var/log/sshd.log &
    wait
}

# Prints the process id, as seen from here, of the host's first process: the child of the unshare that is given.
first_process() {
    local child=
    until [[ $child && $(readlink "/proc/$child/ns/net") != "$(readlink /proc/self/ns/net)" ]]; do
        sleep .02
        child=$(tr -d ' ' <"/proc/$1/task/$1/children" 2>/dev/null) || true
    done
    printf '%s\n' "$child"
}

start_host() {
    local name=$1 address=$2 root=/mnt/$1/root home pid
    layer_root "$rootfs" "/mnt/$name"
    for home in root home/svc-anno; do
        mkdir -p "$root/$home/.ssh"
        cp "$public_key" "$root/$home/.ssh/authorized_keys"
        chmod -R go= "$root/$home/.ssh"
    done
    chroot "$root" chown -R svc-anno: /home/svc-anno
    mkdir -p "$root/run/sshd"
    printf '%s\n' "$name" >"$root/etc/hostname"
    printf '%s\n' "127.0.0.1 localhost" "10.99.0.11 tsd" "10.99.0.12 nsc" "10.99.0.1 controller" >"$root/etc/hosts"
    (unshared host --uts --ipc -- "$name" "$address") </dev/null &
    pid=$(first_process $!)
    ip link add "to-$name" type veth peer name eth0 netns "$pid"
    ip link set "to-$name" master bridge up
}

controller() {
    mount -t proc proc /proc
    mount -t tmpfs tmpfs /mnt
    ip link set lo up
    ip link add bridge type bridge
    ip address add 10.99.0.1/24 dev bridge
    ip link set bridge up
    start_host tsd 10.99.0.11
    start_host nsc 10.99.0.12
    local address attempt
    for address in 10.99.0.11 10.99.0.12; do
        for ((attempt = 0; ; attempt++)); do
            (exec 3<>"/dev/tcp/$address/22") 2>/dev/null && break
            ((attempt < 400)) || { printf 'hosts.sh: %s does not answer\n' "$address" >&2; exit 1; }
            sleep .05
        done
    done
    # No exec: this shell is the init of the namespace.
    "$@"
}

# shellcheck source=tests/hosts/root.bash
. "$(dirname -- "${BASH_SOURCE[0]}")/root.bash"
case ${1-} in
    --host) host "$2" "$3" ;;
    --controller)
        rootfs=$2 public_key=$3
        controller "${@:4}"
        ;;
    *)
        : "${3?usage: hosts.sh ROOTFS PUBLIC_KEY COMMAND...}"
        unshared controller -- "$@"
        ;;
esac
