//! The static table (RFC 7541 Appendix A).

use super::validate::{Fault, Kind, NameKind};

/// One field of the static table, and what validation says of it.
pub(super) struct StaticEntry {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    /// Both side by side.
    pub(super) pair: &'static str,
    pub(super) name_kind: NameKind,
    pub(super) kind: Kind,
}

/// The number of fields in the static table. The dynamic table's indices begin behind.
pub(super) const STATIC_LEN: usize = 61;

macro_rules! entry {
    ($name:literal, $value:literal, $name_kind:expr, $kind:expr) => {
        StaticEntry {
            name: $name,
            value: $value,
            pair: concat!($name, $value),
            name_kind: $name_kind,
            kind: $kind,
        }
    };
}

/// The field with index 1 stands first.
#[rustfmt::skip]
pub(super) static STATIC_TABLE: [StaticEntry; STATIC_LEN] = [
    entry!(":authority", "", NameKind::Authority, Kind::Authority),
    entry!(":method", "GET", NameKind::Method, Kind::Method),
    entry!(":method", "POST", NameKind::Method, Kind::Method),
    entry!(":path", "/", NameKind::Path, Kind::Path),
    entry!(":path", "/index.html", NameKind::Path, Kind::Path),
    entry!(":scheme", "http", NameKind::Scheme, Kind::Scheme),
    entry!(":scheme", "https", NameKind::Scheme, Kind::Scheme),
    entry!(":status", "200", NameKind::Status, Kind::Status),
    entry!(":status", "204", NameKind::Status, Kind::Status),
    entry!(":status", "206", NameKind::Status, Kind::Status),
    entry!(":status", "304", NameKind::Status, Kind::Status),
    entry!(":status", "400", NameKind::Status, Kind::Status),
    entry!(":status", "404", NameKind::Status, Kind::Status),
    entry!(":status", "500", NameKind::Status, Kind::Status),
    entry!("accept-charset", "", NameKind::Regular, Kind::Regular),
    entry!("accept-encoding", "gzip, deflate", NameKind::Regular, Kind::Regular),
    entry!("accept-language", "", NameKind::Regular, Kind::Regular),
    entry!("accept-ranges", "", NameKind::Regular, Kind::Regular),
    entry!("accept", "", NameKind::Regular, Kind::Regular),
    entry!("access-control-allow-origin", "", NameKind::Regular, Kind::Regular),
    entry!("age", "", NameKind::Regular, Kind::Regular),
    entry!("allow", "", NameKind::Regular, Kind::Regular),
    entry!("authorization", "", NameKind::Secret, Kind::Secret),
    entry!("cache-control", "", NameKind::Regular, Kind::Regular),
    entry!("content-disposition", "", NameKind::Regular, Kind::Regular),
    entry!("content-encoding", "", NameKind::Regular, Kind::Regular),
    entry!("content-language", "", NameKind::Regular, Kind::Regular),
    entry!("content-length", "", NameKind::Length, Kind::Length),
    entry!("content-location", "", NameKind::Regular, Kind::Regular),
    entry!("content-range", "", NameKind::Regular, Kind::Regular),
    entry!("content-type", "", NameKind::Regular, Kind::Regular),
    entry!("cookie", "", NameKind::Cookie, Kind::Cookie),
    entry!("date", "", NameKind::Regular, Kind::Regular),
    entry!("etag", "", NameKind::Regular, Kind::Regular),
    entry!("expect", "", NameKind::Regular, Kind::Regular),
    entry!("expires", "", NameKind::Regular, Kind::Regular),
    entry!("from", "", NameKind::Regular, Kind::Regular),
    entry!("host", "", NameKind::Host, Kind::Host),
    entry!("if-match", "", NameKind::Regular, Kind::Regular),
    entry!("if-modified-since", "", NameKind::Regular, Kind::Regular),
    entry!("if-none-match", "", NameKind::Regular, Kind::Regular),
    entry!("if-range", "", NameKind::Regular, Kind::Regular),
    entry!("if-unmodified-since", "", NameKind::Regular, Kind::Regular),
    entry!("last-modified", "", NameKind::Regular, Kind::Regular),
    entry!("link", "", NameKind::Regular, Kind::Regular),
    entry!("location", "", NameKind::Regular, Kind::Regular),
    entry!("max-forwards", "", NameKind::Regular, Kind::Regular),
    entry!("proxy-authenticate", "", NameKind::Regular, Kind::Regular),
    entry!("proxy-authorization", "", NameKind::Secret, Kind::Secret),
    entry!("range", "", NameKind::Regular, Kind::Regular),
    entry!("referer", "", NameKind::Regular, Kind::Regular),
    entry!("refresh", "", NameKind::Regular, Kind::Regular),
    entry!("retry-after", "", NameKind::Regular, Kind::Regular),
    entry!("server", "", NameKind::Regular, Kind::Regular),
    entry!("set-cookie", "", NameKind::Secret, Kind::Secret),
    entry!("strict-transport-security", "", NameKind::Regular, Kind::Regular),
    entry!("transfer-encoding", "", NameKind::Bad(Fault::Connection), Kind::Bad(Fault::Connection)),
    entry!("user-agent", "", NameKind::Regular, Kind::Regular),
    entry!("vary", "", NameKind::Regular, Kind::Regular),
    entry!("via", "", NameKind::Regular, Kind::Regular),
    entry!("www-authenticate", "", NameKind::Regular, Kind::Regular),
];

