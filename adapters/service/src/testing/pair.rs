//! A client and a server joined in memory, moved by whoever waits.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::task::Wake;

use antiphon::{Event, Instant, Machine, client, server};

use super::bell::Bell;
use super::end::{End, Side, Weather, Wire};
use super::stage::{Stage, wait_for_turn};
use crate::dispatch::HandlerTask;
use crate::{Drive, Endpoint, Link, Shared};

/// After so many rounds in which handlers woke themselves and no byte arrived, others may run.
const ROUNDS: usize = 1024;

pub(super) type ClientEnd = Shared<client::Connection, client::Connection, ClientDrive>;
pub(super) type ServerEnd = Shared<server::Connection, server::Connection, ServerDrive>;

/// A clock that only the test moves.
#[derive(Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    pub(super) fn now(&self) -> Instant {
        Instant::from_epoch(Duration::from_nanos(self.0.load(Ordering::SeqCst)))
    }

    fn set(&self, to: Instant) {
        let nanos = u64::try_from(to.since_epoch().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos, Ordering::SeqCst);
    }
}

/// The client's part: it holds the pair.
pub(super) struct ClientDrive(Arc<Pair>);

/// The server's part.
pub(super) struct ServerDrive {
    clock: Arc<Clock>,
    bell: Arc<Bell>,
    stage: Arc<Stage>,
    pair: Weak<Pair>,
}

impl<M, E> Drive<M, E> for ClientDrive
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
{
    fn now(&self) -> Instant {
        self.0.clock.now()
    }

    fn flush(&self, _: &Shared<M, E, Self>) {
        self.0.bell.ring();
    }

    fn attend(&self, _: &Shared<M, E, Self>, context: &mut Context<'_>) {
        self.0.attend(context);
    }

    fn park(&self, _: &Shared<M, E, Self>, deadline: Option<Instant>) {
        if wait_for_turn() {
            return;
        }
        if !(self.0.skips.load(Ordering::SeqCst) && self.0.skip(deadline)) {
            std::thread::park();
        }
    }
}

impl<M, E> Drive<M, E> for ServerDrive
where
    M: Machine<Event = Event> + AsMut<E> + Send + 'static,
    E: Endpoint,
{
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn flush(&self, _: &Shared<M, E, Self>) {
        self.bell.ring();
    }

    fn attend(&self, _: &Shared<M, E, Self>, context: &mut Context<'_>) {
        if let Some(pair) = self.pair.upgrade() {
            pair.attend(context);
        }
    }

    fn park(&self, _: &Shared<M, E, Self>, _: Option<Instant>) {
        if !wait_for_turn() {
            self.stage.excuse();
            std::thread::park();
        }
    }
}

/// A handler that did not end at once. It is polled when it was woken, by whoever moves the pair.
struct Task {
    future: HandlerTask,
    woken: Arc<Woken>,
}

struct Woken {
    ready: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

/// Both ends and what is between them.
pub(super) struct Pair {
    pub(super) clock: Arc<Clock>,
    bell: Arc<Bell>,
    stage: Arc<Stage>,
    moving: Mutex<Moving>,
    /// Waiting threads let time pass.
    pub(super) skips: AtomicBool,
    client: OnceLock<Weak<ClientEnd>>,
    pub(super) server: OnceLock<Arc<ServerEnd>>,
}

struct Moving {
    client: End,
    server: End,
    to_server: Wire,
    to_client: Wire,
    weather: Weather,
    side: Side,
    tasks: Vec<Task>,
}

impl Moving {
    fn crossed(&self) -> (u64, u64) {
        (self.to_server.crossed, self.to_client.crossed)
    }
}

impl Pair {
    /// Joins two machines; whoever drops the client's end drops all of it.
    pub(super) fn join(
        client: (client::Connection, crate::Peer),
        server: (server::Connection, crate::Peer),
        router: crate::Router,
    ) -> (Arc<Self>, Arc<ClientEnd>) {
        let (clock, bell) = (Arc::<Clock>::default(), Arc::<Bell>::default());
        let stage = Arc::new(Stage::new(Arc::clone(&bell)));
        let moving = Moving {
            client: End::default(),
            server: End::default(),
            to_server: Wire::default(),
            to_client: Wire::default(),
            weather: Weather { piece: usize::MAX, stalled: false, left: None },
            side: Side::new(router),
            tasks: Vec::new(),
        };
        let pair = Arc::new(Self {
            clock: Arc::clone(&clock),
            bell: Arc::clone(&bell),
            stage: Arc::clone(&stage),
            moving: Mutex::new(moving),
            skips: AtomicBool::new(false),
            client: OnceLock::new(),
            server: OnceLock::new(),
        });
        let drive = ServerDrive { clock, bell, stage, pair: Arc::downgrade(&pair) };
        let _ = pair.server.set(Arc::new(Shared::new(server.0, server.1, drive)));
        let end = Arc::new(Shared::new(client.0, client.1, ClientDrive(Arc::clone(&pair))));
        let _ = pair.client.set(Arc::downgrade(&end));
        pair.bell.ring();
        (pair, end)
    }

