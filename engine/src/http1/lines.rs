//! Lines of a head: where they end, and that they end as they must.

use super::refused::{Refused, refused};

/// The search for the empty line that ends a head or a trailer section. It never looks at a byte twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Scan {
    searched: usize,
    line: usize,
}

impl Scan {
    /// The length of the section with its empty line, once it is there. Each outcome is fixed by the first byte that
    /// allows it, so that it does not matter in which pieces the bytes came.
    pub(super) fn find_end(&mut self, input: &[u8], max: usize) -> Result<Option<usize>, Refused> {
        while let Some(step) = find_byte(input.get(self.searched..).unwrap_or_default(), b'\n') {
            let lf = self.searched + step;
            if lf >= max {
                return Err(self.too_long());
            }
            if lf <= self.line || input[lf - 1] != b'\r' {
                return Err(refused(400, "a line of a head ends without CR"));
            }
            if lf - 1 == self.line {
                return Ok(Some(lf + 1));
            }
            if self.line > 0 && matches!(input[self.line], b' ' | b'\t') {
                return Err(refused(400, "a line of a head begins with white space"));
            }
            self.line = lf + 1;
            self.searched = lf + 1;
        }
        if input.len() > max {
            return Err(self.too_long());
        }
        self.searched = input.len();
        Ok(None)
    }

    fn too_long(self) -> Refused {
        if self.line == 0 {
            refused(414, "the first line is too long")
        } else {
            refused(431, "the header fields are too large")
        }
    }
}

/// CR and LF only in pairs, and no folding (RFC 9112 §2.2, §5.2). The bytes are counted in runs, without a branch for
/// each of them.
pub(super) fn check_lines(bytes: &[u8]) -> Result<(), Refused> {
    const RUN: usize = 128;
    let count =
        |bytes: &[u8], wanted: u8| bytes.iter().fold(0_u8, |sum, &byte| sum + u8::from(byte == wanted));
    let (mut single, mut pairs, mut folds) = (0, 0, false);
    let behind = bytes.get(1..).unwrap_or_default();
    for run in bytes.chunks(RUN) {
        single += usize::from(count(run, b'\r')) + usize::from(count(run, b'\n'));
    }
    for (run, behind) in bytes.chunks(RUN).zip(behind.chunks(RUN)) {
        let mut both = 0_u8;
        for (&byte, &next) in run.iter().zip(behind) {
            both += u8::from((byte == b'\r') & (next == b'\n'));
            folds |= (byte == b'\n') & ((next == b' ') | (next == b'\t'));
        }
        pairs += usize::from(both);
    }
    if single != 2 * pairs {
        return Err(refused(400, "CR or LF alone"));
    }
    if folds {
        return Err(refused(400, "a line of a head begins with white space"));
    }
    Ok(())
}

/// The place of the first `wanted`. Eight bytes are looked at together.
pub(super) fn find_byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let pattern = u64::from(wanted) * ONES;
    let mut at = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        let other = u64::from_le_bytes(eight) ^ pattern;
        // The lowest byte that is zero sets the lowest of these bits (a borrow can only set higher ones).
        let found = other.wrapping_sub(ONES) & !other & (ONES << 7);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    words.remainder().iter().position(|&byte| byte == wanted).map(|step| at + step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for length in 0..40 {
            assert_eq!(find_byte(&vec![0x80; length], b'\n'), None);
            for place in 0..length {
                for around in [0, b'\n' - 1, b'\n' + 1, b'\n' | 0x80, 0xff] {
                    let mut bytes = vec![around; length];
                    bytes[place] = b'\n';
                    bytes[length - 1] = b'\n';
                    assert_eq!(find_byte(&bytes, b'\n'), Some(place));
                }
            }
        }
    }

    // RFC 9112 §2.2, §5.2: whatever the place in a run.
    #[test]
    fn line_ends_are_judged_wherever_they_stand() {
        for before in (0..10).chain(120..136).chain(250..260) {
            let judge = |end: &[u8]| check_lines(&[&vec![b'a'; before][..], end].concat()).is_ok();
            for good in [&b""[..], b"\r\n", b"\r\nb\r\n\r\n", b"b \tc\r\n"] {
                assert!(judge(good), "{before} {good:?}");
            }
            for bad in [&b"\n"[..], b"\r", b"\rb\n", b"\n\r", b"\r\r\n", b"\r\n\n", b"\r\n b", b"\r\n\tb"] {
                assert!(!judge(bad), "{before} {bad:?}");
            }
        }
    }
}
