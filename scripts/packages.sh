# shellcheck shell=bash
# To be sourced. Installs Debian packages for commands that are missing; does nothing where all are there.

# install_for COMMAND PACKAGE… : makes sure that COMMAND can be run, by installing these packages if it cannot.
install_for() {
    local command=$1
    shift
    type -P "$command" >/dev/null && return
    install_packages "$command" "$@"
}

# install_packages WHAT PACKAGE… : installs these packages, since WHAT is missing.
install_packages() {
    local what=$1 as_root=()
    shift
    if ! type -P apt-get >/dev/null; then
        echo "$0: $what is missing. Install it with your package manager (on Debian: $*)." >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! type -P sudo >/dev/null; then
            echo "$0: $what is missing. As root, run: apt-get install $*" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "$what is missing: installing $*"
    if [ -z "${package_lists_are_fresh:-}" ]; then
        "${as_root[@]}" apt-get update -qq
        package_lists_are_fresh=yes
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# What the build needs beside a Rust toolchain: a C compiler and cmake, for zlib-ng, zstd, ring and mimalloc.
install_build_tools() {
    if ! type -P cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    if ! type -P cargo >/dev/null; then
        echo "$0: a Rust toolchain is missing. Install one as https://rustup.rs says, then run this again." >&2
        exit 1
    fi
    install_for cc gcc libc6-dev
    install_for make make
    install_for cmake cmake
}
