//! The generator's options.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::generate::{self, GeneratedFile, Options};
use crate::service::Wanted;
use crate::{Error, descriptors, source};

/// What to generate, and how.
///
/// Paths of options select items of the .proto files: `.feed.v1.Event` a message and what is nested in it,
/// `.feed.v1.Event.id` a field, `.feed.v1` a package, `.` everything; without a leading dot a path matches the end of
/// a name.
///
/// ```no_run
/// antiphon_build::Config::new()
///     .type_attribute(".feed.v1.Event", "#[derive(serde::Serialize)]")
///     .bytes([".feed.v1.Event.payload"])
///     .compile(&["proto/feed.proto"], &["proto"])?;
/// # Ok::<(), antiphon_build::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is generated before `compile`"]
pub struct Config {
    prost: prost_build::Config,
    wanted: Wanted,
    externs: Vec<String>,
    include_file: Option<String>,
    embed_schema: bool,
    out_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Servers and clients, async and blocking, on `::antiphon_service`.
    pub fn new() -> Self {
        let mut prost = prost_build::Config::new();
        // What `Any` and error details name messages by.
        prost.enable_type_names().type_name_domain(["."], "type.googleapis.com").format(false);
        Self {
            prost,
            wanted: Wanted {
                runtime: "::antiphon_service".to_owned(),
                server: true,
                client: true,
                blocking: true,
                blocking_feature: None,
            },
            externs: Vec::new(),
            include_file: Some("mod.rs".to_owned()),
            embed_schema: false,
            out_dir: None,
        }
    }

    /// The crate that the generated code names, in place of `antiphon_service`: any that re-exports it, such as
    /// `antiphon_smol`, or a path from `crate`.
    pub fn runtime_path(mut self, path: &str) -> Self {
        let rooted = path.starts_with("::") || path == "crate" || path.starts_with("crate::");
        self.wanted.runtime = if rooted { path.to_owned() } else { format!("::{path}") };
        self
    }

    /// Whether service traits and servers are generated. Default: yes.
    pub fn server(mut self, server: bool) -> Self {
        self.wanted.server = server;
        self
    }

    /// Whether clients are generated. Default: yes.
    pub fn client(mut self, client: bool) -> Self {
        self.wanted.client = client;
        self
    }

    /// Whether there is a module `blocking` with the same services for threads. Default: yes.
    pub fn blocking(mut self, blocking: bool) -> Self {
        self.wanted.blocking = blocking;
        self
    }

    /// Puts the module `blocking` behind a cargo feature of the crate that includes the code.
    pub fn blocking_feature(mut self, feature: &str) -> Self {
        self.wanted.blocking = true;
        self.wanted.blocking_feature = Some(feature.to_owned());
        self
    }

    /// Adds an attribute to messages, enums and oneofs, such as `#[derive(serde::Serialize)]`.
    pub fn type_attribute(mut self, path: &str, attribute: &str) -> Self {
        self.prost.type_attribute(path, attribute);
        self
    }

    /// Adds an attribute to messages alone.
    pub fn message_attribute(mut self, path: &str, attribute: &str) -> Self {
        self.prost.message_attribute(path, attribute);
        self
    }

    /// Adds an attribute to enums and oneofs alone.
    pub fn enum_attribute(mut self, path: &str, attribute: &str) -> Self {
        self.prost.enum_attribute(path, attribute);
        self
    }

    /// Adds an attribute to fields.
    pub fn field_attribute(mut self, path: &str, attribute: &str) -> Self {
        self.prost.field_attribute(path, attribute);
        self
    }

    /// Has a package, or a type, generated elsewhere: `.common.v1` at `::common::v1`. Nothing is generated for it
    /// here. A path that begins with neither `::` nor `crate` is looked up where the code is included.
    pub fn extern_path(mut self, proto_path: &str, rust_path: &str) -> Self {
        self.externs.push(proto_path.to_owned());
        self.prost.extern_path(proto_path, rust_path);
        self
    }

    /// Fields of type `bytes` that are `Bytes`, which shares the block that the message came in, and not `Vec<u8>`.
    pub fn bytes<I: IntoIterator<Item = impl AsRef<str>>>(mut self, paths: I) -> Self {
        self.prost.bytes(paths);
        self
    }

