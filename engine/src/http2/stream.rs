//! One stream: a state for each direction (RFC 9113 §5.1), what was received, and what is queued.

use bytes::BytesMut;

use crate::credit::Credit;
use crate::http2::flow::SendWindow;
use crate::http2::frame::HEADER_LEN;
use crate::http2::queue::SendQueue;
use crate::{Fields, Head, Instant, ReceiveEnd};

/// Spare memory of a body that a slot keeps for its next stream.
const KEEP: usize = 16 * 1024;

/// The receiving direction, as the wire has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receiving {
    /// A client waits for the final head.
    Head,
    /// DATA or trailers may come.
    Body,
    /// They may come, but nobody wants them.
    Discarding,
    /// END_STREAM, or the stream is gone.
    Ended,
}

/// The sending direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sending {
    /// A server has not answered yet.
    Head,
    /// The application may send.
    Open,
    /// It has finished; what is queued is still to go.
    Ending,
    /// It has finished, and trailers go after what is queued.
    EndingWithTrailers,
    /// END_STREAM is out.
    Done,
    /// Reset or lost.
    Gone,
}

impl Sending {
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Gone)
    }

    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::Ending | Self::EndingWithTrailers)
    }
}

/// In which list of the transmitter a stream stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Nowhere,
    Ring,
    /// Waiting for the connection's window.
    Starved,
}

/// Whether there is something to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ready {
    No,
    Yes,
    /// Only the connection's window is missing.
    Starved,
}

/// What a header block of an answer or a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Head,
    Trailers,
}

/// Notices, one bit each.
pub(super) mod notice {
    pub(in super::super) const OPENED: u8 = 1;
    pub(in super::super) const READABLE: u8 = 2;
    pub(in super::super) const WRITABLE: u8 = 4;
    pub(in super::super) const STOPPED: u8 = 8;
    pub(in super::super) const LOST: u8 = 16;
}

/// What is encoded when it is sent: a client's head and trailers, since its table depends on the order, and a server's
/// informational heads.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) interim: Vec<Head>,
    pub(super) head: Head,
    pub(super) trailers: Fields,
}

/// A stream, or the place for one.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) generation: u32,
    /// The stream id; 0 until a client's request is sent.
    pub(super) id: u32,
    /// The application has not dropped it.
    pub(super) held: bool,
    /// It counts among the open streams of the wire.
    pub(super) open: bool,
    pub(super) receiving: Receiving,
    pub(super) sending: Sending,
    /// How the receiving direction ended for the application.
    pub(super) end: Option<ReceiveEnd>,
    /// A client: the request was HEAD.
    pub(super) head_request: bool,

    pub(super) notices: u8,
    /// It stands in the list of notices.
    pub(super) noticed: bool,
    pub(super) stop_code: u32,

    pub(super) head: Head,
    pub(super) has_head: bool,
    pub(super) trailers: Fields,
    pub(super) has_trailers: bool,
    pub(super) body: BytesMut,
    pub(super) credit: Credit,
    /// It stands in the list of window updates.
    pub(super) updating: bool,
    /// What is left of content-length, if one was given.
    pub(super) expected: Option<u64>,

    /// A server: the encoded head of the answer, `answer_head` bytes, and the encoded trailers, both with room for a
    /// frame header in front. A server's encoder has no table, so that the order of encoding means nothing.
    pub(super) answer: Vec<u8>,
    pub(super) answer_head: u32,
    /// If not 0, `answer` is a whole answer: the frames of head, body and trailers. The body has so many bytes, behind the
    /// header of its frame.
    pub(super) whole: u32,
    pub(super) head_pending: bool,
    /// There are informational heads to send before the final one.
    pub(super) has_interim: bool,
    outgoing: Option<Box<Outgoing>>,
    pub(super) queue: SendQueue,
    pub(super) window: SendWindow,
    pub(super) place: Place,
    /// A message was refused: `Writable` is owed.
    pub(super) wants_room: bool,
    /// When the sending direction last moved, once it is ending.
    pub(super) progress: Instant,
}

