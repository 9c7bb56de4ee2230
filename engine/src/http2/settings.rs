//! SETTINGS (RFC 9113 §6.5): what each side tells the other.

use crate::credit::MAX_WINDOW;
use crate::http2::Fault;
use crate::http2::frame::MAX_FRAME;
use crate::{Http2Code, Limits};

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// The window of a stream and of the connection before anything else is told (RFC 9113 §6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;
/// The HPACK table before anything else is told (RFC 9113 §6.5.2).
pub(super) const DEFAULT_TABLE: usize = 4096;

/// Which side of a connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The side that connected and opens streams.
    Client,
    /// The side that accepted and answers.
    Server,
}

/// What the peer has told by SETTINGS; before that, the defaults of RFC 9113 §6.5.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PeerSettings {
    /// The HPACK table that its decoder keeps, in bytes. Default 4,096.
    pub header_table_size: u32,
    /// How many streams we may have open at once. Default: no limit.
    pub max_concurrent_streams: Option<u32>,
    /// The send window of a new stream, in bytes. Default 65,535.
    pub initial_window_size: u32,
    /// The largest frame payload that it accepts, in bytes. Default 16,384.
    pub max_frame_size: u32,
    /// The largest list of fields that it is willing to accept, in bytes: advice, not a rule. Default: no limit.
    pub max_header_list_size: Option<u32>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            header_table_size: DEFAULT_TABLE as u32,
            max_concurrent_streams: None,
            initial_window_size: DEFAULT_WINDOW,
            max_frame_size: MAX_FRAME as u32,
            max_header_list_size: None,
        }
    }
}

/// What one entry changed, beyond the value itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Nothing,
    Table(u32),
    Concurrency,
    /// By how much all send windows of streams change.
    Window(i64),
}

impl PeerSettings {
    /// Checks one entry, sent by a peer whose counterpart is `role`, and takes it over.
    pub(super) fn apply(&mut self, role: Role, id: u16, value: u32) -> Result<Change, Fault> {
        let fault = |code, reason| Err(Fault { code, reason });
        match id {
            HEADER_TABLE_SIZE => {
                self.header_table_size = value;
                return Ok(Change::Table(value));
            }
            // A server never sends 1 (RFC 9113 §6.5.2).
            ENABLE_PUSH if value > 1 || (value == 1 && role == Role::Client) => {
                return fault(Http2Code::PROTOCOL_ERROR, "ENABLE_PUSH out of range");
            }
            MAX_CONCURRENT_STREAMS => {
                self.max_concurrent_streams = Some(value);
                return Ok(Change::Concurrency);
            }
            INITIAL_WINDOW_SIZE => {
                if i64::from(value) > MAX_WINDOW {
                    return fault(Http2Code::FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE out of range");
                }
                let delta = i64::from(value) - i64::from(self.initial_window_size);
                self.initial_window_size = value;
                return Ok(Change::Window(delta));
            }
            MAX_FRAME_SIZE => {
                if !(MAX_FRAME as u32..1 << 24).contains(&value) {
                    return fault(Http2Code::PROTOCOL_ERROR, "MAX_FRAME_SIZE out of range");
                }
                self.max_frame_size = value;
            }
            MAX_HEADER_LIST_SIZE => self.max_header_list_size = Some(value),
            // Unknown settings are ignored (RFC 9113 §6.5.2).
            _ => {}
        }
        Ok(Change::Nothing)
    }
}

/// The entries of a SETTINGS payload, in order.
pub(super) fn entries(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> + '_ {
    payload.chunks_exact(6).filter_map(|entry| {
        let (id, value) = entry.split_first_chunk::<2>()?;
        Some((u16::from_be_bytes(*id), u32::from_be_bytes(value.try_into().ok()?)))
    })
}

/// The payload of our own SETTINGS.
pub(super) fn ours(role: Role, limits: &Limits) -> Vec<u8> {
    let mut payload = Vec::with_capacity(24);
    let mut entry = |id: u16, value: u32| {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    };
    if limits.hpack_table != DEFAULT_TABLE {
        entry(HEADER_TABLE_SIZE, limits.hpack_table as u32);
    }
    match role {
        Role::Client => entry(ENABLE_PUSH, 0),
        Role::Server => entry(MAX_CONCURRENT_STREAMS, limits.streams),
    }
    if limits.window != DEFAULT_WINDOW {
        entry(INITIAL_WINDOW_SIZE, limits.window);
    }
    entry(MAX_HEADER_LIST_SIZE, limits.header_list as u32);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(role: Role, id: u16, value: u32) -> Option<Http2Code> {
        PeerSettings::default().apply(role, id, value).err().map(|fault| fault.code)
    }

    #[test]
    fn values_out_of_range_are_errors() {
        // RFC 9113 §6.5.2
        assert_eq!(code(Role::Server, ENABLE_PUSH, 2), Some(Http2Code::PROTOCOL_ERROR));
        assert_eq!(code(Role::Server, ENABLE_PUSH, 1), None);
        assert_eq!(code(Role::Client, ENABLE_PUSH, 1), Some(Http2Code::PROTOCOL_ERROR));
        assert_eq!(code(Role::Client, ENABLE_PUSH, 0), None);
        assert_eq!(code(Role::Client, INITIAL_WINDOW_SIZE, 1 << 31), Some(Http2Code::FLOW_CONTROL_ERROR));
        assert_eq!(code(Role::Client, INITIAL_WINDOW_SIZE, (1 << 31) - 1), None);
        for bad in [0, 16_383, 1 << 24, u32::MAX] {
            assert_eq!(code(Role::Client, MAX_FRAME_SIZE, bad), Some(Http2Code::PROTOCOL_ERROR));
        }
        assert_eq!(code(Role::Client, MAX_FRAME_SIZE, (1 << 24) - 1), None);
        assert_eq!(code(Role::Client, 0x1234, u32::MAX), None);
    }

    #[test]
    fn ours_are_what_the_limits_say() {
        let payload = ours(Role::Server, &Limits::default());
        let entries: Vec<_> = entries(&payload).collect();
        assert_eq!(entries, [(3, 100), (4, 65_536), (6, 16_384)]);
        let payload = ours(Role::Client, &Limits::default());
        assert!(self::entries(&payload).any(|entry| entry == (2, 0)), "push is off");
    }
}