/// The longest name, and one more.
const LENGTHS: usize = 28;

/// The places of the table in the order of the lengths of their names, and for each length where its places begin: a
/// look-up compares a handful of names of the right length.
static BY_LENGTH: ([u8; STATIC_LEN], [u8; LENGTHS + 1]) = by_length();

const fn by_length() -> ([u8; STATIC_LEN], [u8; LENGTHS + 1]) {
    let mut order = [0; STATIC_LEN];
    let mut starts = [0; LENGTHS + 1];
    let mut placed = 0;
    let mut length = 0;
    while length < LENGTHS {
        starts[length] = placed as u8;
        let mut place = 0;
        while place < STATIC_LEN {
            if STATIC_TABLE[place].name.len() == length {
                order[placed] = place as u8;
                placed += 1;
            }
            place += 1;
        }
        length += 1;
    }
    starts[LENGTHS] = placed as u8;
    assert!(placed == STATIC_LEN, "every name is shorter than the bound");
    (order, starts)
}

/// The field with this index, counted from 1.
#[inline]
pub(super) fn get(index: usize) -> Option<&'static StaticEntry> {
    STATIC_TABLE.get(index.wrapping_sub(1))
}

/// The first index with this name, and the index with this value too.
pub(super) fn find(name: &[u8], value: &[u8]) -> (Option<usize>, Option<usize>) {
    let mut first = None;
    if name.len() >= LENGTHS {
        return (None, None);
    }
    let (start, end) = (BY_LENGTH.1[name.len()], BY_LENGTH.1[name.len() + 1]);
    for &place in &BY_LENGTH.0[usize::from(start)..usize::from(end)] {
        let entry = &STATIC_TABLE[usize::from(place)];
        if entry.name.as_bytes() == name {
            let index = usize::from(place) + 1;
            first = first.or(Some(index));
            if entry.value.as_bytes() == value {
                return (first, Some(index));
            }
        }
    }
    (first, None)
}

#[cfg(test)]
mod tests {
    use super::super::validate;
    use super::*;

    #[test]
    fn every_entry_is_found() {
        for (place, entry) in STATIC_TABLE.iter().enumerate() {
            let (first, exact) = find(entry.name.as_bytes(), entry.value.as_bytes());
            assert_eq!(exact, Some(place + 1));
            assert!(
                first.is_some_and(|first| STATIC_TABLE[first - 1].name == entry.name && first <= place + 1)
            );
        }
        assert_eq!(find(b":status", b"418"), (Some(8), None));
        assert_eq!(find(b"x-tag", b""), (None, None));
        assert_eq!(find(b"", b""), (None, None));
        assert_eq!(find(&[b'x'; 100], b""), (None, None));
        assert!(get(0).is_none() && get(62).is_none() && get(61).is_some());
    }

    #[test]
    fn the_verdicts_are_those_of_validation() {
        for entry in &STATIC_TABLE {
            let name_kind = validate::name(entry.name.as_bytes());
            assert_eq!(name_kind, entry.name_kind, "{}", entry.name);
            assert_eq!(validate::value(name_kind, entry.value.as_bytes()), entry.kind, "{}", entry.name);
        }
    }
}
