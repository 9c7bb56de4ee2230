//! From JSON to the wire form of a message. No message stands in between: one of descriptors takes some hundred bytes for
//! a value of two, and what a peer sends must not grow like that.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use prost_reflect::{
    EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

use super::node::Node;
use super::{Fault, JsonOptions, MAX_DEPTH, any_type, has_own_form, short, wkt};

const EITHER_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

/// Reads a message of this type, into its wire form: fields in the order of their numbers, as deep as prost reads them.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    node: &Node<'_>,
    options: JsonOptions,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    Reader { options, depth: 0, out: &mut out }.message(descriptor, node)?;
    Ok(out)
}

struct Reader<'o> {
    options: JsonOptions,
    depth: u32,
    out: &'o mut Vec<u8>,
}

type Object<'a> = [(Cow<'a, str>, Node<'a>)];

/// A field or an extension, and what it is set to.
struct Found<'a, 'n> {
    place: Place,
    name: &'a str,
    node: &'a Node<'n>,
}

/// What the wire form of a field depends on.
struct Place {
    number: u32,
    kind: Kind,
    many: Many,
    is_group: bool,
    /// Its default value is written as well.
    presence: bool,
    oneof: Option<OneofDescriptor>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Many {
    One,
    List { packed: bool },
    Map,
}

impl Place {
    fn find(descriptor: &MessageDescriptor, name: &str) -> Option<Self> {
        let field = descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name));
        match field {
            Some(field) => Some(Self::of_field(&field)),
            None => extension(descriptor, name).map(|extension| Self::of_extension(&extension)),
        }
    }

    fn of_field(field: &FieldDescriptor) -> Self {
        let many = match (field.is_map(), field.is_list()) {
            (true, _) => Many::Map,
            (false, true) => Many::List { packed: field.is_packed() },
            (false, false) => Many::One,
        };
        Self {
            number: field.number(),
            kind: field.kind(),
            many,
            is_group: field.is_group(),
            presence: field.supports_presence(),
            oneof: field.containing_oneof(),
        }
    }

    fn of_extension(extension: &ExtensionDescriptor) -> Self {
        let many = match extension.is_list() {
            true => Many::List { packed: extension.is_packed() },
            false => Many::One,
        };
        let is_group = extension.is_group();
        Self {
            number: extension.number(),
            kind: extension.kind(),
            many,
            is_group,
            presence: true,
            oneof: None,
        }
    }
}

/// A key of a map, to find out whether it is there twice.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Text(&'a str),
    Number(i128),
}

