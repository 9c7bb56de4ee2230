//! From a message to JSON.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, Value};

use super::{Fault, JsonOptions, MAX_DEPTH, any_type, has_own_form, wkt};

/// Appends a message.
pub(super) fn message(
    message: &DynamicMessage,
    options: JsonOptions,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    Writer { options, depth: 0, out }.message(message)
}

struct Writer<'a> {
    options: JsonOptions,
    depth: u32,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn message(&mut self, message: &DynamicMessage) -> Result<(), Fault> {
        self.deeper(|writer| {
            let descriptor = message.descriptor();
            let name = descriptor.full_name();
            match name.strip_prefix("google.protobuf.").filter(|_| has_own_form(name)) {
                Some(own) => writer.own_form(own, message),
                None => {
                    writer.out.push(b'{');
                    writer.fields(message, false)?;
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

    /// The fields in the order of their numbers; `comma`: something stands in front of them.
    fn fields(&mut self, message: &DynamicMessage, mut comma: bool) -> Result<(), Fault> {
        for field in message.descriptor().fields() {
            let defaults = self.options.write_defaults && !field.supports_presence();
            if !message.has_field(&field) && !defaults {
                continue;
            }
            self.name(field.json_name(), &mut comma);
            self.value(&field.kind(), &message.get_field(&field)).map_err(|fault| fault.at(field.name()))?;
        }
        for (extension, value) in message.extensions() {
            self.name(extension.json_name(), &mut comma);
            self.value(&extension.kind(), value).map_err(|fault| fault.at(extension.json_name()))?;
        }
        Ok(())
    }

    fn name(&mut self, name: &str, comma: &mut bool) {
        if core::mem::replace(comma, true) {
            self.out.push(b',');
        }
        self.string(name);
        self.out.push(b':');
    }

    fn value(&mut self, kind: &Kind, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Bool(value) => self.text(value),
            Value::I32(value) => self.text(value),
            Value::U32(value) => self.text(value),
            Value::I64(value) => self.text(format_args!("\"{value}\"")),
            Value::U64(value) => self.text(format_args!("\"{value}\"")),
            Value::F32(value) if value.is_finite() => self.number(value),
            Value::F32(value) => self.special(f64::from(*value)),
            Value::F64(value) if value.is_finite() => self.number(value),
            Value::F64(value) => self.special(*value),
            Value::String(value) => self.string(value),
            Value::Bytes(value) => self.string(&BASE64_STANDARD.encode(value)),
            Value::EnumNumber(number) => self.enumeration(kind, *number),
            Value::Message(message) => return self.message(message),
            Value::List(values) => {
                self.out.push(b'[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        self.out.push(b',');
                    }
                    self.value(kind, value).map_err(|fault| fault.at(format!("[{at}]")))?;
                }
                self.out.push(b']');
            }
            Value::Map(entries) => {
                let Kind::Message(entry) = kind else { return Err(Fault::new("a map has no entries")) };
                let kind = entry.map_entry_value_field().kind();
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_unstable_by(|one, other| one.0.cmp(other.0));
                self.out.push(b'{');
                let mut comma = false;
                for (key, value) in entries {
                    let key = key_text(key);
                    self.name(&key, &mut comma);
                    self.value(&kind, value).map_err(|fault| fault.at(format!("[{key:?}]")))?;
                }
                self.out.push(b'}');
            }
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
    fn own_form(&mut self, name: &str, message: &DynamicMessage) -> Result<(), Fault> {
        match name {
            "Any" => return self.any(message),
            "Timestamp" => {
                let value: prost_types::Timestamp = message.transcode_to().map_err(Fault::new)?;
                self.string(&wkt::write_timestamp(value.seconds, value.nanos)?);
            }
            "Duration" => {
                let value: prost_types::Duration = message.transcode_to().map_err(Fault::new)?;
                self.string(&wkt::write_duration(value.seconds, value.nanos)?);
            }
            "FieldMask" => {
                let value: prost_types::FieldMask = message.transcode_to().map_err(Fault::new)?;
                self.string(&wkt::write_field_mask(value.paths.iter().map(String::as_str))?);
            }
            "Struct" => self.structure(&message.transcode_to().map_err(Fault::new)?)?,
            "ListValue" => self.list(&message.transcode_to().map_err(Fault::new)?)?,
            "Value" => self.any_value(&message.transcode_to().map_err(Fault::new)?)?,
            "Empty" => self.text("{}"),
            // The wrappers.
            _ => {
                let field =
                    message.descriptor().get_field(1).ok_or_else(|| Fault::new("the schema is broken"))?;
                return self.value(&field.kind(), &message.get_field(&field));
            }
        }
        Ok(())
    }

    fn any(&mut self, message: &DynamicMessage) -> Result<(), Fault> {
        let any: prost_types::Any = message.transcode_to().map_err(Fault::new)?;
        if any == prost_types::Any::default() {
            self.text("{}");
            return Ok(());
        }
        let inner = any_type(message.descriptor().parent_pool(), &any.type_url)?;
        let own_form = has_own_form(inner.full_name());
        let inner = DynamicMessage::decode(inner, &*any.value).map_err(Fault::new)?;
        self.out.push(b'{');
        let mut comma = false;
        self.name("@type", &mut comma);
        self.string(&any.type_url);
        if own_form {
            self.name("value", &mut comma);
            self.message(&inner)?;
        } else {
            self.deeper(|writer| writer.fields(&inner, true))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn structure(&mut self, structure: &prost_types::Struct) -> Result<(), Fault> {
        self.out.push(b'{');
        let mut comma = false;
        for (name, value) in &structure.fields {
            self.name(name, &mut comma);
            self.any_value(value).map_err(|fault| fault.at(name))?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn list(&mut self, list: &prost_types::ListValue) -> Result<(), Fault> {
        self.out.push(b'[');
        for (at, value) in list.values.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.any_value(value).map_err(|fault| fault.at(format!("[{at}]")))?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn any_value(&mut self, value: &prost_types::Value) -> Result<(), Fault> {
        use prost_types::value::Kind;
        match &value.kind {
            None => return Err(Fault::new("a google.protobuf.Value has no kind")),
            Some(Kind::NullValue(_)) => self.text("null"),
            Some(Kind::BoolValue(value)) => self.text(value),
            Some(Kind::NumberValue(value)) if value.is_finite() => self.number(value),
            Some(Kind::NumberValue(_)) => {
                return Err(Fault::new("a google.protobuf.Value can be no NaN and not infinite"));
            }
            Some(Kind::StringValue(value)) => self.string(value),
            Some(Kind::ListValue(value)) => return self.list(value),
            Some(Kind::StructValue(value)) => return self.structure(value),
        }
        Ok(())
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

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
