//! From a request to its handler and back: what both kinds of driver do with a server's calls.

use core::future::Future;
use core::pin::Pin;
use core::task::{self, Poll, Waker};
use std::sync::Arc;

use antiphon::{CallId, End, Event, Instant, Machine, Status};

use crate::call::Call;
use crate::handler::{Kept, Run, blocking, guarded};
use crate::interceptor::Around;
use crate::interceptor::server::{Chain, Code};
use crate::link::{FinalAnswer, end_status};
use crate::observe::Watch;
use crate::reply::{Answer, MOST_SPARE, Reply};
use crate::router::Entry;
use crate::wait::block_on;
use crate::{Access, Endpoint, Link, Pulled, Router};

/// Spare boxes and buffers that a connection keeps.
const SPARE: usize = 32;

/// A request on its way to its handler.
pub struct Incoming {
    call: Arc<Call>,
    entry: usize,
}

/// What became of a handler that was begun.
pub enum Begun {
    /// It is done. [Submit](Dispatcher::submit) its answer under the lock, with those of the same batch.
    Done(Answer),
    /// It is pending, or is not to be polled here: spawn it.
    Task(HandlerTask),
    /// It blocks: run it on a worker.
    Blocking(BlockingJob),
}

/// Takes the calls of a connection to their handlers. Each connection has its own, and no lock.
///
/// # How a driver uses it
/// ```text
///  lock    accept(link, access, limit, &mut batch)
///  unlock  for each of the batch: begin(incoming)   Done | Task | Blocking
///  lock    submit(access, &mut answers)
///  unlock  tidy(answers)
/// ```
pub struct Dispatcher {
    router: Router,
    /// By entry of the router.
    kept: Vec<Vec<Box<dyn Kept>>>,
    calls: Vec<Arc<Call>>,
    scratch: Vec<Vec<u8>>,
    /// By index of the call: requests that are not complete yet.
    gathering: Vec<Option<Incoming>>,
    /// To be dropped outside the lock.
    trash: Vec<Incoming>,
    /// It has accepted calls: it belongs to one connection, and may keep what is that connection's.
    accepts: bool,
}