impl Slot {
    pub(super) fn new(generation: u32) -> Self {
        Self {
            generation,
            id: 0,
            held: false,
            open: false,
            receiving: Receiving::Ended,
            sending: Sending::Gone,
            end: None,
            head_request: false,
            notices: 0,
            noticed: false,
            stop_code: 0,
            head: Head::default(),
            has_head: false,
            trailers: Fields::new(),
            has_trailers: false,
            body: BytesMut::new(),
            credit: Credit::new(0, 0),
            updating: false,
            expected: None,
            answer: Vec::new(),
            answer_head: 0,
            whole: 0,
            head_pending: false,
            has_interim: false,
            outgoing: None,
            queue: SendQueue::default(),
            window: SendWindow::new(0),
            place: Place::Nowhere,
            wants_room: false,
            progress: Instant::EPOCH,
        }
    }

    /// Makes a free slot a stream that is open in both directions.
    pub(super) fn start(
        &mut self,
        id: u32,
        receiving: Receiving,
        sending: Sending,
        credit: Credit,
        window: u32,
    ) {
        self.id = id;
        self.held = true;
        self.open = true;
        self.receiving = receiving;
        self.sending = sending;
        self.credit = credit;
        self.window = SendWindow::new(window);
    }

    /// Empties the slot for its next stream, and keeps a little memory. The places in lists stay: whoever comes upon
    /// them looks again.
    pub(super) fn recycle(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.id = 0;
        self.held = false;
        self.open = false;
        self.receiving = Receiving::Ended;
        self.sending = Sending::Gone;
        self.end = None;
        self.head_request = false;
        self.notices = 0;
        self.has_head = false;
        self.has_trailers = false;
        self.expected = None;
        self.wants_room = false;
        self.clear_body();
        self.clear_output();
        let outgoing =
            self.outgoing.as_ref().map_or(0, |out| out.head.capacity_bytes() + out.trailers.capacity_bytes());
        let heads = self.head.capacity_bytes() + self.trailers.capacity_bytes() + self.answer.capacity();
        if heads + outgoing > KEEP {
            self.clear_heads();
        }
    }

    /// A part of the encoded answer.
    #[inline]
    pub(super) fn answered(&mut self, what: What) -> &mut [u8] {
        let middle = self.answer_head as usize;
        let (head, trailers) = self.answer.split_at_mut_checked(middle).unwrap_or_default();
        if what == What::Head { head } else { trailers }
    }

    /// Where a part of the answer is encoded to.
    #[inline]
    pub(super) fn answer(&mut self) -> &mut Vec<u8> {
        self.answer.extend_from_slice(&[0; HEADER_LEN]);
        &mut self.answer
    }

    /// What is encoded later.
    pub(super) fn outgoing(&mut self) -> &mut Outgoing {
        self.outgoing.get_or_insert_default()
    }

    #[cold]
    fn clear_heads(&mut self) {
        self.head = Head::default();
        self.trailers = Fields::new();
        self.answer = Vec::new();
        self.outgoing = None;
    }

    pub(super) fn clear_body(&mut self) {
        if self.body.capacity() > KEEP {
            self.body = BytesMut::new();
        } else {
            self.body.clear();
        }
    }

    /// Forgets what was to be sent.
    #[inline(always)]
    pub(super) fn clear_output(&mut self) {
        self.head_pending = false;
        if std::mem::take(&mut self.has_interim) {
            self.outgoing().interim = Vec::new();
        }
        self.answer.clear();
        self.answer_head = 0;
        self.whole = 0;
        self.queue.clear();
    }

    /// Gives memory back.
    pub(super) fn shrink(&mut self) {
        if !self.held && !self.open {
            self.clear_heads();
            self.body = BytesMut::new();
            self.queue = SendQueue::default();
        }
    }

    /// Whether there is something to send now.
    #[inline]
    pub(super) fn ready(&self, connection_open: bool) -> Ready {
        if self.sending.is_over() {
            return Ready::No;
        }
        if self.head_pending || self.has_interim {
            return Ready::Yes;
        }
        if self.sending == Sending::Head {
            return Ready::No;
        }
        if self.queue.is_empty() {
            return if self.sending.is_ending() { Ready::Yes } else { Ready::No };
        }
        match (self.window.available() > 0, connection_open) {
            (false, _) => Ready::No,
            (true, true) => Ready::Yes,
            (true, false) => Ready::Starved,
        }
    }
}
