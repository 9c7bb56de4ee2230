//! The tour on all adapters, and the programs as a user runs them.

use std::net::TcpListener;
use std::process::{Command, Output};

use antiphon_examples::tour::{Adapter, CHAPTERS, Show};
use antiphon_examples::transcript::Paint;

fn tour(adapter: Adapter) {
    let mut printed = Vec::new();
    let mut show = Show::new(&mut printed, Paint::plain(), false);
    adapter.tour(&mut show).unwrap();
    show.table().unwrap();
    let (calls, failures) = (show.calls(), show.failures());
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(calls, CHAPTERS.iter().map(|chapter| chapter.kinds.len()).sum::<usize>());
    assert_eq!(failures, 0, "{printed}");
    for line in [
        "══ Connect over HTTP/1.1, messages in json",
        "══ gRPC-Web over HTTP/2, messages in proto",
        "──▶ HEADERS    stream 1, POST /echo.v1.EchoService/Unary",
        "──▶ request    GET /echo.v1.EchoService/Get?",
        "╰─ half-close: the client has said all it will say",
        "──▶ RST_STREAM stream",
        "detail google.rpc.BadRequest: text: it is empty",
        "unary, gRPC, HTTP/2: said \"take your time\"; heard nothing; deadline_exceeded",
        "the next call on the same connection went well",
        "all as they should be",
    ] {
        assert!(printed.contains(line), "no {line:?} in\n{printed}");
    }
}

#[test]
fn on_blocking_sockets() {
    tour(Adapter::Blocking);
}

#[test]
fn on_smol() {
    tour(Adapter::Smol);
}

#[test]
fn on_tokio() {
    tour(Adapter::Tokio);
}

fn run(program: &str, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(program).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

#[test]
fn the_command_line_is_friendly() {
    let program = env!("CARGO_BIN_EXE_tour");
    let (code, help, _) = run(program, &["--help"]);
    assert!(code == 0 && help.contains("usage: tour"), "{help}");
    let (code, _, error) = run(program, &["--adapter", "mio"]);
    assert!(code == 2 && error.contains("choose smol, tokio or blocking"), "{error}");
    let (code, table, _) = run(program, &["--quiet"]);
    assert!(code == 0 && table.contains("calls on smol, all as they should be"), "{table}");
    assert!(!table.contains("──▶"), "{table}");
}

#[test]
fn a_taken_port_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for adapter in Adapter::ALL {
        let args = ["--adapter", adapter.name(), "--serve", &address];
        let (code, _, error) = run(env!("CARGO_BIN_EXE_tour"), &args);
        assert!(code == 2 && error.contains("another program does already"), "{error}");
    }
    let (code, _, error) = run(env!("CARGO_BIN_EXE_tour"), &["--serve", "nowhere"]);
    assert!(code == 2 && error.contains("give a host and a port"), "{error}");
}

#[test]
fn the_embedding_speaks_for_itself() {
    let (code, printed, error) = run(env!("CARGO_BIN_EXE_embed"), &[]);
    assert_eq!((code, error.as_str()), (0, ""));
    let lines: Vec<&str> = printed.lines().filter(|line| !line.contains("bytes")).collect();
    let expected = [
        "/demo.Choir/Greet (Unary)",
        "  received b\"hello, antiphon 1/1\"",
        "  the end: Ok(())",
        "/demo.Choir/Sing (ServerStream)",
        "  received b\"hello, antiphon 1/3\"",
        "  received b\"hello, antiphon 2/3\"",
        "  received b\"hello, antiphon 3/3\"",
        "  the end: Ok(())",
    ];
    assert_eq!(lines, expected);
}
