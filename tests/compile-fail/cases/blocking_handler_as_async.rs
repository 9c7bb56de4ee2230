//! A function that is no future, where an async handler is to be.

use antiphon_service::{Bytes, Context, Handler, handler};

pub fn echo() -> Handler {
    handler::unary(|_: Context, request: Bytes| Ok(request))
}

fn main() {}
