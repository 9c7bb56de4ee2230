//! The async driver: one future for each connection, and only it reads and writes.

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use core::task::{Context, Poll, Waker};
use std::io::IoSlice;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use antiphon::{Closing, Event, InputEnd, Instant, Machine, Output, client, server};
use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};

use crate::dispatch::{Begun, Dispatcher, Incoming};
use crate::reply::Answer;
use crate::runtime::{Runtime, Timer};
use crate::shared::Rest;
use crate::shutdown::{Registration, Shutdown};
use crate::{Access, Client, Drive, Endpoint, Link, Peer, Router, Shared};

/// How often a connection goes round before it lets other tasks run.
const PASSES: usize = 16;
/// How many calls it takes to their handlers at once.
const BATCH: usize = 64;
/// How much it reads at once, in bytes.
const READ: usize = 64 << 10;
/// How much memory each of its two buffers keeps while it sleeps, in bytes.
const KEEP: usize = 16 << 10;
/// How many pieces it writes at once.
const SLICES: usize = 16;

/// Serves the calls of one connection until it ends. `machine` is a [`server::Connection`], or something around one.
pub fn serve<IO, M, R>(
    runtime: R,
    io: IO,
    machine: M,
    peer: Peer,
    router: Router,
    shutdown: &Shutdown,
) -> Connection<IO, M, server::Connection, R>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Machine<Event = Event> + AsMut<server::Connection> + Send + 'static,
    R: Runtime,
{
    let mut connection = Connection::new(runtime, io, machine, peer, Some(Dispatcher::new(router)));
    connection.registration = Some(shutdown.register(&connection.link));
    connection
}

