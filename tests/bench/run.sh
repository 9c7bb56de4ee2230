#!/usr/bin/env bash
# Prints instructions and allocations per call or message as a table: tests/bench/run.sh [FILTER]
# Cases of the service layer follow in a second table, with what they cost over the bare engine and over prost.
# Each case runs twice under callgrind, for N and 2N rounds: the difference has no start-up in it.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --quiet
bench=${CARGO_TARGET_DIR:-target}/release/antiphon-bench
rounds=${ROUNDS:-1}
declare -A measured

# Prints "units allocations instructions" of one run.
count() {
    local log
    log=$(mktemp)
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" "$1" "$2" 2>"$log" | tr '\n' ' '
    sed -n 's/.*Collected : //p' "$log"
    rm -f "$log"
}

# Notes "instructions allocations" of a case, once.
measure() {
    [ -z "${measured[$1]:-}" ] || return 0
    local units_1 heap_1 instructions_1 units_2 heap_2 instructions_2
    read -r units_1 heap_1 instructions_1 < <(count "$1" "$rounds")
    read -r units_2 heap_2 instructions_2 < <(count "$1" "$((2 * rounds))")
    measured[$1]=$(awk -v units=$((units_2 - units_1)) -v instructions=$((instructions_2 - instructions_1)) \
        -v heap=$((heap_2 - heap_1)) 'BEGIN { printf "%.0f %.2f", instructions / units, heap / units }')
}

echo "| case | instructions | allocations |"
echo "|---|---:|---:|"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
"$bench" list "${1:-}" >"$list"
while read -r name; do
    measure "$name"
    echo "| $name | ${measured[$name]/ / | } |"
done < <(grep -v '^service' "$list")

grep -q '^service' "$list" || exit 0
echo
echo "| case | instructions | allocations | over the bare engine | allocations | over engine and prost | allocations |"
echo "|---|---:|---:|---:|---:|---:|---:|"
while read -r name; do
    work=${name#*/}
    case $name in
        service/*) bare=server/$work ;;
        *) bare=client/$work ;;
    esac
    # A client makes and encodes its request, and decodes the answer.
    case $name in
        service-client/unary/*) prost=(send receive) ;;
        *) prost=("${work%%/*}") ;;
    esac
    measure "$name"
    measure "$bare"
    figures="${measured[$name]} ${measured[$bare]}"
    for part in "${prost[@]}"; do
        measure "part/prost/$part"
        figures+=" ${measured[part/prost/$part]}"
    done
    awk -v name="$name" -v figures="$figures" 'BEGIN {
        count = split(figures, of, " ")
        for (at = 5; at <= count; at += 2) { prost += of[at]; heap += of[at + 1] }
        printf "| %s | %d | %.2f | %d | %.2f | %d | %.2f |\n", name, of[1], of[2],
            of[1] - of[3], of[2] - of[4], of[1] - of[3] - prost, of[2] - of[4] - heap
    }'
done < <(grep '^service' "$list")