impl Dispatcher {
    /// For one connection, or for a worker that only [begins](Dispatcher::begin) handlers.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            kept: Vec::new(),
            calls: Vec::new(),
            scratch: Vec::new(),
            gathering: Vec::new(),
            trash: Vec::new(),
            accepts: false,
        }
    }

    /// Under the lock: routes new calls, and appends to `batch` at most `limit` that are ready for their handlers.
    /// Returns whether there are more. A handler that takes one message is ready when the request is complete.
    pub fn accept<M, E>(
        &mut self,
        link: &Arc<dyn Link>,
        access: &mut Access<'_, M, E>,
        limit: usize,
        batch: &mut Vec<Incoming>,
    ) -> bool
    where
        M: Machine<Event = Event> + AsMut<E>,
        E: Endpoint,
    {
        self.accepts = true;
        access.settle();
        for _ in 0..limit {
            let Some(call) = access.settle_until_ready() else { return false };
            let Some(incoming) = self.take_gathering(call).or_else(|| self.open(link, access, call)) else {
                continue;
            };
            if let Some(incoming) = self.gather(access, incoming) {
                batch.push(incoming);
            }
        }
        true
    }

    fn take_gathering(&mut self, call: CallId) -> Option<Incoming> {
        let place = self.gathering.get_mut(call.index as usize)?;
        match place.take() {
            Some(incoming) if incoming.call.id == call => Some(incoming),
            Some(stale) => {
                self.trash.push(stale);
                None
            }
            None => None,
        }
    }

    /// Routes a new call and notes what its handler may ask.
    fn open<M, E>(
        &mut self,
        link: &Arc<dyn Link>,
        access: &mut Access<'_, M, E>,
        id: CallId,
    ) -> Option<Incoming>
    where
        M: Machine<Event = Event> + AsMut<E>,
        E: Endpoint,
    {
        let now = access.now();
        let mut shared = self.calls.pop().unwrap_or_else(|| Arc::new(Call::new(Arc::clone(link), id, false)));
        let Some(call) = Arc::get_mut(&mut shared) else {
            // Only calls that nobody else holds are kept.
            return None;
        };
        call.renew(id);
        call.opened = now;
        let endpoint = access.endpoint();
        let found = match endpoint.request(id) {
            Some(request) => {
                let path = request.path();
                let found = call.known_entry(path).or_else(|| self.router.find(path));
                call.describe(&request, found.filter(|at| !self.router.is_fallback(*at)));
                found
            }
            None => None,
        };
        let Some(entry) = found.filter(|at| route(&self.router, endpoint, now, call, *at)) else {
            if found.is_none() && !preflight(&self.router, endpoint, now, id) {
                endpoint.route(now, id, None);
            }
            access.drop_call(id);
            self.keep_call(shared);
            return None;
        };
        call.coding = endpoint.encoding(id);
        Some(Incoming { call: shared, entry })
    }

    /// Pulls the request of a handler that takes one message; gives it back when it is complete, or has to be.
    fn gather<M, E>(&mut self, access: &mut Access<'_, M, E>, mut incoming: Incoming) -> Option<Incoming>
    where
        M: Machine<Event = Event> + AsMut<E>,
        E: Endpoint,
    {
        let id = incoming.call.id;
        if access.has_ended(id) {
            access.drop_call(id);
            self.trash.push(incoming);
            return None;
        }
        if !incoming.call.takes_one {
            return Some(incoming);
        }
        let now = access.now();
        let Some(call) = Arc::get_mut(&mut incoming.call) else {
            // Nobody else has seen it yet.
            return None;
        };
        // Of a method that takes one message the engine gives it when the request is complete, and no other.
        let whole = !call.method.shape.takes_stream() && !self.router.is_fallback(incoming.entry);
        let inbox = call.arrived_mut();
        while inbox.end.is_none() {
            match access.endpoint().read(now, id) {
                Pulled::End(end) => inbox.end = Some(end),
                Pulled::Messages(run) if inbox.run.is_none() => {
                    inbox.run = Some(run);
                    inbox.end = whole.then_some(Ok(()));
                }
                Pulled::Messages(_) => inbox.end = Some(Err(crate::link::more_than_one())),
                Pulled::Pending => {
                    if let Some(slot) = access.slot(id) {
                        slot.gathering = true;
                    }
                    let index = id.index as usize;
                    if self.gathering.len() <= index {
                        self.gathering.resize_with(index + 1, || None);
                    }
                    self.gathering[index] = Some(incoming);
                    return None;
                }
            }
        }
        Some(incoming)
    }

    /// Outside the lock: calls the handler, and polls an inline one once.
    pub fn begin(&mut self, incoming: Incoming) -> Begun {
        let Incoming { mut call, entry } = incoming;
        let Entry { handler, around, observers, .. } = self.router.entry(entry);
        if let (Some(observers), Some(call)) = (observers, Arc::get_mut(&mut call)) {
            call.watch = Some(Arc::new(Watch::start(observers, call, call.opened)));
        }
        let mut scratch = self.scratch.pop().unwrap_or_default();
        let make = match &handler.run {
            Run::Blocking(run) => {
                let run = Arc::clone(run);
                return Begun::Blocking(BlockingJob(Some(Job {
                    call,
                    run,
                    scratch,
                    around: around.clone(),
                })));
            }
            Run::Async(make) => make,
        };
        if self.kept.len() <= entry {
            self.kept.resize_with(entry + 1, Vec::new);
        }
        let mut kept = self.kept[entry].pop().unwrap_or_else(|| make());
        if let Some(around) = around {
            let chain = Chain::new(around, Arc::clone(&call), Code::Async(kept), scratch);
            return self.begin_chain(entry, call, chain);
        }
        if !handler.inline {
            return Begun::Task(HandlerTask {
                call: Some(call),
                called: false,
                kept: Some(kept),
                scratch,
                chain: None,
            });
        }
        // A handler that stays pending is polled again by its task at once, so nothing waits for this waker.
        let mut context = task::Context::from_waker(Waker::noop());
        let polled = guarded(|| {
            kept.fill(&call)?;
            Ok(match kept.poll(&call, &mut scratch, &mut context) {
                Poll::Ready(result) => Some(result?),
                Poll::Pending => None,
            })
        });
        match polled {
            Ok(Some(reply)) => {
                self.keep(entry, kept);
                Begun::Done(Answer::new(call, Ok(reply), scratch))
            }
            Ok(None) => Begun::Task(HandlerTask {
                call: Some(call),
                called: true,
                kept: Some(kept),
                scratch,
                chain: None,
            }),
            Err(status) => {
                discard(kept);
                Begun::Done(Answer::new(call, Err(status), scratch))
            }
        }
    }

    /// As [`begin`](Dispatcher::begin), for a handler with interceptors around it.
    fn begin_chain(&mut self, entry: usize, call: Arc<Call>, mut chain: Chain) -> Begun {
        if self.router.entry(entry).handler.inline {
            let mut context = task::Context::from_waker(Waker::noop());
            if let Poll::Ready(served) = Pin::new(&mut chain).poll(&mut context) {
                if let Some(kept) = served.kept {
                    self.keep(entry, kept);
                }
                return Begun::Done(served.answer);
            }
        }
        Begun::Task(HandlerTask::around(call, chain))
    }

    #[inline]
    fn keep(&mut self, entry: usize, kept: Box<dyn Kept>) {
        let spare = &mut self.kept[entry];
        if spare.len() < SPARE {
            spare.push(kept);
        }
    }

    /// Under the lock: sends the answers of a batch. [Tidy](Dispatcher::tidy) them afterwards, outside.
    pub fn submit<M, E>(&self, access: &mut Access<'_, M, E>, answers: &[Answer])
    where
        M: Machine<Event = Event> + AsMut<E>,
        E: Endpoint,
    {
        for answer in answers {
            answer.put(access);
        }
        access.settle();
        for answer in answers {
            access.forget(answer.call.id);
        }
    }

    /// Outside the lock: keeps what can be used again of answers that have been submitted, and drops the rest.
    pub fn tidy(&mut self, answers: &mut Vec<Answer>) {
        self.trash.clear();
        for answer in answers.drain(..) {
            answer.observe();
            if self.scratch.len() < SPARE && (1..=MOST_SPARE).contains(&answer.scratch.capacity()) {
                self.scratch.push(answer.scratch);
            }
            self.keep_call(answer.call);
        }
    }

    #[inline]
    fn keep_call(&mut self, mut call: Arc<Call>) {
        if !self.accepts || self.calls.len() >= SPARE {
            return;
        }
        if let Some(spare) = Arc::get_mut(&mut call) {
            spare.rest();
            self.calls.push(call);
        }
    }
}

impl core::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Dispatcher").field("router", &self.router).finish_non_exhaustive()
    }
}

