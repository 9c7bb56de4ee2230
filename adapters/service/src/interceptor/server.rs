//! Interceptors around a handler.

use core::future::Future;
use core::pin::Pin;
use core::task::{self, Poll, Waker, ready};
use std::sync::Arc;

use antiphon::Status;

use super::{Around, Next, Work, caught, discard, unanswered};
use crate::Context;
use crate::call::Call;
use crate::handler::blocking::Erased;
use crate::handler::{Kept, guarded};
use crate::link::end_status;
use crate::reply::{Answer, Reply};

/// A handler with the interceptors around it: a future that ends with the call's answer. It is never dropped by a
/// cancel or a deadline: those drop the handler alone.
pub(crate) struct Chain {
    call: Arc<Call>,
    future: Option<Pin<Box<dyn Future<Output = Served> + Send>>>,
}

/// What a chain leaves.
pub(crate) struct Served {
    pub(crate) answer: Answer,
    /// The box of an async handler, empty, to be filled again.
    pub(crate) kept: Option<Box<dyn Kept>>,
}

/// The code of a method, of either kind.
pub(crate) enum Code {
    Async(Box<dyn Kept>),
    Blocking(Arc<dyn Erased>),
}

impl Chain {
    pub(crate) fn new(around: &Around, call: Arc<Call>, code: Code, scratch: Vec<u8>) -> Self {
        let around = Arc::clone(around);
        let mut handler = Handling { call: Arc::clone(&call), called: false, code, scratch, reply: None };
        let future = async move {
            let forget = Forget(Arc::clone(&handler.call));
            let context = Context::new(Arc::clone(&handler.call));
            let result = Next { rest: &around, work: &mut handler }.run(&context).await;
            let served = handler.conclude(result);
            drop(forget);
            served
        };
        Self { call, future: Some(Box::pin(future)) }
    }
}

impl Future for Chain {
    type Output = Served;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Served> {
        let polled = match &mut self.future {
            Some(future) => caught(|| future.as_mut().poll(context)),
            None => Err(Status::internal("the interceptors were polled after their end")),
        };
        let served = match polled {
            Ok(polled) => ready!(polled),
            Err(status) => {
                Served { answer: Answer::new(Arc::clone(&self.call), Err(status), Vec::new()), kept: None }
            }
        };
        self.future.take().into_iter().for_each(discard);
        Poll::Ready(served)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.future.take().into_iter().for_each(discard);
    }
}

/// Forgets at the end what interceptors have attached to the call: a hook may hold the call itself.
struct Forget(Arc<Call>);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.clear_extra();
    }
}

/// The handler inside its interceptors.
struct Handling {
    call: Arc<Call>,
    called: bool,
    code: Code,
    scratch: Vec<u8>,
    reply: Option<Reply>,
}

impl Handling {
    /// The answer, as the outermost interceptor has decided.
    fn conclude(self, result: Result<(), Status>) -> Served {
        let Self { call, code, mut scratch, reply, .. } = self;
        let reply = result.and_then(|()| match (call.take_answer(), reply) {
            (Some(message), _) => match &code {
                Code::Async(kept) => kept.answer(&call, message, &mut scratch),
                Code::Blocking(run) => run.answer(&call, message, &mut scratch),
            },
            (None, Some(reply)) => Ok(reply),
            (None, None) if call.method.shape.returns_stream() => Ok(Reply::Sent),
            (None, None) => Err(unanswered()),
        });
        let kept = match code {
            Code::Async(kept) => Some(kept),
            Code::Blocking(_) => None,
        };
        Served { answer: Answer::new(call, reply, scratch), kept }
    }

    fn poll_handler(&mut self, context: &mut task::Context<'_>) -> Poll<Result<Reply, Status>> {
        let Self { call, called, code, scratch, .. } = self;
        let called = core::mem::replace(called, true);
        let polled = match code {
            Code::Async(kept) => guarded(|| {
                if !called {
                    kept.fill(call)?;
                }
                match kept.poll(call, scratch, context) {
                    Poll::Ready(result) => result.map(Some),
                    Poll::Pending => Ok(None),
                }
            }),
            // It blocks this thread, which is a worker.
            Code::Blocking(run) => guarded(|| run.run(call, scratch)).map(Some),
        };
        match polled {
            Ok(None) => Poll::Pending,
            Ok(Some(reply)) => Poll::Ready(Ok(reply)),
            Err(status) => Poll::Ready(Err(status)),
        }
    }
}

impl Work for Handling {
    fn poll(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Status>> {
        let call = &self.call;
        // Polled where its request was read, it is polled again at once if it stays pending: nothing waits yet.
        let waits = !context.waker().will_wake(Waker::noop());
        if waits && call.link.poll_ended(call.id, context).is_ready() {
            return Poll::Ready(Err(end_status(call.link.ended(call.id))));
        }
        let result = ready!(self.poll_handler(context));
        Poll::Ready(result.map(|reply| self.reply = Some(reply)))
    }

    fn leave(&mut self) {
        if let Code::Async(kept) = &mut self.code {
            let _ = guarded(|| {
                kept.clear();
                Ok(())
            });
        }
        drop(self.call.take_arrived());
    }
}
