//! What a call's context, and a connection, tell of their ends, in time that stands still.

use core::future::pending;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use antiphon::rpc::RpcConfig;
use antiphon_service::testing::{self, Channel, block_on};
use antiphon_service::{
    Bytes, CallOptions, Code, Config, ConnectionError, Context, EndedBy, HttpVersion, Keepalive, Protocol,
    Receiver, Router, Sender, Status,
};

use crate::{WAYS, poll_once, text};

/// The contexts of a server's calls, which outlive them.
type Kept = Arc<Mutex<Vec<Context>>>;

const LONG: Duration = Duration::from_secs(3600);

/// `Echo` answers, `Fail` fails with the code that is asked for, `Hang` does nothing; all keep their contexts.
fn router(kept: &Kept) -> Router {
    let keep = |context: &Context, kept: &Kept| kept.lock().unwrap().push(context.clone());
    let (one, two, three) = (Arc::clone(kept), Arc::clone(kept), Arc::clone(kept));
    let four = Arc::clone(kept);
    Router::new()
        .unary("/a.A/Echo", move |context: Context, message: Bytes| {
            keep(&context, &one);
            async move { Ok(message) }
        })
        .unary("/a.A/Fail", move |context: Context, code: Bytes| {
            keep(&context, &two);
            let code = std::str::from_utf8(&code).ok().and_then(Code::from_name).unwrap();
            async move { Err::<Bytes, _>(Status::new(code, "told")) }
        })
        .server_stream("/a.A/Hang", move |context: Context, _: Bytes, _: Sender<Bytes>| {
            keep(&context, &three);
            pending::<Result<(), Status>>()
        })
        .bidi("/a.A/Listen", move |context: Context, mut inbound: Receiver<Bytes>, _: Sender<Bytes>| {
            keep(&context, &four);
            async move {
                while inbound.recv().await?.is_some() {}
                Ok(())
            }
        })
}

fn last(kept: &Kept) -> Context {
    kept.lock().unwrap().last().unwrap().clone()
}

#[test]
fn a_handlers_context_tells_how_its_call_ended_as_long_as_it_is_kept() {
    for (version, protocol) in WAYS {
        let kept = Kept::default();
        let options = || CallOptions::new().protocol(protocol);
        let channel = || Channel::builder().http_version(version).serve(router(&kept));
        let mut ends = Vec::new();
        {
            let channel = channel();
            let client = channel.client();
            block_on(client.unary("/a.A/Echo", text("x"), options())).unwrap();
            ends.push((last(&kept), EndedBy::Answer));
            block_on(client.unary("/a.A/Fail", text("aborted"), options())).unwrap_err();
            ends.push((last(&kept), EndedBy::Answer));

            let timed = options().timeout(Duration::from_secs(5));
            let mut call = block_on(client.server_stream("/a.A/Hang", text(""), timed)).unwrap();
            channel.run();
            let context = last(&kept);
            assert_eq!((context.ended(), context.is_cancelled()), (None, false));
            channel.advance(Duration::from_secs(6));
            block_on(call.recv()).unwrap_err();
            assert_eq!(block_on(context.cancelled()), EndedBy::Deadline, "{version:?} {protocol:?}");
            ends.push((context, EndedBy::Deadline));
        }
        {
            let channel = channel();
            let call = block_on(channel.client().server_stream("/a.A/Hang", text(""), options())).unwrap();
            channel.run();
            drop(call);
            channel.run();
            ends.push((last(&kept), EndedBy::Cancel { reset: Some(8) }));
        }
        for abort in [false, true] {
            let channel = channel();
            let client = channel.client();
            let mut call = block_on(client.bidi("/a.A/Listen", options())).unwrap();
            block_on(call.send(text("x"))).unwrap();
            channel.run();
            assert_eq!(last(&kept).ended(), None);
            if abort {
                client.abort()
            } else {
                channel.lose()
            }
            channel.run();
            ends.push((last(&kept), EndedBy::LostConnection));
        }
        for (context, end) in ends {
            assert_eq!(context.ended(), Some(end), "{version:?} {protocol:?}");
            assert!(context.is_cancelled());
            assert_eq!(block_on(context.cancelled()), end);
        }
    }
}

