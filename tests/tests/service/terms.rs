//! What routers and callers say of calls: who else serves, which protocols, limits, compression, codecs; and what they
//! learn of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon::rpc::{Coding, Codings, DecompressError, RpcConfig};
use antiphon::{Code, Config};
use antiphon_service::details::{BadRequest, FieldViolation, RetryInfo};
use antiphon_service::{
    Bytes, CallOptions, Codecs, Context, HttpVersion, JsonOptions, Method, MethodCodecs, Peer, Protocol,
    Protocols, Receiver, Router, Rules, Schema, Sender, Shape, Status, handler,
};

use crate::env::{BOTH, everywhere};
use crate::intercept::{all_shapes, echo};

const ALL: [Protocol; 4] = [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText];

fn carried(version: HttpVersion, protocol: Protocol) -> bool {
    version == HttpVersion::Http2 || protocol != Protocol::Grpc
}

/// A message goes in, and out twice as long.
async fn double(_: Context, mut inbound: Receiver<Bytes>, mut outbound: Sender<Bytes>) -> Result<(), Status> {
    while let Some(message) = inbound.recv().await? {
        outbound.send([&message[..], &message[..]].concat().into()).await?;
    }
    Ok(())
}

#[test]
fn a_fallback_serves_every_shape_of_every_other_path() {
    everywhere(|env| async move {
        let router = echo().fallback(handler::bidi(double));
        let served = env.serve(router).await;
        for version in BOTH {
            let client = served.connect(version).await;
            for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                let options = || CallOptions::new().protocol(protocol);
                let known = client.unary("/t.T/Unary", "x".into(), options()).await.unwrap();
                assert_eq!(known.message, "x");
                let unary = client.unary("/other.S/Unary", "x".into(), options()).await.unwrap();
                assert_eq!(unary.message, "xx", "{protocol:?} {version:?}");
                let mut stream = client.server_stream("/other", "y".into(), options()).await.unwrap();
                assert_eq!(stream.recv().await.unwrap(), Some("yy".into()));
                assert_eq!(stream.recv().await.unwrap(), None);
                let mut upload = client.client_stream("/other.S/Up", options()).await.unwrap();
                upload.send("z".into()).await.unwrap();
                assert_eq!(upload.close_and_recv().await.unwrap().message, "zz");
            }
        }
    });
}

#[test]
fn a_fallback_tells_what_the_protocol_does_and_may_refuse() {
    everywhere(|env| async move {
        let router = Router::new().fallback(handler::unary(|context: Context, _| async move {
            Err(Status::not_found(format!("{:?} {}", context.method().shape, context.procedure())))
        }));
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        for (protocol, shape) in [(Protocol::Connect, "Unary"), (Protocol::Grpc, "Bidi")] {
            let options = CallOptions::new().protocol(protocol);
            let status = client.unary("/a.B/C", Bytes::new(), options).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::NotFound, &*format!("{shape} /a.B/C")));
        }
    });
}

#[test]
fn protocols_are_switched_off_one_by_one() {
    everywhere(|env| async move {
        for off in ALL {
            let served = env.serve(echo().protocols(Protocols::ALL.without(off))).await;
            for version in BOTH {
                let client = served.connect(version).await;
                for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                    let options = CallOptions::new().protocol(protocol);
                    let result = client.unary("/t.T/Unary", "x".into(), options).await;
                    assert_eq!(result.is_ok(), protocol != off, "{off:?} {protocol:?} {version:?}");
                }
            }
        }
        // For one service alone, whichever is said first.
        let rule = Rules::new().protocols(Protocols::NONE.with(Protocol::Grpc));
        for router in [echo().rules("t.T", rule.clone()), Router::new().rules("t.T", rule).merge(echo())] {
            let router = router.unary("/t.Other/Unary", |_, message| async move { Ok(message) });
            let served = env.serve(router).await;
            let client = served.connect(HttpVersion::Http2).await;
            let call = |path, protocol| client.unary(path, "x".into(), CallOptions::new().protocol(protocol));
            assert!(call("/t.T/Unary", Protocol::Grpc).await.is_ok());
            assert!(call("/t.T/Unary", Protocol::Connect).await.is_err());
            assert!(call("/t.Other/Unary", Protocol::Connect).await.is_ok());
        }
    });
}

