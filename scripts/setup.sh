#!/usr/bin/env bash
# Makes .venv with everything that the collection, its sandbox and its tests need; nothing outside the checkout
# is touched, unless root runs it and Debian packages are missing. A second run only looks at the stamp.
# With the argument `tests` it also sees to programs that some tests need; without them these tests are skipped.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

venv=$PWD/.venv
stamp=$venv/.setup-stamp
log=$venv/setup.log
# An active or an old environment must not become the base of the new one.
unset PYTHONHOME PYTHONPATH
PATH=${PATH//"$venv/bin:"/}
# pip would warn about a cache that it cannot make.
[[ -w ${HOME:-/nonexistent} ]] || export PIP_NO_CACHE_DIR=1

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# What the stamp holds: a change of any of it makes .venv anew.
state() {
    printf '%s\n' "$venv" "$("$venv/bin/python" --version)"
    sha256sum requirements.txt
}

# Prints the path of a Python that can make an environment. ansible-core 2.19 is made for 3.11 to 3.13: these go first.
# A shim (pyenv, asdf) is followed to the interpreter behind it.
find_python() {
    local name path
    for name in python3.13 python3.12 python3.11 python3.14 python3 /usr/bin/python3; do
        path=$("$name" -I -c '
import ctypes, ensurepip, os, ssl, sys, venv
assert sys.version_info >= (3, 11)
print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))' 2>/dev/null) || continue
        printf '%s\n' "$path"
        return
    done
    return 1
}

# Prints the Debian packages of a Python that is new enough; fails where the system has none.
python_packages() {
    local version
    version=$(apt_version python3)
    # Without package lists the version is unknown; every current release has one that will do.
    if [[ -z $version ]] || dpkg --compare-versions "$version" ge 3.11; then
        echo python3 python3-venv
        return
    fi
    for version in 3.13 3.12 3.11; do
        if [[ -n $(apt_version "python$version-venv") ]]; then
            echo "python$version python$version-venv"
            return
        fi
    done
    return 1
}

apt_version() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(]\)/\1/p'; }

has_gnu_tar() { [[ $(tar --version 2>/dev/null) == *"GNU tar"* ]]; }

# Installs the Debian packages that are missing, or says how.
install_missing() {
    local packages=()
    has_gnu_tar || packages+=(tar)
    command -v git >/dev/null || packages+=(git)
    local python_missing=
    find_python >/dev/null || python_missing=yes
    [[ ${packages[*]} || $python_missing ]] || return 0

    if ! command -v apt-get >/dev/null; then
        die "missing: ${packages[*]} ${python_missing:+Python 3.11 or newer with venv}." \
            "What to do: install it with this system's package manager, then run again."
    fi
    if [[ $EUID == 0 ]]; then
        say "reading the package lists …"
        apt-get update -qq >/dev/null || die "apt-get update failed. What to do: mend /etc/apt, then run again."
    fi
    if [[ $python_missing ]]; then
        local wanted
        wanted=$(python_packages) || die \
            "this system's packages have Python $(apt_version python3) only. Expected: 3.11 or newer with venv." \
            "What to do: put a python3.11, python3.12 or python3.13 on PATH (pyenv, or a newer Debian or Ubuntu), then run again."
        read -ra wanted <<<"$wanted"
        packages+=("${wanted[@]}")
    fi
    if [[ $EUID != 0 ]]; then
        die "missing: ${packages[*]}. What to do: run this line, then run again:" \
            "  sudo apt-get update && sudo apt-get install -y ${packages[*]}"
    fi
    apt_install "${packages[@]}"
    find_python >/dev/null || die "no Python 3.11 or newer with venv was found, although ${packages[*]} are installed."
}

apt_install() {
    say "installing $* …"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "apt-get install -y $* failed. What to do: see its message above."
}

# Installs what interrupts, cuts the power, answers ssh, judges configurations and makes hosts with Apptainer in tests, or
# says how and goes on.
install_for_tests() {
    local packages=()
    command -v strace >/dev/null || packages+=(strace)
    command -v mkfs.ext4 >/dev/null || [[ -x /usr/sbin/mkfs.ext4 ]] || packages+=(e2fsprogs)
    [[ -x /usr/sbin/sshd ]] || packages+=(openssh-server)
    command -v ssh >/dev/null || packages+=(openssh-client)
    local program
    for program in vcfanno tabix; do
        command -v "$program" >/dev/null || packages+=("$program")
    done
    # Nobody but root can make use of these.
    if [[ $EUID == 0 ]]; then
        command -v mmdebstrap >/dev/null || packages+=(mmdebstrap)
        command -v ip >/dev/null || packages+=(iproute2)
    fi
    ((${#packages[@]})) || return 0
    if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
        say "without ${packages[*]} some tests are skipped. To run them all:" \
            "sudo apt-get update && sudo apt-get install -y ${packages[*]}"
        return
    fi
    apt-get update -qq >/dev/null || die "apt-get update failed. What to do: mend /etc/apt, then run again."
    apt_install "${packages[@]}"
}

make_venv() {
    local python
    python=$(find_python)
    say "making .venv with $("$python" --version) …"
    "$python" -I -m venv --clear "$venv"
    say "installing the packages of requirements.txt (a minute or two) …"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --requirement requirements.txt >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        die "pip could not install requirements.txt into $venv." \
            "What to do: see above and $log (is PyPI reachable from here?), then run again."
    fi
    state >"$stamp"
    say "ready."
}

if ! has_gnu_tar || ! command -v git >/dev/null || [[ $(state 2>/dev/null) != "$(cat "$stamp" 2>/dev/null)" ]]; then
    install_missing
    [[ $(state 2>/dev/null) == "$(cat "$stamp" 2>/dev/null)" ]] || make_venv
fi
if [[ ${1-} == tests ]]; then install_for_tests; fi
