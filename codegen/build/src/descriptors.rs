//! Descriptor sets: checked before prost-build sees them, and written again for the programs that carry them.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_types::FileDescriptorProto;

use crate::{Error, editions};

/// The number of `FileDescriptorProto.source_code_info`.
const SOURCE_CODE_INFO: u64 = 9;

/// One file of a descriptor set.
#[derive(Debug)]
pub(crate) struct File {
    /// As it came but for the source code info: with the custom options that `proto` has no place for.
    bytes: Vec<u8>,
    /// For prost-build.
    pub(crate) proto: FileDescriptorProto,
}

/// A `FileDescriptorSet` whose files are not looked into.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// What prost-types has no field for.
#[derive(Clone, PartialEq, Message)]
struct Beyond {
    #[prost(int32, optional, tag = "14")]
    edition: Option<i32>,
}

/// Reads a set and checks each file of it.
pub(crate) fn read(set: &[u8]) -> Result<Vec<File>, Error> {
    let broken = |error: prost::DecodeError| {
        Error::new("the bytes are no descriptor set").because(error).advise(
            "pass what `protoc --include_imports --include_source_info --descriptor_set_out` or `buf build` writes",
        )
    };
    let set = Set::decode(set).map_err(broken)?;
    let mut files = Vec::with_capacity(set.file.len());
    for bytes in set.file {
        let proto = FileDescriptorProto::decode(&*bytes).map_err(broken)?;
        let edition = Beyond::decode(&*bytes).map_err(broken)?.edition;
        check_syntax(&proto, edition)?;
        let bytes = without_source_code_info(&bytes)
            .ok_or_else(|| Error::new("the descriptor of the file is broken").at(proto.name(), None))?;
        files.push(File { bytes, proto });
    }
    Ok(files)
}

fn check_syntax(proto: &FileDescriptorProto, edition: Option<i32>) -> Result<(), Error> {
    // The places of the statements `edition` and, as protoc writes it, `syntax`.
    let line = line_of(proto, &[14]).or_else(|| line_of(proto, &[12]));
    // Both kinds of old files have an edition of their own in new descriptors: 998 and 999.
    let edition = edition.filter(|edition| *edition >= 1000);
    match proto.syntax() {
        "" | "proto2" | "proto3" if edition.is_none() => Ok(()),
        "" | "proto2" | "proto3" | "editions" => {
            let year = match edition {
                Some(1000) => Some("2023"),
                Some(1001) => Some("2024"),
                _ => None,
            };
            Err(editions::refuse(proto.name(), line, year))
        }
        other => Err(Error::new(format!("the file is written in an unknown syntax, {other:?}"))
            .at(proto.name(), line)
            .advise("write `syntax = \"proto3\";` or \"proto2\"")),
    }
}

/// The line, counted from 1, of the part of a file that `path` leads to.
pub(crate) fn line_of(proto: &FileDescriptorProto, path: &[i32]) -> Option<usize> {
    let locations = &proto.source_code_info.as_ref()?.location;
    let location = locations.iter().find(|location| location.path == path)?;
    usize::try_from(*location.span.first()?).ok()?.checked_add(1)
}

/// A set of the files named and all that they import, each after what it imports.
pub(crate) fn closure<'a>(files: &[File], wanted: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, Error> {
    let by_name: BTreeMap<&str, &File> = files.iter().map(|file| (file.proto.name(), file)).collect();
    let mut done = BTreeSet::new();
    let mut set = Set::default();
    // A stack and no recursion: how deep files import each other is not ours to bound. The second visit of a file
    // finds all its imports done.
    let mut stack: Vec<(&str, Option<&str>)> = wanted.map(|name| (name, None)).collect();
    stack.reverse();
    let mut entered = BTreeSet::new();
    while let Some(&(name, importer)) = stack.last() {
        let Some(file) = by_name.get(name) else {
            let error = Error::new(format!("the descriptor set lacks {name:?}"))
                .advise("make the set with all imports: `protoc --include_imports`, or `buf build` without exclusions");
            return Err(match importer {
                Some(importer) => error.at(importer, None),
                None => error,
            });
        };
        if entered.insert(name) {
            let imports = file.proto.dependency.iter().rev();
            stack.extend(
                imports.filter(|it| !entered.contains(it.as_str())).map(|it| (it.as_str(), Some(name))),
            );
            continue;
        }
        stack.pop();
        if done.insert(name) {
            set.file.push(file.bytes.clone());
        }
    }
    Ok(set.encode_to_vec())
}

