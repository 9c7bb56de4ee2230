//! From .proto files to a checked descriptor set, without protoc.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::{Error, editions};

/// What was compiled.
pub(crate) struct Compiled {
    /// An encoded `FileDescriptorSet`, with all imports, comments and custom options.
    pub(crate) set: Vec<u8>,
    /// The files that were read from disk, by the names under which others import them.
    pub(crate) paths: Vec<(String, PathBuf)>,
}

impl Compiled {
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.paths.iter().find(|(known, _)| known == name).map(|(_, path)| path.clone())
    }
}

/// Compiles files and all that they import.
pub(crate) fn compile(protos: &[PathBuf], includes: &[PathBuf]) -> Result<Compiled, Error> {
    for include in includes {
        if !include.is_dir() {
            return Err(Error::new(format!("the include directory {} is not there", include.display()))
                .advise("paths are relative to the directory of the package's Cargo.toml"));
        }
    }
    let refused = Rc::new(RefCell::new(None));
    let mut compiler = protox::Compiler::with_file_resolver(Checked::new(includes, &refused));
    compiler.include_imports(true).include_source_info(true);
    for proto in protos {
        check_readable(proto, includes)?;
        if let Err(error) = compiler.open_file(proto) {
            let refused = refused.borrow_mut().take();
            return Err(refused.unwrap_or_else(|| explain(error, proto, includes)));
        }
    }
    let paths = compiler.files().filter_map(|file| Some((file.name().to_owned(), file.path()?.to_owned())));
    Ok(Compiled { paths: paths.collect(), set: compiler.encode_file_descriptor_set() })
}

fn check_readable(proto: &Path, includes: &[PathBuf]) -> Result<(), Error> {
    // A name relative to an include directory will do as well.
    let found = [proto.to_owned()].into_iter().chain(includes.iter().map(|include| include.join(proto)));
    let mut error = None;
    for path in found {
        match fs::File::open(&path) {
            Ok(_) => return Ok(()),
            Err(other) if other.kind() == io::ErrorKind::NotFound => {}
            Err(other) => error = Some((path, other)),
        }
    }
    let (path, error) = error.unwrap_or_else(|| (proto.to_owned(), io::ErrorKind::NotFound.into()));
    Err(Error::new(format!("cannot read the file: {error}"))
        .at(path, None)
        .because(error)
        .advise("paths are relative to the directory of the package's Cargo.toml"))
}

/// protox's error, with the path of the file and what to do.
fn explain(error: protox::Error, proto: &Path, includes: &[PathBuf]) -> Error {
    let is_import = error.is_file_not_found();
    let place = error.file().is_some();
    let error = Error::from_protox(error)
        .located(|name| includes.iter().map(|include| include.join(name)).find(|path| path.is_file()));
    let listed: Vec<_> = includes.iter().map(|include| include.display().to_string()).collect();
    let listed = if listed.is_empty() { "there is none".to_owned() } else { listed.join(", ") };
    let undefined = error.message().ends_with("is not defined").then(|| well_known(error.message()));
    if let Some(file) = undefined {
        return error.advise(match file {
            Some(file) => format!("write `import \"{file}\";`"),
            None => "import the file that defines it, and name it with its package; an rpc takes and gives messages".into(),
        });
    }
    match (is_import, place) {
        (true, true) => error.advise(format!(
            "write the import relative to an include directory ({listed}), or add the directory that it is in"
        )),
        (true, false) => error
            .at(proto, None)
            .advise(format!("add the directory that it is in to the include directories ({listed})")),
        _ => error,
    }
}

/// The file of one of Google's own types, if that is what is not defined.
fn well_known(message: &str) -> Option<&'static str> {
    let name = message.split_once("'google.protobuf.")?.1.split_once('\'')?.0;
    Some(match name {
        "Any" => "google/protobuf/any.proto",
        "Duration" => "google/protobuf/duration.proto",
        "Empty" => "google/protobuf/empty.proto",
        "FieldMask" => "google/protobuf/field_mask.proto",
        "ListValue" | "NullValue" | "Struct" | "Value" => "google/protobuf/struct.proto",
        "Timestamp" => "google/protobuf/timestamp.proto",
        _ if name.ends_with("Value") => "google/protobuf/wrappers.proto",
        _ => return None,
    })
}

/// Finds files in the include directories, then among Google's own; those in editions syntax are refused unread.
struct Checked {
    includes: Vec<PathBuf>,
    resolver: ChainFileResolver,
    refused: Rc<RefCell<Option<Error>>>,
}

impl Checked {
    fn new(includes: &[PathBuf], refused: &Rc<RefCell<Option<Error>>>) -> Self {
        let mut resolver = ChainFileResolver::new();
        for include in includes {
            resolver.add(IncludeFileResolver::new(include.clone()));
        }
        resolver.add(GoogleFileResolver::new());
        Self { includes: includes.to_vec(), resolver, refused: Rc::clone(refused) }
    }
}

impl FileResolver for Checked {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        self.resolver.resolve_path(path)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        for path in self.includes.iter().map(|include| include.join(name)) {
            // What cannot be read is told by protox.
            let Ok(text) = fs::read(&path) else { continue };
            if let Some(edition) = editions::find(&text) {
                *self.refused.borrow_mut() =
                    Some(editions::refuse(path, Some(edition.line), Some(&edition.name)));
                return Err(protox::Error::new("editions"));
            }
            if text.starts_with(b"\xef\xbb\xbf") {
                let error = Error::new("the file begins with a byte order mark").at(path, Some(1));
                *self.refused.borrow_mut() = Some(error.advise("save it as UTF-8 without one"));
                return Err(protox::Error::new("byte order mark"));
            }
            break;
        }
        self.resolver.open_file(name)
    }
}
