# shellcheck shell=bash
# Sourced by lint, sizes and test: the checks that are one command each.

formatting() { cargo fmt --all --check; }

clippy_server() {
    cargo clippy --locked -p protocol -p migrations -p engine -p server -p app --features app/ssr \
        --all-targets -- -D warnings &&
        cargo clippy --locked -p protocol -p migrations -p engine -p server -p app --features app/ssr \
            --test proof -- -D warnings
}

tests_native() {
    cargo test --locked --no-fail-fast -p protocol -p migrations -p engine -p server -p app \
        --features app/ssr "$@"
}

tests_over_postgres() {
    tools/postgres bash -ec '
        [ -n "$WASMCHANNEL_TEST_POSTGRES" ]
        cargo test --locked --no-fail-fast -p server --test storage --test it -- --skip naive::
        cargo test --locked -p engine -p server --lib --test storage -- --ignored postgres::'
}

# Batches as fast as a bound of the floor's. A busy machine slows both, but not at the same moment:
# what is really slower is so three times.
storing_speed() {
    local turn
    for turn in 1 2 3; do
        cargo bench --locked -p engine -p server --bench storing && return
        printf 'turn %d of 3 was below the bound\n' "$turn"
    done
    return 1
}

clippy_browser() {
    cargo clippy --locked -p app -p frontend --features app/hydrate --target "$wasm_target" -- -D warnings
}

suite_is_installed() {
    cmp -s end2end/package-lock.json end2end/node_modules/.installed && return
    (cd end2end && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund) &&
        cp end2end/package-lock.json end2end/node_modules/.installed
}

suite_types() { suite_is_installed && (cd end2end && npx tsc --noEmit); }
