//! From checked descriptors to the files of the generated code.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use prost_build::Module;
use prost_types::FileDescriptorProto;

use crate::descriptors::{self, File};
use crate::docs::{Docs, full_name};
use crate::service::{Wanted, Writer};
use crate::{Error, names};

/// A file of the generated code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Its name: all files stand in one directory.
    pub name: String,
    /// What is in it. Rust and UTF-8, but for `.bin`.
    pub content: Vec<u8>,
}

/// What the generator is told beside the descriptors.
pub(crate) struct Options {
    pub(crate) wanted: Wanted,
    /// The paths that others generate, beginning with a dot.
    pub(crate) externs: Vec<String>,
    pub(crate) include_file: Option<String>,
    /// The schema stands in the code and not beside it.
    pub(crate) embed_schema: bool,
}

impl Options {
    /// Whether a name, or a package, is generated elsewhere.
    fn is_extern(&self, name: &str) -> bool {
        let covers = |path: &str| {
            let path = path.trim_start_matches('.');
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.externs.iter().any(|path| covers(path)) || covers(".google.protobuf")
    }
}

/// The files of the set that are generated as one module.
struct Unit<'a> {
    files: Vec<&'a File>,
    names: names::Package,
}

/// Generates the code of the files that are asked for: of all when there is no list.
pub(crate) fn generate(
    options: &Options,
    mut prost: prost_build::Config,
    files: &[File],
    asked: Option<&[String]>,
) -> Result<Vec<GeneratedFile>, Error> {
    let mut units = units(options, files, asked)?;
    let mut docs = Docs::default();
    let asked: BTreeSet<_> =
        units.values().flat_map(|unit| unit.files.iter().map(|file| file.proto.name().to_owned())).collect();
    let mut requests = Vec::with_capacity(files.len());
    for file in files {
        let mut proto = file.proto.clone();
        // An empty name is none: prost-build tells them apart.
        proto.package = proto.package.filter(|package| !package.is_empty());
        let module = Module::from_protobuf_package_name(proto.package());
        let wanted = asked.contains(proto.name());
        if wanted {
            docs.take(&mut proto);
        } else {
            proto.source_code_info = None;
        }
        if !wanted || !(options.wanted.server || options.wanted.client) {
            proto.service.clear();
        }
        // prost-build looks into all messages, whatever is asked for; no package is called that.
        requests.push((if wanted { module } else { Module::from_parts(["not asked for"]) }, proto));
    }
    let packages = units.iter_mut().map(|(module, unit)| (module.clone(), core::mem::take(&mut unit.names)));
    prost.service_generator(Box::new(Writer::new(options.wanted.clone(), packages.collect())));
    let mut modules = run(&mut prost, requests)?;

    let mut generated = Vec::new();
    let mut included = BTreeMap::new();
    for (module, unit) in &units {
        let Some(code) = modules.remove(module) else { continue };
        let stem = names::file_stem(module);
        let set = descriptors::closure(files, unit.files.iter().map(|file| file.proto.name()))?;
        let text = text(options, unit, &docs, &stem, &code, &set)?;
        included.insert(module.parts().map(str::to_owned).collect::<Vec<_>>(), format!("{stem}.rs"));
        generated.push(GeneratedFile { name: format!("{stem}.rs"), content: text.into_bytes() });
        if !options.embed_schema {
            generated.push(GeneratedFile { name: format!("{stem}.bin"), content: set });
        }
    }
    if let Some(name) = &options.include_file {
        if generated.iter().any(|file| file.name == *name) {
            return Err(Error::new(format!("the code of a package is called {name} as well"))
                .advise("choose another name with `include_file`"));
        }
        generated.push(GeneratedFile { name: name.clone(), content: include_file(&included).into_bytes() });
    }
    Ok(generated)
}

