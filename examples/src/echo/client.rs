//! A typed client of the service, written by hand where a user would have generated code.

use antiphon_service::{
    Async, BidiStream, Blocking, CallOptions, Client, ClientStream, Method, MethodCodecs, Receiver, Response,
    Shape, Status,
};

use super::{BIDI, CLIENT_STREAM, GET, Msg, SERVER_STREAM, UNARY, codecs};

/// A client of `echo.v1.EchoService`, on a connection that others may share.
#[derive(Clone, Debug)]
pub struct EchoClient<W = Async> {
    client: Client<W>,
    codecs: MethodCodecs<Msg, Msg>,
}

impl<W> EchoClient<W> {
    /// Makes the calls of the service on this connection.
    pub fn new(client: Client<W>) -> Self {
        Self { client, codecs: codecs() }
    }
}

macro_rules! methods {
    ($wait:ident, [$($asynchronous:tt)?], [$($wait_for_it:tt)*]) => {
        impl EchoClient<$wait> {
            /// One message in, the same message out.
            ///
            /// # Errors
            /// How the call ended.
            pub $($asynchronous)? fn unary(
                &self,
                message: Msg,
                options: CallOptions,
            ) -> Result<Response<Msg>, Status> {
                let method = Method::new(Shape::Unary);
                self.client.unary_with(UNARY, method, &self.codecs, message, options) $($wait_for_it)*
            }

            /// The same without side effects.
            ///
            /// # Errors
            /// How the call ended.
            pub $($asynchronous)? fn get(
                &self,
                message: Msg,
                options: CallOptions,
            ) -> Result<Response<Msg>, Status> {
                let method = Method::new(Shape::Unary).without_side_effects();
                self.client.unary_with(GET, method, &self.codecs, message, options) $($wait_for_it)*
            }

            /// One message in, `count` out.
            ///
            /// # Errors
            /// How the call ended.
            pub $($asynchronous)? fn server_stream(
                &self,
                message: Msg,
                options: CallOptions,
            ) -> Result<Receiver<Msg, $wait>, Status> {
                let method = Method::new(Shape::ServerStream);
                let call = self.client.server_stream_with(SERVER_STREAM, method, &self.codecs, message, options);
                call $($wait_for_it)*
            }

            /// Many messages in, one out.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($asynchronous)? fn client_stream(
                &self,
                options: CallOptions,
            ) -> Result<ClientStream<Msg, Msg, $wait>, Status> {
                let method = Method::new(Shape::ClientStream);
                self.client.client_stream_with(CLIENT_STREAM, method, &self.codecs, options) $($wait_for_it)*
            }

            /// Each message comes back as soon as it arrives.
            ///
            /// # Errors
            /// When the call could not be started.
            pub $($asynchronous)? fn bidi(
                &self,
                options: CallOptions,
            ) -> Result<BidiStream<Msg, Msg, $wait>, Status> {
                let method = Method::new(Shape::Bidi);
                self.client.bidi_with(BIDI, method, &self.codecs, options) $($wait_for_it)*
            }
        }
    };
}

methods!(Async, [async], [.await]);
methods!(Blocking, [], []);