/// Copies a message field by field but for one. `None` when it is broken.
fn without_source_code_info(message: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest)?;
        let length = match key & 7 {
            0 => varint(&mut rest).map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(length..)?;
        if key >> 3 != SOURCE_CODE_INFO {
            copy.extend_from_slice(start.get(..start.len() - rest.len())?);
        }
    }
    Some(copy)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost_types::source_code_info::Location;
    use prost_types::{FileDescriptorSet, SourceCodeInfo};

    use super::*;

    fn file(name: &str, imports: &[&str]) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(name.into()),
            dependency: imports.iter().map(|&import| import.into()).collect(),
            source_code_info: Some(SourceCodeInfo {
                location: vec![Location { path: vec![12], span: vec![2, 0, 9], ..Location::default() }],
            }),
            ..FileDescriptorProto::default()
        }
    }

    fn set(files: Vec<FileDescriptorProto>) -> Vec<u8> {
        FileDescriptorSet { file: files }.encode_to_vec()
    }

    #[test]
    fn editions_and_unknown_syntax_are_refused_with_their_line() {
        let mut editions = file("a.proto", &[]);
        editions.syntax = Some("editions".into());
        let error = read(&set(vec![editions.clone()])).unwrap_err();
        assert!(
            error.to_string().starts_with("a.proto:3: the file is written in editions syntax"),
            "{error}"
        );
        assert!(error.advice().unwrap().contains("proto3"));

        // EDITION_2023 = 1000, in a field that prost-types does not know.
        let mut bytes = editions.encode_to_vec();
        bytes.extend_from_slice(&[14 << 3, 0xe8, 0x07]);
        let error = read(&Set { file: vec![bytes] }.encode_to_vec()).unwrap_err();
        assert!(error.message().contains("edition 2023"), "{error}");

        // A field alone will do, and EDITION_PROTO3 = 999 is none.
        for (number, refused) in [([0xe9, 0x07], true), ([0xe7, 0x07], false)] {
            let mut bytes = file("b.proto", &[]).encode_to_vec();
            bytes.extend_from_slice(&[14 << 3, number[0], number[1]]);
            assert_eq!(read(&Set { file: vec![bytes] }.encode_to_vec()).is_err(), refused);
        }

        let mut unknown = file("c.proto", &[]);
        unknown.syntax = Some("proto4".into());
        let error = read(&set(vec![unknown])).unwrap_err();
        assert!(error.message().contains("proto4"), "{error}");
    }

    #[test]
    fn a_closure_holds_what_is_imported_and_no_more_in_order() {
        let files = read(&set(vec![
            file("top.proto", &["left.proto", "right.proto"]),
            file("left.proto", &["base.proto"]),
            file("right.proto", &["base.proto"]),
            file("other.proto", &[]),
            file("base.proto", &[]),
        ]))
        .unwrap();
        let closed = closure(&files, ["top.proto", "left.proto"].into_iter()).unwrap();
        let closed = FileDescriptorSet::decode(&*closed).unwrap();
        let names: Vec<_> = closed.file.iter().map(FileDescriptorProto::name).collect();
        assert_eq!(names, ["base.proto", "left.proto", "right.proto", "top.proto"]);
        assert!(closed.file.iter().all(|file| file.source_code_info.is_none()));

        let files = read(&set(vec![file("a.proto", &["gone.proto"])])).unwrap();
        let error = closure(&files, ["a.proto"].into_iter()).unwrap_err();
        assert_eq!(error.file().unwrap().to_str(), Some("a.proto"));
        assert!(error.message().contains("gone.proto"), "{error}");
    }

    #[test]
    fn files_that_import_each_other_end() {
        let files = read(&set(vec![file("a.proto", &["b.proto"]), file("b.proto", &["a.proto"])])).unwrap();
        assert!(closure(&files, ["a.proto"].into_iter()).is_ok());
    }

    #[test]
    fn unknown_fields_stay_and_broken_bytes_are_told() {
        // Field 50000, as a custom option's container might be.
        let mut bytes = file("a.proto", &[]).encode_to_vec();
        bytes.extend_from_slice(&[0x82, 0xb5, 0x18, 1, b'x']);
        let copy = without_source_code_info(&bytes).unwrap();
        assert!(copy.ends_with(&[0x82, 0xb5, 0x18, 1, b'x']));
        for end in 0..bytes.len() {
            without_source_code_info(&bytes[..end]);
            let _ = read(&Set { file: vec![bytes[..end].to_vec()] }.encode_to_vec());
        }
        assert!(read(b"\x0a\xff").is_err());
        assert_eq!(varint(&mut &[0xff; 11][..]), None);
    }
}
