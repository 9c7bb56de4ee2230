//! From the wire form of a message to JSON. No message stands in between, as with reading.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::wire::{Field, Fields, Value, broken, bytes, merged, packed, text, varint};
use super::{Fault, JsonOptions, MAX_DEPTH, any_type, has_own_form, wkt};

/// Appends a message of this type, given in its wire form.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    wire: &[u8],
    options: JsonOptions,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    Writer { options, depth: 0, out }.message(descriptor, wire)
}

struct Writer<'a> {
    options: JsonOptions,
    depth: u32,
    out: &'a mut Vec<u8>,
}

/// A key of a map, in the order that they are written in.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'w> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(&'w str),
}

impl core::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Bool(key) => key.fmt(f),
            Self::Signed(key) => key.fmt(f),
            Self::Unsigned(key) => key.fmt(f),
            Self::Text(key) => f.write_str(key),
        }
    }
}

impl Writer<'_> {
    fn message(&mut self, descriptor: &MessageDescriptor, wire: &[u8]) -> Result<(), Fault> {
        self.deeper(|writer| {
            let name = descriptor.full_name();
            match name.strip_prefix("google.protobuf.").filter(|_| has_own_form(name)) {
                Some(own) => writer.own_form(own, descriptor, &Fields::read(wire)?),
                None => {
                    writer.out.push(b'{');
                    writer.fields(descriptor, &Fields::read(wire)?, false)?;
                    writer.out.push(b'}');
                    Ok(())
                }
            }
        })
    }

    /// A message that came in an Any was bounded by nobody.
    fn deeper(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::new("messages stand in each other too deep"));
        }
        self.depth += 1;
        write(self)?;
        self.depth -= 1;
        Ok(())
    }

    /// The fields in the order of their numbers, and extensions behind them; `comma`: something stands in front.
    fn fields(
        &mut self,
        descriptor: &MessageDescriptor,
        fields: &Fields<'_>,
        mut comma: bool,
    ) -> Result<(), Fault> {
        if self.options.write_defaults {
            for field in descriptor.fields() {
                self.field(&field, fields.of(field.number()), fields, &mut comma)?;
            }
        } else {
            for values in fields.by_number() {
                let number = values.first().map_or(0, |field| field.number);
                if let Some(field) = descriptor.get_field(number) {
                    self.field(&field, values, fields, &mut comma)?;
                }
            }
        }
        if descriptor.extensions().len() == 0 {
            return Ok(());
        }
        for values in fields.by_number() {
            let number = values.first().map_or(0, |field| field.number);
            if let Some(extension) = descriptor.get_extension(number) {
                self.extension(&extension, values, &mut comma)?;
            }
        }
        Ok(())
    }

    /// One field, unless it is not set, or has its default value.
    fn field(
        &mut self,
        field: &FieldDescriptor,
        mut values: &[Field<'_>],
        all: &Fields<'_>,
        comma: &mut bool,
    ) -> Result<(), Fault> {
        if let Some(oneof) = field.containing_oneof() {
            // Of several fields of a oneof the last one counts, and what stands behind all others.
            let others = oneof.fields().filter(|other| other.number() != field.number());
            let last =
                others.filter_map(|other| all.of(other.number()).last().map(|other| other.order)).max();
            let behind = values.partition_point(|value| last.is_some_and(|last| value.order < last));
            values = values.get(behind..).unwrap_or_default();
        }
        let (kind, presence) = (field.kind(), field.supports_presence());
        let start = (self.out.len(), *comma);
        self.name(field.json_name(), comma);
        let shown = match (field.is_map(), field.is_list()) {
            (true, _) => self.map(&kind, values),
            (_, true) => self.list(&kind, values),
            _ if values.is_empty() && presence => Ok(false),
            _ => self.singular(&kind, values, presence),
        };
        if !shown.map_err(|fault| fault.at(field.name()))? && (presence || !self.options.write_defaults) {
            self.out.truncate(start.0);
            *comma = start.1;
        }
        Ok(())
    }

    fn extension(
        &mut self,
        extension: &ExtensionDescriptor,
        values: &[Field<'_>],
        comma: &mut bool,
    ) -> Result<(), Fault> {
        self.name(extension.json_name(), comma);
        let written = match extension.is_list() {
            true => self.list(&extension.kind(), values),
            false => self.singular(&extension.kind(), values, true),
        };
        written.map(|_| ()).map_err(|fault| fault.at(extension.json_name()))
    }

    fn name(&mut self, name: &str, comma: &mut bool) {
        if core::mem::replace(comma, true) {
            self.out.push(b',');
        }
        self.string(name);
        self.out.push(b':');
    }

    /// Says whether there is anything to be shown: without `presence` that is no default value.
    fn singular(&mut self, kind: &Kind, values: &[Field<'_>], presence: bool) -> Result<bool, Fault> {
        if let Kind::Message(descriptor) = kind {
            return self.message(descriptor, &merged(values)?).map(|()| true);
        }
        let value = values.last().map_or_else(|| default_of(kind), |field| field.value);
        self.scalar(kind, value)?;
        let is_default = match value {
            Value::Varint(value) | Value::SixtyFour(value) => value == 0,
            Value::ThirtyTwo(value) => value == 0,
            Value::Bytes(value) => value.is_empty(),
        };
        Ok(presence || !is_default)
    }

    /// A list, packed or not. Says whether there is anything in it.
    fn list(&mut self, kind: &Kind, values: &[Field<'_>]) -> Result<bool, Fault> {
        self.out.push(b'[');
        let may_be_packed = !matches!(kind, Kind::Message(_) | Kind::String | Kind::Bytes);
        let mut count = 0;
        for field in values {
            match field.value {
                Value::Bytes(mut wire) if may_be_packed => {
                    while let Some(value) = packed(kind.wire_type(), &mut wire)? {
                        self.element(kind, value, &mut count)?;
                    }
                }
                value => self.element(kind, value, &mut count)?,
            }
        }
        self.out.push(b']');
        Ok(count > 0)
    }

    fn element(&mut self, kind: &Kind, value: Value<'_>, count: &mut usize) -> Result<(), Fault> {
        if *count > 0 {
            self.out.push(b',');
        }
        let written = match kind {
            Kind::Message(descriptor) => bytes(value).and_then(|wire| self.message(descriptor, wire)),
            kind => self.scalar(kind, value),
        };
        written.map_err(|fault| fault.at(format!("[{count}]")))?;
        *count += 1;
        Ok(())
    }

    /// A map in the order of its keys. Says whether there is anything in it.
    fn map(&mut self, kind: &Kind, values: &[Field<'_>]) -> Result<bool, Fault> {
        let Kind::Message(entry) = kind else { return Err(Fault::new("a map has no entries")) };
        let (key_kind, kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let mut entries = Vec::with_capacity(values.len());
        for field in values {
            let fields = Fields::read(bytes(field.value)?)?;
            let value = fields.last(1).unwrap_or_else(|| default_of(&key_kind));
            entries.push((key(&key_kind, value)?, field.order, fields));
        }
        self.out.push(b'{');
        let mut comma = false;
        last_of_each(&mut entries);
        for (key, _, fields) in &entries {
            match key {
                Key::Text(key) => self.name(key, &mut comma),
                key => self.name(&key.to_string(), &mut comma),
            }
            let written = self.singular(&kind, fields.of(2), true);
            written.map_err(|fault| fault.at(format!("[\"{key}\"]")))?;
        }
        self.out.push(b'}');
        Ok(!entries.is_empty())
    }

    fn scalar(&mut self, kind: &Kind, value: Value<'_>) -> Result<(), Fault> {
        match (kind, value) {
            (Kind::Bool, Value::Varint(value)) => self.text(value != 0),
            (Kind::Int32, Value::Varint(value)) => self.text(value as i32),
            (Kind::Sint32, Value::Varint(value)) => self.text(unzigzag(value & u64::from(u32::MAX))),
            (Kind::Uint32, Value::Varint(value)) => self.text(value as u32),
            (Kind::Sfixed32, Value::ThirtyTwo(value)) => self.text(value as i32),
            (Kind::Fixed32, Value::ThirtyTwo(value)) => self.text(value),
            (Kind::Int64, Value::Varint(value)) => self.quoted(value as i64),
            (Kind::Sint64, Value::Varint(value)) => self.quoted(unzigzag(value)),
            (Kind::Uint64, Value::Varint(value)) => self.quoted(value),
            (Kind::Sfixed64, Value::SixtyFour(value)) => self.quoted(value as i64),
            (Kind::Fixed64, Value::SixtyFour(value)) => self.quoted(value),
            (Kind::Float, Value::ThirtyTwo(value)) => match f32::from_bits(value) {
                value if value.is_finite() => self.number(&value),
                value => self.special(f64::from(value)),
            },
            (Kind::Double, Value::SixtyFour(value)) => match f64::from_bits(value) {
                value if value.is_finite() => self.number(&value),
                value => self.special(value),
            },
            (Kind::String, value) => self.string(text(value)?),
            (Kind::Bytes, value) => self.string(&BASE64_STANDARD.encode(bytes(value)?)),
            (Kind::Enum(_), Value::Varint(value)) => self.enumeration(kind, value as i32),
            _ => return Err(broken()),
        }
        Ok(())
    }

    fn enumeration(&mut self, kind: &Kind, number: i32) {
        let Kind::Enum(descriptor) = kind else { return self.text(number) };
        if descriptor.full_name() == "google.protobuf.NullValue" {
            return self.text("null");
        }
        match descriptor.get_value(number) {
            Some(value) => self.string(value.name()),
            None => self.text(number),
        }
    }

    /// A type of `google.protobuf` that has its own form.
    fn own_form(
        &mut self,
        name: &str,
        descriptor: &MessageDescriptor,
        fields: &Fields<'_>,
    ) -> Result<(), Fault> {
        match name {
            "Any" => return self.any(descriptor, fields),
            "Timestamp" => {
                let (seconds, nanos) = time(fields)?;
                self.string(&wkt::write_timestamp(seconds, nanos)?);
            }
            "Duration" => {
                let (seconds, nanos) = time(fields)?;
                self.string(&wkt::write_duration(seconds, nanos)?);
            }
            "FieldMask" => {
                let paths: Result<Vec<_>, _> = fields.of(1).iter().map(|field| text(field.value)).collect();
                self.string(&wkt::write_field_mask(paths?.into_iter())?);
            }
            "Struct" => return self.structure(fields),
            "ListValue" => return self.any_list(fields),
            "Value" => return self.any_value(fields),
            "Empty" => self.text("{}"),
            // The wrappers.
            _ => {
                let field = descriptor.get_field(1).ok_or_else(|| Fault::new("the schema is broken"))?;
                return self.singular(&field.kind(), fields.of(1), true).map(|_| ());
            }
        }
        Ok(())
    }

    fn any(&mut self, descriptor: &MessageDescriptor, fields: &Fields<'_>) -> Result<(), Fault> {
        let (type_url, wire) = (fields.text(1)?, fields.last(2).map_or(Ok(&b""[..]), bytes)?);
        if type_url.is_empty() && wire.is_empty() {
            self.text("{}");
            return Ok(());
        }
        let inner = any_type(descriptor.parent_pool(), type_url)?;
        self.out.push(b'{');
        let mut comma = false;
        self.name("@type", &mut comma);
        self.string(type_url);
        if has_own_form(inner.full_name()) {
            self.name("value", &mut comma);
            self.message(&inner, wire)?;
        } else {
            self.deeper(|writer| writer.fields(&inner, &Fields::read(wire)?, true))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// struct.proto, `Struct`: a map of values in field 1, here in the order of its keys.
    fn structure(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        let mut entries = Vec::with_capacity(fields.of(1).len());
        for field in fields.of(1) {
            let entry = Fields::read(bytes(field.value)?)?;
            entries.push((entry.text(1)?, field.order, merged(entry.of(2))?));
        }
        last_of_each(&mut entries);
        self.out.push(b'{');
        let mut comma = false;
        for (name, _, wire) in &entries {
            self.name(name, &mut comma);
            let written = self.deeper(|writer| writer.any_value(&Fields::read(wire)?));
            written.map_err(|fault| fault.at(*name))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// struct.proto, `ListValue`: values in field 1.
    fn any_list(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        self.out.push(b'[');
        for (at, field) in fields.of(1).iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            let wire = bytes(field.value)?;
            let written = self.deeper(|writer| writer.any_value(&Fields::read(wire)?));
            written.map_err(|fault| fault.at(format!("[{at}]")))?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// struct.proto, `Value`: a field for each kind of JSON, of which the last one counts.
    fn any_value(&mut self, fields: &Fields<'_>) -> Result<(), Fault> {
        let all = fields.by_number().filter_map(<[_]>::last);
        let Some(Field { number, value, .. }) =
            all.filter(|field| (1..=6).contains(&field.number)).max_by_key(|field| field.order)
        else {
            return Err(Fault::new("a google.protobuf.Value has no kind"));
        };
        match (number, *value) {
            (1, _) => self.text("null"),
            (2, Value::SixtyFour(value)) => match f64::from_bits(value) {
                value if value.is_finite() => self.number(&value),
                _ => return Err(Fault::new("a google.protobuf.Value can be no NaN and not infinite")),
            },
            (3, value) => self.string(text(value)?),
            (4, Value::Varint(value)) => self.text(value != 0),
            (5, Value::Bytes(wire)) => {
                return self.deeper(|writer| writer.structure(&Fields::read(wire)?));
            }
            (6, Value::Bytes(wire)) => {
                return self.deeper(|writer| writer.any_list(&Fields::read(wire)?));
            }
            _ => return Err(broken()),
        }
        Ok(())
    }

    /// A number of 64 bits, which is written as a string.
    fn quoted(&mut self, number: impl core::fmt::Display) {
        self.text(format_args!("\"{number}\""));
    }

    fn text(&mut self, text: impl core::fmt::Display) {
        // Writing to memory does not fail; nor does it below.
        let _ = write!(self.out, "{text}");
    }

    fn string(&mut self, text: &str) {
        let _ = serde_json::to_writer(&mut *self.out, text);
    }

    /// A finite number in its shortest form.
    fn number(&mut self, value: &impl serde_core::Serialize) {
        let _ = serde_json::to_writer(&mut *self.out, value);
        if self.out.ends_with(b".0") {
            self.out.truncate(self.out.len() - 2);
        }
    }

    fn special(&mut self, value: f64) {
        self.string(if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        });
    }
}

/// Sorts entries by their keys, and of those with the same one keeps the last.
fn last_of_each<K: Ord, V>(entries: &mut Vec<(K, u32, V)>) {
    entries.sort_unstable_by(|one, other| (&one.0, other.1).cmp(&(&other.0, one.1)));
    entries.dedup_by(|later, first| later.0 == first.0);
}

fn key<'w>(kind: &Kind, value: Value<'w>) -> Result<Key<'w>, Fault> {
    Ok(match (kind, value) {
        (Kind::Bool, value) => Key::Bool(varint(value)? != 0),
        (Kind::Int32, value) => Key::Signed((varint(value)? as i32).into()),
        (Kind::Int64, value) => Key::Signed(varint(value)? as i64),
        (Kind::Sint32, value) => Key::Signed(unzigzag(varint(value)? & u64::from(u32::MAX))),
        (Kind::Sint64, value) => Key::Signed(unzigzag(varint(value)?)),
        (Kind::Uint32, value) => Key::Unsigned((varint(value)? as u32).into()),
        (Kind::Uint64, value) => Key::Unsigned(varint(value)?),
        (Kind::Sfixed32, Value::ThirtyTwo(value)) => Key::Signed((value as i32).into()),
        (Kind::Fixed32, Value::ThirtyTwo(value)) => Key::Unsigned(value.into()),
        (Kind::Sfixed64, Value::SixtyFour(value)) => Key::Signed(value as i64),
        (Kind::Fixed64, Value::SixtyFour(value)) => Key::Unsigned(value),
        (Kind::String, value) => Key::Text(text(value)?),
        _ => return Err(broken()),
    })
}

/// timestamp.proto and duration.proto: the same two fields.
fn time(fields: &Fields<'_>) -> Result<(i64, i32), Fault> {
    let part = |number| fields.last(number).map_or(Ok(0), varint);
    Ok((part(1)? as i64, part(2)? as i32))
}

fn default_of(kind: &Kind) -> Value<'static> {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Value::SixtyFour(0),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Value::ThirtyTwo(0),
        Kind::String | Kind::Bytes | Kind::Message(_) => Value::Bytes(b""),
        _ => Value::Varint(0),
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