/// Offers a call to an entry of the router. If it does not fit, it has been answered.
fn route<E: Endpoint>(router: &Router, endpoint: &mut E, now: Instant, call: &mut Call, at: usize) -> bool {
    let (id, entry) = (call.id, router.entry(at));
    if preflight(router, endpoint, now, id) {
        return false;
    }
    if router.is_fallback(at) {
        let spoken = call.protocol.is_some_and(|protocol| entry.method.protocols.contains(protocol));
        if !(spoken && endpoint.route_any(now, id)) {
            // Does nothing where it has been answered.
            endpoint.route(now, id, None);
            return false;
        }
    } else {
        if !endpoint.route(now, id, Some(&entry.method)) {
            return false;
        }
        call.method = entry.method;
    }
    call.codec_at = call.codec_at.or_else(|| entry.handler.find_codec(&call.codec));
    if call.codec_at.is_none() {
        endpoint.refuse_codec(now, id, &call.method);
        return false;
    }
    call.terms = entry.terms;
    call.takes_one = entry.gathers();
    true
}

/// Adds what pages of other origins need, and answers a preflight.
fn preflight<E: Endpoint>(router: &Router, endpoint: &mut E, now: Instant, id: CallId) -> bool {
    let Some(cors) = router.has_cors() else { return false };
    let Some((fields, preflight)) = endpoint.request(id).and_then(|request| cors.judge(&request)) else {
        return false;
    };
    endpoint.add_fields(id, &fields);
    if preflight {
        endpoint.respond(now, id, 204);
    }
    preflight
}

/// Drops a handler that did not end by itself: its `Drop` may panic as well.
fn discard(kept: Box<dyn Kept>) {
    let _ = guarded(|| {
        drop(kept);
        Ok(())
    });
}

/// An async handler as a task of its own. It is ready when the call has ended, and has sent the answer itself. A
/// cancel or the deadline drops the handler.
pub struct HandlerTask {
    call: Option<Arc<Call>>,
    /// The handler has been called.
    called: bool,
    kept: Option<Box<dyn Kept>>,
    scratch: Vec<u8>,
    /// All of it, if there are interceptors around it.
    chain: Option<Chain>,
}

impl HandlerTask {
    fn around(call: Arc<Call>, chain: Chain) -> Self {
        Self { call: Some(call), called: true, kept: None, scratch: Vec::new(), chain: Some(chain) }
    }

