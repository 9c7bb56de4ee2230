//! All shapes over all protocols and both versions of HTTP, client and server joined in memory.

use std::sync::Arc;

use antiphon::rpc::{HttpVersion, Protocol, Shape};
use antiphon::{Config, End, client, server};
use antiphon_tests::apps::{Echo, PROTOCOLS, Plan, Record, SHAPES, Script};
use antiphon_tests::pair::{Cuts, OneCut, Pair, Pieces, RandomCuts, Whole};

fn pair(version: HttpVersion) -> Pair {
    let config = Arc::new(Config::default());
    Pair::new(client::Connection::new(config.clone(), version), server::Connection::new(config))
}

fn run(
    version: HttpVersion,
    cuts: impl Cuts + Clone + 'static,
    plans: &[Plan],
) -> (Vec<Record>, Vec<Record>) {
    let (mut script, mut echo) = (Script::new(plans.to_vec()), Echo::new());
    let mut pair = pair(version).with_cuts(cuts);
    for _ in 0..plans.len() + 2 {
        pair.settle(&mut script, &mut echo);
        if script.is_done() {
            break;
        }
    }
    assert!(script.is_done(), "{:?}\n{:?}", script.records, echo.records);
    assert_eq!(pair.client.machine.calls(), 0);
    assert_eq!(pair.server.machine.calls(), 0);
    assert_eq!((pair.client.error(), pair.server.error()), (None, None));
    (script.records, echo.records)
}

fn carried(version: HttpVersion) -> Vec<(Protocol, Shape)> {
    let all = PROTOCOLS.into_iter().flat_map(|protocol| SHAPES.map(|shape| (protocol, shape)));
    all.filter(|(protocol, _)| version == HttpVersion::Http2 || *protocol != Protocol::Grpc).collect()
}

fn check(shape: Shape, client: &Record, server: &Record) {
    let sent =
        |count: usize| (0..count).map(|index| format!("message {index}").into_bytes()).collect::<Vec<_>>();
    assert_eq!(client.end.as_deref(), Some("Ok"), "{client:?} {server:?}");
    assert_eq!(client.ended, [End::Finished]);
    assert_eq!(server.ended, [End::Finished]);
    assert_eq!(server.end.as_deref(), Some("HalfClosed"));
    assert_eq!(server.headers.as_deref(), Some("x-echo: hello\nx-trailer: bye\nx-echo-bin: AAECAw\n"));
    assert_eq!(client.headers.as_deref(), Some("x-echo: hello\nx-echo-bin: AAECAw\n"));
    assert_eq!(client.trailers, "x-trailer: bye\n");
    assert_eq!(server.messages, sent(if shape.takes_stream() { 3 } else { 1 }));
    match shape {
        Shape::Unary => assert_eq!(client.messages, sent(1)),
        Shape::ServerStream => assert_eq!(client.messages, vec![b"message 0".to_vec(); 5]),
        Shape::ClientStream => assert_eq!(client.messages, [b"3 messages, 27 bytes".to_vec()]),
        Shape::Bidi => assert_eq!(client.messages, sent(3)),
    }
}

#[test]
fn every_shape_over_every_protocol_and_version() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        for (protocol, shape) in carried(version) {
            let (client, server) = run(version, Whole, &[Plan::small(protocol, shape)]);
            check(shape, &client[0], &server[0]);
        }
    }
}

// L2: whoever is fed in other pieces sees the same.
#[test]
fn cuts_change_nothing_for_either_side() {
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        let plans: Vec<Plan> =
            carried(version).into_iter().map(|(protocol, shape)| Plan::small(protocol, shape)).collect();
        let whole = run(version, Whole, &plans);
        assert_eq!(run(version, Pieces(1), &plans), whole);
        for seed in 1..20 {
            assert_eq!(run(version, RandomCuts(seed), &plans), whole, "{seed}");
        }
    }
    for version in [HttpVersion::Http2, HttpVersion::Http11] {
        for (protocol, shape) in carried(version) {
            let plan = [Plan::small(protocol, shape)];
            let whole = run(version, Whole, &plan);
            for cut in 1..400 {
                assert_eq!(run(version, OneCut(cut), &plan), whole, "{protocol:?} {shape:?} {cut}");
            }
        }
    }
}
