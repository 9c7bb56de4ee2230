//! The wire form of a message, field by field (protobuf.dev "Encoding"): borrowed, and as often as it stands there.

use std::borrow::Cow;

use prost::encoding::{WireType, decode_varint};

use super::Fault;

/// A value as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Value<'w> {
    Varint(u64),
    SixtyFour(u64),
    ThirtyTwo(u32),
    /// What has a length, or stands in a group.
    Bytes(&'w [u8]),
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'w> {
    pub(super) number: u32,
    /// Its place among all fields of the message.
    pub(super) order: u32,
    pub(super) value: Value<'w>,
}

/// All fields of a message in the order of their numbers, and those of one number as they stand.
pub(super) struct Fields<'w>(Vec<Field<'w>>);

impl<'w> Fields<'w> {
    /// # Errors
    /// When the bytes are no message.
    pub(super) fn read(mut wire: &'w [u8]) -> Result<Self, Fault> {
        let mut fields = Vec::new();
        while !wire.is_empty() {
            let (number, wire_type) = key(&mut wire)?;
            let value = value(number, wire_type, &mut wire)?;
            fields.push(Field { number, order: fields.len() as u32, value });
        }
        if !fields.is_sorted_by_key(|field| field.number) {
            fields.sort_by_key(|field| field.number);
        }
        Ok(Self(fields))
    }

    /// The fields of each number.
    pub(super) fn by_number(&self) -> impl Iterator<Item = &[Field<'w>]> {
        self.0.chunk_by(|one, other| one.number == other.number)
    }

    /// The fields of this number.
    pub(super) fn of(&self, number: u32) -> &[Field<'w>] {
        let start = self.0.partition_point(|field| field.number < number);
        let rest = self.0.get(start..).unwrap_or_default();
        let count = rest.partition_point(|field| field.number == number);
        rest.get(..count).unwrap_or_default()
    }

    /// The last value of this number, which is the one that counts.
    pub(super) fn last(&self, number: u32) -> Option<Value<'w>> {
        self.of(number).last().map(|field| field.value)
    }

    /// The last value of this number, if it is there: a text.
    pub(super) fn text(&self, number: u32) -> Result<&'w str, Fault> {
        self.last(number).map_or(Ok(""), text)
    }
}

/// Messages that stand there several times are merged: their bytes behind each other are.
pub(super) fn merged<'w>(fields: &[Field<'w>]) -> Result<Cow<'w, [u8]>, Fault> {
    match fields {
        [one] => bytes(one.value).map(Cow::Borrowed),
        all => {
            let mut merged = Vec::new();
            for field in all {
                merged.extend_from_slice(bytes(field.value)?);
            }
            Ok(Cow::Owned(merged))
        }
    }
}

pub(super) fn bytes(value: Value<'_>) -> Result<&[u8], Fault> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(broken()),
    }
}

pub(super) fn text(value: Value<'_>) -> Result<&str, Fault> {
    core::str::from_utf8(bytes(value)?).map_err(|_| Fault::new("a string is no UTF-8"))
}

pub(super) fn varint(value: Value<'_>) -> Result<u64, Fault> {
    match value {
        Value::Varint(value) => Ok(value),
        _ => Err(broken()),
    }
}

/// The next value of a list that is packed.
pub(super) fn packed<'w>(wire_type: WireType, wire: &mut &'w [u8]) -> Result<Option<Value<'w>>, Fault> {
    if wire.is_empty() { Ok(None) } else { value(0, wire_type, wire).map(Some) }
}

pub(super) fn broken() -> Fault {
    Fault::new("the bytes are no message of this type")
}

fn key(wire: &mut &[u8]) -> Result<(u32, WireType), Fault> {
    prost::encoding::decode_key(wire).map_err(|_| broken())
}

fn value<'w>(number: u32, wire_type: WireType, wire: &mut &'w [u8]) -> Result<Value<'w>, Fault> {
    Ok(match wire_type {
        WireType::Varint => Value::Varint(decode_varint(wire).map_err(|_| broken())?),
        WireType::SixtyFourBit => {
            let (front, back) = wire.split_first_chunk().ok_or_else(broken)?;
            *wire = back;
            Value::SixtyFour(u64::from_le_bytes(*front))
        }
        WireType::ThirtyTwoBit => {
            let (front, back) = wire.split_first_chunk().ok_or_else(broken)?;
            *wire = back;
            Value::ThirtyTwo(u32::from_le_bytes(*front))
        }
        WireType::LengthDelimited => {
            let length = decode_varint(wire).ok().and_then(|length| usize::try_from(length).ok());
            let (front, back) = length.and_then(|length| wire.split_at_checked(length)).ok_or_else(broken)?;
            *wire = back;
            Value::Bytes(front)
        }
        WireType::StartGroup => Value::Bytes(group(number, wire)?),
        WireType::EndGroup => return Err(broken()),
    })
}

/// What stands in a group, whose start has been read; groups within it are found without recursion.
fn group<'w>(number: u32, wire: &mut &'w [u8]) -> Result<&'w [u8], Fault> {
    let start = *wire;
    let mut open = vec![number];
    while let Some(innermost) = open.last() {
        let before = wire.len();
        match key(wire)? {
            (number, WireType::EndGroup) if number == *innermost => {
                open.pop();
                if open.is_empty() {
                    return start.get(..start.len() - before).ok_or_else(broken);
                }
            }
            (number, WireType::StartGroup) => open.push(number),
            (number, wire_type) => _ = value(number, wire_type, wire)?,
        }
    }
    Err(broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_number_and_the_last_one_counts() {
        let fields =
            Fields::read(b"\x12\x01a\x08\x05\x12\x01b\x1b\x08\x01\x23\x24\x1c\x29\x01\0\0\0\0\0\0\0")
                .unwrap();
        let numbers: Vec<_> = fields.by_number().map(|all| (all[0].number, all.len())).collect();
        assert_eq!(numbers, [(1, 1), (2, 2), (3, 1), (5, 1)]);
        assert_eq!(fields.text(2).unwrap(), "b");
        assert_eq!(&*merged(fields.of(2)).unwrap(), b"ab");
        assert_eq!(fields.last(3), Some(Value::Bytes(b"\x08\x01\x23\x24")));
        assert_eq!((fields.last(5), fields.last(4)), (Some(Value::SixtyFour(1)), None));
        assert_eq!(fields.of(1)[0].order, 1);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let deep = [0x0b; 100_000];
        for wire in [
            &b"\x08"[..],
            b"\x08\xff",
            b"\x0a\x02a",
            b"\x09\0",
            b"\x0d\0",
            b"\x0c",
            b"\x0b",
            b"\x0b\x14",
            b"\0\0",
            &deep,
        ] {
            assert!(Fields::read(wire).is_err(), "{wire:x?}");
        }
    }
}