/// The client's end of a connection, and the future that moves it: spawn that. `machine` is a
/// [`client::Connection`], or something around one; `scheme` and `authority` are what requests name.
pub fn connect<IO, M, R>(
    runtime: R,
    io: IO,
    machine: M,
    peer: Peer,
    scheme: &str,
    authority: &str,
) -> (Client, Connection<IO, M, client::Connection, R>)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Machine<Event = Event> + AsMut<client::Connection> + Send + 'static,
    R: Runtime,
{
    let connection = Connection::new(runtime, io, machine, peer, None);
    (Client::new(Arc::clone(&connection.link), scheme, authority), connection)
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const NOTIFIED: u8 = 2;

/// The waker that a transport gets: it notes that the transport spoke, so that a connection woken for anything else
/// does not try to read.
struct Ear {
    heard: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Ear {
    fn listen(&self, waker: &Waker) {
        replace(&self.waker, waker);
    }
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.heard.store(true, Ordering::SeqCst);
        wake(&self.waker);
    }
}

/// Keeps `waker`, unless the one that is kept does the same. Nothing but a comparison and a move runs under the lock.
fn replace(kept: &Mutex<Option<Waker>>, waker: &Waker) {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    if lock().as_ref().is_some_and(|old| old.will_wake(waker)) {
        return;
    }
    let fresh = waker.clone();
    let old = lock().replace(fresh);
    drop(old);
}

fn wake(kept: &Mutex<Option<Waker>>) {
    let waker = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The async driver's part of a shared connection: how it is woken, once, however many change the machine.
pub struct AsyncDrive<R> {
    runtime: R,
    state: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl<R: Runtime> AsyncDrive<R> {
    fn enter(&self, waker: &Waker) {
        self.state.store(RUNNING, Ordering::SeqCst);
        replace(&self.waker, waker);
    }

    /// What was notified so far is about to be seen.
    fn catch_up(&self) {
        self.state.store(RUNNING, Ordering::SeqCst);
    }

    /// Goes to sleep, unless there was a notice in the meantime.
    fn leave(&self) -> bool {
        self.state.compare_exchange(RUNNING, IDLE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn notify(&self) {
        if self.state.swap(NOTIFIED, Ordering::SeqCst) == IDLE {
            wake(&self.waker);
        }
    }
}

impl<M, E, R> Drive<M, E> for AsyncDrive<R>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    R: Runtime,
{
    fn now(&self) -> Instant {
        self.runtime.now()
    }

    fn flush(&self, _: &Shared<M, E, Self>) {
        self.notify();
    }

    /// A connection catches up before it takes the lock: what is still notified under it will be seen.
    fn is_told(&self) -> bool {
        self.state.load(Ordering::SeqCst) == NOTIFIED
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// It has ended; the machine learns it after the bytes that came before.
    Ending(InputEnd),
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    Open,
    Shut,
    Lost,
}

/// A connection that moves while it is polled. It is ready when the connection has ended; dropped before, it ends the
/// connection at once.
///
/// Each time it is woken it reads; feeds the machine under the lock and takes a batch of calls; runs their handlers;
/// submits their answers and transmits under the lock; and writes once.
pub struct Connection<IO, M, E, R>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    R: Runtime,
{
    io: IO,
    shared: Arc<Shared<M, E, AsyncDrive<R>>>,
    link: Arc<dyn Link>,
    runtime: R,
    timer: R::Timer,
    /// When the timer fires.
    armed: Option<Instant>,
    dispatcher: Option<Dispatcher>,
    batch: Vec<Incoming>,
    answers: Vec<Answer>,
    input: BytesMut,
    output: Output,
    rest: Rest,
    reading: Reading,
    writing: Writing,
    /// Written, but perhaps kept back by a layer below.
    unflushed: bool,
    /// The machine did not want all of the input: it comes before anything is read.
    held: bool,
    registration: Option<Registration>,
    ear: Arc<Ear>,
    /// The transport's last word was not that there is nothing to read.
    readable: bool,
}

impl<IO, M, E, R> Connection<IO, M, E, R>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    R: Runtime,
{
    fn new(runtime: R, io: IO, machine: M, peer: Peer, dispatcher: Option<Dispatcher>) -> Self {
        let drive =
            AsyncDrive { runtime: runtime.clone(), state: AtomicU8::new(IDLE), waker: Mutex::new(None) };
        let shared = Arc::new(Shared::new(machine, peer, drive));
        let rest = shared.turn(|access| access.rest());
        Self {
            io,
            link: Arc::clone(&shared) as Arc<dyn Link>,
            shared,
            timer: runtime.timer(),
            runtime,
            armed: None,
            dispatcher,
            batch: Vec::new(),
            answers: Vec::new(),
            input: BytesMut::new(),
            output: Output::new(),
            rest,
            reading: Reading::Open,
            writing: Writing::Open,
            unflushed: false,
            held: false,
            registration: None,
            ear: Arc::new(Ear { heard: AtomicBool::new(false), waker: Mutex::new(None) }),
            readable: true,
        }
    }

    /// The connection, shared with its calls.
    pub fn link(&self) -> &Arc<dyn Link> {
        &self.link
    }

    /// Reads once; says whether something came.
    fn read(&mut self, context: &mut Context<'_>) -> bool {
        if self.reading != Reading::Open || self.held || !self.rest.wants_input {
            return false;
        }
        self.readable |= self.ear.heard.swap(false, Ordering::SeqCst);
        if !self.readable {
            return false;
        }
        let (io, input) = (Pin::new(&mut self.io), &mut self.input);
        let read = with_scratch(|scratch| {
            let read = io.poll_read(context, scratch);
            if let Poll::Ready(Ok(count)) = read {
                input.extend_from_slice(scratch.get(..count).unwrap_or_default());
            }
            read
        });
        match read {
            Poll::Pending => {
                self.readable = false;
                return false;
            }
            Poll::Ready(Ok(0)) => self.reading = Reading::Ending(InputEnd::Eof),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(_)) => self.reading = Reading::Ending(InputEnd::Failed),
        }
        true
    }

    /// Feeds, runs handlers and transmits. Returns whether calls are left over.
    fn turn(&mut self) -> bool {
        let Self {
            shared,
            link,
            dispatcher,
            batch,
            answers,
            input,
            output,
            rest,
            reading,
            writing,
            held,
            ..
        } = self;
        shared.drive().catch_up();
        let (more, seen) = shared.turn(|access| {
            *held = feed(access, input, reading);
            if rest.timeout.is_some_and(|timeout| timeout <= access.now()) {
                access.tick();
            }
            let more =
                dispatcher.as_mut().is_some_and(|dispatcher| dispatcher.accept(link, access, BATCH, batch));
            let seen = batch.is_empty().then(|| transmit(access, output, *writing));
            (more, seen)
        });
        if let Some(seen) = seen {
            *rest = seen;
        }
        let Some(dispatcher) = dispatcher else { return false };
        for incoming in batch.drain(..) {
            match dispatcher.begin(incoming) {
                Begun::Done(answer) => answers.push(answer),
                Begun::Task(task) => self.runtime.spawn(Box::pin(task)),
                Begun::Blocking(job) => self.runtime.spawn_blocking(Box::new(move || job.run())),
            }
        }
        if seen.is_none() {
            shared.drive().catch_up();
            *rest = shared.turn(|access| {
                dispatcher.submit(access, answers);
                transmit(access, output, *writing)
            });
        }
        dispatcher.tidy(answers);
        more || rest.ready
    }

    /// Writes what there is; says whether the machine has to be asked for more.
    fn write(&mut self, context: &mut Context<'_>) -> bool {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.output.slices(&mut slices);
            match Pin::new(&mut self.io).poll_write_vectored(context, &slices[..filled]) {
                Poll::Pending => return false,
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.output.advance(count.min(self.output.len()));
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Poll::Ready(_) => {
                    self.lose_output();
                    return true;
                }
            }
        }
        if self.rest.wants_output && self.writing == Writing::Open {
            return true;
        }
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(context) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => {
                    self.lose_output();
                    return true;
                }
            }
        }
        false
    }

    /// A write failed. Input goes on: an early answer may be in it.
    fn lose_output(&mut self) {
        self.writing = Writing::Lost;
        self.unflushed = false;
        self.output.clear();
        self.rest = self.shared.turn(|access| {
            let now = access.now();
            access.machine().handle_output_lost(now);
            access.rest()
        });
    }

    /// Shuts and closes as the machine says, once everything is written. Ready when the connection is at its end.
    fn close(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.rest.give_up.is_some_and(|at| at <= self.runtime.now()) {
            return Poll::Ready(());
        }
        let flushed = self.output.is_empty() && !self.unflushed && !self.rest.wants_output;
        if self.rest.closing == Closing::Open || !(flushed || self.writing != Writing::Open) {
            return Poll::Pending;
        }
        if self.writing == Writing::Open {
            match Pin::new(&mut self.io).poll_close(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.writing = Writing::Shut,
                Poll::Ready(Err(_)) => self.lose_output(),
            }
        }
        if self.rest.closing == Closing::Closed { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Gives memory back that a sleeping connection does not need.
    fn shrink(&mut self) {
        if self.input.is_empty() && self.input.capacity() > KEEP {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() && self.output.tail_mut().capacity() > KEEP {
            self.output.shrink();
        }
    }

    /// Says whether the machine's time has come. The timer is set again only for an earlier time.
    fn wait(&mut self, context: &mut Context<'_>) -> bool {
        let Some(timeout) = self.rest.timeout.into_iter().chain(self.rest.give_up).min() else {
            return false;
        };
        if self.armed.is_none_or(|armed| timeout < armed) {
            self.timer.set(Some(timeout));
            self.armed = Some(timeout);
        }
        if self.timer.poll(context).is_pending() {
            return false;
        }
        self.armed = None;
        true
    }
}

/// Feeds the machine; says whether it did not want all of it.
fn feed<M, E>(access: &mut Access<'_, M, E>, input: &mut BytesMut, reading: &mut Reading) -> bool
where
    M: Machine<Event = Event> + AsMut<E>,
    E: Endpoint,
{
    // An error is sticky and shows in `closing`; what the peer must be told is queued.
    if !input.is_empty() && access.machine().wants_input() {
        access.feed(input);
    }
    if let Reading::Ending(end) = *reading {
        if input.is_empty() || access.machine().wants_input() {
            *reading = Reading::Ended;
            access.end_input(end);
        }
    }
    !input.is_empty() && !access.machine().wants_input()
}

fn transmit<M, E>(access: &mut Access<'_, M, E>, output: &mut Output, writing: Writing) -> Rest
where
    M: Machine<Event = Event> + AsMut<E>,
    E: Endpoint,
{
    access.settle();
    let now = access.now();
    while output.len() < Output::ENOUGH && access.machine().poll_transmit(now, output) {}
    if writing != Writing::Open {
        output.clear();
    }
    access.rest()
}

impl<IO, M, E, R> Future for Connection<IO, M, E, R>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    R: Runtime,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.drive().enter(context.waker());
        this.ear.listen(context.waker());
        let ear = Waker::from(Arc::clone(&this.ear));
        let transport = &mut Context::from_waker(&ear);
        let mut settled = false;
        for _ in 0..PASSES {
            let was_held = this.held;
            let came = this.read(transport);
            if settled && !came && this.shared.drive().leave() {
                this.shrink();
                return Poll::Pending;
            }
            let left = this.turn();
            let again = this.write(transport);
            if this.close(transport).is_ready() {
                this.shared.turn(|access| access.lost());
                this.registration = None;
                return Poll::Ready(());
            }
            let due = this.wait(context);
            // Held back before and taken now: reading goes on. Held back, and wanted by now: feed it.
            let leftover = if this.held { this.rest.wants_input } else { was_held };
            settled = !(left || again || due || leftover);
            if settled && !came && this.shared.drive().leave() {
                this.shrink();
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<IO, M, E, R> Drop for Connection<IO, M, E, R>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    R: Runtime,
{
    fn drop(&mut self) {
        self.shared.turn(|access| access.lost());
    }
}

impl<IO, M, E, R> core::fmt::Debug for Connection<IO, M, E, R>
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
    R: Runtime,
{
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

thread_local! {
    /// Initialised once and read into by all connections of a thread.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn with_scratch<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    if scratch.len() < READ {
        scratch.resize(READ, 0);
    }
    let done = work(&mut scratch);
    let _ = SCRATCH.try_with(|place| place.set(scratch));
    done
}