// The place of a call in its connection is used again: what is kept of the old one still tells its own end.
#[test]
fn the_next_call_does_not_change_what_is_told_of_the_last() {
    let kept = Kept::default();
    let channel = testing::channel(router(&kept));
    let client = channel.client().with(LONG);
    let call = block_on(client.server_stream("/a.A/Hang", text(""), CallOptions::new())).unwrap();
    channel.run();
    drop(call);
    channel.run();
    let gone = last(&kept);
    for _ in 0..200 {
        block_on(client.unary("/a.A/Echo", text("x"), CallOptions::new())).unwrap();
    }
    let answered = kept.lock().unwrap()[1].clone();
    assert_eq!(gone.ended(), Some(EndedBy::Cancel { reset: Some(8) }));
    assert_eq!(answered.ended(), Some(EndedBy::Answer));
    assert!(gone.is_cancelled() && answered.is_cancelled());
}

#[test]
fn a_clients_context_tells_the_outcome() {
    for (version, protocol) in WAYS {
        let kept = Kept::default();
        let options = || CallOptions::new().protocol(protocol);
        let channel = Channel::builder().http_version(version).serve(router(&kept));
        let client = channel.client();
        let answer = block_on(client.unary("/a.A/Echo", text("x"), options())).unwrap();
        assert_eq!(answer.context().unwrap().ended(), Some(EndedBy::Answer));

        // Whether it was received or not.
        let (sender, mut receiver) = block_on(client.bidi("/a.A/Listen", options())).unwrap().split();
        let context = receiver.context();
        assert_eq!(context.ended(), None);
        sender.close();
        channel.run();
        assert_eq!(context.ended(), Some(EndedBy::Answer), "{version:?} {protocol:?}");
        assert_eq!(block_on(receiver.recv()).unwrap(), None);
        assert_eq!(context.ended(), Some(EndedBy::Answer));

        let timed = options().timeout(Duration::from_secs(5));
        let mut call = block_on(client.server_stream("/a.A/Hang", text(""), timed)).unwrap();
        let context = call.context();
        channel.advance(Duration::from_secs(5));
        assert_eq!(context.ended(), Some(EndedBy::Deadline));
        assert_eq!(block_on(call.recv()).unwrap_err().ended(), EndedBy::Deadline);
        assert_eq!(block_on(context.cancelled()), EndedBy::Deadline);
    }
}

// What connect-go calls a wire error: a status of the server is told as such, whatever its code is and whenever it is
// read; one that is made here is told as what made it.
#[test]
fn a_status_of_the_server_is_told_from_one_of_this_side() {
    for (version, protocol) in WAYS {
        let kept = Kept::default();
        // The server's clock is up after a second, whatever the client asks for.
        let server = Config::new().rpc(RpcConfig::new().max_timeout(Duration::from_secs(1)));
        let channel = || {
            let builder = Channel::builder().http_version(version).server_config(server.clone());
            builder.serve(router(&kept))
        };
        let options = || CallOptions::new().protocol(protocol).timeout(Duration::from_secs(5));
        for code in ["deadline_exceeded", "canceled", "unavailable"] {
            let channel = channel();
            let client = channel.client();
            let status = block_on(client.unary("/a.A/Fail", text(code), options())).unwrap_err();
            assert_eq!((status.code().name(), status.ended()), (code, EndedBy::Status));
        }
        let open = |channel: &Channel| {
            let client = channel.client();
            let call = block_on(client.server_stream("/a.A/Hang", text(""), options())).unwrap();
            channel.run();
            call
        };
        // The server's word comes first, and is read long after the client's own deadline.
        let first = channel();
        let mut call = open(&first);
        first.advance(Duration::from_secs(2));
        first.advance(Duration::from_secs(60));
        let status = block_on(call.recv()).unwrap_err();
        assert_eq!((status.code(), status.ended()), (Code::DeadlineExceeded, EndedBy::Status), "{version:?}");
        // It does not arrive: the client's own deadline comes first.
        let second = channel();
        let mut call = open(&second);
        second.stall(true);
        second.advance(Duration::from_secs(5));
        second.stall(false);
        second.run();
        let status = block_on(call.recv()).unwrap_err();
        assert_eq!((status.code(), status.ended()), (Code::DeadlineExceeded, EndedBy::Deadline));
    }
}

#[test]
fn a_connection_that_is_drained_is_closed_in_peace() {
    let channel = testing::channel(router(&Kept::default()));
    let client = channel.client();
    assert!(!client.is_closed() && poll_once(client.closed()).is_pending());
    block_on(client.unary("/a.A/Echo", text("x"), CallOptions::new())).unwrap();
    assert!(!client.is_closed());
    // An open call goes on; a new one is told to go elsewhere.
    let mut call = block_on(client.bidi("/a.A/Listen", CallOptions::new())).unwrap();
    channel.run();
    channel.drain_server();
    assert!(client.is_closed());
    assert_eq!(block_on(client.closed()), None);
    assert_eq!(channel.blocking().closed(), None);
    let status = block_on(client.unary("/a.A/Echo", text("x"), CallOptions::new())).unwrap_err();
    assert_eq!((status.ended(), status.unprocessed()), (EndedBy::LostConnection, true));
    call.close_send();
    assert_eq!(block_on(call.recv()).unwrap(), None);

    let channel = testing::channel(router(&Kept::default()));
    let client = channel.client();
    client.drain();
    assert!(client.is_closed());
    assert_eq!(block_on(client.closed()), None);
}