#[test]
fn messages_are_bounded_both_ways_at_both_ends() {
    everywhere(|env| async move {
        let long = || Bytes::from(vec![b'x'; 101]);
        let short = || Bytes::from(vec![b'x'; 100]);
        for limits in [Rules::new().max_receive(100), Rules::new().max_send(100)] {
            let served = env.serve(echo().rules("/t.T/Unary", limits)).await;
            for version in BOTH {
                let client = served.connect(version).await;
                for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                    let options = || CallOptions::new().protocol(protocol);
                    let answered = client.unary("/t.T/Unary", short(), options()).await;
                    assert!(answered.is_ok(), "{protocol:?} {version:?} {answered:?}");
                    let status = client.unary("/t.T/Unary", long(), options()).await.unwrap_err();
                    assert_eq!(status.code(), Code::ResourceExhausted, "{protocol:?} {version:?} {status}");
                    let mut others = client.bidi("/t.T/Bidi", options()).await.unwrap();
                    others.send(long()).await.unwrap();
                    others.close_send();
                    assert_eq!(others.recv().await.unwrap(), Some(long()));
                    // Dropped before its end, it would be cancelled, and a connection of HTTP/1.1 go with it.
                    assert_eq!(others.recv().await.unwrap(), None);
                }
            }
        }
        let served = env.serve(echo()).await;
        let client = served.connect(HttpVersion::Http2).await;
        for options in [CallOptions::new().max_receive(100), CallOptions::new().max_send(100)] {
            for result in [
                client.unary("/t.T/Unary", long(), options.clone()).await.map(|_| ()),
                client.unary("/t.T/Unary", short(), options.clone()).await.map(|_| ()),
            ]
            .into_iter()
            .zip([Err(Code::ResourceExhausted), Ok(())])
            {
                assert_eq!(result.0.map_err(|status| status.code()), result.1, "{options:?}");
            }
            let client = client.with(options);
            let mut chat = client.bidi("/t.T/Bidi", CallOptions::new()).await.unwrap();
            // What is too large to be sent is not sent, and the call goes on.
            let status = match chat.send(long()).await {
                Err(status) => status,
                Ok(()) => chat.recv().await.unwrap_err(),
            };
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
    });
}

/// Turns bytes round, and counts how often.
#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

impl Coding for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn compress(&self, message: &[u8], out: &mut Vec<u8>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        out.extend(message.iter().map(|byte| !byte));
    }

    fn decompress(&self, bytes: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
        out.extend(bytes.iter().take(max + 1).map(|byte| !byte));
        if bytes.len() > max { Err(DecompressError::TooLarge) } else { Ok(()) }
    }
}

fn counting() -> (Config, Arc<AtomicUsize>) {
    let (mut config, mut rpc, count) = (Config::default(), RpcConfig::default(), Arc::default());
    rpc.codings = Codings::new([Arc::new(Counting(Arc::clone(&count))) as Arc<dyn Coding>]);
    config.rpc = Arc::new(rpc);
    (config, count)
}

#[test]
fn small_messages_are_not_compressed_and_others_as_one_likes() {
    everywhere(|env| async move {
        let (server_config, server) = counting();
        let router = echo()
            .unary("/t.Plain/Unary", |context: Context, message: Bytes| async move {
                context.compress(false);
                Ok(message)
            })
            .rules("/t.T/Bidi", Rules::new().compress_from(1));
        let served = env.serve_with(server_config, router).await;
        for version in BOTH {
            let (client_config, client) = counting();
            let connection = served.connect_with(version, client_config).await;
            for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                let options = || CallOptions::new().protocol(protocol).coding(Some("counting"));
                let took = |side: &AtomicUsize| side.swap(0, Ordering::SeqCst);
                for (path, size, expected) in [
                    ("/t.T/Unary", 1023, (0, 0)),
                    ("/t.T/Unary", 1024, (1, 1)),
                    ("/t.Plain/Unary", 2000, (1, 0)),
                ] {
                    let message = Bytes::from(vec![b'x'; size]);
                    let reply = connection.unary(path, message.clone(), options()).await.unwrap();
                    assert_eq!(reply.message, message);
                    assert_eq!(
                        (took(&client), took(&server)),
                        expected,
                        "{path} {size} {protocol:?} {version:?}"
                    );
                }
                let mut chat = connection.bidi("/t.T/Bidi", options().compress_from(3)).await.unwrap();
                for (message, compress) in [("ab", true), ("abc", true), ("abc", false), ("abcd", true)] {
                    chat.compress(compress);
                    chat.send(message.into()).await.unwrap();
                }
                chat.close_send();
                while chat.recv().await.unwrap().is_some() {}
                assert_eq!((took(&client), took(&server)), (2, 4), "{protocol:?} {version:?}");
                // An empty message is never compressed (Connect "Content-Encoding"), whatever the coding does.
                let empty = connection.unary("/t.T/Unary", Bytes::new(), options().compress_from(0)).await;
                assert_eq!(empty.unwrap().message, "");
                took(&client);
                took(&server);
            }
        }
    });
}

static SCHEMA: std::sync::LazyLock<Schema> = std::sync::LazyLock::new(|| {
    Schema::new(Vec::leak(prost_reflect::DescriptorPool::global().encode_to_vec()))
});

type Messages = MethodCodecs<prost_types::MethodOptions, prost_types::Duration>;

fn typed() -> Messages {
    SCHEMA.method("google.protobuf.MethodOptions", "google.protobuf.Duration")
}

fn half_a_second() -> Router {
    let codecs = typed();
    Router::new().add(
        "/t.T/Half",
        handler::unary_with(codecs, |_, _| async {
            Ok(prost_types::Duration { seconds: 0, nanos: 500_000_000 })
        }),
    )
}

