//! The server's end of a connection.

use bytes::BytesMut;

use super::body_decode::BodyDecoder;
use super::exchange::{Plan, Receiving, Sending};
use super::head_parse::{Delimited, Facts, is_token};
use super::head_write::{check_response, write_response};
use super::lines::Scan;
use super::link::{CANCEL, Life, Link, Role};
use super::refused::refused;
use crate::{ConnectionError, Head, InputEnd, Limits, Misuse, ReceiveEnd, SendError, StartError, StreamKey};

/// The server's end of an HTTP/1.1 connection: requests come one after the other, and each is answered before the
/// next is read.
///
/// It accepts its bytes from the very first, whoever looked at them before. See the [module](super) for the rules.
pub struct Server {
    pub(super) link: Link,
}

impl Server {
    /// A connection that has just been accepted. `limits` are [clamped](Limits::checked).
    pub fn new(limits: Limits) -> Self {
        Self { link: Link::new(Role::Server, limits) }
    }

    pub(super) fn input(&mut self, input: &mut BytesMut) -> Result<(), ConnectionError> {
        loop {
            if self.link.life != Life::Open {
                input.clear();
                return self.link.error.map_or(Ok(()), Err);
            }
            let progress = match self.link.exchange.receiving {
                _ if !self.link.exchange.present => self.read_head(input)?,
                Receiving::Body(_) => self.link.receive_body(input)?,
                _ => {
                    self.look_at_next(input);
                    false
                }
            };
            if !progress {
                return Ok(());
            }
        }
    }

    /// Reads the head of a request. `false` when it is not complete.
    fn read_head(&mut self, input: &mut BytesMut) -> Result<bool, ConnectionError> {
        let link = &mut self.link;
        link.time_first();
        link.skip_blank(input);
        let Some(&first) = input.first() else { return Ok(false) };
        link.timers.head.get_or_insert(link.now + link.limits.handshake);
        if first == b'\r' && input.len() == 1 && !link.blank_skipped {
            return Ok(false);
        }
        if !is_token(first) {
            return Err(link.refuse(refused(400, "this is not the beginning of a request")));
        }
        let Some(facts) = link.take_head(input)? else { return Ok(false) };
        self.begin(facts);
        Ok(true)
    }

    fn begin(&mut self, facts: Facts) {
        let link = &mut self.link;
        link.timers.first = None;
        // A request that says nothing of a body has none (RFC 9112 §6.3).
        let receiving = match facts.delimited {
            Delimited::Unsaid | Delimited::Length(0) => Receiving::Ended,
            Delimited::Length(length) => Receiving::Body(BodyDecoder::Length(length)),
            Delimited::Chunked => Receiving::Body(BodyDecoder::CHUNKED),
        };
        link.exchange.begin(&link.limits, link.generation, receiving, Sending::Head);
        link.generation = link.generation.wrapping_add(1);
        link.exchange.facts = facts;
        link.exchange.is_head = link.exchange.head.control_bytes()[0] == b"HEAD";
        link.exchange.has_head = true;
        link.exchange.owes_continue = facts.expects_continue && receiving != Receiving::Ended;
        link.blank_skipped = false;
        link.reusable = !facts.close;
        link.notices.opened = true;
        if receiving == Receiving::Ended {
            link.end_receiving(ReceiveEnd::Clean);
        }
    }

    /// A complete request is being answered: the first byte of the next one waits with its like in the caller's
    /// buffer, so that a peer that asks faster than it is answered is not read any further (B16).
    fn look_at_next(&mut self, input: &mut BytesMut) {
        let link = &mut self.link;
        if !link.reusable || link.draining {
            input.clear();
            return;
        }
        link.skip_blank(input);
        let half_blank = &input[..] == b"\r" && !link.blank_skipped;
        link.next_waits = !input.is_empty() && !half_blank;
    }

    pub(super) fn end(&mut self, end: InputEnd) -> Result<(), ConnectionError> {
        let link = &mut self.link;
        link.input_ended = true;
        link.next_waits = false;
        link.notices.draining = true;
        if link.life != Life::Open {
            link.close();
            link.settle();
            return link.error.map_or(Ok(()), Err);
        }
        let partial = !link.exchange.present && link.scan != Scan::default();
        if end == InputEnd::Failed || partial || matches!(link.exchange.receiving, Receiving::Body(_)) {
            return Err(link.fail(ConnectionError::Lost, ReceiveEnd::Lost));
        }
        if !link.exchange.present {
            link.close();
            return Ok(());
        }
        if end == InputEnd::Truncated {
            return Err(link.fail(ConnectionError::Lost, ReceiveEnd::Lost));
        }
        // The request is complete; whoever closes before the answer does not wait for it.
        if !link.exchange.sending.is_over() {
            link.notices.stopped = Some(CANCEL);
        }
        link.reusable = false;
        link.settle();
        Ok(())
    }

    pub(super) fn open_stream(&mut self, _: &Head, _: bool) -> Result<StreamKey, StartError> {
        Err(StartError::Misuse(Misuse::WrongState))
    }

    pub(super) fn send_head(&mut self, key: StreamKey, head: &Head, end: bool) -> Result<(), SendError> {
        let link = &mut self.link;
        link.respond_checks(key)?;
        if head.is_informational() {
            check_response(head)?;
            if end {
                return Err(Misuse::WrongState.into());
            }
            // A peer that speaks HTTP/1.0 does not understand them (RFC 9110 §15.2).
            if link.exchange.facts.http11 {
                link.exchange.owes_continue &= head.status() != 100;
                write_response(&mut link.control, head);
                link.control.extend_from_slice(b"\r\n");
            }
            return Ok(());
        }
        link.exchange.outgoing.head.clear();
        let wishes =
            link.sent.write(head, &mut link.exchange.outgoing.head, check_response, write_response)?;
        let bodyless = link.exchange.is_head || matches!(head.status(), 204 | 304);
        let plan = match wishes.content_length {
            _ if bodyless => Plan::Bodyless,
            Some(length) if end && length > 0 => return Err(Misuse::NoMessage.into()),
            Some(length) => Plan::Length(length),
            None => Plan::Open,
        };
        link.reusable &= !wishes.close;
        link.exchange.sending = Sending::Queued(plan);
        if end {
            link.finish(key);
        }
        Ok(())
    }

    pub(super) fn begin_drain(&mut self) {
        let link = &mut self.link;
        link.draining = true;
        link.next_waits = false;
        let idle = !link.exchange.present && link.timers.head.is_none();
        if idle && link.life == Life::Open {
            link.close();
        }
    }

    pub(super) fn may_open(&self) -> bool {
        false
    }
}
