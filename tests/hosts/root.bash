# Sourced by the scripts beside it: a root that may be written to, over the one that rootfs.sh made. All of it is to be
# done in mount and pid namespaces of one's own: what is mounted and started ends with them.

# layer_root ROOTFS FOLDER: mounts FOLDER/root, which shows ROOTFS and keeps what is written to it in memory.
layer_root() {
    mkdir -p "$2"
    mount -t tmpfs -o mode=755 tmpfs "$2"
    mkdir "$2"/{upper,work,root}
    mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" root "$2/root"
}

# enter_root ROOT: makes it the root of this process, with devices, processes and an empty /tmp. Folders of the machine
# that are to be seen in it (SHARE, separated by colons) appear under their own path.
enter_root() {
    local folder shared
    IFS=: read -ra shared <<<"${SHARE-}"
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    # Not everywhere allowed; nothing here depends on it.
    mount -t sysfs -o ro sysfs "$1/sys" 2>/dev/null || true
    mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
    for folder in "${shared[@]}"; do
        mkdir -p "$1$folder"
        mount --bind "$folder" "$1$folder"
    done
    mkdir -p "$1/.old"
    cd "$1" || return
    pivot_root . .old
    umount -l /.old
    rmdir /.old
}
