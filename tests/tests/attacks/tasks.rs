//! Attacks on the async driver and on the queue of those who wait to start a call.

use std::time::Duration;

use antiphon::{Code, Config};
use antiphon_service::{Bytes, CallOptions, Context, EndedBy, HttpVersion, Router, Status};

use crate::kit::{Adapter, alone};

const ECHO: &str = "/t.T/Echo";

fn echo() -> Router {
    Router::new().unary(ECHO, |_: Context, message: Bytes| async move { Ok(message) })
}

/// First come, first served: who makes one call after another does not keep out one who waits for its first.
#[test]
fn a_busy_caller_does_not_starve_one_who_waits() {
    let _alone = alone();
    let running = Adapter::Smol.serve(Config::default(), echo());
    for version in [HttpVersion::Http11, HttpVersion::Http2] {
        let executor = smol::LocalExecutor::new();
        smol::block_on(executor.run(async {
            let mut config = Config::default();
            config.limits.streams = 1;
            let server = Adapter::Smol.serve(config, echo());
            let address = if version == HttpVersion::Http2 { server.address } else { running.address };
            let client = antiphon_smol::Connector::new(version).connect(address).await.unwrap();
            // The limit of the peer is known after the first call.
            client.unary(ECHO, Bytes::new(), CallOptions::new()).await.unwrap();
            let busy = client.clone();
            let busy = executor.spawn(async move {
                for _ in 0..2000 {
                    busy.unary(ECHO, Bytes::new(), CallOptions::new()).await.unwrap();
                }
            });
            smol::future::yield_now().await;
            client.unary(ECHO, Bytes::new(), CallOptions::new()).await.unwrap();
            assert!(!busy.is_finished(), "{version:?}: it had to wait for all of them");
            busy.cancel().await;
        }));
    }
}

/// Who was at the head of the queue and is dropped lets the next one in, and nobody is forgotten.
#[test]
fn a_thousand_callers_of_whom_half_give_up() {
    let _alone = alone();
    let mut config = Config::default();
    config.limits.streams = 3;
    let running = Adapter::Smol.serve(config, echo());
    smol::block_on(async {
        let client = antiphon_smol::connect(running.address, HttpVersion::Http2).await.unwrap();
        client.unary(ECHO, Bytes::new(), CallOptions::new()).await.unwrap();
        let mut kept = Vec::new();
        for at in 0..1000u64 {
            let client = client.clone();
            let call = smol::spawn(async move { client.unary(ECHO, Bytes::new(), CallOptions::new()).await });
            if at % 2 == 0 {
                kept.push(call);
            } else if at % 5 == 0 {
                drop(call);
            } else {
                smol::spawn(async move {
                    smol::Timer::after(Duration::from_micros(at * 20)).await;
                    drop(call);
                })
                .detach();
            }
        }
        let all = async {
            for call in kept {
                call.await.unwrap();
            }
        };
        let limit = async {
            smol::Timer::after(Duration::from_secs(20)).await;
            panic!("somebody was forgotten");
        };
        smol::future::or(all, limit).await;
    });
}

/// The driver of a client is dropped, with its runtime for example: nobody cancelled the call, its connection is lost.
#[test]
fn a_call_whose_driver_is_dropped_is_lost_and_not_cancelled() {
    let _alone = alone();
    let never = |_: Context, _: Bytes| std::future::pending::<Result<Bytes, Status>>();
    let running = Adapter::Smol.serve(Config::default(), Router::new().unary(ECHO, never));
    for version in [HttpVersion::Http11, HttpVersion::Http2] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(antiphon_tokio::connect(running.address, version)).unwrap();
        let call = smol::spawn(async move { client.unary(ECHO, Bytes::new(), CallOptions::new()).await });
        std::thread::sleep(Duration::from_millis(100));
        runtime.shutdown_background();
        let status = smol::block_on(call).unwrap_err();
        assert_eq!(
            (status.code(), status.ended()),
            (Code::Unavailable, EndedBy::LostConnection),
            "{version:?}"
        );
    }
}

