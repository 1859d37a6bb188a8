# shellcheck shell=bash
# Sourced by the scripts in this folder; does nothing by itself.
#
# Exit codes of all of them: 0 done, 2 could not be done on this machine, 64 usage; anything else
# is that of the command that failed.

# The checkout these scripts belong to, wherever they are called from.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly top
self=tools/$(basename "$0")
readonly self

# The oldest compiler that understands Package.swift.
readonly swift_major=6
readonly swift_minor=3

note() { printf '%s: %s\n' "$self" "$*"; }

# die CODE WHAT [WHAT TO DO]
die() {
    printf '%s: %s\n' "$self" "$2" >&2
    if [ $# -gt 2 ]; then printf '  What to do: %s\n' "$3" >&2; fi
    exit "$1"
}

usage_error() { die 64 "$1" "see '$self --help'."; }

have_zlib_header() {
    if command -v pkg-config >/dev/null 2>&1 && pkg-config --exists zlib 2>/dev/null; then
        return 0
    fi
    [ -r /usr/include/zlib.h ]
}

# zlib's header is all that the build needs besides Swift. Where it is there already, nothing is
# installed and root is not needed.
install_missing() {
    if have_zlib_header; then return 0; fi
    local packages=(zlib1g-dev pkg-config)
    if ! command -v apt-get >/dev/null 2>&1; then
        die 2 "zlib's header is missing (looked with pkg-config and for /usr/include/zlib.h), and there is no apt-get to install it with." \
            "install zlib with its header and pkg-config by this system's own means, then run $self again."
    fi
    # A package list that could be refreshed only in part may still hold what is needed.
    local commands="apt-get update; apt-get install -y --no-install-recommends ${packages[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            die 2 "zlib's header is missing (looked with pkg-config and for /usr/include/zlib.h). Installing it needs root, and there is no sudo on this machine." \
                "as root, run: $commands"
        as_root=(sudo)
        # With nobody at the terminal sudo must not ask: it would wait for ever.
        if [ ! -t 0 ]; then
            sudo -n true 2>/dev/null ||
                die 2 "zlib's header is missing (looked with pkg-config and for /usr/include/zlib.h). Installing it needs root, and sudo wants a password that nobody is here to type." \
                    "run: sudo sh -c '$commands'"
            as_root=(sudo -n)
        fi
    fi
    note "zlib's header is missing; installing ${packages[*]}"
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive sh -c "$commands" ||
        die 2 "apt-get could not install ${packages[*]}; its reason stands above." \
            "mend that (network, package sources), then run $self again."
    have_zlib_header ||
        die 2 "${packages[*]} are installed, yet zlib's header is found neither with pkg-config nor as /usr/include/zlib.h." \
            "look at the output of: pkg-config --debug --exists zlib"
}

# Puts a good `swift` first in PATH.
find_swift() {
    local found="" place
    if found=$(command -v swift); then
        :
    else
        for place in /opt/swift/usr/bin /usr/bin; do
            if [ -x "$place/swift" ]; then
                found=$place/swift
                PATH=$place:$PATH
                export PATH
                break
            fi
        done
    fi
    if [ -z "$found" ]; then
        die 2 "no swift in PATH, /opt/swift/usr/bin or /usr/bin." \
            "install Swift $swift_major.$swift_minor or later (https://www.swift.org/install/linux/), or add its folder to PATH."
    fi

    local version
    version=$(swift --version 2>&1) ||
        die 2 "$found does not run. It says: $version" "install Swift $swift_major.$swift_minor or later."
    if [[ $version =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]]; then
        local major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
        if ((major < swift_major || (major == swift_major && minor < swift_minor))); then
            die 2 "$found is Swift $major.$minor; toymq needs $swift_major.$swift_minor or later." \
                "install it (https://www.swift.org/install/linux/), or put it first in PATH."
        fi
    fi
}

# Sets `scratch`, the folder that builds go to: .build, or, where another user (root, say) has built
# here before, a folder of one's own.
choose_scratch() {
    scratch=$top/.build
    if [ -w "$scratch" ]; then return 0; fi
    if [ ! -e "$scratch" ] && [ -w "$top" ]; then return 0; fi
    local cache=${XDG_CACHE_HOME:-${HOME:-}/.cache}
    scratch=$cache/toymq/build-$(printf '%s' "$top" | cksum | cut -d ' ' -f 1)
    mkdir -p "$scratch" 2>/dev/null ||
        die 2 "the user $(id -un) can write to neither $top/.build nor $scratch." \
            "clone the repository as this user, or set XDG_CACHE_HOME to a folder that can be written to."
    note "$top/.build belongs to somebody else; building in $scratch"
}

# Sets `linkage`: Swift's libraries become part of the programs where this Swift comes with them in that
# form. A process has less memory then: it loads what it uses of them, and shares it with nobody.
choose_linkage() {
    local libraries
    linkage=()
    libraries=$(swift -print-target-info | sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p')
    if [ -r "${libraries}_static/linux/static-stdlib-args.lnk" ]; then
        linkage=(--static-swift-stdlib)
    fi
}

# All that stands before a build. Leaves the caller in the top folder of the checkout.
prepare() {
    cd "$top" || exit 2
    find_swift
    install_missing
    choose_scratch
}
