//! Questions and answers without a server. The rules are those of reflection.proto.

use antiphon_service::Bytes;
use antiphon_service::prost::Message;
use antiphon_service::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, OneofDescriptorProto,
    ServiceDescriptorProto,
};

use crate::answers::Session;
use crate::index::Index;
use crate::v1::server_reflection_request::MessageRequest as Question;
use crate::v1::server_reflection_response::MessageResponse as Answer;
use crate::v1::{ExtensionRequest, ServerReflectionRequest};

fn message(name: &str) -> DescriptorProto {
    DescriptorProto { name: Some(name.to_owned()), ..Default::default() }
}

fn field(name: &str, number: i32, extendee: Option<&str>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        extendee: extendee.map(str::to_owned),
        ..Default::default()
    }
}

fn file(name: &str, imports: &[&str], messages: &[&str]) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        package: Some("a.b".to_owned()),
        dependency: imports.iter().map(|it| (*it).to_owned()).collect(),
        message_type: messages.iter().map(|it| message(it)).collect(),
        ..Default::default()
    }
}

fn set(files: &[FileDescriptorProto]) -> &'static [u8] {
    Vec::leak(FileDescriptorSet { file: files.to_vec() }.encode_to_vec())
}

fn index(sets: &[&'static [u8]]) -> Index {
    Index::new(vec!["a.b.S".to_owned()], sets.iter().copied())
}

fn ask(session: &mut Session<'_>, question: Option<Question>) -> Answer {
    let request = ServerReflectionRequest { host: "h".to_owned(), message_request: question };
    let answer = session.answer(request.clone());
    assert_eq!((answer.valid_host.as_str(), answer.original_request), ("h", Some(request)));
    answer.message_response.unwrap()
}

/// The names of the files of an answer.
fn names(answer: Answer) -> Vec<String> {
    let Answer::FileDescriptorResponse(files) = answer else { panic!("{answer:?}") };
    let decode = |bytes: &Bytes| FileDescriptorProto::decode(&**bytes).unwrap().name().to_owned();
    files.file_descriptor_proto.iter().map(decode).collect()
}

fn error(answer: Answer) -> (i32, String) {
    let Answer::ErrorResponse(error) = answer else { panic!("{answer:?}") };
    (error.error_code, error.error_message)
}

fn symbol(name: &str) -> Option<Question> {
    Some(Question::FileContainingSymbol(name.to_owned()))
}

fn by_name(name: &str) -> Option<Question> {
    Some(Question::FileByFilename(name.to_owned()))
}

#[test]
fn a_file_comes_with_its_imports_each_once_in_a_call() {
    let files = [
        file("far.proto", &[], &["Far"]),
        file("near.proto", &["far.proto"], &["Near"]),
        // The last is in no schema: the client will miss it.
        file("top.proto", &["near.proto", "far.proto", "lost.proto"], &["Top"]),
    ];
    let index = index(&[set(&files)]);
    let mut session = Session::new(&index);
    assert_eq!(names(ask(&mut session, symbol("a.b.Near"))), ["near.proto", "far.proto"]);
    assert_eq!(names(ask(&mut session, by_name("top.proto"))), ["top.proto"]);
    assert_eq!(
        names(ask(&mut session, by_name("far.proto"))),
        ["far.proto"],
        "what was asked for is sent again"
    );
    assert_eq!(error(ask(&mut session, by_name("lost.proto"))).0, 5);
    let mut session = Session::new(&index);
    assert_eq!(names(ask(&mut session, by_name("top.proto"))), ["top.proto", "near.proto", "far.proto"]);
}

#[test]
fn files_that_import_each_other_come_to_an_end() {
    let index =
        index(&[set(&[file("a.proto", &["b.proto"], &[]), file("b.proto", &["a.proto", "b.proto"], &[])])]);
    assert_eq!(names(ask(&mut Session::new(&index), by_name("a.proto"))), ["a.proto", "b.proto"]);
}

/// A file with one of each.
fn everything() -> FileDescriptorProto {
    let values = vec![EnumValueDescriptorProto { name: Some("RED".to_owned()), ..Default::default() }];
    let color = EnumDescriptorProto { name: Some("Color".to_owned()), value: values, ..Default::default() };
    let outer = DescriptorProto {
        field: vec![field("text", 1, None)],
        nested_type: vec![message("Inner")],
        enum_type: vec![color.clone()],
        extension: vec![field("inside", 101, Some(".a.b.Open"))],
        oneof_decl: vec![OneofDescriptorProto { name: Some("choice".to_owned()), ..Default::default() }],
        ..message("Outer")
    };
    let method = MethodDescriptorProto { name: Some("M".to_owned()), ..Default::default() };
    FileDescriptorProto {
        message_type: vec![outer, message("Open"), message("Closed")],
        enum_type: vec![color],
        service: vec![ServiceDescriptorProto {
            name: Some("S".to_owned()),
            method: vec![method],
            ..Default::default()
        }],
        extension: vec![field("outside", 100, Some(".a.b.Open"))],
        ..file("all.proto", &[], &[])
    }
}

#[test]
fn every_kind_of_symbol_is_found_by_its_full_name() {
    let index = index(&[set(&[everything()])]);
    let mut session = Session::new(&index);
    for name in [
        "S",
        "S.M",
        "Outer",
        "Outer.text",
        "Outer.choice",
        "Outer.Inner",
        "Outer.Color",
        "Outer.RED",
        "Outer.inside",
        "Color",
        "RED",
        "outside",
    ] {
        assert_eq!(names(ask(&mut session, symbol(&format!("a.b.{name}")))), ["all.proto"], "{name}");
    }
    for name in ["", "a.b", "S", ".a.b.S", "a.b.S.", "a.b.S.N", "a.b.Color.RED", "all.proto"] {
        let (code, text) = error(ask(&mut session, symbol(name)));
        assert!(code == 5 && text.contains(&format!("{name:?}")), "{name}: {text}");
    }
}

#[test]
fn extensions_are_found_by_message_and_number() {
    let index = index(&[set(&[everything()])]);
    let mut session = Session::new(&index);
    let mut extension = |message: &str, number| {
        let asked = ExtensionRequest { containing_type: message.to_owned(), extension_number: number };
        ask(&mut session, Some(Question::FileContainingExtension(asked)))
    };
    assert_eq!(names(extension("a.b.Open", 100)), ["all.proto"]);
    assert_eq!(names(extension("a.b.Open", 101)), ["all.proto"]);
    assert_eq!(error(extension("a.b.Open", 102)).0, 5);
    assert_eq!(error(extension("a.b.Closed", 100)).0, 5);

    let mut numbers =
        |message: &str| ask(&mut session, Some(Question::AllExtensionNumbersOfType(message.to_owned())));
    for (message, expected) in [("a.b.Open", &[100, 101][..]), ("a.b.Closed", &[])] {
        let Answer::AllExtensionNumbersResponse(answer) = numbers(message) else { panic!("{message}") };
        assert_eq!((answer.base_type_name.as_str(), &answer.extension_number[..]), (message, expected));
    }
    for message in ["a.b.S", "a.b.None", ""] {
        assert_eq!(error(numbers(message)).0, 5, "{message}");
    }
}

#[test]
fn services_are_listed_and_a_request_for_nothing_is_refused() {
    let index = index(&[]);
    let mut session = Session::new(&index);
    let Answer::ListServicesResponse(list) = ask(&mut session, Some(Question::ListServices(String::new())))
    else {
        panic!("no list");
    };
    assert_eq!(list.service[0].name, "a.b.S");
    assert_eq!(error(ask(&mut session, None)).0, 3);
}

#[test]
fn a_file_of_two_schemas_is_one_file() {
    let shared = file("shared.proto", &[], &["Shared"]);
    // The same, written by another compiler.
    let mut other = shared.clone();
    other.message_type[0].options = Some(Default::default());
    let sets = [
        set(&[shared.clone(), file("x.proto", &["shared.proto"], &["X"])]),
        set(&[shared, file("y.proto", &["shared.proto"], &["Y"])]),
        set(&[other, file("z.proto", &["shared.proto"], &["Z"])]),
    ];
    let index = index(&sets);
    assert_eq!(index.len(), 4);
    let mut session = Session::new(&index);
    assert_eq!(names(ask(&mut session, symbol("a.b.Y"))), ["y.proto", "shared.proto"]);
    assert_eq!(names(ask(&mut session, symbol("a.b.Z"))), ["z.proto"]);
    assert_eq!(names(ask(&mut session, symbol("a.b.Shared"))), ["shared.proto"]);
}

#[test]
fn two_files_of_one_name_clash_and_the_server_says_so() {
    let index = index(&[set(&[file("api.proto", &[], &["One"])]), set(&[file("api.proto", &[], &["Two"])])]);
    let mut session = Session::new(&index);
    assert_eq!(names(ask(&mut session, symbol("a.b.One"))), ["api.proto"]);
    let (code, text) = error(ask(&mut session, symbol("a.b.Two")));
    assert!(code == 13 && text.contains("api.proto") && text.contains("include directory"), "{text}");
    assert_eq!(error(ask(&mut session, symbol("a.b.Three"))).0, 5);
}

#[test]
fn a_schema_that_cannot_be_read_is_told_and_the_others_are_served() {
    let nameless = set(&[FileDescriptorProto::default()]);
    for broken in [&b"\xff\xff"[..], b"\x0a\x02\xff\xff", nameless] {
        let index = index(&[broken, set(&[file("a.proto", &[], &["A"])])]);
        let mut session = Session::new(&index);
        assert_eq!(names(ask(&mut session, symbol("a.b.A"))), ["a.proto"]);
        for question in [symbol("a.b.B"), by_name("b.proto")] {
            let (code, text) = error(ask(&mut session, question));
            assert!(code == 13 && text.contains("schema") && text.contains("antiphon-build"), "{text}");
        }
    }
}

// What a file is written in is the client's affair: it gets the bytes of the schema.
#[test]
fn files_in_editions_are_served_as_they_are() {
    let mut bytes =
        FileDescriptorProto { syntax: Some("editions".to_owned()), ..everything() }.encode_to_vec();
    bytes.extend([0x70, 0xe8, 0x07]); // edition = EDITION_2023
    let mut set =
        vec![0x0a, u8::try_from(bytes.len() & 0x7f).unwrap() | 0x80, u8::try_from(bytes.len() >> 7).unwrap()];
    set.extend(&bytes);
    let index = index(&[set.leak()]);
    let Answer::FileDescriptorResponse(files) = ask(&mut Session::new(&index), symbol("a.b.Outer")) else {
        panic!("no file");
    };
    assert_eq!(files.file_descriptor_proto, [bytes]);
}

/// Any bytes: no panic, and an answer.
#[test]
fn any_schema_is_read() {
    let seed = set(&[everything(), file("far.proto", &["all.proto"], &["Far"])]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..2_000_usize {
        let mut bytes = seed.to_vec();
        for _ in 0..1 + round % 5 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len();
            match state >> 62 {
                0 => bytes.truncate(at + 1),
                1 => bytes.insert(at, (state >> 20) as u8),
                _ => bytes[at] = (state >> 20) as u8,
            }
        }
        let index = index(&[bytes.leak()]);
        let mut session = Session::new(&index);
        for question in [symbol("a.b.Outer"), by_name("far.proto")] {
            ask(&mut session, question);
        }
    }
}
