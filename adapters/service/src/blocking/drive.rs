//! The blocking driver: the writer's token, the reader thread, and a housekeeper when one is needed.
//!
//! ```text
//!  a thread in send/recv ─┐ changes the machine under the lock,
//!  a worker (server)     ─┤ then takes the writer's token and writes for all;
//!  the housekeeper       ─┘ if another has it, that one goes round once more.
//!  the reader thread      ── reads, feeds, wakes; never writes.
//! ```

use std::io::{ErrorKind, Read, Write};
use std::marker::PhantomData;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

use antiphon::{Closing, Event, InputEnd, Instant, Machine};
use bytes::BytesMut;

use super::transport::Control;
use super::writer::{Writer, Wrote};
use crate::drive::Rest;
use crate::{Drive, Endpoint, Shared};

/// How long one write may block a thread that writes for others too.
const WRITE_BOUND: Duration = Duration::from_millis(50);
/// How much is read at a time.
const BLOCK: usize = 64 * 1024;

/// Tells the time. Adapters give it; this crate reads no clock.
pub trait Clock: Send + Sync + 'static {
    /// The time, on one monotonic clock.
    fn now(&self) -> Instant;
}

/// What a server does when calls are ready; a client has no such calls.
pub(super) type Dispatch<M, E, D> = Arc<dyn Fn(&Arc<Shared<M, E, D>>) + Send + Sync>;

/// The driver's part of a blocking connection.
pub struct BlockingDrive<M, E, W, C> {
    clock: Arc<dyn Clock>,
    control: C,
    writer: Mutex<Writer<W>>,
    /// The peer takes nothing, and the housekeeper is at it: nobody else need wait for that.
    slow: AtomicBool,
    /// Somebody found the token taken: its holder goes round once more.
    again: AtomicBool,
    signals: Mutex<Signals>,
    changed: Condvar,
    /// The connection itself, for the threads that it starts.
    this: Mutex<Weak<Shared<M, E, Self>>>,
    /// Until the connection is over: what it holds may hold the connection.
    dispatch: Mutex<Option<Dispatch<M, E, Self>>>,
    _endpoint: PhantomData<fn() -> (M, E)>,
}

/// What the reader and the housekeeper wait for.
struct Signals {
    /// Of the latest [`Rest`] that was published.
    sequence: u64,
    wants_input: bool,
    timeout: Option<Instant>,
    /// Output is owed and no thread that could write it has the time.
    owed: bool,
    housekeeper: bool,
    finished: bool,
}