/// What is to be generated, by module, with all names checked.
fn units<'a>(
    options: &Options,
    files: &'a [File],
    asked: Option<&[String]>,
) -> Result<BTreeMap<Module, Unit<'a>>, Error> {
    if let Some(missing) =
        asked.unwrap_or_default().iter().find(|name| files.iter().all(|it| it.proto.name() != **name))
    {
        return Err(Error::new(format!("the descriptor set has no file {missing:?}")));
    }
    let mut units = BTreeMap::<Module, Unit<'a>>::new();
    for file in files {
        let proto = &file.proto;
        if options.is_extern(proto.package())
            || asked.is_some_and(|asked| !asked.iter().any(|it| it == proto.name()))
        {
            continue;
        }
        let module = Module::from_protobuf_package_name(proto.package());
        let unit =
            units.entry(module).or_insert_with(|| Unit { files: Vec::new(), names: Default::default() });
        unit.files.push(file);
    }
    let modules: Vec<Vec<String>> =
        units.keys().map(|module| module.parts().map(str::to_owned).collect()).collect();
    for (module, unit) in &mut units {
        let parts: Vec<_> = module.parts().collect();
        let children = modules
            .iter()
            .filter(|other| other.len() > parts.len() && other.iter().zip(&parts).all(|(a, b)| a == b));
        let children = children.map(|child| child[parts.len()].trim_start_matches("r#").to_owned()).collect();
        let protos: Vec<&FileDescriptorProto> = unit.files.iter().map(|file| &file.proto).collect();
        unit.names = names::of_package(&protos, &children, &|name| options.is_extern(name))?;
    }
    Ok(units)
}

/// Runs prost-build, which panics where a descriptor is not as a compiler makes it.
fn run(
    prost: &mut prost_build::Config,
    requests: Vec<(Module, FileDescriptorProto)>,
) -> Result<HashMap<Module, String>, Error> {
    match catch_unwind(AssertUnwindSafe(|| prost.generate(requests))) {
        Ok(Ok(modules)) => Ok(modules),
        Ok(Err(error)) => Err(Error::new(format!("prost-build: {error}")).because(error)
            .advise("check the paths of options such as `extern_path`: they begin with a dot, as in \".feed.v1.Event\"")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Error::new(format!("prost-build panicked: {text}"))
                .advise("the descriptors are not as a compiler makes them: make them anew, with all imports"))
        }
    }
}

/// The text of a package: laid out, with docs and schema.
fn text(
    options: &Options,
    unit: &Unit<'_>,
    docs: &Docs,
    stem: &str,
    code: &str,
    set: &[u8],
) -> Result<String, Error> {
    let mut file = syn::parse_file(code).map_err(|error| {
        Error::new(format!("the code generated for {stem} is no Rust: {error}"))
            .because(error)
            .advise("check the attributes and types that were given to the generator")
    })?;
    debug_btree_maps(&mut file.items);
    for item in &mut file.items {
        allow(item, docs.deprecate());
    }
    let mut out = String::new();
    for file in &unit.files {
        // A name may have any letters: what it must not do is end the line.
        let name = file.proto.name().escape_debug();
        out.push_str(&format!("// @generated by antiphon-build from {name}: do not edit.\n"));
    }
    out.push('\n');
    out.push_str(&docs.give(&prettyplease::unparse(&file)));
    let runtime = &options.wanted.runtime;
    let schema =
        if options.embed_schema { byte_string(set) } else { format!("include_bytes!(\"{stem}.bin\")") };
    out.push_str(&format!(
        "/// The schema of these messages, for JSON and for reflection: their files and all that these import.\n\
         #[allow(dead_code)]\n\
         pub static SCHEMA: {runtime}::Schema = {runtime}::Schema::new({schema});\n"
    ));
    Ok(out)
}

