//! What is declared where.

use std::collections::{BTreeMap, HashMap};

use antiphon_service::Bytes;
use antiphon_service::prost::{self, Message};
use antiphon_service::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// A `google.protobuf.FileDescriptorSet` whose files stay as they are.
#[derive(Clone, PartialEq, Message)]
#[prost(prost_path = "prost")]
struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

/// A file, and what it imports by name.
#[derive(Debug)]
pub(crate) struct File {
    /// A slice of its schema.
    pub(crate) bytes: Bytes,
    pub(crate) imports: Vec<String>,
}

/// Where a symbol is declared: the place of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Symbol {
    file: usize,
    is_message: bool,
}

/// Why a question has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no such thing.
    Unknown,
    /// There may be, but the schemas are at fault in this way.
    Fault(String),
}

/// All files of some schemas, by name and by what they declare.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) services: Vec<String>,
    files: Vec<File>,
    names: HashMap<String, usize>,
    symbols: HashMap<String, Symbol>,
    /// By the full name of the message that is extended.
    extensions: HashMap<String, BTreeMap<i32, usize>>,
    /// Symbols of files whose name another file has taken, and that name.
    clashes: HashMap<String, String>,
    /// What is wrong with schemas that could not be read, or not wholly.
    faults: Vec<String>,
}

impl Index {
    /// Reads encoded sets. What cannot be read is left out and remembered.
    pub(crate) fn new(services: Vec<String>, sets: impl Iterator<Item = &'static [u8]>) -> Self {
        let mut index = Self { services, ..Self::default() };
        for set in sets {
            match Set::decode(Bytes::from_static(set)) {
                Ok(set) => set.file.into_iter().for_each(|bytes| index.add(bytes)),
                Err(error) => index.faults.push(format!("a schema is no FileDescriptorSet ({error})")),
            }
        }
        index
    }

    fn add(&mut self, bytes: Bytes) {
        let file = match FileDescriptorProto::decode(&*bytes) {
            Ok(file) if !file.name().is_empty() => file,
            Ok(_) => return self.faults.push("a file of a schema has no name".to_owned()),
            Err(error) => {
                return self.faults.push(format!("a file of a schema is no FileDescriptorProto ({error})"));
            }
        };
        let known = self.names.get(file.name()).copied();
        if known.and_then(|at| self.files.get(at)).is_some_and(|known| known.bytes == bytes) {
            return;
        }
        let mut found = Declared::default();
        found.file(&file);
        if known.is_some() {
            // Another compiler may have written the same file in other words. It clashes where it declares more.
            let unknown = found.symbols.into_iter().filter(|(name, _)| !self.symbols.contains_key(name));
            self.clashes.extend(unknown.map(|(name, _)| (name, file.name().to_owned())));
            return;
        }
        let at = self.files.len();
        for (name, is_message) in found.symbols {
            self.symbols.entry(name).or_insert(Symbol { file: at, is_message });
        }
        for (message, number) in found.extensions {
            self.extensions.entry(message).or_default().entry(number).or_insert(at);
        }
        self.names.insert(file.name().to_owned(), at);
        self.files.push(File { bytes, imports: file.dependency });
    }

    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&File> {
        self.files.get(at)
    }

    /// The file of a name, if it is there.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The file of a name.
    pub(crate) fn by_name(&self, name: &str) -> Result<usize, Missing> {
        self.named(name).ok_or_else(|| self.missing())
    }

    /// The file that declares a symbol.
    pub(crate) fn by_symbol(&self, symbol: &str) -> Result<usize, Missing> {
        match self.symbols.get(symbol) {
            Some(symbol) => Ok(symbol.file),
            None => Err(self.missing_symbol(symbol)),
        }
    }

    /// The file that declares an extension.
    pub(crate) fn by_extension(&self, message: &str, number: i32) -> Result<usize, Missing> {
        let file = self.extensions.get(message).and_then(|numbers| numbers.get(&number));
        file.copied().ok_or_else(|| self.missing())
    }

    /// The numbers of a message's extensions, in their order.
    pub(crate) fn extension_numbers(&self, message: &str) -> Result<Vec<i32>, Missing> {
        match (self.extensions.get(message), self.symbols.get(message)) {
            (Some(numbers), _) => Ok(numbers.keys().copied().collect()),
            (None, Some(symbol)) if symbol.is_message => Ok(Vec::new()),
            (None, Some(_)) => Err(Missing::Unknown),
            (None, None) => Err(self.missing_symbol(message)),
        }
    }

    fn missing_symbol(&self, symbol: &str) -> Missing {
        match self.clashes.get(symbol) {
            Some(file) => Missing::Fault(format!(
                "the server has two different files named {file:?}, and {symbol} is in the one that it cannot tell of: \
                 generate their code with an include directory further up, so that their names differ"
            )),
            None => self.missing(),
        }
    }

    fn missing(&self) -> Missing {
        if self.faults.is_empty() {
            return Missing::Unknown;
        }
        Missing::Fault(format!(
            "{}: generate it again with antiphon-build or protoc-gen-antiphon, imports included",
            self.faults.join("; ")
        ))
    }
}

/// What one file declares.
#[derive(Default)]
struct Declared {
    /// Full names, and whether it is a message.
    symbols: Vec<(String, bool)>,
    /// The message that is extended, and the number.
    extensions: Vec<(String, i32)>,
}

impl Declared {
    fn add(&mut self, scope: &str, name: &str) -> String {
        let full = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.symbols.push((full.clone(), false));
        full
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        file.message_type.iter().for_each(|message| self.message(package, message));
        file.enum_type.iter().for_each(|it| self.enumeration(package, it));
        file.extension.iter().for_each(|extension| self.extension(package, extension));
        for service in &file.service {
            let name = self.add(package, service.name());
            service.method.iter().for_each(|method| _ = self.add(&name, method.name()));
        }
    }

    /// As deep as prost reads messages, which is a hundred.
    fn message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = self.add(scope, message.name());
        if let Some((_, is_message)) = self.symbols.last_mut() {
            *is_message = true;
        }
        message.field.iter().for_each(|field| _ = self.add(&name, field.name()));
        message.oneof_decl.iter().for_each(|oneof| _ = self.add(&name, oneof.name()));
        message.nested_type.iter().for_each(|nested| self.message(&name, nested));
        message.enum_type.iter().for_each(|it| self.enumeration(&name, it));
        message.extension.iter().for_each(|extension| self.extension(&name, extension));
    }

    /// Values stand beside their enum, not in it: that is how their full names are made.
    fn enumeration(&mut self, scope: &str, it: &EnumDescriptorProto) {
        self.add(scope, it.name());
        it.value.iter().for_each(|value| _ = self.add(scope, value.name()));
    }

    fn extension(&mut self, scope: &str, extension: &FieldDescriptorProto) {
        self.add(scope, extension.name());
        let message = extension.extendee();
        self.extensions.push((message.strip_prefix('.').unwrap_or(message).to_owned(), extension.number()));
    }
}
