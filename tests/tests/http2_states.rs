//! RFC 9113 §5.1: every state of a stream times every frame, in both roles, as one table.

use antiphon::{Head, Http2Code, HttpConnection, Limits};
use antiphon_tests::h2kit::*;

const EVENTS: [&str; 9] =
    ["HEADERS", "HEADERS+ES", "DATA", "DATA+ES", "RST", "UPDATE", "PRIORITY", "CONT", "PUSH"];

fn event(name: &str, role: &str, state: &str) -> Vec<u8> {
    // What is the head in one state is trailers in another: blocks fit the place, so that the state alone decides.
    let head: &[u8] = match (role, state) {
        ("server", "idle") => POST,
        ("client", "open" | "half-closed (local)") => &[0x88],
        _ => &[0, 1, b'a', 1, b'b'],
    };
    match name {
        "HEADERS" => frame(HEADERS, EH, 1, head),
        "HEADERS+ES" => frame(HEADERS, EH | ES, 1, head),
        "DATA" => frame(DATA, 0, 1, b"x"),
        "DATA+ES" => frame(DATA, ES, 1, b"x"),
        "RST" => number(RST, 1, 8),
        "UPDATE" => number(UPDATE, 1, 1),
        "PRIORITY" => frame(PRIORITY, 0, 1, &[0; 5]),
        "CONT" => frame(CONTINUATION, EH, 1, b""),
        _ => frame(PUSH, EH, 1, &[0, 0, 0, 2, 0x83]),
    }
}

/// A connection whose stream 1 is in `state`.
fn subject(role: &str, state: &str) -> Raw {
    if role == "server" { server(state) } else { client(state) }
}

fn server(state: &str) -> Raw {
    let mut raw = Raw::server(Limits::default());
    match state {
        "idle" => return raw,
        "half-closed (remote)" | "closed (both ended)" => raw.ok(&post(1, ES)),
        _ => raw.ok(&post(1, 0)),
    }
    let key = raw.opened();
    match state {
        // A server that has answered whole has no use for the rest: it resets.
        "half-closed (local)" | "closed (both ended)" => {
            raw.connection.respond(raw.now, key, &Head::response(200), true).unwrap();
        }
        "closed (by us)" => raw.connection.reset(raw.now, key, 8),
        "closed (by peer)" => raw.ok(&number(RST, 1, 8)),
        _ => {}
    }
    raw.frames();
    raw
}

fn client(state: &str) -> Raw {
    let mut raw = Raw::client(Limits::default(), &[]);
    if state == "idle" {
        return raw;
    }
    let whole = matches!(state, "half-closed (local)" | "closed (both ended)");
    let key = raw.connection.open(raw.now, &Head::request("POST", "http", "e", "/"), whole).unwrap();
    raw.frames();
    match state {
        "half-closed (remote)" | "closed (both ended)" => {
            let head = raw.response(1, ES, &Head::response(200));
            raw.ok(&head);
        }
        "closed (by us)" => raw.connection.reset(raw.now, key, 8),
        "closed (by peer)" => raw.ok(&number(RST, 1, 8)),
        _ => {}
    }
    raw.frames();
    raw
}

fn short(code: Http2Code) -> &'static str {
    match code {
        Http2Code::PROTOCOL_ERROR => "PE",
        Http2Code::STREAM_CLOSED => "SC",
        _ => "??",
    }
}

/// `ok`, a stream error `S(..)`, or a connection error `C(..)`.
fn outcome(mut raw: Raw, bytes: &[u8]) -> String {
    match raw.feed(bytes) {
        Err(antiphon::ConnectionError::Http2 { code, .. }) => format!("C({})", short(code)),
        Err(error) => panic!("{error}"),
        Ok(()) => match raw.frames().iter().find(|frame| frame.kind == RST) {
            Some(reset) => format!("S({})", short(Http2Code(reset.number()))),
            None => "ok".to_owned(),
        },
    }
}

#[test]
fn every_state_times_every_frame() {
    let states = [
        "idle",
        "open",
        "half-closed (remote)",
        "half-closed (local)",
        "closed (both ended)",
        "closed (by us)",
        "closed (by peer)",
    ];
    let mut table = String::new();
    for role in ["server", "client"] {
        table.push_str(&format!("{role:<21}"));
        EVENTS.iter().for_each(|name| table.push_str(&format!(" {name:<10}")));
        table = table.trim_end().to_owned() + "\n";
        for state in states {
            table.push_str(&format!("{state:<21}"));
            for name in EVENTS {
                let outcome = outcome(subject(role, state), &event(name, role, state));
                table.push_str(&format!(" {outcome:<10}"));
            }
            table = table.trim_end().to_owned() + "\n";
        }
    }
    assert_eq!(table, GOLDEN, "\n{table}");
}

const GOLDEN: &str = "\
server                HEADERS    HEADERS+ES DATA       DATA+ES    RST        UPDATE     PRIORITY   CONT       PUSH
idle                  ok         ok         C(PE)      C(PE)      C(PE)      C(PE)      ok         C(PE)      C(PE)
open                  S(PE)      ok         ok         ok         ok         ok         ok         C(PE)      C(PE)
half-closed (remote)  S(SC)      S(SC)      S(SC)      S(SC)      ok         ok         ok         C(PE)      C(PE)
half-closed (local)   ok         ok         ok         ok         ok         ok         ok         C(PE)      C(PE)
closed (both ended)   C(SC)      C(SC)      C(SC)      C(SC)      ok         ok         ok         C(PE)      C(PE)
closed (by us)        ok         ok         ok         ok         ok         ok         ok         C(PE)      C(PE)
closed (by peer)      S(SC)      S(SC)      S(SC)      S(SC)      ok         ok         ok         C(PE)      C(PE)
client                HEADERS    HEADERS+ES DATA       DATA+ES    RST        UPDATE     PRIORITY   CONT       PUSH
idle                  C(PE)      C(PE)      C(PE)      C(PE)      C(PE)      C(PE)      ok         C(PE)      C(PE)
open                  ok         ok         S(PE)      S(PE)      ok         ok         ok         C(PE)      C(PE)
half-closed (remote)  S(SC)      S(SC)      S(SC)      S(SC)      ok         ok         ok         C(PE)      C(PE)
half-closed (local)   ok         ok         S(PE)      S(PE)      ok         ok         ok         C(PE)      C(PE)
closed (both ended)   C(SC)      C(SC)      C(SC)      C(SC)      ok         ok         ok         C(PE)      C(PE)
closed (by us)        ok         ok         ok         ok         ok         ok         ok         C(PE)      C(PE)
closed (by peer)      S(SC)      S(SC)      S(SC)      S(SC)      ok         ok         ok         C(PE)      C(PE)
";