/// A program need not use all that was generated, what is deprecated is named by what is generated around it, and
/// names are not for linters to choose.
fn allow(item: &mut syn::Item, deprecated: bool) {
    let attributes = match item {
        syn::Item::Enum(item) => &mut item.attrs,
        syn::Item::Impl(item) => &mut item.attrs,
        syn::Item::Mod(item) => &mut item.attrs,
        syn::Item::Struct(item) => &mut item.attrs,
        syn::Item::Trait(item) => &mut item.attrs,
        _ => return,
    };
    let docs = attributes.iter().take_while(|attribute| attribute.path().is_ident("doc")).count();
    attributes.insert(
        docs,
        match deprecated {
            true => syn::parse_quote!(#[allow(clippy::all, dead_code, deprecated)]),
            false => syn::parse_quote!(#[allow(clippy::all, dead_code)]),
        },
    );
}

/// Gives messages with a `BTreeMap` the language's own `Debug`: prost 0.14 derives one that names the map by `::prost`,
/// whatever path it was told.
fn debug_btree_maps(items: &mut [syn::Item]) {
    let says = |attributes: &[syn::Attribute], word: &str| {
        let list = |it: &syn::Attribute| {
            it.meta.require_list().is_ok_and(|list| list.tokens.to_string().starts_with(word))
        };
        attributes.iter().any(|it| it.path().is_ident("prost") && list(it))
    };
    for item in items {
        match item {
            syn::Item::Mod(item) => {
                if let Some((_, items)) = &mut item.content {
                    debug_btree_maps(items);
                }
            }
            syn::Item::Struct(item) => {
                let has_map = item.fields.iter().any(|field| says(&field.attrs, "btree_map"));
                if has_map && !says(&item.attrs, "skip_debug") {
                    item.attrs.push(syn::parse_quote!(#[prost(skip_debug)]));
                    item.attrs.push(syn::parse_quote!(#[derive(::core::fmt::Debug)]));
                }
            }
            _ => {}
        }
    }
}

/// Bytes as a literal of lines that are not too long.
fn byte_string(bytes: &[u8]) -> String {
    let mut out = String::from("b\"\\\n");
    let mut width = 0;
    for byte in bytes {
        // A space at the start of a line would be taken for its indentation.
        let escaped = match byte {
            b' ' if width == 0 => "\\x20".to_owned(),
            byte => byte.escape_ascii().to_string(),
        };
        width += escaped.len();
        out.push_str(&escaped);
        if width > 100 {
            out.push_str("\\\n");
            width = 0;
        }
    }
    out.push('"');
    out
}

/// One tree of modules for all packages.
fn include_file(files: &BTreeMap<Vec<String>, String>) -> String {
    let mut out = String::from("// @generated by antiphon-build: do not edit.\n");
    let mut open: Vec<&str> = Vec::new();
    for (parts, file) in files {
        while !(open.len() <= parts.len() && open.iter().zip(parts).all(|(open, part)| open == part)) {
            open.pop();
            out.push_str(&format!("{}}}\n", "    ".repeat(open.len())));
        }
        while let Some(part) = parts.get(open.len()) {
            let indent = "    ".repeat(open.len());
            let package = full_name(&open.join("."), part).replace("r#", "");
            if open.is_empty() {
                out.push('\n');
            }
            out.push_str(&format!("{indent}/// The package `{package}`.\n"));
            if open.is_empty() {
                out.push_str("#[allow(clippy::all, clippy::pedantic, unreachable_pub)]\n");
            }
            out.push_str(&format!("{indent}pub mod {part} {{\n"));
            open.push(part);
        }
        out.push_str(&format!("{}include!({file:?});\n", "    ".repeat(open.len())));
    }
    while open.pop().is_some() {
        out.push_str(&format!("{}}}\n", "    ".repeat(open.len())));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_strings_are_short_lines_without_leading_space() {
        let bytes: Vec<u8> = (0..=255).chain([b' '; 300]).collect();
        let text = byte_string(&bytes);
        assert!(text.lines().all(|line| line.len() < 110 && !line.starts_with(' ')));
        let literal: syn::LitByteStr = syn::parse_str(&text).unwrap();
        assert_eq!(literal.value(), bytes);
    }

    #[test]
    fn the_tree_of_modules_follows_the_packages() {
        let files = [("", "_"), ("a.b", "a.b"), ("a.b.c", "a.b.c"), ("a.d", "a.d"), ("r#mod", "mod")];
        let files = files.map(|(module, stem)| {
            (module.split('.').filter(|it| !it.is_empty()).map(str::to_owned).collect(), format!("{stem}.rs"))
        });
        let tree = include_file(&files.into_iter().collect());
        let file = syn::parse_file(&tree).unwrap();
        assert_eq!(file.items.len(), 3, "{tree}");
        let code: String =
            tree.lines().filter(|line| !line.trim().starts_with("/") && !line.starts_with('#')).collect();
        let code: String = code.split_whitespace().collect();
        let want = "include!(\"_.rs\");pubmoda{pubmodb{include!(\"a.b.rs\");pubmodc{include!(\"a.b.c.rs\");}}\
                    pubmodd{include!(\"a.d.rs\");}}pubmodr#mod{include!(\"mod.rs\");}";
        assert_eq!(code, want);
    }
}