#[test]
fn a_connection_that_is_lost_says_why() {
    for version in [HttpVersion::Http11, HttpVersion::Http2] {
        let channel = Channel::builder().http_version(version).serve(router(&Kept::default()));
        let client = channel.client();
        let mut call = block_on(client.server_stream("/a.A/Hang", text(""), CallOptions::new())).unwrap();
        channel.run();
        let waiting = std::thread::scope(|scope| {
            let (blocking, waiter) = (channel.blocking(), client.clone());
            let threads =
                [scope.spawn(move || blocking.closed()), scope.spawn(move || block_on(waiter.closed()))];
            std::thread::sleep(Duration::from_millis(20));
            channel.lose();
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(waiting, [Some(ConnectionError::Lost); 2], "{version:?}");
        assert!(client.is_closed());
        assert_eq!(block_on(call.recv()).unwrap_err().ended(), EndedBy::LostConnection);

        let aborted = Channel::builder().http_version(version).serve(router(&Kept::default())).client();
        aborted.abort();
        assert!(aborted.is_closed());
        assert_eq!(block_on(aborted.closed()), Some(ConnectionError::Aborted), "{version:?}");
    }
}

#[test]
fn a_connection_whose_peer_is_silent_is_closed_by_keepalive() {
    let keepalive =
        Keepalive { time: Duration::from_secs(20), timeout: Duration::from_secs(5), without_calls: true };
    let config = Config::new().keepalive(keepalive);
    let channel = Channel::builder().client_config(config).serve(router(&Kept::default()));
    let client = channel.client();
    channel.run();
    channel.stall(true);
    channel.advance(Duration::from_secs(24));
    assert!(!client.is_closed());
    channel.advance(Duration::from_secs(1));
    assert!(client.is_closed());
    assert!(block_on(client.closed()).is_some());
}

// One number says how large a message may be: nothing else has to be raised with it, and nothing else lowers it.
#[test]
fn the_largest_message_is_what_the_rules_of_calls_say() {
    for (version, protocol) in WAYS {
        let rules = || Config::new().rpc(RpcConfig::new().max_receive(20 << 20));
        let builder = Channel::builder().http_version(version);
        let channel = builder.client_config(rules()).server_config(rules()).serve(router(&Kept::default()));
        let client = channel.client().with(CallOptions::new().protocol(protocol));
        // More than `Limits::assembly` is by default.
        let large = Bytes::from(vec![b'x'; 18 << 20]);
        let answer = block_on(client.unary("/a.A/Echo", large.clone(), CallOptions::new())).unwrap();
        assert!(answer.message == large, "{version:?} {protocol:?}");
        let above = Bytes::from(vec![b'x'; (20 << 20) + 1]);
        let status = block_on(client.unary("/a.A/Echo", above, CallOptions::new())).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{version:?} {protocol:?}");
    }
}

// RFC 9113 §6.5.2: a client says how large a list of fields may be; the default here is 16 KiB. An error above it would be
// refused as a whole.
#[test]
fn an_error_of_any_size_arrives_with_its_code() {
    for (version, protocol) in WAYS {
        let fail = |_: Context, _: Bytes| async {
            let detail = antiphon_service::Detail { type_name: "a.B".into(), value: vec![7; 1 << 17].into() };
            Err::<Bytes, _>(Status::not_found("\u{e9}".repeat(1 << 17)).with_detail(detail))
        };
        let channel = Channel::builder().http_version(version).serve(Router::new().unary("/a.A/Fail", fail));
        let client = channel.client().with(CallOptions::new().protocol(protocol));
        let status = block_on(client.unary("/a.A/Fail", text(""), CallOptions::new())).unwrap_err();
        assert_eq!(
            (status.code(), status.ended()),
            (Code::NotFound, EndedBy::Status),
            "{version:?} {protocol:?}"
        );
        assert!(status.message().starts_with("\u{e9}\u{e9}") && status.message().ends_with('\u{2026}'));
        let least = if matches!(protocol, Protocol::Grpc | Protocol::GrpcWeb) { 2_000 } else { 10_000 };
        assert!(status.message().len() > least, "{} bytes of it", status.message().len());
    }
}
