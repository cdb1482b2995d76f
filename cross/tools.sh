# shellcheck shell=bash disable=SC2034
# Sourced from the root by what builds for boards: the tools, and what of the environment must not be as it happens to be.

give_up() {
    printf '%s\n' "$@" >&2
    exit 1
}

names_of_targets() { awk '!/^#/ { print $1 }' cross/targets; }

# triple_of NAME: Rust's name of a target.
triple_of() {
    local triple
    triple=$(awk -v name="$1" '$1 == name { print $2 }' cross/targets)
    [ -n "$triple" ] || give_up "expected one of: $(names_of_targets | xargs)" "got '$1'"
    echo "$triple"
}

rustc=$(cross/rust)
cargo=${rustc%rustc}cargo
sysroot=$("$rustc" --print sysroot)
export RUSTC=$rustc
# Only so does a stable Rust compile its std along.
export RUSTC_BOOTSTRAP=1
# They would replace what .cargo/config.toml says.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
export PATH="$PWD/cross/bin:${TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/cloudtalker/tools}/bin:$PATH"
command -v zig >/dev/null || give_up "zig is missing: \`scripts/install-tools cross\`"

# What a panic says of its place must not tell where it was built.
remapped=("--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=" "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=rust")

# flags_of TRIPLE: what cargo is told by --config. zig has what starts a program, and musl.
flags_of() { echo "target.$1.rustflags=[$(printf "'%s'," -Clink-self-contained=no "${remapped[@]}")]"; }

# What comes with the tools into each program, as cross/sbom takes it.
linked=("std=$("$rustc" --version | cut -d ' ' -f 2)" "zig=$(zig version)")

# forget_what_another_compiler_made DIRECTORY: cargo does not see that C is compiled by another compiler than before, or
# otherwise.
forget_what_another_compiler_made() {
    local compiler
    compiler="zig $(zig version), $(sha256sum cross/bin/zig-tool)"
    if [ "$(cat "$1/compiler" 2>/dev/null)" != "$compiler" ]; then
        rm -rf "$1"
        mkdir -p "$1"
        echo "$compiler" >"$1/compiler"
    fi
}

write_sums() { (cd dist && sha256sum cloudtalker[-_]* >SHA256SUMS && cat SHA256SUMS); }

# For the last step, which makes the code of all crates: instructions that occur in several places become a function. For
# 64-bit ARM LLVM does that of itself.
outlined=-Cllvm-args=-enable-machine-outliner=always
