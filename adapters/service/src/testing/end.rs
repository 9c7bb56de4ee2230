//! One end of the pair: a machine between two wires, moved like a driver moves it.

use std::sync::Arc;

use antiphon::{Closing, Event, InputEnd, Instant, Machine, Output};
use bytes::{Buf, BytesMut};

use crate::dispatch::{Begun, Dispatcher, HandlerTask, Incoming};
use crate::reply::Answer;
use crate::shared::Rest;
use crate::{Access, Drive, Endpoint, Link, Shared};

/// So much is under way at most, as in the buffers of a socket, before the writer waits.
const CAPACITY: usize = 64 << 10;
/// How many calls are taken to their handlers at once.
const BATCH: usize = 64;

/// One direction of the connection: what has been written and has not arrived.
#[derive(Default)]
pub(super) struct Wire {
    bytes: BytesMut,
    /// What comes after them.
    end: Option<InputEnd>,
    /// How many bytes have arrived, ever.
    pub(super) crossed: u64,
}

/// How bytes cross.
pub(super) struct Weather {
    /// So many arrive at once at most.
    pub(super) piece: usize,
    /// None arrive.
    pub(super) stalled: bool,
    /// So many more arrive, and then the connection is lost.
    pub(super) left: Option<u64>,
}

impl Wire {
    fn has_room(&self) -> bool {
        self.bytes.len() < CAPACITY
    }

    /// Moves a piece to `input`; returns its size.
    fn carry(&mut self, input: &mut BytesMut, weather: &mut Weather) -> usize {
        let most = weather.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let count = self.bytes.len().min(weather.piece).min(most);
        input.extend_from_slice(&self.bytes[..count]);
        self.bytes.advance(count);
        self.crossed += count as u64;
        if let Some(left) = &mut weather.left {
            *left -= count as u64;
        }
        count
    }

