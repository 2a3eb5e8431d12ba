# shellcheck shell=bash
# Sourced by every script of this folder: where things are, and how a step is
# announced and timed. It changes to the root of the repository.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
cargo_leptos_version=0.3.10
wasm_target=wasm32-unknown-unknown

# The version of wasm-bindgen's command must be exactly that of the library.
wasm_bindgen_version=$(awk '/^name = "wasm-bindgen"$/ { getline; gsub(/[^0-9.]/, ""); print }' Cargo.lock)

# Tools are kept outside of the clone, each under its version, so that a second
# clone finds them and another project's versions are left alone.
tools_home=${XDG_CACHE_HOME:-$HOME/.cache}/wasmchannel/tools
cargo_leptos_home=$tools_home/cargo-leptos-$cargo_leptos_version
wasm_bindgen_home=$tools_home/wasm-bindgen-cli-$wasm_bindgen_version

target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$root/$target ;; esac
export CARGO_TARGET_DIR=$target

# rustup puts cargo there, and only a shell that was opened later has that on its PATH.
cargo_bin=${CARGO_HOME:-$HOME/.cargo}/bin
command -v rustup >/dev/null || PATH=$cargo_bin:$PATH

export PATH=$root/tools/bin:$cargo_leptos_home/bin:$wasm_bindgen_home/bin:$PATH

say() { printf '%s\n' "$*"; }

# Ends with 2: the machine lacks something, the project is not at fault.
lacking() {
    printf 'missing: %s\n  %s\n' "$1" "$2" >&2
    exit 2
}

# need WHAT PACKAGE ... : installs the packages, or says how to.
need() {
    local what=$1
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        lacking "$what" "sudo apt-get install -y $*"
    fi
    printf '    Installing %s: apt-get install %s\n' "$what" "$*" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"; } >&2 </dev/null ||
        lacking "$what" "apt-get install -y $*"
}

duration() {
    local seconds=$1
    if ((seconds < 60)); then printf '%d s' "$seconds"; else printf '%d min %02d s' $((seconds / 60)) $((seconds % 60)); fi
}

# step "What is done" command ...
step() {
    local what=$1 start=$SECONDS status=0
    shift
    printf '==> %s\n' "$what"
    "$@" || status=$?
    if ((status == 0)); then
        printf '    %s: %s\n' "$what" "$(duration $((SECONDS - start)))"
    else
        printf '    %s: failed after %s\n' "$what" "$(duration $((SECONDS - start)))" >&2
    fi
    return "$status"
}

kilobytes() { printf '%d' $((($(wc -c <"$1") + 500) / 1000)); }

# One request without a client program; prints the status code, or 000.
http_status() {
    local address=$1 path=$2 line=
    if exec 3<>"/dev/tcp/${address%:*}/${address##*:}"; then
        printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$address" >&3
        IFS= read -r -t 5 line <&3 || true
        exec 3>&-
    fi 2>/dev/null
    line=${line#* }
    printf '%s' "${line:-000}" | cut -c1-3
}
