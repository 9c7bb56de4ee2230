# What the judges' scripts share. Source it; it needs bash.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
judges=${ANTIPHON_JUDGES:-$root/target/judges}
target=${CARGO_TARGET_DIR:-$root/target}
export PATH="$judges/bin:$PATH" GOTOOLCHAIN=local

work=$(mktemp -d)
children=()

# Ends what this script started, and nothing else.
finish() {
    local pid
    for pid in ${children[@]+"${children[@]}"}; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "$program is not there: run .ci/judges/install"
    done
}

is_listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a port of 127.0.0.1 that nobody listens on, below the range that the system hands out by itself.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        is_listening "$port" || { echo "$port"; return; }
    done
    fail "no free port"
}

# start LOG COMMAND...: runs a server in the background; `pid` is its process.
start() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    pid=$!
    children+=("$pid")
}

# await_port PORT LOG: waits up to 10 s for the server started last.
await_port() {
    for _ in $(seq 100); do
        is_listening "$1" && return
        kill -0 "$pid" 2>/dev/null || { cat "$2"; fail "the server ended at once"; }
        sleep 0.1
    done
    cat "$2"
    fail "nobody listens on port $1"
}

# A server that was judged must still be running.
still_alive() {
    kill -0 "$pid" 2>/dev/null || { cat "$1"; fail "the server died while it was judged"; }
}

# settle KNOWN FAILURES: compares the names of failed cases, one a line, with a list of known ones, `NAME  # reason`.
# Fails for a failure that is not known, and for a known one that did not happen.
settle() {
    local known=$work/known
    sed -e 's/ *#.*//' -e '/^$/d' "$1" | sort >"$known"
    sort "$2" >"$2.sorted"
    local new gone
    new=$(comm -13 "$known" "$2.sorted")
    gone=$(comm -23 "$known" "$2.sorted")
    [ -z "$(cat "$2.sorted")" ] || { echo "failed cases:"; sed 's/^/    /' "$2.sorted"; }
    [ -z "$new" ] || fail "not among the known deviations of $(basename "$1"): $new"
    [ -z "$gone" ] || fail "listed in $(basename "$1") but passing, so remove it: $gone"
}