    /// Map fields that are `BTreeMap` and not `HashMap`.
    pub fn btree_map<I: IntoIterator<Item = impl AsRef<str>>>(mut self, paths: I) -> Self {
        self.prost.btree_map(paths);
        self
    }

    /// The file that includes all others as one tree of modules. Default: `mod.rs`. With `None` there is none: each
    /// package is included by its own file.
    pub fn include_file<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.include_file = name.into().map(str::to_owned);
        self
    }

    /// Where the files go. Default: cargo's `OUT_DIR`.
    pub fn out_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Puts the schema into the Rust files, and not beside them as `.bin`: for build systems that move text alone.
    pub fn embed_schema(mut self, embed: bool) -> Self {
        self.embed_schema = embed;
        self
    }

    /// Any option of prost-build. Its service generator, paths of crates, files and directories, and `format` are set
    /// by this crate and have no effect here; of extern paths, those given [here](Config::extern_path) alone leave
    /// out services too.
    pub fn prost(mut self, change: impl FnOnce(&mut prost_build::Config)) -> Self {
        change(&mut self.prost);
        self
    }

    /// Compiles .proto files and all that they import, and writes the code to `OUT_DIR` (or [out_dir](Config::out_dir)):
    /// `<package>.rs` and `<package>.bin` for each package, and the [include file](Config::include_file). A package
    /// without a name is called `_`. Files that did not change are not touched.
    ///
    /// In a build script it tells cargo which files to watch.
    ///
    /// # Errors
    /// With place and advice: a file that cannot be read, an import that is not found, a mistake in a file, a file in
    /// editions syntax, names that clash in Rust, options that lead to code that is no Rust, and when the code cannot
    /// be written.
    pub fn compile(self, protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
        let Some(out_dir) = self.out_dir.clone().or_else(|| env::var_os("OUT_DIR").map(PathBuf::from)) else {
            return Err(Error::new("there is no directory to write to: OUT_DIR is not set")
                .advise("run this in build.rs, or give a directory with `out_dir`"));
        };
        let protos: Vec<_> = protos.iter().map(|path| path.as_ref().to_owned()).collect();
        let includes: Vec<_> = includes.iter().map(|path| path.as_ref().to_owned()).collect();
        let compiled = source::compile(&protos, &includes)?;
        if env::var_os("OUT_DIR").is_some() {
            watch(&compiled.paths).map_err(|error| Error::new(format!("cannot speak to cargo: {error}")))?;
        }
        let files =
            self.generate(&compiled.set, None).map_err(|error| error.located(|name| compiled.path(name)))?;
        for file in files {
            let path = out_dir.join(&file.name);
            write(&path, &file.content).map_err(|error| {
                Error::new(format!("cannot write the file: {error}"))
                    .at(path, None)
                    .because(error)
                    .advise("check that the directory is there and may be written to")
            })?;
        }
        Ok(())
    }

    /// Generates the code of an encoded `FileDescriptorSet`, without writing it anywhere: for plugins and other build
    /// systems. The set has all imports; comments come from its source code info. With `files`, only these are
    /// generated, by the names that the set has for them.
    ///
    /// # Errors
    /// As [compile](Config::compile), without the disk; and when the bytes are no descriptor set or lack a file.
    pub fn generate(
        mut self,
        descriptor_set: &[u8],
        files: Option<&[String]>,
    ) -> Result<Vec<GeneratedFile>, Error> {
        let runtime = &self.wanted.runtime;
        if syn::parse_str::<syn::Path>(runtime).is_err() {
            return Err(Error::new(format!("{runtime:?} is no path of a crate"))
                .advise("give `runtime_path` a path such as \"antiphon_smol\" or \"crate::rpc\""));
        }
        self.prost
            .prost_path(format!("{runtime}::prost"))
            .prost_types_path(format!("{runtime}::prost_types"))
            .format(false);
        let options = Options {
            wanted: self.wanted,
            externs: self.externs,
            include_file: self.include_file,
            embed_schema: self.embed_schema,
        };
        generate::generate(&options, self.prost, &descriptors::read(descriptor_set)?, files)
    }
}

/// Tells cargo to run the build script again when one of the files has changed.
fn watch(paths: &[(String, PathBuf)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (_, path) in paths {
        writeln!(out, "cargo:rerun-if-changed={}", path.display())?;
    }
    out.flush()
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, content)
}
