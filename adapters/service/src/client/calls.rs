//! Calls of the four shapes, with codecs and raw, to wait for or to block on.

use antiphon::Status;
use antiphon::rpc::{Method, Shape};
use bytes::Bytes;

use super::{BidiStream, CallOptions, Client, ClientStream, Response};
use crate::handler::MethodCodecs;
use crate::wait::block_on;
use crate::{Async, Blocking, Receiver, Sender};

/// Methods of every shape, with codecs and raw.
macro_rules! calls {
    ($wait:ident, [$($async:tt)?], [$($await:tt)*], |$client:ident, $future:ident, $deadline:ident| $run:expr) => {
        impl Client<$wait> {
            /// Calls a method of one message in and one out, with codecs.
            ///
            /// # Errors
            /// How the call ended.
            pub $($async)? fn unary_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                message: I,
                mut options: CallOptions,
            ) -> Result<Response<O>, Status> {
                let $client = self;
                self.settle(&mut options);
                let $deadline = options.deadline;
                let $future = self.call_one(path, of(method, Shape::Unary), codecs, message, &options);
                $run
            }

            /// Calls a method of one message in and many out, with codecs.
            ///
            /// # Errors
            /// How the call ended, before there was anything to receive.
            pub $($async)? fn server_stream_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                message: I,
                mut options: CallOptions,
            ) -> Result<Receiver<O, $wait>, Status> {
                let $client = self;
                self.settle(&mut options);
                let $deadline = options.deadline;
                let $future = self.call_stream(path, of(method, Shape::ServerStream), codecs, message, &options);
                $run
            }

            /// Calls a method of many messages in and one out, with codecs.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn client_stream_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                mut options: CallOptions,
            ) -> Result<ClientStream<I, O, $wait>, Status> {
                let $client = self;
                self.settle(&mut options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, of(method, Shape::ClientStream), codecs, &options);
                let (sender, receiver) = $run?;
                Ok(ClientStream::new(sender, receiver))
            }

            /// Calls a method of many messages in and many out, with codecs.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn bidi_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                mut options: CallOptions,
            ) -> Result<BidiStream<I, O, $wait>, Status> {
                let $client = self;
                self.settle(&mut options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, of(method, Shape::Bidi), codecs, &options);
                let (sender, receiver) = $run?;
                Ok(BidiStream::new(sender, receiver))
            }

            /// Calls a method of any shape by its two halves, with codecs: for those who cancel a call while another
            /// waits for it, or learn its shape only when they run. The method's shape still bounds the messages.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn open_with<I: 'static, O: 'static>(
                &self,
                path: &str,
                method: Method,
                codecs: &MethodCodecs<I, O>,
                mut options: CallOptions,
            ) -> Result<(Sender<I, $wait>, Receiver<O, $wait>), Status> {
                let $client = self;
                self.settle(&mut options);
                let $deadline = options.deadline;
                let $future = self.open_stream(path, method, codecs, &options);
                $run
            }

            /// Calls a method of one message in and one out, raw.
            ///
            /// # Errors
            /// How the call ended.
            pub $($async)? fn unary(
                &self,
                path: &str,
                message: Bytes,
                options: CallOptions,
            ) -> Result<Response<Bytes>, Status> {
                let mut method = Method::new(Shape::Unary);
                method.no_side_effects = options.use_get.or(self.defaults.use_get) == Some(true);
                self.unary_with(path, method, &self.connection.raw, message, options)$($await)*
            }

            /// Calls a method of one message in and many out, raw.
            ///
            /// # Errors
            /// How the call ended, before there was anything to receive.
            pub $($async)? fn server_stream(
                &self,
                path: &str,
                message: Bytes,
                options: CallOptions,
            ) -> Result<Receiver<Bytes, $wait>, Status> {
                let method = Method::new(Shape::ServerStream);
                self.server_stream_with(path, method, &self.connection.raw, message, options)$($await)*
            }

            /// Calls a method of many messages in and one out, raw.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn client_stream(
                &self,
                path: &str,
                options: CallOptions,
            ) -> Result<ClientStream<Bytes, Bytes, $wait>, Status> {
                self.client_stream_with(path, Method::new(Shape::ClientStream), &self.connection.raw, options)$($await)*
            }

            /// Calls a method of many messages in and many out, raw.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($async)? fn bidi(
                &self,
                path: &str,
                options: CallOptions,
            ) -> Result<BidiStream<Bytes, Bytes, $wait>, Status> {
                self.bidi_with(path, Method::new(Shape::Bidi), &self.connection.raw, options)$($await)*
            }
        }
    };
}

/// The method, whose shape is told by what is called: only the rest of it counts.
fn of(mut method: Method, shape: Shape) -> Method {
    method.shape = shape;
    method
}

calls!(Async, [async], [.await], |_client, future, _deadline| future.await);
calls!(Blocking, [], [], |client, future, deadline| block_on(client.link(), deadline, future));
