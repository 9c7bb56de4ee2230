//! A head, from the bytes that arrive into the exchange.

use bytes::{Buf, BytesMut};

use super::head_parse::{Facts, parse_request, parse_response};
use super::lines::Scan;
use super::link::{Link, Role};
use crate::ConnectionError;

impl Link {
    /// Reads a head into the exchange's. `None` when it is not complete.
    pub(super) fn take_head(&mut self, input: &mut BytesMut) -> Result<Option<Facts>, ConnectionError> {
        if self.scan == Scan::default() {
            if let Some((length, facts)) = self.received.find(input) {
                self.timers.head = None;
                input.advance(length);
                return Ok(Some(facts));
            }
        }
        let end = match self.scan.find_end(input, self.limits.header_list) {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(None),
            Err(refused) => return Err(self.refuse(refused)),
        };
        self.scan = Scan::default();
        self.timers.head = None;
        let parse = if self.role == Role::Server { parse_request } else { parse_response };
        let bytes = input.get(..end).unwrap_or_default();
        let parsed = parse(bytes, &self.limits, &mut self.exchange.head);
        self.received.note(bytes, parsed.ok());
        input.advance(end);
        parsed.map(Some).map_err(|refused| self.refuse(refused))
    }
}
