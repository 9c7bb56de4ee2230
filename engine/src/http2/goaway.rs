//! Graceful and ungraceful ends (RFC 9113 §6.8), and PING as the measure of a round trip.

use core::time::Duration;

use crate::http2::connection::{Connection, Life};
use crate::http2::frame::MAX_ID;
use crate::http2::settings::Role;
use crate::http2::{Fault, lifecycle};
use crate::{ConnectionError, Http2Code, Instant, ReceiveEnd};

/// The payload of the PING between the two GOAWAYs of a drain. Those of [`Connection::ping`] are counted from 1.
const DRAIN_PING: [u8; 8] = *b"draining";

/// How far a graceful end has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Drain {
    #[default]
    No,
    /// A server has announced the end, and waits for a round trip so that requests on their way get in.
    Announced,
    /// The last id is told: nothing new is taken.
    Final,
}

/// GOAWAYs of both sides, and PINGs of ours.
#[derive(Debug, Default)]
pub(super) struct Goaway {
    pub(super) drain: Drain,
    /// When the round trip of a drain is waited for no longer.
    pub(super) drain_deadline: Option<Instant>,
    /// The last id and the code that the peer told.
    pub(super) received: Option<(u32, Http2Code)>,
    pings: u64,
    ping_sent: Option<Instant>,
    round_trip: Option<Duration>,
}

impl Connection {
    /// Sends a PING, unless one is on its way already: then it returns `false`. For keepalive policies.
    pub fn ping(&mut self, now: Instant) -> bool {
        self.tick(now);
        if self.goaway.ping_sent.is_some() || self.life != Life::Open || self.output_lost {
            return false;
        }
        self.goaway.pings += 1;
        self.goaway.ping_sent = Some(self.now);
        self.control.pings.push(self.goaway.pings.to_be_bytes());
        true
    }

    /// When the PING was sent that the peer has not answered yet.
    pub fn ping_outstanding(&self) -> Option<Instant> {
        self.goaway.ping_sent
    }

    /// How many PINGs of [`ping`](Connection::ping) the peer has answered.
    pub fn pings_acked(&self) -> u64 {
        self.goaway.pings - u64::from(self.goaway.ping_sent.is_some())
    }

    /// The round trip of the last PING answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.goaway.round_trip
    }

    /// The peer answered a PING. One that we did not send is a glitch.
    pub(super) fn pong(&mut self, payload: [u8; 8]) -> Result<(), Fault> {
        if self.goaway.drain == Drain::Announced && payload == DRAIN_PING {
            self.finish_drain();
            return Ok(());
        }
        match self.goaway.ping_sent {
            Some(sent) if payload == self.goaway.pings.to_be_bytes() => {
                self.goaway.round_trip = Some(self.now.duration_since(sent));
                self.goaway.ping_sent = None;
                Ok(())
            }
            _ => self.abuse.glitch(self.now, 1),
        }
    }

    /// Begins the graceful end: see [`HttpConnection::drain`](crate::HttpConnection::drain).
    pub(super) fn begin_drain(&mut self) {
        if self.goaway.drain != Drain::No || self.life != Life::Open {
            return;
        }
        match self.role {
            Role::Server => {
                self.goaway.drain = Drain::Announced;
                self.goaway.drain_deadline = Some(self.now + self.limits.handshake);
                self.control.goaway = Some((MAX_ID, Http2Code::NO_ERROR, ""));
                self.control.pings.push(DRAIN_PING);
            }
            Role::Client => self.finish_drain(),
        }
    }

    /// Tells the last id: what comes above it was not seen.
    pub(super) fn finish_drain(&mut self) {
        self.goaway.drain = Drain::Final;
        self.goaway.drain_deadline = None;
        self.control.goaway = Some((self.last_processed, Http2Code::NO_ERROR, ""));
        self.settle();
    }

    /// A GOAWAY of the peer: streams of ours above its last id were not processed.
    pub(super) fn peer_goes(&mut self, last: u32, code: Http2Code) -> Result<(), Fault> {
        if self.goaway.received.is_some_and(|(before, _)| last > before) {
            return Err(Fault::protocol("the last stream id of GOAWAY has risen"));
        }
        if self.goaway.received.is_some() {
            self.abuse.glitch(self.now, 1)?;
        } else {
            self.draining = true;
        }
        self.goaway.received = Some((last, code));
        if self.role == Role::Client {
            for index in 0..self.store.len() {
                let slot = self.store.slot(index);
                if slot.open && (slot.id == 0 || slot.id > last) {
                    self.kill(index, ReceiveEnd::Unprocessed, lifecycle::By::Us, Http2Code::REFUSED_STREAM.0);
                }
            }
        }
        self.settle();
        Ok(())
    }

    /// Ends in peace when nothing is left to do.
    pub(super) fn settle(&mut self) {
        if self.life != Life::Open || self.active > 0 {
            return;
        }
        if self.output_lost {
            self.life = Life::Closed;
        } else if self.goaway.drain == Drain::Final
            // A server goes on: its peer may still send PINGs, and will close.
            || (self.goaway.received.is_some() && self.role == Role::Client)
        {
            self.close();
        }
    }

    /// The peer broke a rule of the connection.
    pub(super) fn fail(&mut self, fault: Fault) {
        let Fault { code, reason } = fault;
        self.end_with(ConnectionError::Http2 { code, reason }, code, reason, ReceiveEnd::Lost);
    }

    /// Ends the connection: tells the peer why, gives up all streams, and stays deaf.
    pub(super) fn end_with(
        &mut self,
        error: ConnectionError,
        code: Http2Code,
        reason: &'static str,
        end: ReceiveEnd,
    ) {
        if self.life != Life::Open {
            return;
        }
        self.error = Some(error);
        self.control.goaway = Some((self.last_processed, code, reason));
        self.lose_streams(end);
        self.close();
    }

    fn close(&mut self) {
        self.life = if self.output_lost { Life::Closed } else { Life::Closing };
        self.control.updates.clear();
        self.control.pings.clear();
        self.timers.linger(self.now);
    }
}
