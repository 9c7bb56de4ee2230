//! The client's end of a connection.

use bytes::BytesMut;

use super::body_decode::BodyDecoder;
use super::exchange::{Plan, Receiving, Sending};
use super::head_parse::{Delimited, FOREIGN, Facts};
use super::head_write::{check_request, write_request};
use super::link::{Life, Link, NO_ERROR, Role};
use super::refused::refused;
use crate::{ConnectionError, Head, InputEnd, Limits, Misuse, ReceiveEnd, SendError, StartError, StreamKey};

/// So many informational responses may come before the final one.
const INFORMATIONAL: u8 = 8;

/// The client's end of an HTTP/1.1 connection: one request at a time, never pipelined.
///
/// See the [module](super) for the rules.
pub struct Client {
    pub(super) link: Link,
}

impl Client {
    /// A connection that has just been made. `limits` are [clamped](Limits::checked).
    pub fn new(limits: Limits) -> Self {
        Self { link: Link::new(Role::Client, limits) }
    }

    pub(super) fn input(&mut self, input: &mut BytesMut) -> Result<(), ConnectionError> {
        loop {
            if self.link.life != Life::Open {
                input.clear();
                return self.link.error.map_or(Ok(()), Err);
            }
            let progress = match self.link.exchange.receiving {
                Receiving::Head if self.link.exchange.present => self.read_head(input)?,
                Receiving::Body(_) if self.link.exchange.present => self.link.receive_body(input)?,
                _ if input.is_empty() => false,
                // Never the beginning of an answer to the next request (RFC 9112 §9.2).
                _ => return Err(self.link.refuse(refused(502, "bytes that answer no request"))),
            };
            if !progress {
                return Ok(());
            }
        }
    }

    /// Reads the head of a response. `false` when it is not complete.
    fn read_head(&mut self, input: &mut BytesMut) -> Result<bool, ConnectionError> {
        let link = &mut self.link;
        let Some(&first) = input.first() else { return Ok(false) };
        if !link.exchange.transmitted {
            // Such as 408 from a server that tires of waiting: it cannot have seen the request.
            link.exchange.set_end(ReceiveEnd::Unprocessed);
            return Err(link.refuse(refused(502, "an answer before the request")));
        }
        link.timers.head.get_or_insert(link.now + link.limits.handshake);
        if first != b'H' {
            return Err(link.refuse(refused(502, FOREIGN)));
        }
        let Some(facts) = link.take_head(input)? else { return Ok(false) };
        self.take_head(facts)?;
        Ok(true)
    }

    fn take_head(&mut self, facts: Facts) -> Result<(), ConnectionError> {
        let link = &mut self.link;
        let status = link.exchange.head.status();
        if status == 101 {
            return Err(link.refuse(refused(502, "the peer switches protocols unasked")));
        }
        if status < 200 {
            link.exchange.informational += 1;
            if link.exchange.informational > INFORMATIONAL {
                return Err(link.refuse(refused(502, "too many informational responses")));
            }
            return Ok(());
        }
        let bodyless = link.exchange.is_head || matches!(status, 204 | 304);
        link.exchange.has_head = true;
        link.exchange.facts = facts;
        link.notices.readable = true;
        if facts.close {
            link.reusable = false;
            link.notices.draining = true;
        }
        if status >= 300 {
            // Who answers so while the request is still on its way will not read the rest (RFC 9112 §9.5). A good answer
            // with `close` says only that no other request may follow (§9.6): a stream goes on both ways.
            link.stop_sending(Some(NO_ERROR));
        }
        link.exchange.receiving = match facts.delimited {
            _ if bodyless => Receiving::Ended,
            Delimited::Length(0) => Receiving::Ended,
            Delimited::Length(length) => Receiving::Body(BodyDecoder::Length(length)),
            Delimited::Chunked => Receiving::Body(BodyDecoder::CHUNKED),
            Delimited::Unsaid => {
                link.reusable = false;
                link.notices.draining = true;
                Receiving::Body(BodyDecoder::ToClose)
            }
        };
        if link.exchange.receiving == Receiving::Ended {
            link.end_receiving(ReceiveEnd::Clean);
        }
        link.settle();
        Ok(())
    }

    pub(super) fn end(&mut self, end: InputEnd) -> Result<(), ConnectionError> {
        let link = &mut self.link;
        link.input_ended = true;
        link.notices.draining = true;
        let exchange = &mut link.exchange;
        if link.life == Life::Open && exchange.present {
            match exchange.receiving {
                // Only a clean end of input ends such a body (RFC 9112 §6.3, §9.8).
                Receiving::Body(BodyDecoder::ToClose) if end == InputEnd::Eof => {
                    link.end_receiving(ReceiveEnd::Clean);
                }
                Receiving::Ended => {}
                Receiving::Head if !exchange.transmitted => {
                    return Err(link.fail(ConnectionError::Lost, ReceiveEnd::Unprocessed));
                }
                _ => return Err(link.fail(ConnectionError::Lost, ReceiveEnd::Lost)),
            }
        }
        link.stop_sending(Some(NO_ERROR));
        link.reusable = false;
        link.close();
        link.settle();
        match link.error {
            Some(error) => Err(error),
            None if end == InputEnd::Failed => Err(link.fail(ConnectionError::Lost, ReceiveEnd::Lost)),
            None => Ok(()),
        }
    }

    pub(super) fn open_stream(&mut self, head: &Head, end: bool) -> Result<StreamKey, StartError> {
        let link = &mut self.link;
        if !link.is_open() {
            return Err(StartError::Closed);
        }
        if link.exchange.present {
            return Err(StartError::Full);
        }
        link.exchange.outgoing.clear();
        let wishes = link.sent.write(head, &mut link.exchange.outgoing.head, check_request, write_request)?;
        let plan = match wishes.content_length {
            Some(length) if end && length > 0 => return Err(Misuse::NoMessage.into()),
            Some(length) => Plan::Length(length),
            // Methods that expect a body say that there is none (RFC 9110 §8.6).
            None if end && !matches!(head.method(), "POST" | "PUT" | "PATCH") => Plan::Bodyless,
            None => Plan::Open,
        };
        link.exchange.begin(&link.limits, link.generation, Receiving::Head, Sending::Queued(plan));
        link.generation = link.generation.wrapping_add(1);
        link.exchange.has_head = false;
        link.exchange.is_head = head.control_bytes()[0] == b"HEAD";
        link.exchange.sends_te = wishes.te;
        link.reusable = !wishes.close;
        let key = link.exchange.key;
        if end {
            link.finish(key);
        }
        Ok(key)
    }

    pub(super) fn send_head(&mut self, _: StreamKey, _: &Head, _: bool) -> Result<(), SendError> {
        Err(Misuse::WrongState.into())
    }

    pub(super) fn begin_drain(&mut self) {
        let link = &mut self.link;
        link.draining = true;
        if !link.exchange.present && link.life == Life::Open {
            link.close();
        }
    }

    pub(super) fn may_open(&self) -> bool {
        self.link.is_open() && !self.link.exchange.present
    }
}
