//! Calls whose heads are mostly those of the calls before: what was remembered must change nothing.

use std::sync::Arc;
use std::time::Duration;

use antiphon::http2::hpack::Encoder;
use antiphon::rpc::{Method, Payload, Shape};
use antiphon::{Event, Head, Instant, Metadata, Pump, server};
use antiphon_tests::h2kit::*;

const NOW: Instant = Instant::from_epoch(Duration::from_secs(1000));

/// One of a few kinds of requests: path, timeout in milliseconds, a field of the application's.
type Kind = (&'static str, Option<u64>, &'static str);

const KINDS: [Kind; 6] = [
    ("/a.S/One", None, "x"),
    ("/a.S/Two", None, "x"),
    ("/a.S/One", Some(500), "x"),
    ("/a.S/One", Some(700), "x"),
    ("/a.S/One", None, "y"),
    ("/a.S/Two", Some(500), "y"),
];

fn head((path, timeout, tag): Kind) -> Head {
    let mut head = Head::request("POST", "http", "localhost", path);
    head.fields.push("content-type", b"application/grpc+proto");
    head.fields.push("te", b"trailers");
    if let Some(timeout) = timeout {
        head.fields.push("grpc-timeout", format!("{timeout}m").as_bytes());
    }
    head.fields.push("x-tag", tag.as_bytes());
    head
}

/// Takes the call that has begun, and says what it asked for.
fn serve(pump: &mut Pump<server::Connection>) -> Kind {
    let Some(Event::Started(call)) = pump.next_event() else { panic!("a call begins") };
    let request = pump.machine.request(call).unwrap();
    let path = KINDS.iter().map(|kind| kind.0).find(|path| *path == request.path()).unwrap();
    let timeout = request.deadline().map(|deadline| deadline.duration_since(NOW).as_millis() as u64);
    let tag = if request.metadata().get("x-tag") == Some("x") { "x" } else { "y" };
    assert_eq!(request.codec(), "proto");
    assert!(pump.machine.route(NOW, call, Some(&Method::new(Shape::Unary))));
    assert_eq!(pump.next_event(), Some(Event::Readable(call)));
    let Ok(server::Read::Messages(mut messages)) = pump.machine.read(NOW, call) else { panic!("a message") };
    let message = messages.next(&mut Vec::new()).unwrap().unwrap();
    let none = Metadata::new();
    pump.machine.answer(NOW, call, &none, Payload::Plain(&message), &none).unwrap();
    pump.machine.drop_call(NOW, call);
    (path, timeout, tag)
}

#[test]
fn heads_that_come_again_mean_the_same() {
    for table in [0, 4096] {
        let mut pump = Pump::new(server::Connection::new(Arc::default()));
        pump.feed(NOW, &[PREFACE, &settings(&[])].concat());
        let mut encoder = Encoder::new(table);
        let mut state = 7_u64;
        for round in 0..3000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Long runs of one kind, and times when all of them take turns.
            let choice = if round / 200 % 2 == 0 { round / 20 } else { (state >> 33) as u32 };
            let kind = KINDS[choice as usize % KINDS.len()];
            let mut block = Vec::new();
            encoder.encode_request(&head(kind), &mut block);
            let stream = 1 + 2 * round;
            let message = frame(DATA, ES, stream, b"\0\0\0\0\x02hi");
            pump.feed(NOW, &[frame(HEADERS, EH, stream, &block), message].concat());
            assert_eq!(serve(&mut pump), kind, "round {round}");
            assert!(pump.error().is_none());
            let (frames, _) = parse(&pump.take_output(NOW));
            let data: Vec<_> = frames.iter().filter(|frame| frame.kind == DATA).collect();
            assert!(data.len() == 1 && data[0].payload == b"\0\0\0\0\x02hi" && data[0].stream == stream);
        }
    }
}
