//! A blocking server's side of a connection: from the reader's notice to a worker to a handler.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon::{Event, Machine, Status, server};

use super::drive::{BlockingDrive, Clock};
use super::pool::Pool;
use super::transport::{Control, Split};
use crate::dispatch::{Begun, BlockingJob, Dispatcher, Incoming};
use crate::reply::Answer;
use crate::{Link, Peer, Router, Shared, Shutdown};

/// How many calls a worker takes to their handlers at once.
const BATCH: usize = 64;

type Connection<M, W, C> = Shared<M, server::Connection, BlockingDrive<M, server::Connection, W, C>>;

/// Serves the calls of one connection in this thread and the pool's, until it ends. `machine` is a
/// [`server::Connection`], or something around one.
///
/// # Errors
/// When the transport cannot be split. What happens on the wire afterwards is no error of this function.
pub fn serve<T, M>(
    clock: Arc<dyn Clock>,
    transport: T,
    machine: M,
    peer: Peer,
    router: Router,
    pool: &Pool,
    shutdown: &Shutdown,
) -> io::Result<()>
where
    T: Split,
    M: Machine<Event = Event> + AsMut<server::Connection> + Send + 'static,
{
    let (reader, writer, control) = transport.split()?;
    let side = Arc::new(Side::new(router, pool.clone()));
    let dispatch = Arc::new(move |shared: &Arc<Connection<M, T::Writer, T::Control>>| side.notice(shared));
    let drive = BlockingDrive::new(clock, writer, control, Some(dispatch));
    let shared = Arc::new(Shared::new(machine, peer, drive));
    shared.drive().attach(&shared);
    let link: Arc<dyn Link> = shared.clone();
    let registration = shutdown.register(&link);
    shared.drive().transmit(&shared);
    shared.drive().reader(&shared, reader);
    drop(registration);
    Ok(())
}

/// What takes the calls of one connection to their handlers. One worker at a time is at it.
struct Side {
    desk: Mutex<Desk>,
    /// Notices that no worker has looked after yet.
    notices: AtomicUsize,
    pool: Pool,
}

struct Desk {
    dispatcher: Dispatcher,
    batch: Vec<Incoming>,
    answers: Vec<Answer>,
}

impl Side {
    fn new(router: Router, pool: Pool) -> Self {
        let desk = Desk { dispatcher: Dispatcher::new(router), batch: Vec::new(), answers: Vec::new() };
        Self { desk: Mutex::new(desk), notices: AtomicUsize::new(0), pool }
    }

    /// Calls are ready: a worker is sent, unless one is there already and will see them.
    fn notice<M, W, C>(self: &Arc<Self>, shared: &Arc<Connection<M, W, C>>)
    where
        M: Machine<Event = Event> + AsMut<server::Connection> + Send + 'static,
        W: Write + Send + 'static,
        C: Control,
    {
        if self.notices.fetch_add(1, Ordering::SeqCst) == 0 {
            let (side, shared) = (Arc::clone(self), Arc::clone(shared));
            if let Err(job) = self.pool.start(Box::new(move || side.work(&shared))) {
                job();
            }
        }
    }

    /// Takes calls to their handlers until there is no notice left.
    fn work<M, W, C>(&self, shared: &Arc<Connection<M, W, C>>)
    where
        M: Machine<Event = Event> + AsMut<server::Connection> + Send + 'static,
        W: Write + Send + 'static,
        C: Control,
    {
        loop {
            let seen = self.notices.load(Ordering::SeqCst);
            // This worker would be idle next: it keeps the last handler for itself.
            let mut own: Option<BlockingJob> = None;
            while self.pass(shared, &mut own) {}
            shared.drive().transmit(shared);
            if self.notices.fetch_sub(seen, Ordering::SeqCst) == seen {
                if let Some(job) = own {
                    match self.pool.permit() {
                        Some(_permit) => job.run(),
                        None => job.refuse(full()),
                    }
                }
                return;
            }
            if let Some(job) = own {
                self.send_off(job);
            }
        }
    }

    /// One batch; says whether there are more.
    fn pass<M, W, C>(&self, shared: &Arc<Connection<M, W, C>>, own: &mut Option<BlockingJob>) -> bool
    where
        M: Machine<Event = Event> + AsMut<server::Connection> + Send + 'static,
        W: Write + Send + 'static,
        C: Control,
    {
        let link: Arc<dyn Link> = shared.clone();
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let Desk { dispatcher, batch, answers } = &mut *desk;
        let more = shared.turn(|access| dispatcher.accept(&link, access, BATCH, batch));
        for incoming in batch.drain(..) {
            match dispatcher.begin(incoming) {
                Begun::Done(answer) => answers.push(answer),
                Begun::Task(task) => match self.pool.permit() {
                    // Without a thread for it it is dropped, and that answers its call.
                    Some(permit) => drop(self.pool.start(Box::new(move || {
                        let _permit = permit;
                        task.run_blocking();
                    }))),
                    None => task.refuse(full()),
                },
                Begun::Blocking(job) => {
                    if let Some(before) = own.replace(job) {
                        self.send_off(before);
                    }
                }
            }
        }
        if !answers.is_empty() {
            shared.turn(|access| dispatcher.submit(access, answers));
        }
        dispatcher.tidy(answers);
        more
    }

    /// Runs a handler on another worker, or answers that there is none for it.
    fn send_off(&self, job: BlockingJob) {
        match self.pool.permit() {
            // Without a thread for it it is dropped, and that answers its call.
            Some(permit) => drop(self.pool.start(Box::new(move || {
                let _permit = permit;
                job.run();
            }))),
            None => job.refuse(full()),
        }
    }
}

fn full() -> Status {
    Status::resource_exhausted("the server runs as many handlers as it may")
}
