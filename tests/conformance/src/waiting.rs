//! One form for both ways of waiting, so that handlers and calls are written once: what awaits, and what blocks while
//! its future is polled.

use std::future::Future;

use antiphon::rpc::Method;
use antiphon::{Metadata, Status};
use antiphon_service::{
    Async, BidiStream, Blocking, Bytes, CallOptions, Client, ClientStream, MethodCodecs, Receiver, Response,
    Sender,
};

/// The two halves of a call.
pub type Halves<W> = (Sender<Bytes, W>, Receiver<Bytes, W>);

/// A way of waiting: [`Async`] or [`Blocking`]. The methods are those of the service layer's types.
#[allow(missing_docs)]
pub trait Waiting: Send + Sized + 'static {
    fn send(
        sender: &mut Sender<Bytes, Self>,
        message: Bytes,
    ) -> impl Future<Output = Result<(), Status>> + Send;

    fn recv(
        receiver: &mut Receiver<Bytes, Self>,
    ) -> impl Future<Output = Result<Option<Bytes>, Status>> + Send;

    fn headers(receiver: &mut Receiver<Bytes, Self>)
    -> impl Future<Output = Result<Metadata, Status>> + Send;

    fn unary(
        client: &Client<Self>,
        path: &str,
        message: Bytes,
        options: CallOptions,
    ) -> impl Future<Output = Result<Response<Bytes>, Status>> + Send;

    fn server_stream(
        client: &Client<Self>,
        path: &str,
        message: Bytes,
        options: CallOptions,
    ) -> impl Future<Output = Result<Receiver<Bytes, Self>, Status>> + Send;

    fn client_stream(
        client: &Client<Self>,
        path: &str,
        options: CallOptions,
    ) -> impl Future<Output = Result<ClientStream<Bytes, Bytes, Self>, Status>> + Send;

    fn upload(
        stream: &mut ClientStream<Bytes, Bytes, Self>,
        message: Bytes,
    ) -> impl Future<Output = Result<(), Status>> + Send;

    fn close_and_recv(
        stream: ClientStream<Bytes, Bytes, Self>,
    ) -> impl Future<Output = Result<Response<Bytes>, Status>> + Send;

    fn bidi(
        client: &Client<Self>,
        path: &str,
        options: CallOptions,
    ) -> impl Future<Output = Result<BidiStream<Bytes, Bytes, Self>, Status>> + Send;

    fn open(
        client: &Client<Self>,
        path: &str,
        method: Method,
        options: CallOptions,
    ) -> impl Future<Output = Result<Halves<Self>, Status>> + Send;
}

macro_rules! waiting {
    ($wait:ident, |$future:ident| $wait_for:expr) => {
        impl Waiting for $wait {
            async fn send(sender: &mut Sender<Bytes, Self>, message: Bytes) -> Result<(), Status> {
                let $future = sender.send(message);
                $wait_for
            }

            async fn recv(receiver: &mut Receiver<Bytes, Self>) -> Result<Option<Bytes>, Status> {
                let $future = receiver.recv();
                $wait_for
            }

            async fn headers(receiver: &mut Receiver<Bytes, Self>) -> Result<Metadata, Status> {
                let $future = receiver.headers();
                $wait_for.cloned()
            }

            async fn unary(
                client: &Client<Self>,
                path: &str,
                message: Bytes,
                options: CallOptions,
            ) -> Result<Response<Bytes>, Status> {
                let $future = client.unary(path, message, options);
                $wait_for
            }

            async fn server_stream(
                client: &Client<Self>,
                path: &str,
                message: Bytes,
                options: CallOptions,
            ) -> Result<Receiver<Bytes, Self>, Status> {
                let $future = client.server_stream(path, message, options);
                $wait_for
            }

            async fn client_stream(
                client: &Client<Self>,
                path: &str,
                options: CallOptions,
            ) -> Result<ClientStream<Bytes, Bytes, Self>, Status> {
                let $future = client.client_stream(path, options);
                $wait_for
            }

            async fn upload(
                stream: &mut ClientStream<Bytes, Bytes, Self>,
                message: Bytes,
            ) -> Result<(), Status> {
                let $future = stream.send(message);
                $wait_for
            }

            async fn close_and_recv(
                stream: ClientStream<Bytes, Bytes, Self>,
            ) -> Result<Response<Bytes>, Status> {
                let $future = stream.close_and_recv();
                $wait_for
            }

            async fn bidi(
                client: &Client<Self>,
                path: &str,
                options: CallOptions,
            ) -> Result<BidiStream<Bytes, Bytes, Self>, Status> {
                let $future = client.bidi(path, options);
                $wait_for
            }

            async fn open(
                client: &Client<Self>,
                path: &str,
                method: Method,
                options: CallOptions,
            ) -> Result<Halves<Self>, Status> {
                let codecs = MethodCodecs::raw();
                let $future = client.open_with(path, method, &codecs, options);
                $wait_for
            }
        }
    };
}

waiting!(Async, |future| future.await);
waiting!(Blocking, |value| value);
