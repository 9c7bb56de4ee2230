//! How much a peer may send on one stream: the exact rule, shared by HTTP/1.1 and HTTP/2.
//!
//! The obvious rules wedge. "Return credit when the application reads" stops at the first message larger than the
//! window; a threshold of half a window alone stops when the message in front needs less than half a window more.
//! So credit knows what completes the message in front (`need`) and whether the application waits for it (`asked`):
//!
//! - `allow` is the window, or `need` if the application waits for it and `need - window` is reserved.
//! - `raise = allow - held - remaining` goes to the peer when it is half a window or more, or when it is positive and
//!   the message in front cannot be completed without it.
//! - Reservations come from one [`Assembly`] for the connection: whole or not at all, first come first served. One
//!   that is not filled in time ends its stream, so that nobody waits for ever. A message up to the window never
//!   reserves.

use core::time::Duration;
use std::collections::VecDeque;

use crate::{Instant, Limits};

/// The largest flow-control window (RFC 9113 §6.9.1).
pub(crate) const MAX_WINDOW: i64 = (1 << 31) - 1;

/// What all messages under assembly on one connection may hold above their windows.
#[derive(Debug)]
pub(crate) struct Assembly {
    capacity: u64,
    used: u64,
    /// Who waits, in order of asking, and for how much.
    waiting: VecDeque<(u32, u64)>,
    stall: Duration,
    min_rate: u32,
}

impl Assembly {
    /// The pool that `limits` grants.
    pub(crate) fn new(limits: &Limits) -> Self {
        let capacity = limits.assembly as u64;
        let min_rate = limits.min_rate.max(1);
        Self { capacity, used: 0, waiting: VecDeque::new(), stall: limits.stall, min_rate }
    }

    /// Bytes reserved now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// The next waiter for whom there is room now, by the number it gave. Its [`Credit::granted`] must be called.
    #[inline]
    pub(crate) fn serve(&mut self) -> Option<u32> {
        let &(who, amount) = self.waiting.front()?;
        if self.used + amount > self.capacity {
            return None;
        }
        self.used += amount;
        self.waiting.pop_front();
        Some(who)
    }

    /// Whether anybody waits.
    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn request(&mut self, who: u32, amount: u64) -> bool {
        if let Some(waiter) = self.waiting.iter_mut().find(|waiter| waiter.0 == who) {
            waiter.1 = amount;
            return false;
        }
        if self.waiting.is_empty() && self.used + amount <= self.capacity {
            self.used += amount;
            return true;
        }
        self.waiting.push_back((who, amount));
        false
    }

    fn withdraw(&mut self, who: u32) {
        self.waiting.retain(|waiter| waiter.0 != who);
    }

    fn give_back(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    /// How long a message of `need` bytes may take once it holds a reservation.
    fn patience(&self, need: u64) -> Duration {
        self.stall + Duration::from_millis(need.saturating_mul(1000) / u64::from(self.min_rate))
    }
}

/// The peer sent more than it was allowed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overrun;

/// The receive credit of one stream. All counts are bytes of the body; padding is credited at once.
///
/// `who` is a number that stands for this stream in its [`Assembly`], the same in every call.
#[derive(Debug)]
pub(crate) struct Credit {
    window: i64,
    /// Received and not yet released by the application.
    held: i64,
    /// What the peer may still send; negative after a lowered initial window.
    remaining: i64,
    /// What `held` must reach for the message in front to be complete; 0 when the application does not wait.
    need: i64,
    /// Reserved in the assembly, and granted.
    reserved: i64,
    /// Wanted of the assembly, and waited for.
    wanted: i64,
    deadline: Option<Instant>,
    peer_ended: bool,
}

impl Credit {
    /// The credit of a stream with this window, whose peer believes that it may send `remaining` bytes.
    pub(crate) fn new(window: u32, remaining: u32) -> Self {
        Self {
            window: i64::from(window),
            held: 0,
            remaining: i64::from(remaining),
            need: 0,
            reserved: 0,
            wanted: 0,
            deadline: None,
            peer_ended: false,
        }
    }

