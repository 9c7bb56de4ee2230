//! The driver over transports that do what transports do: a few bytes at a time, and writes that fail.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as Task, Poll};

use antiphon::{Code, Config, client, server};
use antiphon_service::{
    Bytes, CallOptions, Client, Context, HttpVersion, Peer, Protocol, Receiver, Router, Sender, Shutdown,
    driver,
};
use antiphon_smol::Smol;
use futures_io::{AsyncRead, AsyncWrite};
use smol::net::{TcpListener, TcpStream};

use crate::env::{BOTH, sleep, until};

/// Reads and writes a few bytes at a time, and every third time has to be asked again.
struct Choppy {
    inner: TcpStream,
    turn: usize,
}

impl Choppy {
    fn size(&mut self, task: &mut Task<'_>) -> Poll<usize> {
        self.turn += 1;
        if self.turn % 3 == 0 {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(1 + self.turn * 7 % 61)
    }
}

impl AsyncRead for Choppy {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let size = std::task::ready!(self.size(task)).min(buf.len());
        Pin::new(&mut self.inner).poll_read(task, &mut buf[..size])
    }
}

impl AsyncWrite for Choppy {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let size = std::task::ready!(self.size(task)).min(buf.len());
        Pin::new(&mut self.inner).poll_write(task, &buf[..size])
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(task)
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(task)
    }
}

/// Its writes fail once it is told so; reading goes on.
struct Mute {
    inner: TcpStream,
    broken: Arc<AtomicBool>,
}

impl AsyncRead for Mute {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(task, buf)
    }
}

impl AsyncWrite for Mute {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken.load(Ordering::SeqCst) {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.inner).poll_write(task, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(task)
    }

    fn poll_close(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(task)
    }
}

async fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

fn run<N, F>(near: N, far: F, router: Router, version: HttpVersion) -> Client
where
    N: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let config = Arc::new(Config::default());
    let machine = server::Connection::new(Arc::clone(&config));
    smol::spawn(driver::serve(Smol, far, machine, Peer::unknown(), router, &Shutdown::new())).detach();
    let machine = client::Connection::new(config, version);
    let (client, connection) = driver::connect(Smol, near, machine, Peer::unknown(), "http", "test");
    smol::spawn(connection).detach();
    client
}

#[test]
fn a_few_bytes_at_a_time_change_nothing() {
    smol::block_on(async {
        for version in BOTH {
            let (near, far) = streams().await;
            let router = Router::new()
                .unary("/t.T/Echo", |_: Context, message: Bytes| async move { Ok(message) })
                .bidi(
                    "/t.T/Bidi",
                    |_: Context, mut inbound: Receiver<Bytes>, mut out: Sender<Bytes>| async move {
                        while let Some(message) = inbound.recv().await? {
                            out.send(message).await?;
                        }
                        Ok(())
                    },
                );
            let (near, far) = (Choppy { inner: near, turn: 0 }, Choppy { inner: far, turn: 1 });
            let client = run(near, far, router, version);
            for protocol in [Protocol::Connect, Protocol::GrpcWebText] {
                let client = client.with(CallOptions::new().protocol(protocol));
                let message = Bytes::from(vec![5; 3000]);
                let reply = client.unary("/t.T/Echo", message.clone(), CallOptions::new()).await.unwrap();
                assert_eq!(reply.message, message);
                let mut call = client.bidi("/t.T/Bidi", CallOptions::new()).await.unwrap();
                for _ in 0..5 {
                    call.send(message.clone()).await.unwrap();
                }
                call.close_send();
                for _ in 0..5 {
                    assert_eq!(call.recv().await.unwrap(), Some(message.clone()));
                }
                assert_eq!(call.recv().await.unwrap(), None);
            }
        }
    });
}

#[test]
fn an_answer_is_read_after_a_write_failed() {
    smol::block_on(async {
        let (near, far) = streams().await;
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let router = Router::new().unary("/t.T/Slow", move |_: Context, message: Bytes| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(200).await;
                Ok(message)
            }
        });
        let broken = Arc::new(AtomicBool::new(false));
        let near = Mute { inner: near, broken: Arc::clone(&broken) };
        let client = run(near, far, router, HttpVersion::Http2);
        client.unary("/t.T/Slow", "settings".into(), CallOptions::new()).await.unwrap();
        let other = client.clone();
        let first =
            smol::spawn(async move { other.unary("/t.T/Slow", "a".into(), CallOptions::new()).await });
        until("the call has begun", || begun.load(Ordering::SeqCst) == 2).await;
        broken.store(true, Ordering::SeqCst);
        let second = client.unary("/t.T/Slow", "b".into(), std::time::Duration::from_millis(500).into());
        let (first, second) = smol::future::zip(first, second).await;
        assert_eq!(first.unwrap().message, "a");
        // Its request never left, and the peer says nothing of it.
        assert!(matches!(second.unwrap_err().code(), Code::DeadlineExceeded | Code::Unavailable));
    });
}

#[test]
fn a_driver_that_is_dropped_ends_its_calls() {
    smol::block_on(async {
        let (near, far) = streams().await;
        let config = Arc::new(Config::default());
        let machine = client::Connection::new(config, HttpVersion::Http2);
        let (client, connection) = driver::connect(Smol, near, machine, Peer::unknown(), "http", "test");
        let driving = smol::spawn(connection);
        let call = client.clone();
        let call = smol::spawn(async move { call.unary("/t.T/None", "a".into(), CallOptions::new()).await });
        sleep(50).await;
        driving.cancel().await;
        assert!(matches!(call.await.unwrap_err().code(), Code::Unavailable | Code::Canceled));
        let status = client.unary("/t.T/None", "b".into(), CallOptions::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        drop(far);
    });
}

// What is not spoken is refused before anything is connected: nobody listens at that address.
#[test]
fn a_version_of_http_that_is_not_spoken_is_refused() {
    use antiphon_service::{HttpVersion, Peer};

    let refused = |error: std::io::Error| {
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("HttpVersion::Http2"), "{error}");
    };
    let (version, address, peer) = (HttpVersion::Http3, "127.0.0.1:0", || Peer::unknown());
    smol::block_on(async {
        refused(antiphon_smol::connect(address, version).await.unwrap_err());
        let (near, _far) = smol::net::unix::UnixStream::pair().unwrap();
        refused(antiphon_smol::Connector::new(version).connect_over(near, peer()).unwrap_err());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        refused(antiphon_tokio::connect(address, version).await.unwrap_err());
        let (near, _far) = tokio::io::duplex(1);
        refused(antiphon_tokio::Connector::new(version).connect_over(near, peer()).unwrap_err());
    });
    refused(antiphon_blocking::connect(address, version).unwrap_err());
}
