//! Code that was generated with options: it compiles without a warning in a program that uses little of it.
#![deny(warnings)]

/// On the path of an adapter, with the schema in the text.
mod adapter {
    include!(concat!(env!("OUT_DIR"), "/adapter/mod.rs"));
}

/// Without clients.
mod server {
    include!(concat!(env!("OUT_DIR"), "/server/mod.rs"));
}

/// One package by its own file, without servers and what blocks. The tree of modules has this attribute itself.
#[allow(unreachable_pub)]
mod client {
    include!(concat!(env!("OUT_DIR"), "/client/feed.v1.rs"));
}

/// Neither servers nor clients.
mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages/mod.rs"));
}

/// With a package from another crate.
mod elsewhere {
    include!(concat!(env!("OUT_DIR"), "/elsewhere/mod.rs"));
}

use antiphon_service::prost::bytes::Bytes;
use std::collections::BTreeMap;

#[test]
fn fields_have_the_types_that_were_asked_for() {
    let event = server::feed::v1::Event {
        payload: Bytes::from_static(b"shared"),
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ..Default::default()
    };
    assert_eq!(event.payload, "shared");
}

#[test]
fn all_forms_of_a_schema_are_the_same() {
    let set = messages::feed::v1::SCHEMA.file_descriptor_set();
    assert!(set.len() > 500);
    assert_eq!(adapter::feed::v1::SCHEMA.file_descriptor_set(), set);
    assert_eq!(client::SCHEMA.file_descriptor_set(), set);
}

#[test]
fn types_of_other_crates_are_theirs() {
    let page: antiphon_codegen_tests::common::v1::Page = Default::default();
    let request = elsewhere::app::r#type::Request { page: Some(page), order: 1 };
    assert_eq!(request.order, antiphon_codegen_tests::common::v1::page::Order::Down as i32);
}

#[test]
fn services_have_their_names() {
    assert_eq!(client::FeedServiceClient::NAME, "feed.v1.FeedService");
    assert_eq!(server::feed::v1::FeedServiceServer::<()>::NAME, "feed.v1.FeedService");
    assert_eq!(antiphon_codegen_tests::EchoClient_::NAME, "echo");
    assert_eq!(antiphon_codegen_tests::blocking_::EchoServerClient::NAME, "EchoServer");
}
