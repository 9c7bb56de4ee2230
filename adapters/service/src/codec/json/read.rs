//! From JSON to a message.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};

use super::node::Node;
use super::{Fault, JsonOptions, MAX_DEPTH, any_type, has_own_form, wkt};

const EITHER_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

/// Reads a message of this type.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    node: &Node<'_>,
    options: JsonOptions,
) -> Result<DynamicMessage, Fault> {
    Reader { options, depth: 0 }.message(descriptor, node)
}

#[derive(Clone, Copy)]
struct Reader {
    options: JsonOptions,
    depth: u32,
}

type Object<'a> = [(Cow<'a, str>, Node<'a>)];

impl Reader {
    fn message(mut self, descriptor: &MessageDescriptor, node: &Node<'_>) -> Result<DynamicMessage, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new("messages stand in each other too deep"));
        }
        let mut message = DynamicMessage::new(descriptor.clone());
        let name = descriptor.full_name();
        match name.strip_prefix("google.protobuf.").filter(|_| has_own_form(name)) {
            Some(own) => self.own_form(own, &mut message, node)?,
            None => self.fields(&mut message, object(node)?, None)?,
        }
        Ok(message)
    }

    /// The fields of an object, but for one that has been read.
    fn fields(
        self,
        message: &mut DynamicMessage,
        fields: &Object<'_>,
        done: Option<&str>,
    ) -> Result<(), Fault> {
        let descriptor = message.descriptor();
        let mut seen: Vec<u32> = Vec::with_capacity(fields.len());
        let mut once = |number: u32, name: &str| {
            if seen.contains(&number) {
                return Err(Fault::new("the field is there twice").at(name));
            }
            seen.push(number);
            Ok(())
        };
        for (name, node) in fields {
            let name = &**name;
            if Some(name) == done {
                continue;
            }
            let field =
                descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name));
            if let Some(field) = field {
                once(field.number(), name)?;
                self.field(message, &field, node).map_err(|fault| fault.at(name))?;
            } else if let Some(extension) = extension(&descriptor, name) {
                once(extension.number(), name)?;
                self.extension(message, &extension, node).map_err(|fault| fault.at(name))?;
            } else if !self.options.ignore_unknown {
                let fault = Fault::new(format_args!("{} has no such field", descriptor.full_name()));
                return Err(fault.at(name));
            }
        }
        Ok(())
    }

    fn field(
        self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        node: &Node<'_>,
    ) -> Result<(), Fault> {
        let kind = field.kind();
        let value = if field.is_map() {
            self.map(&kind, node)?
        } else {
            self.value_or_list(&kind, field.is_list(), node)?
        };
        let Some(value) = value else { return Ok(()) };
        if let Some(oneof) = field.containing_oneof() {
            if oneof.fields().any(|other| message.has_field(&other)) {
                return Err(Fault::new(format_args!("another field of the oneof {} is set", oneof.name())));
            }
        }
        message.try_set_field(field, value).map_err(Fault::new)
    }

    fn extension(
        self,
        message: &mut DynamicMessage,
        extension: &ExtensionDescriptor,
        node: &Node<'_>,
    ) -> Result<(), Fault> {
        if let Some(value) = self.value_or_list(&extension.kind(), extension.is_list(), node)? {
            if !value.is_valid_for_extension(extension) {
                return Err(Fault::new("the value does not fit"));
            }
            message.set_extension(extension, value);
        }
        Ok(())
    }

    /// `None`: the field is not set.
    fn value_or_list(self, kind: &Kind, is_list: bool, node: &Node<'_>) -> Result<Option<Value>, Fault> {
        match node {
            // A null is the value of two types, and for all others says that there is none.
            Node::Null if is_list || !takes_null(kind) => Ok(None),
            Node::List(nodes) if is_list => {
                let mut values = Vec::with_capacity(nodes.len());
                for (at, node) in nodes.iter().enumerate() {
                    let value = self.value(kind, node).map_err(|fault| fault.at(format!("[{at}]")))?;
                    values.extend(value);
                }
                Ok(Some(Value::List(values)))
            }
            _ if is_list => Err(expected("a list", node)),
            _ => self.value(kind, node),
        }
    }

    fn map(self, kind: &Kind, node: &Node<'_>) -> Result<Option<Value>, Fault> {
        if *node == Node::Null {
            return Ok(None);
        }
        let Kind::Message(entry) = kind else {
            return Err(Fault::new("the schema is broken: a map has no entries"));
        };
        let (key_kind, value_kind) =
            (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let entries = object(node)?;
        let mut map = HashMap::with_capacity(entries.len());
        for (name, node) in entries {
            let step = || format!("[{name:?}]");
            let key = map_key(&key_kind, name).map_err(|fault| fault.at(step()))?;
            if map.contains_key(&key) {
                return Err(Fault::new("the key is there twice").at(step()));
            }
            if let Some(value) = self.value(&value_kind, node).map_err(|fault| fault.at(step()))? {
                map.insert(key, value);
            }
        }
        Ok(Some(Value::Map(map)))
    }

    /// One value, which must be there. `None`: a name of an enum value that nobody knows, and it is to be ignored.
    fn value(self, kind: &Kind, node: &Node<'_>) -> Result<Option<Value>, Fault> {
        Ok(Some(match kind {
            Kind::Double => Value::F64(float(node)?),
            Kind::Float => Value::F32(single(node)?),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(integer(node)?),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(integer(node)?),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(integer(node)?),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(integer(node)?),
            Kind::Bool => Value::Bool(boolean(node)?),
            Kind::String => Value::String(string(node, "a string")?.to_owned()),
            Kind::Bytes => Value::Bytes(bytes(node)?.into()),
            Kind::Message(descriptor) => Value::Message(self.message(descriptor, node)?),
            Kind::Enum(descriptor) => return Ok(self.enumeration(descriptor, node)?.map(Value::EnumNumber)),
        }))
    }

    fn enumeration(self, descriptor: &EnumDescriptor, node: &Node<'_>) -> Result<Option<i32>, Fault> {
        match node {
            Node::Null if descriptor.full_name() == "google.protobuf.NullValue" => Ok(Some(0)),
            Node::String(name) => match descriptor.get_value_by_name(name) {
                Some(value) => Ok(Some(value.number())),
                None if self.options.ignore_unknown => Ok(None),
                None => Err(Fault::new(format_args!("{} has no value {name:?}", descriptor.full_name()))),
            },
            Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => integer(node).map(Some),
            _ => Err(expected("the name or number of a value", node)),
        }
    }

    /// A type of `google.protobuf` that has its own form.
    fn own_form(self, name: &str, message: &mut DynamicMessage, node: &Node<'_>) -> Result<(), Fault> {
        let merged = match name {
            "Any" => message.transcode_from(&self.any(&message.descriptor(), object(node)?)?),
            "Timestamp" => {
                let (seconds, nanos) = wkt::read_timestamp(string(node, "a timestamp")?)
                    .ok_or_else(|| Fault::new("no timestamp, such as 1972-01-01T10:00:20.021Z"))?;
                message.transcode_from(&prost_types::Timestamp { seconds, nanos })
            }
            "Duration" => {
                let (seconds, nanos) = wkt::read_duration(string(node, "a duration")?)
                    .ok_or_else(|| Fault::new("no duration, such as 1.5s"))?;
                message.transcode_from(&prost_types::Duration { seconds, nanos })
            }
            "FieldMask" => {
                let paths = wkt::read_field_mask(string(node, "a field mask")?)
                    .ok_or_else(|| Fault::new("no field mask, such as user.displayName,photo"))?;
                message.transcode_from(&prost_types::FieldMask { paths })
            }
            "Struct" => message.transcode_from(&structure(object(node)?)?),
            "ListValue" => match node {
                Node::List(nodes) => message.transcode_from(&list(nodes)?),
                _ => return Err(expected("a list", node)),
            },
            "Value" => message.transcode_from(&any_value(node)?),
            "Empty" => return self.fields(message, object(node)?, None),
            // The wrappers.
            _ => {
                let field =
                    message.descriptor().get_field(1).ok_or_else(|| Fault::new("the schema is broken"))?;
                let value = self.value(&field.kind(), node)?;
                return value
                    .map_or(Ok(()), |value| message.try_set_field(&field, value).map_err(Fault::new));
            }
        };
        merged.map_err(Fault::new)
    }

    fn any(self, descriptor: &MessageDescriptor, fields: &Object<'_>) -> Result<prost_types::Any, Fault> {
        let mut types = fields.iter().filter(|(name, _)| name == "@type");
        let type_url = match (types.next(), types.next()) {
            (Some((_, node)), None) => string(node, "a type's URL").map_err(|fault| fault.at("@type"))?,
            (None, _) if fields.is_empty() => return Ok(prost_types::Any::default()),
            (None, _) => return Err(Fault::new("an Any needs a field @type")),
            (Some(_), Some(_)) => return Err(Fault::new("the field is there twice").at("@type")),
        };
        let inner = any_type(descriptor.parent_pool(), type_url).map_err(|fault| fault.at("@type"))?;
        let message = if has_own_form(inner.full_name()) {
            self.any_own_form(&inner, fields)?
        } else {
            let mut message = DynamicMessage::new(inner);
            let mut deeper = self;
            deeper.depth += 1;
            deeper.fields(&mut message, fields, Some("@type"))?;
            message
        };
        Ok(prost_types::Any { type_url: type_url.to_owned(), value: message.encode_to_vec() })
    }

    /// Beside the type there is `value`, and nothing else.
    fn any_own_form(self, inner: &MessageDescriptor, fields: &Object<'_>) -> Result<DynamicMessage, Fault> {
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

fn map_key(kind: &Kind, text: &str) -> Result<MapKey, Fault> {
    let integer_node = || Node::number(text).ok_or_else(|| Fault::new("the key is no number"));
    Ok(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(integer(&integer_node()?)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(integer(&integer_node()?)?),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(integer(&integer_node()?)?),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(integer(&integer_node()?)?),
        Kind::Bool => match text {
            "true" => MapKey::Bool(true),
            "false" => MapKey::Bool(false),
            _ => return Err(Fault::new("the key is neither true nor false")),
        },
        Kind::String => MapKey::String(text.to_owned()),
        _ => return Err(Fault::new("the schema is broken: such keys do not exist")),
    })
}

fn structure(fields: &Object<'_>) -> Result<prost_types::Struct, Fault> {
    let mut structure = prost_types::Struct::default();
    for (name, node) in fields {
        let value = any_value(node).map_err(|fault| fault.at(&**name))?;
        if structure.fields.insert(name.clone().into_owned(), value).is_some() {
            return Err(Fault::new("the key is there twice").at(&**name));
        }
    }
    Ok(structure)
}

fn list(nodes: &[Node<'_>]) -> Result<prost_types::ListValue, Fault> {
    let read = |(at, node)| any_value(node).map_err(|fault: Fault| fault.at(format!("[{at}]")));
    let values = nodes.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(prost_types::ListValue { values })
}

fn any_value(node: &Node<'_>) -> Result<prost_types::Value, Fault> {
    use prost_types::value::Kind;
    let kind = match node {
        Node::Null => Kind::NullValue(0),
        Node::Bool(value) => Kind::BoolValue(*value),
        Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => Kind::NumberValue(float(node)?),
        Node::String(text) => Kind::StringValue(text.clone().into_owned()),
        Node::List(nodes) => Kind::ListValue(list(nodes)?),
        Node::Object(fields) => Kind::StructValue(structure(fields)?),
    };
    Ok(prost_types::Value { kind: Some(kind) })
}
