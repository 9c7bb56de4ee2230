//! A function among those that block.

use antiphon_service::{Bytes, Context, Handler, handler};

pub fn echo() -> Handler {
    handler::blocking::unary(|_: Context, request: Bytes| Ok(request))
}

fn main() {}
