# What the judges of HTTP/2 share. Source it after lib.sh.

# build_test_program NAME: sets `program`. Unoptimised, with all assertions on.
build_test_program() {
    (cd "$root" && cargo build --quiet --locked -p antiphon-examples --bin "$1")
    program=$target/debug/$1
}

# serve [COMMAND...]: starts h2-echo, or another server; sets `port`.
serve() {
    port=$(free_port)
    if [ $# = 0 ]; then
        build_test_program h2-echo
        set -- "$program" "127.0.0.1:$port"
    else
        set -- "${@//PORT/$port}"
    fi
    start "$work/server.log" "$@"
    await_port "$port" "$work/server.log"
}

# Prints the failed cases of h2spec or h2specd as group/section/number, such as http2/5.1.1/2.
failed_cases() {
    awk '
        /^Failures:/ { on = 1 }
        /^Generic tests/ { group = "generic" }
        /^Hypertext Transfer Protocol/ { group = "http2" }
        /^HPACK/ { group = "hpack" }
        on && /^ *[0-9.]+\. / { section = $1; sub(/\.$/, "", section) }
        on && /^ *× / { number = $2; sub(/:$/, "", number); print group "/" section "/" number }
    ' "$1"
}

# report COUNT OUTPUT KNOWN: checks the closing line and the failed cases.
report() {
    local line
    line=$(grep -a ' tests, ' "$2" | tail -1)
    [ -n "$line" ] || { tail -20 "$2"; fail "the judge did not come to an end"; }
    echo "$line"
    grep -a '^Failures:' -A 200 "$2" | sed '/^Finished/,$d' || true
    [[ $line == "$1 tests,"* ]] || fail "$1 cases expected"
    [[ $line == *" 0 skipped,"* ]] || fail "no case may be skipped"
    failed_cases "$2" >"$work/failures"
    [[ $line == *" $(wc -l <"$work/failures") failed" ]] || fail "the failed cases cannot be told"
    settle "$3" "$work/failures"
}