    fn lose(&mut self) {
        self.bytes.clear();
        self.end = Some(InputEnd::Failed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    /// It has ended; the machine learns it after the bytes that came before.
    Ending(InputEnd),
    Ended,
}

/// What one end keeps beside its machine.
pub(super) struct End {
    input: BytesMut,
    output: Output,
    reading: Reading,
    /// Its writing direction is shut or lost.
    shut: bool,
    lost: bool,
    /// The connection is over.
    over: bool,
    rest: Option<Rest>,
}

impl Default for End {
    fn default() -> Self {
        Self {
            input: BytesMut::new(),
            output: Output::new(),
            reading: Reading::Open,
            shut: false,
            lost: false,
            over: false,
            rest: None,
        }
    }
}

impl End {
    /// When the machine wants to be told the time.
    pub(super) fn timeout(&self) -> Option<Instant> {
        if self.over { None } else { self.rest?.timeout }
    }

    /// Reads, feeds, lets time pass, takes calls to their handlers and writes. Says whether anything moved.
    pub(super) fn turn<E, D>(
        &mut self,
        shared: &Shared<E, E, D>,
        from: &mut Wire,
        to: &mut Wire,
        weather: &mut Weather,
        side: Option<(&mut Side, &Arc<dyn Link>)>,
    ) -> bool
    where
        E: Machine<Event = Event> + AsMut<E> + Endpoint + Send + 'static,
        D: Drive<E, E>,
    {
        if self.over {
            return false;
        }
        let mut moved = false;
        let mut feed = |access: &mut Access<'_, E, E>| moved |= self.feed(access, from, weather);
        let begun = match side {
            Some((side, link)) => side.turn(shared, link, feed),
            None => {
                shared.turn(|access| feed(access));
                false
            }
        };
        moved |= begun;
        moved | self.write(shared, to)
    }

    /// Feeds a piece, after what was left before, and lets time pass.
    fn feed<E>(&mut self, access: &mut Access<'_, E, E>, from: &mut Wire, weather: &mut Weather) -> bool
    where
        E: Machine<Event = Event> + AsMut<E> + Endpoint,
    {
        if access.rest().timeout.is_some_and(|timeout| timeout <= access.now()) {
            access.tick();
        }
        if !access.machine().wants_input() {
            return false;
        }
        let left = self.input.len();
        let came = self.reading == Reading::Open && self.read(from, weather);
        if !self.input.is_empty() {
            access.feed(&mut self.input);
        }
        if let Reading::Ending(end) = self.reading {
            if self.input.is_empty() || access.machine().wants_input() {
                self.reading = Reading::Ended;
                access.end_input(end);
            }
        }
        came || self.input.len() < left
    }

    /// Takes a piece from the wire, or its end.
    fn read(&mut self, from: &mut Wire, weather: &mut Weather) -> bool {
        if weather.stalled && from.end != Some(InputEnd::Failed) {
            return false;
        }
        if from.carry(&mut self.input, weather) > 0 {
            return true;
        }
        match from.end {
            Some(end) if from.bytes.is_empty() => {
                self.reading = Reading::Ending(end);
                true
            }
            _ => false,
        }
    }

    fn write<E, D>(&mut self, shared: &Shared<E, E, D>, to: &mut Wire) -> bool
    where
        E: Machine<Event = Event> + AsMut<E> + Endpoint + Send + 'static,
        D: Drive<E, E>,
    {
        let mut moved = false;
        let rest = shared.turn(|access| {
            access.settle();
            let now = access.now();
            while to.has_room() && access.machine().poll_transmit(now, &mut self.output) {
                while let Some(piece) = self.output.take() {
                    moved = true;
                    if !self.shut {
                        to.bytes.extend_from_slice(&piece);
                    }
                }
            }
            access.rest()
        });
        self.rest = Some(rest);
        if rest.closing != Closing::Open && !rest.wants_output && !self.shut {
            self.shut = true;
            to.end.get_or_insert(InputEnd::Eof);
            moved = true;
        }
        if rest.closing == Closing::Closed && self.shut {
            self.over = true;
            shared.turn(|access| access.lost());
            moved = true;
        }
        moved
    }

    /// Writing fails from now on, and reading has failed.
    pub(super) fn lose<E, D>(&mut self, shared: &Shared<E, E, D>, to: &mut Wire)
    where
        E: Machine<Event = Event> + AsMut<E> + Endpoint + Send + 'static,
        D: Drive<E, E>,
    {
        to.lose();
        if !self.lost && !self.over {
            (self.lost, self.shut) = (true, true);
            self.rest = Some(shared.turn(|access| {
                let now = access.now();
                access.machine().handle_output_lost(now);
                access.rest()
            }));
        }
    }
}

/// A server's side: from requests to handlers and back.
pub(super) struct Side {
    dispatcher: Dispatcher,
    batch: Vec<Incoming>,
    answers: Vec<Answer>,
    /// Handlers that did not end at once, in the order in which they began: for whoever runs them.
    pub(super) tasks: Vec<HandlerTask>,
    pub(super) jobs: Vec<crate::dispatch::BlockingJob>,
}

impl Side {
    pub(super) fn new(router: crate::Router) -> Self {
        Self {
            dispatcher: Dispatcher::new(router),
            batch: Vec::new(),
            answers: Vec::new(),
            tasks: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Does `first` under the lock, and takes requests to their handlers; says whether there were any.
    fn turn<E, D>(
        &mut self,
        shared: &Shared<E, E, D>,
        link: &Arc<dyn Link>,
        mut first: impl FnMut(&mut Access<'_, E, E>),
    ) -> bool
    where
        E: Machine<Event = Event> + AsMut<E> + Endpoint + Send + 'static,
        D: Drive<E, E>,
    {
        let Self { dispatcher, batch, answers, tasks, jobs } = self;
        let more = shared.turn(|access| {
            first(access);
            dispatcher.accept(link, access, BATCH, batch)
        });
        let any = more || !batch.is_empty();
        for incoming in batch.drain(..) {
            match dispatcher.begin(incoming) {
                Begun::Done(answer) => answers.push(answer),
                Begun::Task(task) => tasks.push(task),
                Begun::Blocking(job) => jobs.push(job),
            }
        }
        if !answers.is_empty() {
            shared.turn(|access| dispatcher.submit(access, answers));
        }
        dispatcher.tidy(answers);
        any
    }
}
