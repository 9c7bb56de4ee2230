//! Names of generated items: what prost-build makes of names, so that ours keep clear of them, and clashes that no
//! choice of ours can avoid.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_build::Module;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use crate::Error;
use crate::descriptors::line_of;
use crate::docs::full_name;

/// The names of what is generated for a service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceNames {
    pub(crate) service: String,
    pub(crate) server: String,
    pub(crate) client: String,
    pub(crate) codecs: String,
}

/// The names of what is generated for a package.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// By the name of the service in its file, with the package.
    pub(crate) services: HashMap<String, ServiceNames>,
    /// The module of what blocks.
    pub(crate) blocking: String,
}

/// Names all services of the files of a package, and finds the clashes among its messages. `children` are the modules
/// of the packages within; what is `outside` (by its full name) is not generated.
pub(crate) fn of_package(
    files: &[&FileDescriptorProto],
    children: &BTreeSet<String>,
    outside: &dyn Fn(&str) -> bool,
) -> Result<Package, Error> {
    let mut types = BTreeMap::new();
    let mut modules = children.clone();
    for file in files {
        let package = file.package();
        for (at, message) in (0..).zip(&file.message_type) {
            let (name, place) = (full_name(package, message.name()), Place { file, path: vec![4, at] });
            if outside(&name) {
                continue;
            }
            claim(&mut types, type_name(message.name()), name.clone(), &place)?;
            check_message(&name, message, &place)?;
            let module = module_name(message.name());
            if has_module(message) && !modules.insert(module.clone()) && children.contains(&module) {
                return Err(place.error(format!(
                    "the message {name} needs a module {module:?} for what is nested in it, as does a package"
                )));
            }
        }
        for (at, it) in (0..).zip(&file.enum_type) {
            let (name, place) = (full_name(package, it.name()), Place { file, path: vec![5, at] });
            if outside(&name) {
                continue;
            }
            claim(&mut types, type_name(it.name()), name.clone(), &place)?;
            check_enum(&name, it, &place)?;
        }
        for (at, service) in (0..).zip(&file.service) {
            let (name, place) = (full_name(package, service.name()), Place { file, path: vec![6, at] });
            place.has_name(&type_name(service.name()), &name)?;
            for (at, method) in (0..).zip(&service.method) {
                let item = full_name(&name, method.name());
                place.within(2, at).has_name(&method.name().to_snake_case(), &item)?;
            }
        }
    }
    Ok(name_services(files, types.into_keys().collect(), modules))
}

fn name_services(
    files: &[&FileDescriptorProto],
    mut taken: BTreeSet<String>,
    mut modules: BTreeSet<String>,
) -> Package {
    let services: Vec<_> =
        files.iter().flat_map(|file| file.service.iter().map(|it| (file.package(), it.name()))).collect();
    let mut named = HashMap::new();
    // What a server is generic over.
    taken.insert("T".to_owned());
    // The services before what is derived from them, so that a service keeps its name if any can.
    let names: Vec<String> = services.iter().map(|(_, name)| service_name(name, &mut taken)).collect();
    for ((package, name), service) in services.iter().zip(names) {
        let base = type_name(name);
        // Only as a whole it is a keyword.
        let base = if base == "Self_" { "Self" } else { &*base };
        let names = ServiceNames {
            service,
            server: free(format!("{base}Server"), &mut taken),
            client: free(format!("{base}Client"), &mut taken),
            codecs: free(format!("{base}Codecs"), &mut taken),
        };
        named.insert(full_name(package, name), names);
    }
    Package { services: named, blocking: free("blocking".to_owned(), &mut modules) }
}

/// A service of the same name as a message is called a service.
fn service_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let base = type_name(name);
    if taken.contains(&base) { free(format!("{base}Service"), taken) } else { free(base, taken) }
}

/// The name, with underscores behind it until it is free; it is taken then.
pub(crate) fn free(mut name: String, taken: &mut BTreeSet<String>) -> String {
    if taken.contains(&name) {
        // A raw identifier needs no escape with an underscore behind it.
        name = name.trim_start_matches("r#").to_owned();
    }
    while taken.contains(&name) {
        name.push('_');
    }
    taken.insert(name.clone());
    name
}

/// The file name of a module, without what makes its parts identifiers.
pub(crate) fn file_stem(module: &Module) -> String {
    let parts: Vec<_> = module.parts().map(|part| part.trim_start_matches("r#")).collect();
    if parts.is_empty() { "_".to_owned() } else { parts.join(".") }
}

/// As prost-build names types.
fn type_name(name: &str) -> String {
    let name = name.to_upper_camel_case();
    match name.as_str() {
        "Self" => "Self_".to_owned(),
        _ if name.starts_with(|char: char| char.is_ascii_digit()) => format!("_{name}"),
        _ => name,
    }
}

