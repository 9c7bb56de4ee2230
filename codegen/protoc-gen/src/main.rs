//! `protoc-gen-antiphon`: protoc and buf run it, with a request on its standard input.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, IsTerminal, Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    if io::stdin().is_terminal() {
        return Err(
            "run by protoc or buf: protoc --antiphon_out=src/proto --plugin=protoc-gen-antiphon feed.proto"
                .into(),
        );
    }
    let mut request = Vec::new();
    io::stdin().lock().read_to_end(&mut request)?;
    let response = protoc_gen_antiphon::respond(&request)?;
    io::stdout().lock().write_all(&response)?;
    Ok(())
}