    fn ends(&self) -> Option<(Arc<ClientEnd>, Arc<ServerEnd>)> {
        Some((self.client.get()?.upgrade()?, Arc::clone(self.server.get()?)))
    }

    /// Somebody looks for what it waits for: it moves everything first.
    fn attend(&self, context: &mut Context<'_>) {
        if self.bell.is_moved_here() {
            return;
        }
        self.bell.register(context.waker());
        if self.bell.has_news() {
            self.run();
        }
    }

    /// Moves everything until nothing moves. If somebody else does, that one goes round once more.
    pub(super) fn run(&self) {
        let Some((client, server)) = self.ends() else { return };
        let (mut rounds, mut before) = (0, (0, 0));
        loop {
            self.bell.note();
            let mut moving = match self.moving.try_lock() {
                Ok(moving) => moving,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.bell.begin_move();
            while rounds < ROUNDS && self.bell.take_news() {
                while rounds < ROUNDS && self.step(&mut moving, &client, &server) {
                    let crossed = moving.crossed();
                    rounds = if crossed == before { rounds + 1 } else { 0 };
                    before = crossed;
                }
            }
            self.bell.end_move();
            drop(moving);
            if rounds >= ROUNDS {
                return self.bell.ring();
            }
            if !self.bell.has_news() {
                return;
            }
        }
    }

    /// Both ends once, and the handlers; says whether anything moved.
    fn step(&self, moving: &mut Moving, client: &Arc<ClientEnd>, server: &Arc<ServerEnd>) -> bool {
        let Moving { client: near, server: far, to_server, to_client, weather, side, tasks } = moving;
        let mut moved = near.turn(client, to_client, to_server, weather, None);
        let link = Arc::clone(server) as Arc<dyn Link>;
        moved |= far.turn(server, to_server, to_client, weather, Some((side, &link)));
        if weather.left == Some(0) {
            weather.left = None;
            near.lose(client, to_server);
            far.lose(server, to_client);
            moved = true;
        }
        for task in side.tasks.drain(..) {
            let woken = Woken { ready: AtomicBool::new(true), bell: Arc::clone(&self.bell) };
            tasks.push(Task { future: task, woken: Arc::new(woken) });
        }
        tasks.retain_mut(|task| {
            if !task.woken.ready.swap(false, Ordering::SeqCst) {
                return true;
            }
            moved = true;
            let waker = Waker::from(Arc::clone(&task.woken));
            let future = core::pin::Pin::new(&mut task.future);
            Future::poll(future, &mut Context::from_waker(&waker)).is_pending()
        });
        for job in side.jobs.drain(..) {
            moved = true;
            self.stage.start(job);
        }
        if !moved && self.bell.take_news() {
            moved = true;
        }
        if moved && self.stage.has_parked() {
            self.stage.resume_all();
        }
        moved
    }

    fn moving(&self) -> Option<MutexGuard<'_, Moving>> {
        if self.bell.is_moved_here() {
            // A handler asks: what it asks for would have to wait for itself.
            return None;
        }
        Some(self.moving.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes how bytes cross.
    pub(super) fn change(&self, change: impl FnOnce(&mut Weather)) {
        if let Some(mut moving) = self.moving() {
            change(&mut moving.weather);
        }
        self.bell.ring();
    }

    /// How many bytes have arrived at the server and at the client.
    pub(super) fn crossed(&self) -> (u64, u64) {
        self.moving().map_or((0, 0), |moving| moving.crossed())
    }

    /// When one of the machines wants to be told the time.
    fn timeout(&self) -> Option<Instant> {
        let moving = self.moving()?;
        moving.client.timeout().into_iter().chain(moving.server.timeout()).min()
    }

    /// Lets time pass, and stops at each point where a machine wants to be told.
    pub(super) fn advance_to(&self, target: Instant) {
        loop {
            self.run();
            let now = self.clock.now();
            let next = self.timeout().filter(|next| *next > now && *next < target);
            self.clock.set(next.unwrap_or(target));
            self.bell.ring();
            if next.is_none() {
                return self.run();
            }
        }
    }

    /// A thread waits, and nothing moves until some time has passed: goes to where something happens. Returns whether
    /// there is such a time.
    fn skip(&self, deadline: Option<Instant>) -> bool {
        let now = self.clock.now();
        let next = self.timeout().into_iter().chain(deadline).filter(|next| *next > now).min();
        next.map(|next| self.advance_to(next)).is_some()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let Some(server) = self.server.get() else { return };
        server.turn(|access| access.lost());
        let moving = self.moving.get_mut().unwrap_or_else(PoisonError::into_inner);
        moving.tasks.clear();
        // Blocking handlers find their calls ended.
        self.stage.resume_all();
    }
}