    /// Runs the handler in this thread: for a server without an async runtime. The handler must be one that needs
    /// none.
    pub fn run_blocking(self) {
        let Some(call) = self.call.clone() else { return };
        let deadline = call.deadline;
        block_on(&call.link, deadline, self);
    }

    /// Ends the call without running the handler any further: there is no worker for it.
    pub fn refuse(mut self, status: Status) {
        self.end(status);
    }

    fn end(&mut self, status: Status) {
        self.kept.take().into_iter().for_each(discard);
        self.chain = None;
        if let Some(call) = self.call.take() {
            finish(&Answer::new(call, Err(status), Vec::new()));
        }
    }

    fn poll_handler(&mut self, context: &mut task::Context<'_>) -> Poll<Result<Reply, Status>> {
        let (Some(call), Some(kept)) = (&self.call, &mut self.kept) else {
            return Poll::Ready(Err(Status::internal("the handler was polled after its end")));
        };
        let called = core::mem::replace(&mut self.called, true);
        let scratch = &mut self.scratch;
        let polled = guarded(|| {
            if !called {
                kept.fill(call)?;
            }
            match kept.poll(call, scratch, context) {
                Poll::Ready(result) => result.map(Some),
                Poll::Pending => Ok(None),
            }
        });
        match polled {
            Ok(None) => Poll::Pending,
            Ok(Some(reply)) => Poll::Ready(Ok(reply)),
            Err(status) => Poll::Ready(Err(status)),
        }
    }
}

impl Future for HandlerTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        let Some(call) = &task.call else { return Poll::Ready(()) };
        if let Some(chain) = &mut task.chain {
            // The end of the call is its own affair: it drops the handler alone.
            let served = task::ready!(Pin::new(chain).poll(context));
            finish(&served.answer);
            task.chain = None;
            task.call = None;
            return Poll::Ready(());
        }
        if call.link.poll_ended(call.id, context).is_ready() {
            task.abandon();
            return Poll::Ready(());
        }
        let result = task::ready!(task.poll_handler(context));
        task.kept.take().into_iter().for_each(discard);
        if let Some(call) = task.call.take() {
            finish(&Answer::new(call, result, core::mem::take(&mut task.scratch)));
        }
        Poll::Ready(())
    }
}

impl HandlerTask {
    fn abandon(&mut self) {
        self.kept.take().into_iter().for_each(discard);
        if let Some(call) = self.call.take() {
            drop(call.take_arrived());
            call.clear_extra();
            let end = call.link.ended(call.id).unwrap_or(End::Lost);
            call.remember_end(end);
            if let Some(watch) = &call.watch {
                watch.end(Some(end_status(Some(end)).code()));
            }
            call.link.drop_call(call.id);
        }
    }
}

/// Sends the answer of a handler that has ended.
fn finish(answer: &Answer) {
    answer.call.link.finish(&FinalAnswer(answer));
    answer.observe();
}

/// A task that its runtime drops ends its call.
impl Drop for HandlerTask {
    fn drop(&mut self) {
        self.end(Status::unavailable("the server dropped the handler"));
    }
}

/// A blocking handler, to be run on a worker.
pub struct BlockingJob(Option<Job>);

struct Job {
    call: Arc<Call>,
    run: Arc<dyn blocking::Erased>,
    scratch: Vec<u8>,
    around: Option<Around>,
}

impl BlockingJob {
    /// Runs the handler in this thread and sends the answer. Not for a call that has ended while it waited for a
    /// thread.
    pub fn run(mut self) {
        let Some(Job { call, run, mut scratch, around }) = self.0.take() else { return };
        if call.link.ended(call.id).is_some() {
            drop(call.take_arrived());
            call.clear_extra();
            return call.link.drop_call(call.id);
        }
        let answer = match around {
            None => {
                let result = guarded(|| run.run(&call, &mut scratch));
                Answer::new(Arc::clone(&call), result, scratch)
            }
            Some(around) => {
                let chain = Chain::new(&around, Arc::clone(&call), Code::Blocking(run), scratch);
                block_on(&call.link, call.deadline, chain).answer
            }
        };
        finish(&answer);
    }

    /// Ends the call without running the handler: there is no worker for it.
    pub fn refuse(mut self, status: Status) {
        self.end(status);
    }

    fn end(&mut self, status: Status) {
        if let Some(Job { call, scratch, .. }) = self.0.take() {
            finish(&Answer::new(call, Err(status), scratch));
        }
    }
}

/// A job that is dropped and not run ends its call.
impl Drop for BlockingJob {
    fn drop(&mut self) {
        self.end(Status::unavailable("the server dropped the handler"));
    }
}
