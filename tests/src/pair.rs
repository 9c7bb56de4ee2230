//! A client and a server joined in memory, with a clock that only the driver moves.
//!
//! The driver is honest and exact: it sleeps just as long as `poll_timeout` says, and panics when it is told to sleep
//! while work is pending. A missed wake-up then fails a test instead of hiding behind the next byte.

use antiphon::{Closing, Event, InputEnd, Instant, Machine, Output, Pump, client, server};

/// How the bytes in flight are cut: how many of `available` arrive, or are written, at once (at least one).
pub trait Cuts {
    /// The size of the next piece.
    fn next(&mut self, available: usize) -> usize;
}

/// All at once.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

impl Cuts for Whole {
    fn next(&mut self, available: usize) -> usize {
        available
    }
}

/// Pieces of one size.
#[derive(Clone, Copy, Debug)]
pub struct Pieces(pub usize);

impl Cuts for Pieces {
    fn next(&mut self, available: usize) -> usize {
        self.0.clamp(1, available)
    }
}

/// One cut after so many bytes, then all at once.
#[derive(Clone, Copy, Debug)]
pub struct OneCut(pub usize);

impl Cuts for OneCut {
    fn next(&mut self, available: usize) -> usize {
        if self.0 == 0 {
            return available;
        }
        let size = self.0.min(available);
        self.0 -= size;
        size
    }
}

/// Pieces of pseudo-random size, small and large ones.
#[derive(Clone, Debug)]
pub struct RandomCuts(pub u64);

impl Cuts for RandomCuts {
    fn next(&mut self, available: usize) -> usize {
        let random = next_random(&mut self.0);
        let size = if random & 1 == 0 { (random >> 8) % 16 } else { (random >> 8) % 20_000 };
        (size as usize).clamp(1, available)
    }
}