    /// Bytes received and not released.
    pub(crate) fn held(&self) -> usize {
        self.held as usize
    }

    /// `bytes` of body arrived under a window (HTTP/2).
    pub(crate) fn received(&mut self, bytes: usize) -> Result<(), Overrun> {
        self.padding(bytes)?;
        self.arrived(bytes);
        Ok(())
    }

    /// `bytes` of body arrived where no window is told to the peer (HTTP/1.1).
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.held += bytes as i64;
        if self.held >= self.need {
            self.deadline = None;
        }
    }

    /// `bytes` of the window were used by what nobody will read: padding, or a body that is discarded.
    pub(crate) fn padding(&mut self, bytes: usize) -> Result<(), Overrun> {
        if bytes as i64 > self.remaining.max(0) {
            return Err(Overrun);
        }
        self.remaining -= bytes as i64;
        Ok(())
    }

    /// The peer's view of the initial window changed by `delta`, when it acknowledged our SETTINGS.
    pub(crate) fn shift(&mut self, delta: i64) {
        self.remaining += delta;
    }

    /// The application took `bytes`. `false` when it never had them. Waiters may be served afterwards.
    pub(crate) fn released(&mut self, bytes: usize, who: u32, assembly: &mut Assembly) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if bytes > self.held {
            return false;
        }
        self.held -= bytes;
        if bytes > 0 {
            self.forget_need(who, assembly);
        }
        true
    }

    /// As [`released`](Credit::released), when [the credit is over](Credit::is_over).
    #[inline]
    pub(crate) fn released_late(&mut self, bytes: usize) -> bool {
        let held = self.held - i64::try_from(bytes).unwrap_or(i64::MAX);
        self.held = if held < 0 { self.held } else { held };
        held >= 0
    }

    /// The application waits for `need` bytes in `held`. Reserves what that takes above the window, or waits for it.
    pub(crate) fn demand(&mut self, now: Instant, need: usize, who: u32, assembly: &mut Assembly) {
        let need = i64::try_from(need).unwrap_or(i64::MAX);
        if need <= self.held || self.peer_ended {
            self.forget_need(who, assembly);
            return;
        }
        self.need = need;
        let above = (need - self.window).clamp(0, i64::try_from(assembly.capacity).unwrap_or(i64::MAX));
        if above <= self.reserved {
            self.withdraw(who, assembly);
            return;
        }
        self.wanted = above - self.reserved;
        if assembly.request(who, self.wanted as u64) {
            self.granted(now, assembly);
        }
    }

    /// The assembly served this stream.
    pub(crate) fn granted(&mut self, now: Instant, assembly: &Assembly) {
        self.reserved += self.wanted;
        self.wanted = 0;
        if self.deadline.is_none() {
            self.deadline = Some(now + assembly.patience(self.need as u64));
        }
    }

    /// How much may be held at most, by what is granted now. HTTP/1.1 reads while less is held.
    pub(crate) fn allow(&self) -> usize {
        self.allowed() as usize
    }

    fn allowed(&self) -> i64 {
        if self.reserved > 0 && self.wanted == 0 {
            self.window.max(self.need.min(self.window + self.reserved))
        } else {
            self.window
        }
    }

    /// How much the peer's window shall be raised, if it shall: then it counts as raised.
    pub(crate) fn raise(&mut self) -> Option<u32> {
        let raise = self.would_raise()?;
        self.remaining += raise;
        Some(raise as u32)
    }

    /// Whether [`raise`](Credit::raise) would.
    pub(crate) fn wants_raise(&self) -> bool {
        self.would_raise().is_some()
    }

    fn would_raise(&self) -> Option<i64> {
        if self.peer_ended {
            return None;
        }
        let raise = (self.allowed() - self.held - self.remaining).min(MAX_WINDOW - self.remaining.max(0));
        let due = raise >= self.window / 2 || self.need > self.held + self.remaining;
        (raise > 0 && due).then_some(raise)
    }

    /// When the message under assembly must be complete.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the peer will send nothing more, and nothing is reserved for what it has sent.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.peer_ended && self.reserved == 0
    }

    /// The peer will send nothing more. What is held stays reserved until it is taken.
    pub(crate) fn peer_ended(&mut self, who: u32, assembly: &mut Assembly) {
        self.peer_ended = true;
        self.remaining = 0;
        self.forget_need(who, assembly);
    }

    /// Nobody will read what is held or what comes: it is credited at once.
    #[inline]
    pub(crate) fn discard(&mut self, who: u32, assembly: &mut Assembly) {
        self.held = 0;
        if self.reserved == 0 && self.wanted == 0 {
            self.need = 0;
            return;
        }
        self.forget_need(who, assembly);
        // What was granted above the window is discarded as it comes and takes no memory.
        assembly.give_back(self.reserved as u64);
        self.reserved = 0;
    }

    /// The application waits no longer: only what is above the window keeps its reservation.
    #[inline]
    fn forget_need(&mut self, who: u32, assembly: &mut Assembly) {
        self.need = 0;
        self.deadline = None;
        self.withdraw(who, assembly);
        if self.reserved > 0 {
            let excess = (self.held + self.remaining - self.window).clamp(0, self.reserved);
            assembly.give_back((self.reserved - excess) as u64);
            self.reserved = excess;
        }
    }

    #[inline]
    fn withdraw(&mut self, who: u32, assembly: &mut Assembly) {
        if self.wanted > 0 {
            self.wanted = 0;
            assembly.withdraw(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// One stream of a model connection: a sender of messages, the wire, a reader that takes whole messages.
    struct Model {
        credit: Credit,
        messages: Vec<usize>,
        /// Bytes of all messages not yet sent.
        unsent: usize,
        /// What the sender knows it may send.
        window: i64,
        taken: usize,
    }

    impl Model {
        fn new(random: &mut Random, window: u32, largest: u64) -> Self {
            let messages: Vec<usize> =
                (0..random.below(6) + 1).map(|_| random.below(largest) as usize + 1).collect();
            let unsent = messages.iter().sum();
            Self { credit: Credit::new(window, window), messages, unsent, window: window.into(), taken: 0 }
        }

        fn send(&mut self, random: &mut Random) -> bool {
            let most = (self.unsent as i64).min(self.window);
            if most <= 0 {
                return false;
            }
            let bytes = random.below(most as u64) as usize + 1;
            self.unsent -= bytes;
            self.window -= bytes as i64;
            if random.below(8) == 0 && self.window > 0 {
                self.credit.padding(1).unwrap();
                self.window -= 1;
            }
            self.credit.received(bytes).unwrap();
            true
        }

        fn read(&mut self, who: u32, assembly: &mut Assembly) -> bool {
            let mut took = false;
            while let Some(&front) = self.messages.get(self.taken) {
                if self.credit.held() < front {
                    self.credit.demand(Instant::EPOCH, front, who, assembly);
                    return took;
                }
                assert!(self.credit.released(front, who, assembly));
                self.taken += 1;
                took = true;
            }
            took
        }

        fn update(&mut self) -> bool {
            let raise = self.credit.raise();
            self.window += i64::from(raise.unwrap_or(0));
            assert!(self.window <= MAX_WINDOW);
            raise.is_some()
        }
    }

    fn serve(models: &mut [Model], assembly: &mut Assembly) {
        while let Some(who) = assembly.serve() {
            models[who as usize].credit.granted(Instant::EPOCH, assembly);
        }
    }

    /// Random windows, message sizes, senders and readers: never a wedge, never over the bounds.
    #[test]
    fn never_deadlocks_and_never_exceeds_its_bounds() {
        for seed in 0..20_000 {
            let mut random = Random(seed);
            let window = random.below(64) as u32 + 1;
            let largest = random.below(300) + 1;
            let mut assembly = Assembly::new(&Limits::default());
            assembly.capacity = largest + random.below(300);
            let mut models: Vec<Model> =
                (0..random.below(5) + 1).map(|_| Model::new(&mut random, window, largest)).collect();
            run(&mut random, &mut models, &mut assembly, seed);
            assert_eq!(assembly.used(), 0, "seed {seed}: a reservation leaked");
        }
    }

    fn run(random: &mut Random, models: &mut [Model], assembly: &mut Assembly, seed: u64) {
        loop {
            // A stretch of random actions, then everybody moves: if nobody can, it must be because all is done.
            for _ in 0..random.below(20) {
                let who = random.below(models.len() as u64) as usize;
                match random.below(3) {
                    0 => _ = models[who].send(random),
                    1 => _ = models[who].read(who as u32, assembly),
                    _ => _ = models[who].update(),
                }
                serve(models, assembly);
            }
            let mut moved = false;
            for (who, model) in models.iter_mut().enumerate() {
                moved |= model.send(random);
                moved |= model.read(who as u32, assembly);
            }
            serve(models, assembly);
            for model in models.iter_mut() {
                moved |= model.update();
            }
            check(models, assembly);
            if !moved {
                for model in models.iter() {
                    assert_eq!(model.taken, model.messages.len(), "seed {seed}: wedged");
                }
                return;
            }
        }
    }

    fn check(models: &[Model], assembly: &Assembly) {
        assert!(assembly.used <= assembly.capacity);
        let above: i64 = models.iter().map(|model| model.credit.reserved).sum();
        assert_eq!(above, assembly.used as i64);
        for model in models {
            let credit = &model.credit;
            assert_eq!(credit.remaining, model.window, "both sides agree");
            assert!(credit.held + credit.remaining <= credit.window + credit.reserved);
        }
    }

    #[test]
    fn a_message_above_the_window_waits_its_turn_and_has_a_deadline() {
        let mut assembly = Assembly::new(&Limits::default());
        assembly.capacity = 100;
        let (mut first, mut second) = (Credit::new(50, 50), Credit::new(50, 50));
        first.demand(Instant::EPOCH, 150, 1, &mut assembly);
        second.demand(Instant::EPOCH, 60, 2, &mut assembly);
        assert_eq!((first.allow(), second.allow()), (150, 50));
        assert!(first.deadline().is_some() && second.deadline().is_none());
        assert_eq!(first.raise(), Some(100));
        first.received(150).unwrap();
        assert!(first.deadline().is_none(), "complete: no longer under assembly");
        assert_eq!(assembly.serve(), None);
        assert!(first.released(150, 1, &mut assembly));
        assert_eq!(assembly.serve(), Some(2));
        second.granted(Instant::EPOCH, &assembly);
        assert_eq!(second.raise(), Some(10));
    }

    #[test]
    fn what_is_above_the_window_keeps_its_reservation_until_taken() {
        let mut assembly = Assembly::new(&Limits::default());
        let mut credit = Credit::new(100, 100);
        credit.demand(Instant::EPOCH, 300, 0, &mut assembly);
        assert_eq!(credit.raise(), Some(200));
        credit.received(300).unwrap();
        credit.peer_ended(0, &mut assembly);
        assert_eq!(assembly.used(), 200);
        assert!(credit.released(50, 0, &mut assembly));
        assert_eq!(assembly.used(), 150);
        assert!(!credit.released(251, 0, &mut assembly));
        credit.discard(0, &mut assembly);
        assert_eq!(assembly.used(), 0);
    }

    #[test]
    fn an_overrun_is_seen() {
        let mut credit = Credit::new(10, 10);
        assert_eq!(credit.received(11), Err(Overrun));
        credit.shift(-5);
        assert_eq!(credit.received(6), Err(Overrun));
        assert_eq!(credit.received(5), Ok(()));
    }
}
