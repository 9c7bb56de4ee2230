//! `echo.v1.EchoService`: the service of the tour.

mod message;

pub use message::Msg;
