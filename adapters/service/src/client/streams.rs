//! A client's calls of more than one message.

use core::future::poll_fn;
use std::sync::Arc;

use antiphon::{Metadata, Status};

use super::Response;
use crate::sender::TrySendError;
use crate::wait::block_on;
use crate::{Async, Blocking, Context, Receiver, Sender};

/// A call of many messages in and one out, at a client. Dropped before its answer, it is cancelled.
#[must_use = "dropping a call before its answer cancels it; receive it, or say `cancel()`"]
#[derive(Debug)]
pub struct ClientStream<I, O, W = Async> {
    sender: Sender<I, W>,
    receiver: Receiver<O, W>,
}

/// A call of many messages in and many out, at a client. It is there before the response headers are. Dropped before
/// its end, it is cancelled.
#[must_use = "dropping a call before its end cancels it; receive to the end, or say `cancel()`"]
#[derive(Debug)]
pub struct BidiStream<I, O, W = Async> {
    sender: Sender<I, W>,
    receiver: Receiver<O, W>,
}

pub(super) async fn receive_one<O: 'static, W>(receiver: &mut Receiver<O, W>) -> Result<Response<O>, Status> {
    let mut first = None;
    let received = poll_fn(|context| receiver.poll_one(&mut first, context)).await;
    let (mut headers, trailers) = receiver.take_metadata();
    match received {
        Ok(message) => Ok(Response { headers, message, trailers, context: Some(receiver.context()) }),
        Err(mut status) => {
            if !(receiver.may_retry && status.unprocessed()) {
                receiver.call().observe_end(Err(&status));
            }
            // Whoever waits for one answer gets nothing but the error: the headers go with it.
            headers.extend_from(status.metadata());
            *status.metadata_mut() = headers;
            Err(status)
        }
    }
}

impl<I: 'static, O: 'static, W> ClientStream<I, O, W> {
    pub(super) fn new(sender: Sender<I, W>, receiver: Receiver<O, W>) -> Self {
        Self { sender, receiver }
    }

    /// Sends now or not at all: without room, the message comes back.
    ///
    /// # Errors
    /// [`TrySendError::Full`], and what `send` returns.
    pub fn try_send(&mut self, message: I) -> Result<(), TrySendError<I>> {
        self.sender.try_send(message)
    }

    /// What is known of the call: its peer, protocol, codec and version of HTTP.
    pub fn context(&self) -> Context {
        self.receiver.context()
    }

    /// Whether messages are compressed from now on; see [`Sender::compress`].
    pub fn compress(&mut self, compress: bool) {
        self.sender.compress(compress);
    }

    /// The two halves.
    pub fn split(self) -> (Sender<I, W>, Receiver<O, W>) {
        (self.sender, self.receiver)
    }

    /// Gives the call up.
    pub fn cancel(self) {}

    async fn close_and_receive(mut self) -> Result<Response<O>, Status> {
        self.sender.close_send();
        receive_one(&mut self.receiver).await
    }
}

impl<I: 'static, O: 'static, W> BidiStream<I, O, W> {
    pub(super) fn new(sender: Sender<I, W>, receiver: Receiver<O, W>) -> Self {
        Self { sender, receiver }
    }

    /// Sends now or not at all: without room, the message comes back.
    ///
    /// # Errors
    /// [`TrySendError::Full`], and what `send` returns.
    pub fn try_send(&mut self, message: I) -> Result<(), TrySendError<I>> {
        self.sender.try_send(message)
    }

    /// Half-closes: no more messages follow; receiving goes on.
    pub fn close_send(&mut self) {
        self.sender.close_send();
    }

    /// The trailers of the response, once `recv` has returned the end, good or bad.
    pub fn trailers(&self) -> &Metadata {
        self.receiver.trailers()
    }

    /// What is known of the call: its peer, protocol, codec and version of HTTP.
    pub fn context(&self) -> Context {
        self.receiver.context()
    }

    /// Whether messages are compressed from now on; see [`Sender::compress`].
    pub fn compress(&mut self, compress: bool) {
        self.sender.compress(compress);
    }

    /// The two halves, for two tasks or threads.
    pub fn split(self) -> (Sender<I, W>, Receiver<O, W>) {
        (self.sender, self.receiver)
    }

    /// Gives the call up.
    pub fn cancel(self) {}
}

impl<I: 'static, O: 'static> ClientStream<I, O, Async> {
    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn send(&mut self, message: I) -> Result<(), Status> {
        self.sender.send(message).await
    }

    /// Half-closes and waits for the answer. After an early answer it is there already.
    ///
    /// # Errors
    /// How the call ended.
    pub async fn close_and_recv(self) -> Result<Response<O>, Status> {
        self.close_and_receive().await
    }
}

impl<I: 'static, O: 'static> ClientStream<I, O, Blocking> {
    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send(&mut self, message: I) -> Result<(), Status> {
        self.sender.send(message)
    }

    /// Half-closes and waits for the answer. After an early answer it is there already.
    ///
    /// # Errors
    /// How the call ended.
    pub fn close_and_recv(self) -> Result<Response<O>, Status> {
        let call = Arc::clone(self.receiver.call());
        block_on(&call.link, call.deadline, self.close_and_receive())
    }
}

impl<I: 'static, O: 'static> BidiStream<I, O, Async> {
    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn send(&mut self, message: I) -> Result<(), Status> {
        self.sender.send(message).await
    }

    /// The next message. `None` is a clean end, and nothing else is.
    ///
    /// # Errors
    /// How the call ended.
    pub async fn recv(&mut self) -> Result<Option<O>, Status> {
        self.receiver.recv().await
    }

    /// The response headers, when they have come.
    ///
    /// # Errors
    /// How the call ended, if there will be none.
    pub async fn headers(&mut self) -> Result<&Metadata, Status> {
        self.receiver.headers().await
    }
}

impl<I: 'static, O: 'static> BidiStream<I, O, Blocking> {
    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send(&mut self, message: I) -> Result<(), Status> {
        self.sender.send(message)
    }

    /// The next message. `None` is a clean end, and nothing else is.
    ///
    /// # Errors
    /// How the call ended.
    pub fn recv(&mut self) -> Result<Option<O>, Status> {
        self.receiver.recv()
    }

    /// The response headers, when they have come.
    ///
    /// # Errors
    /// How the call ended, if there will be none.
    pub fn headers(&mut self) -> Result<&Metadata, Status> {
        self.receiver.headers()
    }
}