/// What a handler panics with may panic in turn when it is dropped.
#[test]
fn a_panic_within_a_panic_ends_its_call_and_nothing_else() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("and again");
        }
    }

    let _alone = alone();
    let router =
        echo().unary("/t.T/Panic", |_: Context, _: Bytes| async move { std::panic::panic_any(Bomb) }).add(
            "/t.T/Block",
            antiphon_service::handler::blocking::unary(|_: Context, _: Bytes| std::panic::panic_any(Bomb)),
        );
    for adapter in crate::kit::ALL {
        let running = adapter.serve(Config::default(), router.clone());
        let client = antiphon_blocking::connect(running.address, HttpVersion::Http2).unwrap();
        let options = || CallOptions::new().timeout(Duration::from_secs(5));
        for path in ["/t.T/Panic", "/t.T/Block"] {
            let status = client.unary(path, Bytes::new(), options()).unwrap_err();
            assert_eq!(status.code(), Code::Unknown, "{adapter:?} {path}");
            client.unary(ECHO, Bytes::new(), options()).unwrap();
        }
    }
}

/// Times beyond any clock.
#[test]
fn a_deadline_at_either_end_of_time() {
    let _alone = alone();
    for adapter in crate::kit::ALL {
        let running = adapter.serve(Config::default(), echo());
        for version in [HttpVersion::Http11, HttpVersion::Http2] {
            let client = antiphon_blocking::connect(running.address, version).unwrap();
            let long = client.unary(ECHO, Bytes::from_static(b"a"), Duration::MAX.into()).unwrap();
            assert_eq!(&long[..], b"a");
            let none = client.unary(ECHO, Bytes::new(), Duration::ZERO.into()).unwrap_err();
            assert_eq!(none.code(), Code::DeadlineExceeded);
        }
    }
}

/// Ten thousand callers of one connection that takes a hundred at once: each looks at the queue a few times, and the
/// queue must not be walked each time.
#[test]
fn a_long_queue_costs_little() {
    let _alone = alone();
    let running = Adapter::Smol.serve(Config::default(), echo());
    smol::block_on(async {
        let client = antiphon_smol::connect(running.address, HttpVersion::Http2).await.unwrap();
        let started = std::time::Instant::now();
        let calls: Vec<_> = (0..10_000)
            .map(|_| {
                let client = client.clone();
                smol::spawn(async move {
                    client
                        .unary(ECHO, Bytes::new(), CallOptions::new().timeout(Duration::from_secs(60)))
                        .await
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?}");
    });
}

/// A test of a user pauses tokio's clock: the driver sleeps by that clock, and must not look at another one.
#[test]
fn a_paused_clock_makes_no_connection_spin() {
    let _alone = alone();
    let never = |_: Context, _: Bytes| std::future::pending::<Result<Bytes, Status>>();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let used = crate::kit::cpu_of(|| {
        runtime.block_on(async {
            let acceptor = antiphon_tokio::Acceptor::new(echo().unary("/t.T/Never", never));
            let (near, far) = tokio::io::duplex(4096);
            let peer = || antiphon_tokio::Peer::Other("here".into());
            tokio::spawn(acceptor.serve_over(far, peer()));
            let client =
                antiphon_tokio::Connector::new(HttpVersion::Http2).connect_over(near, peer()).unwrap();
            client.unary(ECHO, Bytes::new(), CallOptions::new()).await.unwrap();
            let hour = CallOptions::new().timeout(Duration::from_secs(3600));
            let status = client.unary("/t.T/Never", Bytes::new(), hour).await.unwrap_err();
            assert_eq!(status.code(), Code::DeadlineExceeded);
        });
    });
    assert!(used < Duration::from_secs(1), "{used:?}");
}

/// A service's hook that panics does not keep a server from ending.
#[test]
fn a_hook_that_panics_stops_no_drain() {
    let _alone = alone();
    for adapter in crate::kit::ALL {
        let mut running = adapter.serve(Config::default(), echo());
        let client = antiphon_blocking::connect(running.address, HttpVersion::Http2).unwrap();
        client.unary(ECHO, Bytes::new(), CallOptions::new()).unwrap();
        running.shutdown.on_drain(|| panic!("a hook's panic"));
        running.shutdown.drain();
        assert!(running.ends_within(Duration::from_secs(5)), "{adapter:?}");
    }
}
