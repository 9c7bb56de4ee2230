#!/usr/bin/env bash
# Prints instructions and allocations per call or message as a table: tests/bench/run.sh [FILTER]
# Each case runs twice under callgrind, for N and 2N rounds: the difference has no start-up in it.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --quiet
bench=${CARGO_TARGET_DIR:-target}/release/antiphon-bench
rounds=${ROUNDS:-1}

# Prints "units allocations instructions" of one run.
count() {
    local log
    log=$(mktemp)
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$1" "$2" 2>"$log" | tr '\n' ' '
    sed -n 's/.*Collected : //p' "$log"
    rm -f "$log"
}

echo "| case | instructions | allocations |"
echo "|---|---:|---:|"
"$bench" list "${1:-}" | while read -r name; do
    read -r units_1 heap_1 instructions_1 < <(count "$name" "$rounds")
    read -r units_2 heap_2 instructions_2 < <(count "$name" "$((2 * rounds))")
    awk -v name="$name" -v units=$((units_2 - units_1)) -v instructions=$((instructions_2 - instructions_1)) \
        -v heap=$((heap_2 - heap_1)) \
        'BEGIN { printf "| %s | %.0f | %.2f |\n", name, instructions / units, heap / units }'
done
