//! From the bytes of a body to runs of messages, the same at both ends of a call.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::messages::{Front, scan, take};
use super::{Coding, Messages};
use crate::codec::base64_stream::Decoder;
use crate::codec::envelope::COMPRESSED;

/// How many characters of base64 are decoded at once beyond what the message in front needs.
const TEXT_BLOCK: usize = 16 << 10;

/// How messages stand in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Framing {
    /// The body is one message (Connect unary).
    #[default]
    Bare,
    /// Envelopes.
    Envelopes,
    /// Envelopes in base64 (gRPC-Web text).
    Text,
}

/// The text of the body is not base64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadText;

/// Finds messages in a body.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) framing: Framing,
    pub(crate) coding: Option<Arc<dyn Coding>>,
    pub(crate) max: usize,
    /// The length of a bare body, if its head told.
    pub(crate) content_length: Option<usize>,
    text: Decoder,
    /// The text is no base64 behind what has been decoded.
    bad_text: bool,
    /// Bytes decoded from text: less than one message, or one block more.
    decoded: BytesMut,
}

impl Inbound {
    /// Ready for the next call, keeping memory.
    pub(crate) fn reset(&mut self, framing: Framing, max: usize) {
        self.framing = framing;
        self.coding = None;
        self.max = max;
        self.content_length = None;
        if framing == Framing::Text {
            self.text = Decoder::new();
            self.bad_text = false;
            self.decoded.clear();
        }
    }

    /// Looks at the front of an enveloped body, at most `most` messages. Never for a bare one. `ended`: nothing follows.
    pub(crate) fn look(&mut self, body: &mut BytesMut, most: usize, ended: bool) -> Result<Front, BadText> {
        let legal = if self.coding.is_some() { COMPRESSED } else { 0 };
        if self.framing != Framing::Text {
            return Ok(scan(body, self.max, legal, most));
        }
        loop {
            let front = scan(&self.decoded, self.max, legal, most);
            let Front::Need(need) = front else { return Ok(front) };
            if let Some(need) = self.decode_text(body, need, ended)? {
                return Ok(Front::Need(need));
            }
        }
    }

    /// Decodes text so that `need` bytes may be there; if the body does not have enough, says how long it must be.
    ///
    /// Only whole groups of four characters are decoded, and none before they can complete what is needed: text waits in
    /// the body, where the windows count it. When nothing follows, the rest is decoded to see what is wrong with it.
    pub(crate) fn decode_text(
        &mut self,
        body: &mut BytesMut,
        need: usize,
        ended: bool,
    ) -> Result<Option<usize>, BadText> {
        if self.bad_text {
            return Err(BadText);
        }
        let missing = need.saturating_sub(self.decoded.len());
        // Four characters make three bytes at most; padding among them asks for more in the next round.
        let least = missing.div_ceil(3).saturating_mul(4);
        let groups = body.len() - body.len() % 4;
        if groups < least && !(ended && groups > 0) {
            return Ok(Some(least));
        }
        let block = body.split_to(groups.min(least.max(TEXT_BLOCK)));
        // What was decoded in front of an error counts first, however the text was cut.
        self.bad_text = self.text.feed(&block, &mut self.decoded).is_err();
        Ok(None)
    }

    /// Takes what [`look`](Inbound::look) found.
    #[inline(always)]
    pub(crate) fn take(&mut self, body: &mut BytesMut, length: usize) -> Bytes {
        match self.framing {
            Framing::Text => take(&mut self.decoded, length),
            Framing::Bare | Framing::Envelopes => take(body, length),
        }
    }

    /// The first `length` bytes of messages, decoded if they were text.
    pub(crate) fn front<'a>(&'a self, body: &'a [u8], length: usize) -> &'a [u8] {
        let bytes = if self.framing == Framing::Text { &self.decoded[..] } else { body };
        bytes.get(..length).unwrap_or_default()
    }

    /// Drops what [`front`](Inbound::front) showed.
    pub(crate) fn skip(&mut self, body: &mut BytesMut, length: usize) {
        let bytes = if self.framing == Framing::Text { &mut self.decoded } else { body };
        bytes.advance(length.min(bytes.len()));
    }

    /// Takes a run that [`look`](Inbound::look) found.
    #[inline(always)]
    pub(crate) fn take_run(&mut self, body: &mut BytesMut, length: usize, count: usize) -> Messages {
        let bytes = self.take(body, length);
        Messages::enveloped(bytes, count, self.coding.as_ref(), self.max)
    }

    /// Takes a whole body as one message.
    pub(crate) fn take_bare(&mut self, body: &mut BytesMut) -> Messages {
        let bytes = take(body, body.len());
        Messages::bare(bytes, self.coding.as_ref(), self.max)
    }

    /// How many bytes stand in front of the end of the body: those of an incomplete message, if nothing else is found.
    pub(crate) fn left(&self, body: &BytesMut) -> usize {
        body.len() + self.decoded.len() + usize::from(self.bad_text)
    }

    /// How many bytes of messages there are, decoded if they were text.
    pub(crate) fn available(&self, body: &BytesMut) -> usize {
        if self.framing == Framing::Text { self.decoded.len() } else { body.len() }
    }

    /// Forgets what was not taken.
    pub(crate) fn discard(&mut self, body: &mut BytesMut) {
        body.clear();
        self.decoded.clear();
    }
}
