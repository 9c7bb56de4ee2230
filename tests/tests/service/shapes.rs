//! Four shapes, the protocols, both versions of HTTP, both adapters, async and blocking handlers.

use std::time::Duration;

use antiphon::rpc::{Codings, RpcConfig};
use antiphon::{Code, Config};
use antiphon_service::{
    Async, Bytes, CallOptions, Client, Context, HttpVersion, Method, Peer, Protocol, Receiver, Router,
    Sender, Shape, Status, handler,
};

use crate::env::{BOTH, everywhere};

const PROTOCOLS: [Protocol; 4] =
    [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb, Protocol::GrpcWebText];

fn seen(context: &Context) -> Result<(), Status> {
    let tag = context.headers().get("tag").unwrap_or("none").to_owned();
    context.set_header("seen", tag.as_str())?;
    context.set_trailer("sent-bin", &[1, 2, 255][..])?;
    assert!(matches!(context.peer(), Peer::Tcp(_)));
    assert!(context.procedure().starts_with("/t.T/"));
    assert_eq!(context.codec(), "proto");
    let left = context.time_left().unwrap_or_default();
    assert!(left > Duration::from_secs(10) && left <= Duration::from_secs(20), "{left:?}");
    Ok(())
}

fn router() -> Router {
    Router::new()
        .unary("/t.T/Unary", |context: Context, message: Bytes| async move {
            seen(&context)?;
            Ok(message)
        })
        .server_stream("/t.T/Server", |context: Context, message: Bytes, mut out: Sender<Bytes>| async move {
            seen(&context)?;
            for _ in 0..3 {
                out.send(message.clone()).await?;
            }
            Ok(())
        })
        .client_stream("/t.T/Client", |context: Context, mut inbound: Receiver<Bytes>| async move {
            seen(&context)?;
            let mut all = Vec::new();
            while let Some(message) = inbound.recv().await? {
                all.extend_from_slice(&message);
            }
            Ok(Bytes::from(all))
        })
        .bidi(
            "/t.T/Bidi",
            |context: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
                seen(&context)?;
                context.send_headers();
                while let Some(message) = inbound.recv().await? {
                    out.send(message).await?;
                }
                Ok(())
            },
        )
}

/// The same, blocking.
fn blocking_router() -> Router {
    use handler::blocking;
    Router::new()
        .add(
            "/t.T/Unary",
            blocking::unary(|context, message| {
                seen(&context)?;
                Ok(message)
            }),
        )
        .add(
            "/t.T/Server",
            blocking::server_stream(|context, message, mut out| {
                seen(&context)?;
                (0..3).try_for_each(|_| out.send(message.clone()))
            }),
        )
        .add(
            "/t.T/Client",
            blocking::client_stream(|context, inbound| {
                seen(&context)?;
                let all = inbound.collect::<Result<Vec<_>, _>>()?;
                Ok(Bytes::from(all.concat()))
            }),
        )
        .add(
            "/t.T/Bidi",
            blocking::bidi(|context, mut inbound, mut out| {
                seen(&context)?;
                context.send_headers();
                while let Some(message) = inbound.recv()? {
                    out.send(message)?;
                }
                Ok(())
            }),
        )
}

fn options(protocol: Protocol) -> CallOptions {
    let options = CallOptions::new().protocol(protocol).timeout(Duration::from_secs(20));
    options.header("tag", "blue").unwrap()
}

async fn all_shapes(client: &Client, protocol: Protocol, full_duplex: bool) {
    let message = Bytes::from_static(b"hello");
    let reply = client.unary("/t.T/Unary", message.clone(), options(protocol)).await.unwrap();
    assert_eq!(reply.message, message);
    assert_eq!(reply.headers.get("seen"), Some("blue"));
    assert_eq!(reply.trailers.get_bin("sent-bin").next(), Some(Ok(vec![1, 2, 255])));

    let mut stream = client.server_stream("/t.T/Server", message.clone(), options(protocol)).await.unwrap();
    assert_eq!(stream.headers().await.unwrap().get("seen"), Some("blue"));
    for _ in 0..3 {
        assert_eq!(stream.recv().await.unwrap(), Some(message.clone()));
    }
    assert_eq!(stream.recv().await.unwrap(), None);
    assert_eq!(stream.recv().await.unwrap(), None, "the end is told again");
    assert_eq!(stream.trailers().get_bin("sent-bin").next(), Some(Ok(vec![1, 2, 255])));

    let mut upload = client.client_stream("/t.T/Client", options(protocol)).await.unwrap();
    for part in ["a", "bc", "def"] {
        upload.send(part.into()).await.unwrap();
    }
    let reply = upload.close_and_recv().await.unwrap();
    assert_eq!(reply.message, "abcdef");
    assert_eq!(reply.headers.get("seen"), Some("blue"));

    let mut chat = client.bidi("/t.T/Bidi", options(protocol)).await.unwrap();
    for part in ["a", "bc", "def"] {
        chat.send(part.into()).await.unwrap();
        if full_duplex {
            assert_eq!(chat.recv().await.unwrap(), Some(part.into()));
        }
    }
    chat.close_send();
    if !full_duplex {
        for part in ["a", "bc", "def"] {
            assert_eq!(chat.recv().await.unwrap(), Some(part.into()));
        }
    }
    assert_eq!(chat.recv().await.unwrap(), None);
    assert_eq!(chat.headers().await.unwrap().get("seen"), Some("blue"));
}

