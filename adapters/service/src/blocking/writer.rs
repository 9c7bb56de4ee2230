//! The writer half and its output: a token. Who takes it transmits for all.

use std::io::{self, ErrorKind, IoSlice, Write};

use antiphon::Output;

/// How a transmission ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrote {
    /// All of it is with the transport.
    All,
    /// The peer took nothing within the bound of one write; the rest is still here.
    Slowly,
    /// The transport failed.
    Lost,
}

/// The writer half with what is still to be written.
pub(super) struct Writer<W> {
    /// `None` once the sending direction is closed.
    half: Option<W>,
    pub(super) output: Output,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(half: W) -> Self {
        Self { half: Some(half), output: Output::new() }
    }

    /// Writes all output, until one write makes no progress.
    pub(super) fn write(&mut self) -> Wrote {
        let Some(half) = &mut self.half else {
            self.output.clear();
            return Wrote::Lost;
        };
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = self.output.slices(&mut slices);
            match half.write_vectored(&slices[..filled]) {
                Ok(0) => return self.fail(),
                Ok(written) => self.output.advance(written),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Wrote::Slowly,
                    _ => return self.fail(),
                },
            }
        }
        match half.flush() {
            Ok(()) => Wrote::All,
            Err(error) if is_slow(&error) => Wrote::Slowly,
            Err(_) => self.fail(),
        }
    }

    /// Closes the sending direction of transports that have no other way.
    pub(super) fn close(&mut self) {
        self.half = None;
    }

    fn fail(&mut self) -> Wrote {
        self.output.clear();
        self.half = None;
        Wrote::Lost
    }
}

fn is_slow(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