/// A small generator for tests (xorshift).
pub fn next_random(state: &mut u64) -> u64 {
    *state |= 1;
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What works on a machine's events.
pub trait App<M> {
    /// Takes an event and works on the machine.
    fn on_event(&mut self, now: Instant, machine: &mut M, event: Event);

    /// Gets a turn although there is no event: to start calls, and to send what has not been sent.
    fn turn(&mut self, now: Instant, machine: &mut M);
}

/// One direction of the wire.
pub struct Wire {
    /// How it cuts.
    pub cuts: Box<dyn Cuts>,
    /// Everything that went over it, when recorded.
    pub record: Option<Vec<u8>>,
    pending: Vec<u8>,
    output: Output,
    /// No more bytes arrive from this moment on: the network has died silently.
    pub cut_off: bool,
    closed: bool,
}

impl Wire {
    /// So much is in flight at most, as in the buffers of a socket, before the sender must wait.
    const CAPACITY: usize = 64 << 10;

    /// Whether the sender could get rid of output.
    fn has_room(&self) -> bool {
        self.pending.len() < Self::CAPACITY
    }

    fn new(cuts: impl Cuts + 'static) -> Self {
        Self {
            cuts: Box::new(cuts),
            record: None,
            pending: Vec::new(),
            output: Output::new(),
            cut_off: false,
            closed: false,
        }
    }

    /// Moves one piece from a machine's output to the other's input. Returns whether anything moved.
    fn carry<A: Machine, B: Machine>(&mut self, now: Instant, from: &mut Pump<A>, to: &mut Pump<B>) -> bool {
        from.settle(now);
        let mut moved = false;
        if self.has_room() {
            moved |= from.machine.poll_transmit(now, &mut self.output);
        }
        while let Some(piece) = self.output.take() {
            if let Some(record) = &mut self.record {
                record.extend_from_slice(&piece);
            }
            if !self.cut_off {
                self.pending.extend_from_slice(&piece);
            }
        }
        to.settle(now);
        if !self.pending.is_empty() {
            if to.machine.wants_input() {
                let size = self.cuts.next(self.pending.len()).min(self.pending.len());
                to.feed(now, &self.pending[..size]);
                self.pending.drain(..size);
                moved = true;
            }
        } else if !self.closed && !self.cut_off && from.closing() != Closing::Open {
            self.closed = true;
            to.end(now, InputEnd::Eof);
            moved = true;
        }
        moved
    }
}

/// A client and a server, joined.
pub struct Pair {
    /// The time that both see.
    pub now: Instant,
    /// The client.
    pub client: Pump<client::Connection>,
    /// The server.
    pub server: Pump<server::Connection>,
    /// From the client to the server.
    pub up: Wire,
    /// From the server to the client.
    pub down: Wire,
}

impl Pair {
    /// Joins two machines by wires that do not cut.
    pub fn new(client: client::Connection, server: server::Connection) -> Self {
        Self {
            now: Instant::from_epoch(core::time::Duration::from_secs(1000)),
            client: Pump::new(client),
            server: Pump::new(server),
            up: Wire::new(Whole),
            down: Wire::new(Whole),
        }
    }

    /// Cuts both wires in this way.
    #[must_use]
    pub fn with_cuts(mut self, cuts: impl Cuts + Clone + 'static) -> Self {
        self.up.cuts = Box::new(cuts.clone());
        self.down.cuts = Box::new(cuts);
        self
    }

    /// Records both wires.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.up.record = Some(Vec::new());
        self.down.record = Some(Vec::new());
        self
    }

    /// Lets both sides work until nothing moves any more, without letting time pass.
    pub fn settle(
        &mut self,
        client: &mut dyn App<client::Connection>,
        server: &mut dyn App<server::Connection>,
    ) {
        for _ in 0..10_000_000u32 {
            let mut moved = self.up.carry(self.now, &mut self.client, &mut self.server);
            moved |= drain_events(self.now, &mut self.server, server);
            moved |= self.down.carry(self.now, &mut self.server, &mut self.client);
            moved |= drain_events(self.now, &mut self.client, client);
            moved |= self.client.machine.wants_output() && self.up.has_room();
            moved |= self.server.machine.wants_output() && self.down.has_room();
            if !moved {
                self.assert_quiet();
                return;
            }
        }
        panic!("the two sides never come to rest");
    }

    /// Sleeps exactly as long as the machines say. `false` when neither waits for anything.
    pub fn sleep(&mut self) -> bool {
        self.assert_quiet();
        let due = [self.client.timeout(), self.server.timeout()].into_iter().flatten().min();
        let Some(due) = due else { return false };
        self.now = self.now.max(due);
        self.client.tick(self.now);
        self.server.tick(self.now);
        true
    }

    /// Lets time pass, sleeping and working on the way, until `until`.
    pub fn advance(
        &mut self,
        until: Instant,
        client: &mut dyn App<client::Connection>,
        server: &mut dyn App<server::Connection>,
    ) {
        for _ in 0..1_000_000 {
            self.settle(client, server);
            let due = [self.client.timeout(), self.server.timeout()].into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= until) else {
                self.now = self.now.max(until);
                self.client.tick(self.now);
                self.server.tick(self.now);
                self.settle(client, server);
                return;
            };
            let before = (self.now, due);
            self.sleep();
            self.settle(client, server);
            let after = [self.client.timeout(), self.server.timeout()].into_iter().flatten().min();
            assert!(self.now > before.0 || after != Some(before.1), "a timer does not go away: {before:?}");
        }
        panic!("timers without end");
    }

    /// A driver is about to sleep: nothing may be left to do.
    fn assert_quiet(&self) {
        assert!(
            !self.client.machine.wants_output() || !self.up.has_room(),
            "the client has output and sleeps"
        );
        assert!(
            !self.server.machine.wants_output() || !self.down.has_room(),
            "the server has output and sleeps"
        );
    }
}

fn drain_events<M: Machine<Event = Event>>(now: Instant, pump: &mut Pump<M>, app: &mut dyn App<M>) -> bool {
    let mut any = false;
    while let Some(event) = pump.next_event() {
        any = true;
        app.on_event(now, &mut pump.machine, event);
    }
    app.turn(now, &mut pump.machine);
    any
}