#[test]
fn messages_travel_in_either_codec_and_others_are_refused() {
    everywhere(|env| async move {
        let served = env.serve(half_a_second()).await;
        for version in BOTH {
            let client = served.connect(version).await;
            for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                let method = Method::new(Shape::Unary);
                for codec in ["proto", "json"] {
                    let options = CallOptions::new().protocol(protocol).codec(codec);
                    let request = prost_types::MethodOptions::default();
                    let reply =
                        client.unary_with("/t.T/Half", method, &typed(), request, options).await.unwrap();
                    assert_eq!(reply.nanos, 500_000_000);
                }
                let json = CallOptions::new().protocol(protocol).codec("json");
                let text = client.unary("/t.T/Half", "{}".into(), json.clone()).await.unwrap();
                assert_eq!(text.message, "\"0.500s\"");
                let status = client.unary("/t.T/Half", "{\"x\":1}".into(), json).await.unwrap_err();
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(
                    status.message().contains("x: google.protobuf.MethodOptions has no such field"),
                    "{status}"
                );
                // Connect: 415, which is UNKNOWN; gRPC: UNIMPLEMENTED.
                let other = CallOptions::new().protocol(protocol).codec("xml");
                let status = client.unary("/t.T/Half", "<a/>".into(), other).await.unwrap_err();
                let code = if protocol == Protocol::Connect { Code::Unknown } else { Code::Unimplemented };
                assert_eq!(status.code(), code, "{protocol:?} {version:?} {status}");
            }
        }
    });
}

#[test]
fn json_may_be_lenient_at_either_end() {
    everywhere(|env| async move {
        let router = half_a_second().rules("", Rules::new().json(JsonOptions::lenient()));
        let router = router.unary("/t.T/Strange", |_, _| async { Ok(Bytes::from("{\"x\":1}")) });
        let served = env.serve(router).await;
        let client = served.connect(HttpVersion::Http2).await;
        let json = || CallOptions::new().codec("json");
        assert!(client.unary("/t.T/Half", "{\"x\":1}".into(), json()).await.is_ok());
        let method = Method::new(Shape::Unary);
        let codecs = MethodCodecs::new(Codecs::raw(), SCHEMA.codecs("google.protobuf.MethodOptions"));
        for (options, good) in [(json(), false), (json().json(JsonOptions::lenient()), true)] {
            let reply = client.unary_with("/t.T/Strange", method, &codecs, Bytes::new(), options).await;
            assert_eq!(reply.is_ok(), good);
            let _: Option<prost_types::MethodOptions> = reply.ok().map(|reply| reply.message);
        }
    });
}

#[test]
fn both_sides_know_their_call() {
    everywhere(|env| async move {
        let router = Router::new().unary("/t.T/Who", |context: Context, _: Bytes| async move {
            let (protocol, version) = (context.protocol(), context.http_version());
            let known = format!("{protocol:?} {version:?} {} {}", context.codec(), context.procedure());
            assert!(matches!(context.peer(), Peer::Tcp(_)) && !context.is_client());
            Ok(known.into())
        });
        let served = env.serve(router.merge(echo())).await;
        for version in BOTH {
            let client = served.connect(version).await;
            for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                let options = CallOptions::new().protocol(protocol).codec("json");
                let reply = client.unary("/t.T/Who", Bytes::new(), options.clone()).await.unwrap();
                let context = reply.context().unwrap();
                let (protocol, version) = (context.protocol(), context.http_version());
                let known = format!("{protocol:?} {version:?} {} {}", context.codec(), context.procedure());
                assert_eq!(reply.message, known);
                assert_eq!(context.peer(), &Peer::Tcp(served.address.parse().unwrap()));
                assert!(context.is_client() && context.set_header("a", "b").is_err());
                let mut chat = client.bidi("/t.T/Bidi", options).await.unwrap();
                assert_eq!(
                    (chat.context().protocol(), chat.context().method().shape),
                    (protocol, Shape::Bidi)
                );
                chat.close_send();
                assert_eq!(chat.recv().await.unwrap(), None);
            }
            assert_eq!(all_shapes(&client, CallOptions::new()).await.map(Result::unwrap).len(), 4);
        }
    });
}

#[test]
fn details_arrive_typed() {
    everywhere(|env| async move {
        let violation =
            FieldViolation { field: "email".into(), description: "has no @".into(), ..Default::default() };
        let sent = BadRequest { field_violations: vec![violation] };
        let told = sent.clone();
        let router = Router::new().unary("/t.T/Wrong", move |_, _| {
            let status = Status::invalid_argument("wrong").with_detail(&told);
            async move { Err(status.with_detail(&RetryInfo::default())) }
        });
        let served = env.serve(router).await;
        for version in BOTH {
            let client = served.connect(version).await;
            for protocol in ALL.into_iter().filter(|protocol| carried(version, *protocol)) {
                let options = CallOptions::new().protocol(protocol);
                let status = client.unary("/t.T/Wrong", Bytes::new(), options).await.unwrap_err();
                assert_eq!(status.detail::<BadRequest>().as_ref(), Some(&sent));
                assert_eq!(status.details_of::<RetryInfo>().count(), 1);
            }
        }
    });
}
