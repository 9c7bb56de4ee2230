//! Why a message is refused.

/// Why a message was refused: the status that says so and the rule that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) reason: &'static str,
}

pub(super) const fn refused(status: u16, reason: &'static str) -> Refused {
    Refused { status, reason }
}