impl<M, E, W, C> BlockingDrive<M, E, W, C>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    W: Write + Send + 'static,
    C: Control,
{
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        writer: W,
        control: C,
        dispatch: Option<Dispatch<M, E, Self>>,
    ) -> Self {
        control.set_write_timeout(Some(WRITE_BOUND));
        let signals = Signals {
            sequence: 0,
            wants_input: true,
            timeout: None,
            owed: false,
            housekeeper: false,
            finished: false,
        };
        Self {
            clock,
            control,
            writer: Mutex::new(Writer::new(writer)),
            slow: AtomicBool::new(false),
            again: AtomicBool::new(false),
            signals: Mutex::new(signals),
            changed: Condvar::new(),
            this: Mutex::new(Weak::new()),
            dispatch: Mutex::new(dispatch),
            _endpoint: PhantomData,
        }
    }

    pub(super) fn attach(&self, shared: &Arc<Shared<M, E, Self>>) {
        *self.this.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(shared);
    }

    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what there is to write, unless another thread does: then that one goes round once more.
    pub(super) fn transmit(&self, shared: &Shared<M, E, Self>) {
        // In this order: the housekeeper first says that it is done, and then looks whether it has to go round again.
        self.again.store(true, Ordering::SeqCst);
        if !self.slow.load(Ordering::SeqCst) {
            self.write_out(shared);
        }
    }

    fn write_out(&self, shared: &Shared<M, E, Self>) {
        loop {
            self.again.store(true, Ordering::SeqCst);
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            while self.again.swap(false, Ordering::SeqCst) {
                if !self.write_all(shared, &mut writer) {
                    // While the token is held: whoever takes it next has the later word.
                    self.slow.store(true, Ordering::SeqCst);
                    drop(writer);
                    if !self.owe() {
                        self.slow.store(false, Ordering::SeqCst);
                    }
                    return;
                }
                self.slow.store(false, Ordering::SeqCst);
            }
            drop(writer);
            // Between the last look and the release another thread may have found the token taken.
            if !self.again.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Moves the machine's output to the transport; `false` when the peer is slow and the rest is owed.
    fn write_all(&self, shared: &Shared<M, E, Self>, writer: &mut Writer<W>) -> bool {
        loop {
            let rest = shared.turn(|access| {
                let now = access.now();
                access.machine().poll_transmit(now, &mut writer.output);
                access.rest()
            });
            // Before the write, which may block: the reader must not wait for it.
            self.publish(rest);
            let wrote = if writer.output.is_empty() { Wrote::All } else { writer.write() };
            if rest.ready {
                self.dispatch();
            }
            match wrote {
                Wrote::Slowly if rest.give_up.is_some_and(|at| at <= self.clock.now()) => {
                    self.close(Closing::Closed, writer);
                    return true;
                }
                Wrote::Slowly => return false,
                Wrote::Lost => {
                    let rest = shared.turn(|access| {
                        let now = access.now();
                        access.machine().handle_output_lost(now);
                        access.rest()
                    });
                    self.publish(rest);
                    self.close(rest.closing, writer);
                    return true;
                }
                Wrote::All if !rest.wants_output => {
                    self.close(rest.closing, writer);
                    return true;
                }
                Wrote::All => {}
            }
        }
    }

    fn close(&self, closing: Closing, writer: &mut Writer<W>) {
        match closing {
            Closing::Open => {}
            Closing::ShutWrite => {
                if !self.control.shutdown(Shutdown::Write) {
                    writer.close();
                }
            }
            Closing::Closed => {
                self.control.shutdown(Shutdown::Both);
                writer.close();
                self.finish();
            }
        }
    }

    /// The connection is over: every thread of it goes home.
    fn finish(&self) {
        self.signals().finished = true;
        self.changed.notify_all();
    }

    /// Leaves the output to the housekeeper; says whether there is one.
    fn owe(&self) -> bool {
        self.signals().owed = true;
        self.keep_house()
    }

    /// Tells the reader and the housekeeper what the machine waits for.
    fn publish(&self, rest: Rest) {
        let mut signals = self.signals();
        if rest.sequence < signals.sequence {
            // Another thread has changed the machine since, and was faster to say so.
            return;
        }
        signals.sequence = rest.sequence;
        let reader = rest.wants_input && !signals.wants_input;
        let sooner = rest.timeout.is_some_and(|at| signals.timeout.is_none_or(|then| at < then));
        signals.wants_input = rest.wants_input;
        signals.timeout = rest.timeout;
        drop(signals);
        if sooner {
            self.keep_house();
        }
        if reader {
            self.changed.notify_all();
        }
    }

    /// Wakes the housekeeper, and starts it if there is none yet. Says whether there is one.
    fn keep_house(&self) -> bool {
        let mut signals = self.signals();
        if signals.finished || signals.housekeeper {
            drop(signals);
            self.changed.notify_all();
            return true;
        }
        signals.housekeeper = true;
        drop(signals);
        let this = self.this.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let started = std::thread::Builder::new().name("antiphon-timer".into()).spawn(move || {
            if let Some(shared) = this.upgrade() {
                shared.drive().housekeeper(&shared);
            }
        });
        if started.is_err() {
            self.signals().housekeeper = false;
        }
        started.is_ok()
    }

    /// Runs timers and writes what is owed, until the connection is over.
    fn housekeeper(&self, shared: &Shared<M, E, Self>) {
        loop {
            let mut signals = self.signals();
            if signals.finished {
                return;
            }
            let now = self.clock.now();
            let due = signals.timeout.is_some_and(|at| at <= now);
            if !due && !signals.owed {
                let wait = signals.timeout.map(|at| at.duration_since(now));
                let wait = wait.unwrap_or(Duration::from_secs(3600)).max(Duration::from_millis(1));
                drop(self.changed.wait_timeout(signals, wait));
                continue;
            }
            signals.owed = false;
            drop(signals);
            if due {
                shared.turn(|access| access.tick());
                self.dispatch();
            }
            self.write_out(shared);
        }
    }

    fn dispatch(&self) {
        let dispatch = self.dispatch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(dispatch) = dispatch else { return };
        let this = self.this.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(shared) = this {
            dispatch(&shared);
        }
    }

    /// Reads and feeds until the input ends, then waits for the connection to be over. Owns the calling thread.
    pub(super) fn reader(&self, shared: &Shared<M, E, Self>, mut half: impl Read) {
        // Also when the transport panics: nobody may wait for a thread that is no more.
        let _end = AtEnd(|| {
            self.finish();
            shared.turn(|access| access.lost());
            self.dispatch();
            let dispatch = self.dispatch.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(dispatch);
            self.control.shutdown(Shutdown::Both);
        });
        let mut input = BytesMut::with_capacity(BLOCK);
        let mut block = vec![0; BLOCK];
        let end = loop {
            if !self.await_hunger() {
                break None;
            }
            match half.read(&mut block) {
                Ok(0) => break Some(InputEnd::Eof),
                Ok(count) => {
                    input.extend_from_slice(&block[..count]);
                    self.feed(shared, &mut input);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(_) => break Some(InputEnd::Failed),
            }
        };
        if let Some(end) = end {
            self.end_input(shared, &mut input, end);
        }
        let mut signals = self.signals();
        while !signals.finished {
            signals = self.changed.wait(signals).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the machine wants input; `false` when the connection is over.
    fn await_hunger(&self) -> bool {
        let mut signals = self.signals();
        while !signals.wants_input && !signals.finished {
            signals = self.changed.wait(signals).unwrap_or_else(PoisonError::into_inner);
        }
        !signals.finished
    }

    /// Feeds all of `input`: with backpressure in between, as often as the machine wants more.
    fn feed(&self, shared: &Shared<M, E, Self>, input: &mut BytesMut) {
        loop {
            let rest = shared.turn(|access| {
                access.feed(input);
                access.rest()
            });
            self.publish(rest);
            self.after_input(rest);
            // A machine that wants input has taken what it could. One that does not is fed the leftover when it does.
            if rest.wants_input || input.is_empty() || !self.await_hunger() {
                return;
            }
        }
    }

    fn end_input(&self, shared: &Shared<M, E, Self>, input: &mut BytesMut, end: InputEnd) {
        let rest = shared.turn(|access| {
            access.feed(input);
            access.end_input(end);
            access.rest()
        });
        self.publish(rest);
        self.after_input(rest);
    }

    /// What input has made necessary, without a write in this thread.
    fn after_input(&self, rest: Rest) {
        if rest.ready {
            // A worker answers, and transmits.
            self.dispatch();
        } else if rest.wants_output || rest.closing != Closing::Open {
            self.owe();
        }
    }
}

impl<M, E, W, C> Drive<M, E> for BlockingDrive<M, E, W, C>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    W: Write + Send + 'static,
    C: Control,
{
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn flush(&self, shared: &Shared<M, E, Self>) {
        self.transmit(shared);
    }

    fn park(&self, shared: &Shared<M, E, Self>, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return std::thread::park() };
        std::thread::park_timeout(deadline.duration_since(self.clock.now()));
        if self.clock.now() >= deadline {
            // A deadline fires in the thread that waits for it, even while the housekeeper is stuck in a write.
            shared.access(|access| access.tick());
        }
    }
}

/// Runs at the end of a scope, however it ends.
struct AtEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
