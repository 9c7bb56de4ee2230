//! A connection of the async driver in memory, and the tasks beside it: a runtime that does nothing by itself.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use antiphon::Instant;
use antiphon_service::{BoxFuture, Runtime, Timer};
use futures_io::{AsyncRead, AsyncWrite, IoSlice};

use crate::sides::NOW;

/// What a turn reads, and where its output goes.
#[derive(Default)]
struct Pipe {
    input: Vec<u8>,
    /// How much of the input was read.
    at: usize,
    /// Who waits for input.
    reader: Option<Waker>,
    /// To nobody if there is none.
    output: Option<Vec<u8>>,
}

/// The transport: each write takes everything, each read gives what there is.
pub struct Memory(Arc<Mutex<Pipe>>);

impl Memory {
    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().expect("nobody panics")
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let pipe = &mut *self.pipe();
        let rest = &pipe.input[pipe.at..];
        if rest.is_empty() {
            pipe.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        pipe.at += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(output) = &mut self.pipe().output {
            output.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(output) = &mut self.pipe().output {
            slices.iter().for_each(|slice| output.extend_from_slice(slice));
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A runtime whose time stands still, and whose tasks wait for [`Bed::turn`].
#[derive(Clone, Default)]
pub struct ByHand(Arc<Mutex<Vec<BoxFuture>>>);

/// It never fires.
pub struct Never;

impl Timer for Never {
    fn set(&mut self, _: Option<Instant>) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Runtime for ByHand {
    type Timer = Never;

    fn now(&self) -> Instant {
        NOW
    }

    fn timer(&self) -> Never {
        Never
    }

    fn spawn(&self, task: BoxFuture) {
        self.0.lock().expect("nobody panics").push(task);
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// Whether a task is to be polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

struct Task {
    future: Option<BoxFuture>,
    flag: Arc<Flag>,
    waker: Waker,
}

impl Task {
    fn new(future: BoxFuture) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self { future: Some(future), waker: Waker::from(Arc::clone(&flag)), flag }
    }

    /// Polls it once if it was woken.
    fn poll(&mut self) {
        if !self.flag.0.load(Relaxed) {
            return;
        }
        self.flag.0.store(false, Relaxed);
        if let Some(future) = &mut self.future {
            if future.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
                self.future = None;
            }
        }
    }
}

/// A connection, and the tasks that use it.
pub struct Bed {
    connection: Task,
    tasks: Vec<Task>,
    runtime: ByHand,
    pipe: Arc<Mutex<Pipe>>,
}

impl Bed {
    /// `connect` makes the connection's future, and tells what else there is.
    pub fn new<T>(connect: impl FnOnce(ByHand, Memory) -> (BoxFuture, T)) -> (Self, T) {
        let (runtime, pipe) = (ByHand::default(), Arc::<Mutex<Pipe>>::default());
        let (future, other) = connect(runtime.clone(), Memory(Arc::clone(&pipe)));
        (Self { connection: Task::new(future), tasks: Vec::new(), runtime, pipe }, other)
    }

    /// Runs a task of the application.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Task::new(Box::pin(task)));
    }

    /// Gives the connection `input`, and then lets each task that is woken run `beats` times, and the connection after
    /// each of them.
    pub fn turn(&mut self, input: &[u8], out: Option<&mut Vec<u8>>, beats: usize) {
        let reader = {
            let mut pipe = self.pipe.lock().expect("nobody panics");
            pipe.input.clear();
            pipe.input.extend_from_slice(input);
            pipe.at = 0;
            pipe.output = out.as_ref().map(|_| Vec::new());
            pipe.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
        self.connection.poll();
        for _ in 0..beats {
            let spawned =
                self.runtime.0.lock().expect("nobody panics").drain(..).map(Task::new).collect::<Vec<_>>();
            self.tasks.extend(spawned);
            self.tasks.iter_mut().for_each(Task::poll);
            while self.connection.flag.0.load(Relaxed) {
                self.connection.poll();
            }
        }
        assert!(self.connection.future.is_some(), "the connection has ended");
        if let (Some(out), Some(said)) = (out, self.pipe.lock().expect("nobody panics").output.take()) {
            out.extend(said);
        }
    }
}
