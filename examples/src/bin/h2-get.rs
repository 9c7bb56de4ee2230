//! An HTTP/2 client straight over the HTTP/2 floor: gets one URL and prints its status and its body.
//!
//! ```text
//! h2-get http://127.0.0.1:8080/
//! ```

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant as Clock};

use antiphon::http2::Connection;
use antiphon::{Closing, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Output, StreamKey};
use bytes::BytesMut;

/// How long the connection is kept after the answer, as a client does that may ask again; the peer may still speak, and
/// is answered.
const LINGER: Duration = Duration::from_millis(500);

fn main() -> io::Result<()> {
    let bad = || io::Error::other("usage: h2-get http://HOST:PORT/PATH");
    let url = std::env::args().nth(1).ok_or_else(bad)?;
    let rest = url.strip_prefix("http://").ok_or_else(bad)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let socket = TcpStream::connect(authority)?;
    Get::new(socket).run(&Head::request("GET", "http", authority, path))
}

struct Get {
    socket: TcpStream,
    connection: Connection,
    started: Clock,
    input: BytesMut,
    output: Output,
}

impl Get {
    fn new(socket: TcpStream) -> Self {
        let connection = Connection::client(Limits::default());
        Self { socket, connection, started: Clock::now(), input: BytesMut::new(), output: Output::new() }
    }

    fn now(&self) -> Instant {
        Instant::from_epoch(self.started.elapsed())
    }

    fn run(mut self, head: &Head) -> io::Result<()> {
        let key = self.connection.open(self.now(), head, true).map_err(io::Error::other)?;
        let mut told = false;
        let mut drains_at = None;
        loop {
            while self.connection.poll_event().is_some() {}
            if drains_at.is_none() && self.print(key, &mut told)? {
                drains_at = Some(self.now() + LINGER);
            }
            if drains_at.is_some_and(|at| at <= self.now()) {
                self.connection.drain(self.now());
            }
            if self.write().is_err() {
                self.connection.handle_output_lost(self.now());
            }
            if self.connection.closing() != Closing::Open {
                self.leave();
                return self.connection.error().map_or(Ok(()), |error| Err(io::Error::other(error)));
            }
            self.read(drains_at);
        }
    }

    /// Lets the peer read all that was written: a socket closed with bytes unread is reset, and what it sent is lost.
    fn leave(&mut self) {
        let until = self.now() + Duration::from_secs(1);
        let mut block = [0; 4096];
        let _ = self.socket.shutdown(Shutdown::Write);
        loop {
            let left = until.duration_since(self.now());
            if left.is_zero() || self.socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            match self.socket.read(&mut block) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Prints what has arrived; `true` once the answer is over.
    fn print(&mut self, key: StreamKey, told: &mut bool) -> io::Result<bool> {
        let mut stdout = io::stdout();
        if let (Some(head), false) = (self.connection.head(key), *told) {
            *told = true;
            writeln!(stdout, "{}", head.status())?;
        }
        let body = self.connection.body(key).map(BytesMut::split).unwrap_or_default();
        stdout.write_all(&body)?;
        let _ = self.connection.release(self.now(), key, body.len());
        if let Some(end) = self.connection.receive_end(key) {
            writeln!(io::stderr(), "{end:?}")?;
            self.connection.drop_stream(self.now(), key);
            return Ok(true);
        }
        Ok(false)
    }

    fn write(&mut self) -> io::Result<()> {
        loop {
            self.connection.poll_transmit(self.now(), &mut self.output);
            if self.output.is_empty() {
                return Ok(());
            }
            while let Some(piece) = self.output.take() {
                self.socket.write_all(&piece)?;
            }
        }
    }

    /// Waits for bytes, for as long as the connection says, and `until` at most.
    fn read(&mut self, until: Option<Instant>) {
        let now = self.now();
        let due = match (self.connection.poll_timeout(), until) {
            (Some(due), Some(until)) => Some(due.min(until)),
            (due, until) => due.or(until),
        };
        let wait = due.map(|due| due.duration_since(now));
        if wait == Some(Duration::ZERO) {
            self.connection.handle_timeout(now);
            return;
        }
        let mut block = [0; 64 * 1024];
        let _ = self.socket.set_read_timeout(wait);
        let read = self.socket.read(&mut block);
        let now = self.now();
        let _ = match read {
            Ok(0) => self.connection.handle_end(now, InputEnd::Eof),
            Ok(count) => {
                self.input.extend_from_slice(&block[..count]);
                self.connection.handle_input(now, &mut self.input)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(())
            }
            Err(_) => self.connection.handle_end(now, InputEnd::Failed),
        };
        self.connection.handle_timeout(now);
    }
}
