//! An HTTP/2 client straight over the HTTP/2 floor: gets one URL and prints its status and its body.
//!
//! ```text
//! h2-get http://127.0.0.1:8080/
//! ```

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant as Clock};

use antiphon::http2::Connection;
use antiphon::{Closing, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Output, StreamKey};
use bytes::BytesMut;

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
        loop {
            while self.connection.poll_event().is_some() {}
            if self.print(key, &mut told)? {
                self.connection.drain(self.now());
            }
            if self.write().is_err() {
                self.connection.handle_output_lost(self.now());
            }
            if self.connection.closing() != Closing::Open {
                return self.connection.error().map_or(Ok(()), |error| Err(io::Error::other(error)));
            }
            self.read();
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

    /// Waits for bytes, for as long as the connection says.
    fn read(&mut self) {
        let now = self.now();
        let wait = self.connection.poll_timeout().map(|due| due.duration_since(now));
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