/// As prost-build names modules, but for keywords: these cannot clash with what is none.
fn module_name(name: &str) -> String {
    name.to_snake_case()
}

/// As prost-build names the variants of an enum.
fn variant_name(enum_name: &str, value: &str) -> String {
    let name = value.to_upper_camel_case();
    match name.strip_prefix(enum_name) {
        Some(rest) if rest.starts_with(char::is_uppercase) => rest.to_owned(),
        _ => name,
    }
}

fn has_module(message: &DescriptorProto) -> bool {
    let is_map =
        |nested: &&DescriptorProto| nested.options.as_ref().is_some_and(|options| options.map_entry());
    let synthetic = message.field.iter().filter(|field| field.proto3_optional()).count();
    message.nested_type.iter().any(|nested| !is_map(&nested))
        || !message.enum_type.is_empty()
        || message.oneof_decl.len() > synthetic
}

/// Where a message or an enum stands.
struct Place<'a> {
    file: &'a FileDescriptorProto,
    path: Vec<i32>,
}

impl Place<'_> {
    fn within(&self, field: i32, at: i32) -> Self {
        let mut path = self.path.clone();
        path.extend([field, at]);
        Self { file: self.file, path }
    }

    /// Names are letters, digits and underscores, of which the last go when words are put together.
    fn has_name(&self, name: &str, item: &str) -> Result<(), Error> {
        match name {
            "" => {
                Err(self.error(format!("{item} has a name without a letter or digit, and so none in Rust")))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, message: String) -> Error {
        Error::new(message)
            .at(self.file.name(), line_of(self.file, &self.path))
            .advise("rename one of them, or leave it out with `extern_path`")
    }
}

/// Takes a name for an item of the .proto file.
fn claim(
    taken: &mut BTreeMap<String, String>,
    name: String,
    item: String,
    place: &Place<'_>,
) -> Result<(), Error> {
    place.has_name(&name, &item)?;
    match taken.get(&name) {
        Some(other) => Err(place.error(format!("{other} and {item} would both be called {name:?} in Rust"))),
        None => {
            taken.insert(name, item);
            Ok(())
        }
    }
}

fn check_message(name: &str, message: &DescriptorProto, place: &Place<'_>) -> Result<(), Error> {
    let mut fields = BTreeMap::new();
    for (at, field) in (0..).zip(&message.field) {
        if field.oneof_index.is_none() || field.proto3_optional() {
            let item = format!("{name}.{}", field.name());
            claim(&mut fields, field.name().to_snake_case(), item, &place.within(2, at))?;
        }
    }
    let mut types = BTreeMap::new();
    for (at, nested) in (0..).zip(&message.nested_type) {
        if nested.options.as_ref().is_some_and(|options| options.map_entry()) {
            continue;
        }
        let (item, place) = (full_name(name, nested.name()), place.within(3, at));
        claim(&mut types, type_name(nested.name()), item.clone(), &place)?;
        check_message(&item, nested, &place)?;
    }
    for (at, nested) in (0..).zip(&message.enum_type) {
        let (item, place) = (full_name(name, nested.name()), place.within(4, at));
        claim(&mut types, type_name(nested.name()), item.clone(), &place)?;
        check_enum(&item, nested, &place)?;
    }
    for (at, oneof) in (0..).zip(&message.oneof_decl) {
        let members = || message.field.iter().zip(0..).filter(|(field, _)| field.oneof_index == Some(at));
        // One that stands for an optional field is none in Rust.
        if members().all(|(field, _)| field.proto3_optional()) {
            continue;
        }
        let (item, place_of_oneof) = (full_name(name, oneof.name()), place.within(8, at));
        claim(&mut fields, oneof.name().to_snake_case(), item.clone(), &place_of_oneof)?;
        let mut type_name = type_name(oneof.name());
        if types.contains_key(&type_name) {
            type_name.push_str("OneOf"); // as prost-build does
        }
        claim(&mut types, type_name, item.clone(), &place_of_oneof)?;
        let mut variants = BTreeMap::new();
        for (field, at) in members() {
            let member = full_name(name, field.name());
            claim(&mut variants, field.name().to_upper_camel_case(), member, &place.within(2, at))?;
        }
    }
    Ok(())
}

fn check_enum(name: &str, it: &EnumDescriptorProto, place: &Place<'_>) -> Result<(), Error> {
    let enum_name = type_name(it.name());
    let (mut variants, mut numbers) = (BTreeMap::new(), BTreeSet::new());
    for (at, value) in (0..).zip(&it.value) {
        // An alias has no variant.
        if numbers.insert(value.number()) {
            let item = format!("{name}.{}", value.name());
            claim(&mut variants, variant_name(&enum_name, value.name()), item, &place.within(2, at))?;
        }
    }
    Ok(())
}