fn carried(protocol: Protocol, version: HttpVersion) -> bool {
    protocol != Protocol::Grpc || version == HttpVersion::Http2
}

#[test]
fn every_shape_on_every_stack() {
    everywhere(|env| async move {
        for router in [router(), blocking_router()] {
            let served = env.serve(router).await;
            for version in BOTH {
                let client = served.connect(version).await;
                for protocol in PROTOCOLS.into_iter().filter(|protocol| carried(*protocol, version)) {
                    all_shapes(&client, protocol, version == HttpVersion::Http2).await;
                }
            }
        }
    });
}

#[test]
fn grpc_over_http1_is_the_callers_fault() {
    everywhere(|env| async move {
        let served = env.serve(router()).await;
        let client = served.connect(HttpVersion::Http11).await;
        let status = client.unary("/t.T/Unary", Bytes::new(), options(Protocol::Grpc)).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.unprocessed());
    });
}

#[test]
fn errors_carry_what_the_handler_set() {
    everywhere(|env| async move {
        let router = Router::new()
            .unary("/t.T/Fail", |context: Context, _: Bytes| async move {
                context.set_header("where", "here")?;
                context.set_trailer("why", "because")?;
                Err(Status::not_found("no such thing"))
            })
            .server_stream(
                "/t.T/FailLate",
                |_: Context, message: Bytes, mut out: Sender<Bytes>| async move {
                    out.send(message).await?;
                    Err(Status::data_loss("half of it"))
                },
            );
        let served = env.serve(router).await;
        for version in BOTH {
            let client = served.connect(version).await;
            for protocol in PROTOCOLS.into_iter().filter(|protocol| carried(*protocol, version)) {
                let status = client.unary("/t.T/Fail", Bytes::new(), options(protocol)).await.unwrap_err();
                assert_eq!((status.code(), status.message()), (Code::NotFound, "no such thing"));
                for (name, value) in [("where", "here"), ("why", "because")] {
                    let found: Vec<_> = status.metadata().get_all(name).collect();
                    assert_eq!(found, [value], "{protocol:?} {version:?}");
                }
                let mut stream =
                    client.server_stream("/t.T/FailLate", "x".into(), options(protocol)).await.unwrap();
                assert_eq!(stream.recv().await.unwrap(), Some("x".into()));
                assert_eq!(stream.recv().await.unwrap_err().code(), Code::DataLoss);
                let status = client.unary("/t.T/None", Bytes::new(), options(protocol)).await.unwrap_err();
                assert_eq!(status.code(), Code::Unimplemented, "{protocol:?} {version:?}");
            }
        }
    });
}

fn gzip() -> Config {
    let mut rpc = RpcConfig::default();
    rpc.codings = Codings::gzip();
    let mut config = Config::default();
    config.rpc = std::sync::Arc::new(rpc);
    config
}

#[test]
fn messages_are_compressed_both_ways() {
    everywhere(|env| async move {
        let served = env.serve_with(gzip(), router()).await;
        let message = Bytes::from(vec![b'x'; 300_000]);
        for version in BOTH {
            let client = served.connect_with(version, gzip()).await;
            for protocol in PROTOCOLS.into_iter().filter(|protocol| carried(*protocol, version)) {
                let options = options(protocol).coding(Some("gzip"));
                let client = client.with(options);
                let reply = client.unary("/t.T/Unary", message.clone(), CallOptions::new()).await.unwrap();
                assert_eq!(reply.message, message);
                let mut chat = client.bidi("/t.T/Bidi", CallOptions::new()).await.unwrap();
                chat.send(message.clone()).await.unwrap();
                chat.close_send();
                assert_eq!(chat.recv().await.unwrap(), Some(message.clone()));
                assert_eq!(chat.recv().await.unwrap(), None);
            }
        }
    });
}

#[test]
fn large_messages_pass_the_window() {
    everywhere(|env| async move {
        let served = env.serve(router()).await;
        let message = Bytes::from((0..3_000_000u32).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        for version in BOTH {
            let client = served.connect(version).await;
            let reply =
                client.unary("/t.T/Unary", message.clone(), options(Protocol::Connect)).await.unwrap();
            assert!(reply.message == message);
            let mut chat = client.bidi("/t.T/Bidi", options(Protocol::GrpcWeb)).await.unwrap();
            chat.send(message.clone()).await.unwrap();
            chat.close_send();
            assert!(chat.recv().await.unwrap() == Some(message.clone()));
        }
    });
}

#[test]
fn a_method_without_side_effects_is_asked_by_get() {
    everywhere(|env| async move {
        let handler = handler::unary(|_: Context, message: Bytes| async move { Ok(message) });
        let method = Method::new(Shape::Unary).without_side_effects();
        let served = env.serve(Router::new().route("/t.T/Get", method, handler)).await;
        for version in BOTH {
            let client: Client<Async> = served.connect(version).await;
            let reply = client.unary("/t.T/Get", "quiet".into(), CallOptions::new().use_get(true)).await;
            assert_eq!(reply.unwrap().message, "quiet");
        }
    });
}
