//! Deadlines as they travel: `grpc-timeout` and `connect-timeout-ms`.

use core::time::Duration;

/// The largest number in `grpc-timeout`: eight digits.
const GRPC_MAX: u64 = 99_999_999;

/// The largest number in `connect-timeout-ms`: ten digits.
const CONNECT_MAX: u64 = 9_999_999_999;

const HOUR: u64 = 3_600_000_000_000;

/// Units of `grpc-timeout` with their length in nanoseconds, the finest first.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', HOUR),
];

/// A timeout that does not follow the grammar. It is refused and never ignored: a call without the deadline that its
/// caller believes in is worse than no call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the timeout is malformed")]
pub struct BadTimeout;

/// Reads `grpc-timeout`: one to eight digits and a unit out of `H M S m u n` (gRPC PROTOCOL-HTTP2 "Timeout").
/// Zero is legal and has already expired.
///
/// # Errors
/// Whenever the value does not follow the grammar.
pub fn parse_grpc(value: &[u8]) -> Result<Duration, BadTimeout> {
    let (&unit, digits) = value.split_last().ok_or(BadTimeout)?;
    let number = parse_digits(digits, 8)?;
    match unit {
        b'H' => Ok(Duration::from_secs(number.saturating_mul(3600))),
        b'M' => Ok(Duration::from_secs(number.saturating_mul(60))),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(BadTimeout),
    }
}

/// Writes `grpc-timeout` in the finest unit that eight digits can hold, rounded up: the peer never gives up before we
/// do. More than 99,999,999 hours become as many.
pub fn encode_grpc(timeout: Duration) -> Encoded {
    if let Ok(nanos) = u64::try_from(timeout.as_nanos()) {
        for (unit, length) in UNITS {
            let number = nanos.div_ceil(length);
            if number <= GRPC_MAX {
                return Encoded::new(number, Some(unit));
            }
        }
    }
    let seconds = timeout.as_secs().saturating_add(u64::from(timeout.subsec_nanos() > 0));
    Encoded::new(seconds.div_ceil(3600).min(GRPC_MAX), Some(b'H'))
}

/// Reads `connect-timeout-ms`: one to ten digits of milliseconds (Connect "Timeout-Milliseconds"). Zero is taken and
/// has already expired.
///
/// # Errors
/// Whenever the value does not follow the grammar.
pub fn parse_connect(value: &[u8]) -> Result<Duration, BadTimeout> {
    parse_digits(value, 10).map(Duration::from_millis)
}

/// Writes `connect-timeout-ms`, rounded up to a millisecond. More than ten digits become 9,999,999,999 (115 days).
pub fn encode_connect(timeout: Duration) -> Encoded {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    Encoded::new(u64::try_from(millis).map_or(CONNECT_MAX, |millis| millis.min(CONNECT_MAX)), None)
}

fn parse_digits(digits: &[u8], most: usize) -> Result<u64, BadTimeout> {
    if digits.is_empty() || digits.len() > most {
        return Err(BadTimeout);
    }
    digits.iter().try_fold(0, |number: u64, digit| match digit {
        b'0'..=b'9' => Ok(number * 10 + u64::from(digit - b'0')),
        _ => Err(BadTimeout),
    })
}

/// An encoded timeout: a short text without an allocation.
#[derive(Clone, Copy)]
pub struct Encoded {
    bytes: [u8; 12],
    start: u8,
}

impl Encoded {
    /// `number` has at most ten digits.
    fn new(mut number: u64, unit: Option<u8>) -> Self {
        let (mut bytes, mut start) = ([0; 12], 12_u8);
        let mut put = |byte| {
            start = start.saturating_sub(1);
            bytes[usize::from(start)] = byte;
        };
        if let Some(unit) = unit {
            put(unit);
        }
        loop {
            put(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        Self { bytes, start }
    }

    /// The text, which is ASCII.
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(usize::from(self.start)..)
            .and_then(|text| core::str::from_utf8(text).ok())
            .unwrap_or("0")
    }

    /// The text as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl core::ops::Deref for Encoded {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl core::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl core::fmt::Display for Encoded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // gRPC PROTOCOL-HTTP2 "Timeout": TimeoutValue is at most 8 digits, TimeoutUnit one of H M S m u n.
    #[test]
    fn every_grpc_unit() {
        let cases = [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0n", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ];
        for (text, duration) in cases {
            assert_eq!(parse_grpc(text.as_bytes()), Ok(duration), "{text}");
        }
    }

    #[test]
    fn malformed_grpc_timeouts_are_refused() {
        for text in [
            "",
            "1",
            "S",
            "1s",
            "100000000n",
            "-1S",
            "+1S",
            " 1S",
            "1S ",
            "1 S",
            "1.5S",
            "1SS",
            "0x1S",
            "\u{661}S",
        ] {
            assert_eq!(parse_grpc(text.as_bytes()), Err(BadTimeout), "{text:?}");
        }
        assert_eq!(parse_grpc(b"\xff1S"), Err(BadTimeout));
    }

    #[test]
    fn grpc_timeouts_are_written_as_fine_as_eight_digits_allow_and_rounded_up() {
        let cases = [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_secs(30), "30000000u"),
            (Duration::from_secs(99_999), "99999000m"),
            (Duration::new(99_999, 999_999_999), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::from_secs(u64::MAX / 1_000_000_000), "5124096H"),
            (Duration::from_secs(5_124_096 * 3600), "5124096H"),
            (Duration::new(5_124_096 * 3600, 1), "5124097H"),
            (Duration::MAX, "99999999H"),
        ];
        for (duration, text) in cases {
            assert_eq!(&*encode_grpc(duration), text, "{duration:?}");
        }
    }

    #[test]
    fn a_timeout_read_back_is_never_shorter_and_hardly_longer() {
        let mut nanos: u64 = 1;
        while nanos < u64::MAX / 3 {
            for duration in [Duration::from_nanos(nanos), Duration::from_nanos(nanos - 1)] {
                let back = parse_grpc(encode_grpc(duration).as_bytes()).unwrap();
                assert!(back >= duration, "{duration:?} {back:?}");
                assert!(
                    // Units are at most 1,000 apart: what does not fit eight digits is at least 100,000 of the next.
                    back - duration <= duration / 90_000,
                    "{duration:?} {back:?}"
                );
                let back = parse_connect(encode_connect(duration).as_bytes()).unwrap();
                let clamped = duration.min(Duration::from_millis(CONNECT_MAX));
                assert!(back >= clamped && back - clamped < Duration::from_millis(1));
            }
            nanos = nanos * 3 + 1;
        }
    }

    // Connect "Timeout-Milliseconds": a positive integer of at most ten digits.
    #[test]
    fn connect_timeouts() {
        assert_eq!(parse_connect(b"0"), Ok(Duration::ZERO));
        assert_eq!(parse_connect(b"1500"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_connect(b"9999999999"), Ok(Duration::from_millis(CONNECT_MAX)));
        for text in ["", "99999999999", "00000000001", "+1", "-1", " 1", "1 ", "1.0", "1e3", "abc"] {
            assert_eq!(parse_connect(text.as_bytes()), Err(BadTimeout), "{text:?}");
        }
        assert_eq!(&*encode_connect(Duration::from_micros(1)), "1");
        assert_eq!(&*encode_connect(Duration::MAX), "9999999999");
        assert_eq!(&*encode_connect(Duration::ZERO), "0");
    }
}