impl Reader<'_> {
    fn message(&mut self, descriptor: &MessageDescriptor, node: &Node<'_>) -> Result<(), Fault> {
        self.deeper(|reader| {
            let name = descriptor.full_name();
            match name.strip_prefix("google.protobuf.").filter(|_| has_own_form(name)) {
                Some(own) => reader.own_form(own, descriptor, node),
                None => reader.fields(descriptor, object(node)?, None),
            }
        })
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::new("messages stand in each other too deep"));
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(())
    }

    /// What `read` writes, with its length in front.
    fn delimited(&mut self, read: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        let start = self.out.len();
        self.out.push(0);
        read(self)?;
        let end = self.out.len();
        let length = end - start - 1;
        let size = encoded_len_varint(length as u64);
        if size > 1 {
            self.out.resize(end + size - 1, 0);
            self.out.copy_within(start + 1..end, start + size);
        }
        encode_varint(length as u64, &mut &mut self.out[start..start + size]);
        Ok(())
    }

    /// The fields of an object, but for one that has been read.
    fn fields(
        &mut self,
        descriptor: &MessageDescriptor,
        fields: &Object<'_>,
        done: Option<&str>,
    ) -> Result<(), Fault> {
        let mut all: Vec<Found<'_, '_>> = Vec::new();
        for (name, node) in fields {
            let name = &**name;
            if Some(name) == done {
                continue;
            }
            let Some(place) = Place::find(descriptor, name) else {
                if self.options.ignore_unknown {
                    continue;
                }
                let fault = Fault::new(format_args!("{} has no such field", descriptor.full_name()));
                return Err(fault.at(name));
            };
            match all.binary_search_by_key(&place.number, |found| found.place.number) {
                Ok(_) => return Err(Fault::new("the field is there twice").at(name)),
                Err(at) => all.insert(at, Found { place, name, node }),
            }
        }
        let mut oneofs: Vec<&OneofDescriptor> = Vec::new();
        for Found { place, name, node } in &all {
            let is_set = self.field(place, node).map_err(|fault| fault.at(*name))?;
            if let (Some(oneof), true) = (&place.oneof, is_set) {
                if oneofs.contains(&oneof) {
                    let fault =
                        Fault::new(format_args!("another field of the oneof {} is set", oneof.name()));
                    return Err(fault.at(*name));
                }
                oneofs.push(oneof);
            }
        }
        Ok(())
    }

    /// Says whether the field is set.
    fn field(&mut self, place: &Place, node: &Node<'_>) -> Result<bool, Fault> {
        match (place.many, node) {
            // A null is the value of two types, and for all others says that there is none.
            (Many::One, Node::Null) if takes_null(&place.kind) => {}
            (_, Node::Null) => return Ok(false),
            _ => {}
        }
        match place.many {
            Many::One => self.value(place, place.presence, node),
            Many::List { packed } => match node {
                Node::List(nodes) => self.list(place, packed, nodes).map(|()| true),
                _ => Err(expected("a list", node)),
            },
            Many::Map => self.map(place, node).map(|()| true),
        }
    }

    fn list(&mut self, place: &Place, packed: bool, nodes: &[Node<'_>]) -> Result<(), Fault> {
        let each = nodes.iter().enumerate();
        if !packed || nodes.is_empty() {
            for (at, node) in each {
                self.value(place, true, node).map_err(|fault| fault.at(format!("[{at}]")))?;
            }
            return Ok(());
        }
        encode_key(place.number, WireType::LengthDelimited, self.out);
        self.delimited(|reader| {
            for (at, node) in each {
                reader.scalar(&place.kind, node).map_err(|fault| fault.at(format!("[{at}]")))?;
            }
            Ok(())
        })
    }

    fn map(&mut self, place: &Place, node: &Node<'_>) -> Result<(), Fault> {
        let Kind::Message(entry) = &place.kind else {
            return Err(Fault::new("the schema is broken: a map has no entries"));
        };
        let key = Place::of_field(&entry.map_entry_key_field());
        let value = Place::of_field(&entry.map_entry_value_field());
        let entries = object(node)?;
        let mut seen = HashSet::with_capacity(entries.len());
        for (name, node) in entries {
            let start = self.out.len();
            encode_key(place.number, WireType::LengthDelimited, self.out);
            let mut known = true;
            self.delimited(|reader| {
                let (key_node, unique) = map_key(&key.kind, name)?;
                reader.value(&key, key.presence, &key_node)?;
                if !seen.insert(unique) {
                    return Err(Fault::new("the key is there twice"));
                }
                known = reader.value(&value, value.presence, node)?;
                Ok(())
            })
            .map_err(|fault| fault.at(format!("[{:?}]", short(name))))?;
            if !known {
                self.out.truncate(start);
            }
        }
        Ok(())
    }

    /// A value with the key in front of it; without `defaults` nothing where it is the default. False: it is a name of an
    /// enum value that nobody knows, which is to be ignored, and nothing was written.
    fn value(&mut self, place: &Place, defaults: bool, node: &Node<'_>) -> Result<bool, Fault> {
        let number = place.number;
        if let Kind::Message(descriptor) = &place.kind {
            if place.is_group {
                encode_key(number, WireType::StartGroup, self.out);
                self.message(descriptor, node)?;
                encode_key(number, WireType::EndGroup, self.out);
            } else {
                encode_key(number, WireType::LengthDelimited, self.out);
                self.delimited(|reader| reader.message(descriptor, node))?;
            }
            return Ok(true);
        }
        let start = self.out.len();
        encode_key(number, place.kind.wire_type(), self.out);
        let at = self.out.len();
        let known = self.scalar(&place.kind, node)?;
        // Zero, false and what is empty are zeros on the wire, and nothing else is: but for -0.0, which is kept.
        if !known || (!defaults && self.out[at..].iter().all(|byte| *byte == 0)) {
            self.out.truncate(start);
        }
        Ok(known)
    }

    /// What is no message, without a key. False as for [`value`](Reader::value).
    fn scalar(&mut self, kind: &Kind, node: &Node<'_>) -> Result<bool, Fault> {
        let out = &mut *self.out;
        match kind {
            Kind::Double => out.extend_from_slice(&float(node)?.to_le_bytes()),
            Kind::Float => out.extend_from_slice(&single(node)?.to_le_bytes()),
            Kind::Int32 => encode_varint(i64::from(integer::<i32>(node)?) as u64, out),
            Kind::Int64 => encode_varint(integer::<i64>(node)? as u64, out),
            Kind::Sint32 => encode_varint(zigzag(integer::<i32>(node)?.into()), out),
            Kind::Sint64 => encode_varint(zigzag(integer(node)?), out),
            Kind::Sfixed32 => out.extend_from_slice(&integer::<i32>(node)?.to_le_bytes()),
            Kind::Sfixed64 => out.extend_from_slice(&integer::<i64>(node)?.to_le_bytes()),
            Kind::Uint32 => encode_varint(integer::<u32>(node)?.into(), out),
            Kind::Uint64 => encode_varint(integer(node)?, out),
            Kind::Fixed32 => out.extend_from_slice(&integer::<u32>(node)?.to_le_bytes()),
            Kind::Fixed64 => out.extend_from_slice(&integer::<u64>(node)?.to_le_bytes()),
            Kind::Bool => out.push(boolean(node)?.into()),
            Kind::String => self.text(string(node, "a string")?),
            Kind::Bytes => {
                let bytes = bytes(node)?;
                encode_varint(bytes.len() as u64, out);
                out.extend_from_slice(&bytes);
            }
            Kind::Enum(descriptor) => match self.enumeration(descriptor, node)? {
                Some(number) => encode_varint(i64::from(number) as u64, self.out),
                None => return Ok(false),
            },
            Kind::Message(_) => return Err(Fault::new("the schema is broken: messages cannot be packed")),
        }
        Ok(true)
    }

    fn text(&mut self, text: &str) {
        encode_varint(text.len() as u64, self.out);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn enumeration(&self, descriptor: &EnumDescriptor, node: &Node<'_>) -> Result<Option<i32>, Fault> {
        match node {
            Node::Null if descriptor.full_name() == "google.protobuf.NullValue" => Ok(Some(0)),
            Node::String(name) => match descriptor.get_value_by_name(name) {
                Some(value) => Ok(Some(value.number())),
                None if self.options.ignore_unknown => Ok(None),
                None => {
                    Err(Fault::new(format_args!("{} has no value {:?}", descriptor.full_name(), short(name))))
                }
            },
            Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => integer(node).map(Some),
            _ => Err(expected("the name or number of a value", node)),
        }
    }

    /// A type of `google.protobuf` that has its own form.
    fn own_form(&mut self, name: &str, descriptor: &MessageDescriptor, node: &Node<'_>) -> Result<(), Fault> {
        match name {
            "Any" => self.any(descriptor, object(node)?),
            "Timestamp" => {
                let time = wkt::read_timestamp(string(node, "a timestamp")?);
                self.time(time.ok_or_else(|| Fault::new("no timestamp, such as 1972-01-01T10:00:20.021Z"))?);
                Ok(())
            }
            "Duration" => {
                let time = wkt::read_duration(string(node, "a duration")?);
                self.time(time.ok_or_else(|| Fault::new("no duration, such as 1.5s"))?);
                Ok(())
            }
            "FieldMask" => {
                let paths = wkt::read_field_mask(string(node, "a field mask")?)
                    .ok_or_else(|| Fault::new("no field mask, such as user.displayName,photo"))?;
                for path in paths {
                    encode_key(1, WireType::LengthDelimited, self.out);
                    self.text(&path);
                }
                Ok(())
            }
            "Struct" => self.structure(object(node)?),
            "ListValue" => match node {
                Node::List(nodes) => self.any_list(nodes),
                _ => Err(expected("a list", node)),
            },
            "Value" => self.any_value(node),
            "Empty" => self.fields(descriptor, object(node)?, None),
            // The wrappers.
            _ => {
                let field = descriptor.get_field(1).ok_or_else(|| Fault::new("the schema is broken"))?;
                self.value(&Place::of_field(&field), false, node).map(|_| ())
            }
        }
    }

    /// timestamp.proto and duration.proto: the same two fields.
    fn time(&mut self, (seconds, nanos): (i64, i32)) {
        for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
            if value != 0 {
                encode_key(number, WireType::Varint, self.out);
                encode_varint(value as u64, self.out);
            }
        }
    }

    fn any(&mut self, descriptor: &MessageDescriptor, fields: &Object<'_>) -> Result<(), Fault> {
        let mut types = fields.iter().filter(|(name, _)| name == "@type");
        let type_url = match (types.next(), types.next()) {
            (Some((_, node)), None) => string(node, "a type's URL").map_err(|fault| fault.at("@type"))?,
            (None, _) if fields.is_empty() => return Ok(()),
            (None, _) => return Err(Fault::new("an Any needs a field @type")),
            (Some(_), Some(_)) => return Err(Fault::new("the field is there twice").at("@type")),
        };
        let inner = any_type(descriptor.parent_pool(), type_url).map_err(|fault| fault.at("@type"))?;
        encode_key(1, WireType::LengthDelimited, self.out);
        self.text(type_url);
        let start = self.out.len();
        encode_key(2, WireType::LengthDelimited, self.out);
        let at = self.out.len();
        self.delimited(|reader| match has_own_form(inner.full_name()) {
            true => reader.any_own_form(&inner, fields),
            false => reader.deeper(|reader| reader.fields(&inner, fields, Some("@type"))),
        })?;
        if self.out.len() == at + 1 {
            self.out.truncate(start);
        }
        Ok(())
    }

    /// Beside the type there is `value`, and nothing else.
    fn any_own_form(&mut self, inner: &MessageDescriptor, fields: &Object<'_>) -> Result<(), Fault> {
        let mut value = None;
        for (name, node) in fields {
            match &**name {
                "@type" => {}
                "value" if value.is_some() => return Err(Fault::new("the field is there twice").at("value")),
                "value" => value = Some(node),
                _ if self.options.ignore_unknown => {}
                name => return Err(Fault::new("an Any of this type has a value and nothing else").at(name)),
            }
        }
        let node = value.ok_or_else(|| Fault::new("an Any of this type needs a field value"))?;
        self.message(inner, node).map_err(|fault| fault.at("value"))
    }

    /// struct.proto, `Struct`: a map of values in field 1.
    fn structure(&mut self, fields: &Object<'_>) -> Result<(), Fault> {
        let mut seen = HashSet::with_capacity(fields.len());
        for (name, node) in fields {
            if !seen.insert(&**name) {
                return Err(Fault::new("the key is there twice").at(&**name));
            }
            encode_key(1, WireType::LengthDelimited, self.out);
            self.delimited(|reader| {
                encode_key(1, WireType::LengthDelimited, reader.out);
                reader.text(name);
                encode_key(2, WireType::LengthDelimited, reader.out);
                reader.delimited(|reader| reader.deeper(|reader| reader.any_value(node)))
            })
            .map_err(|fault| fault.at(&**name))?;
        }
        Ok(())
    }

    /// struct.proto, `ListValue`: values in field 1.
    fn any_list(&mut self, nodes: &[Node<'_>]) -> Result<(), Fault> {
        for (at, node) in nodes.iter().enumerate() {
            encode_key(1, WireType::LengthDelimited, self.out);
            self.delimited(|reader| reader.deeper(|reader| reader.any_value(node)))
                .map_err(|fault| fault.at(format!("[{at}]")))?;
        }
        Ok(())
    }

    /// struct.proto, `Value`: a field for each kind of JSON.
    fn any_value(&mut self, node: &Node<'_>) -> Result<(), Fault> {
        let (number, wire_type) = match node {
            Node::Null => (1, WireType::Varint),
            Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => (2, WireType::SixtyFourBit),
            Node::String(_) => (3, WireType::LengthDelimited),
            Node::Bool(_) => (4, WireType::Varint),
            Node::Object(_) => (5, WireType::LengthDelimited),
            Node::List(_) => (6, WireType::LengthDelimited),
        };
        encode_key(number, wire_type, self.out);
        match node {
            Node::Null => self.out.push(0),
            Node::Bool(value) => self.out.push((*value).into()),
            Node::String(text) => self.text(text),
            Node::Object(fields) => {
                return self.delimited(|reader| reader.deeper(|reader| reader.structure(fields)));
            }
            Node::List(nodes) => {
                return self.delimited(|reader| reader.deeper(|reader| reader.any_list(nodes)));
            }
            number => self.out.extend_from_slice(&float(number)?.to_le_bytes()),
        }
        Ok(())
    }
}

fn extension(descriptor: &MessageDescriptor, name: &str) -> Option<ExtensionDescriptor> {
    if name.starts_with('[') { descriptor.get_extension_by_json_name(name) } else { None }
}

/// Whether null is a value of the type.
fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(descriptor) => descriptor.full_name() == "google.protobuf.Value",
        Kind::Enum(descriptor) => descriptor.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn expected(what: &str, node: &Node<'_>) -> Fault {
    Fault::new(format_args!("expected {what}, found {}", node.kind()))
}

fn object<'a, 'b>(node: &'b Node<'a>) -> Result<&'b Object<'a>, Fault> {
    match node {
        Node::Object(fields) => Ok(fields),
        _ => Err(expected("an object", node)),
    }
}

fn string<'b>(node: &'b Node<'_>, what: &str) -> Result<&'b str, Fault> {
    match node {
        Node::String(text) => Ok(text),
        _ => Err(expected(what, node)),
    }
}

fn boolean(node: &Node<'_>) -> Result<bool, Fault> {
    match node {
        Node::Bool(value) => Ok(*value),
        _ => Err(expected("true or false", node)),
    }
}

fn bytes(node: &Node<'_>) -> Result<Vec<u8>, Fault> {
    let text = string(node, "bytes in base64")?;
    let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    alphabet.decode(text).map_err(|error| Fault::new(format_args!("no base64: {error}")))
}

/// An integer out of a number or a string of one. With a point or an exponent its value must be whole.
fn integer<T: TryFrom<u64> + TryFrom<i64>>(node: &Node<'_>) -> Result<T, Fault> {
    /// 2^63 and 2^64, the first values that do not fit.
    const TOO_HIGH: (f64, f64) = (9_223_372_036_854_775_808.0, 18_446_744_073_709_551_616.0);
    let value = match node {
        Node::Unsigned(value) => T::try_from(*value).ok(),
        Node::Signed(value) => T::try_from(*value).ok(),
        Node::Float(value) if value.fract() != 0.0 => return Err(Fault::new("the number is not whole")),
        Node::Float(value) if (0.0..TOO_HIGH.1).contains(value) => T::try_from(*value as u64).ok(),
        // What is -2^63 here was mostly a little less: an integer that fits comes as one.
        Node::Float(value) if *value > -TOO_HIGH.0 && *value < 0.0 => T::try_from(*value as i64).ok(),
        Node::Float(_) => None,
        Node::String(text) => match Node::number(text) {
            Some(number) => return integer(&number),
            None => return Err(expected("a number or a string of one", node)),
        },
        _ => return Err(expected("a number or a string of one", node)),
    };
    value.ok_or_else(|| Fault::new("the number is out of range"))
}

fn float(node: &Node<'_>) -> Result<f64, Fault> {
    match node {
        Node::Float(value) => Ok(*value),
        Node::Unsigned(value) => Ok(*value as f64),
        Node::Signed(value) => Ok(*value as f64),
        Node::String(text) => match &**text {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            text => match Node::number(text) {
                Some(number) => float(&number),
                None => Err(expected("a number, NaN, Infinity or -Infinity", node)),
            },
        },
        _ => Err(expected("a number, NaN, Infinity or -Infinity", node)),
    }
}

fn single(node: &Node<'_>) -> Result<f32, Fault> {
    let value = float(node)?;
    let single = value as f32;
    if single.is_infinite() && value.is_finite() {
        return Err(Fault::new("the number is out of range"));
    }
    Ok(single)
}

/// A key as the value that it is.
fn map_key<'a>(kind: &Kind, text: &'a str) -> Result<(Node<'a>, Key<'a>), Fault> {
    Ok(match kind {
        Kind::String => (Node::String(Cow::Borrowed(text)), Key::Text(text)),
        Kind::Bool => match text {
            "true" => (Node::Bool(true), Key::Number(1)),
            "false" => (Node::Bool(false), Key::Number(0)),
            _ => return Err(Fault::new("the key is neither true nor false")),
        },
        _ => {
            let node = Node::number(text).ok_or_else(|| Fault::new("the key is no number"))?;
            let number = integer(&node)?;
            (node, Key::Number(number))
        }
    })
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
