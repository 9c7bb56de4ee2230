//! An HTTP/2 echo server straight over the HTTP/2 floor: one thread for each connection, driven exactly as told.
//!
//! Answers GET and POST on any path with 200, and echoes the body of a POST.
//!
//! ```text
//! h2-echo 127.0.0.1:8080
//! curl --http2-prior-knowledge -d hello http://127.0.0.1:8080/
//! ```

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant as Clock};

use antiphon::http2::Connection;
use antiphon::{Closing, Head, HttpConnection, InputEnd, Instant, Limits, Machine, Output, ReceiveEnd};
use antiphon::{StreamEvent, StreamKey};
use bytes::BytesMut;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address)?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    // One bad socket never ends the listener.
    for socket in listener.incoming().flatten() {
        std::thread::spawn(move || Echo::new(socket).run());
    }
    Ok(())
}

struct Echo {
    socket: TcpStream,
    connection: Connection,
    started: Clock,
    input: BytesMut,
    output: Output,
}

impl Echo {
    fn new(socket: TcpStream) -> Self {
        let connection = Connection::server(Limits::default());
        Self { socket, connection, started: Clock::now(), input: BytesMut::new(), output: Output::new() }
    }

    fn now(&self) -> Instant {
        Instant::from_epoch(self.started.elapsed())
    }

    fn run(mut self) {
        let _ = self.socket.set_nodelay(true);
        let mut shut = false;
        loop {
            while let Some(event) = self.connection.poll_event() {
                self.react(event);
            }
            if self.write().is_err() {
                self.connection.handle_output_lost(self.now());
            }
            match self.connection.closing() {
                Closing::Closed => return,
                Closing::ShutWrite if !shut => {
                    shut = true;
                    let _ = self.socket.shutdown(std::net::Shutdown::Write);
                }
                _ => {}
            }
            self.read();
        }
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
        // An error is sticky, and what must be done about it is told by `closing`.
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

    fn react(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened(key) | StreamEvent::Readable(key) => match self.connection.receive_end(key) {
                Some(ReceiveEnd::Clean) => self.answer(key),
                Some(_) => self.connection.drop_stream(self.now(), key),
                None => self.want_more(key),
            },
            StreamEvent::Stopped(key, _) | StreamEvent::Lost(key) => {
                self.connection.drop_stream(self.now(), key)
            }
            _ => {}
        }
    }

    /// The body is taken whole: it may need more than the window.
    fn want_more(&mut self, key: StreamKey) {
        let now = self.now();
        let held = self.connection.body(key).map_or(0, |body| body.len());
        let _ = self.connection.demand(now, key, held + 1);
    }

    fn answer(&mut self, key: StreamKey) {
        let now = self.now();
        let mut head = Head::response(200);
        head.fields.push("content-type", b"text/plain");
        if self.connection.respond(now, key, &head, false).is_err() {
            return;
        }
        let body = self.connection.body(key).map(BytesMut::split).unwrap_or_default().freeze();
        let _ = self.connection.release(now, key, body.len());
        if body.is_empty() {
            self.connection.push(key, b"Hello over HTTP/2.\n");
        } else {
            self.connection.push_bytes(key, &body);
        }
        self.connection.finish(key);
        self.connection.drop_stream(now, key);
    }
}
