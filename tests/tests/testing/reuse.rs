//! Calls use the memory of earlier ones at both ends: what somebody still holds stays as it is, and nothing of one call
//! is seen in another.

use antiphon_service::testing::{self, block_on};
use antiphon_service::{
    Bytes, CallOptions, Codecs, Context, EndedBy, Handler, Identity, MethodCodecs, Router, Status, handler,
};

use crate::{WAYS, text};

async fn name(context: Context, request: Bytes) -> Result<Bytes, Status> {
    let seen = context.headers().get("tenant").unwrap_or("none");
    context.set_header("seen", seen)?;
    context.set_trailer("codec", context.codec())?;
    Ok([context.procedure().as_bytes(), b" ", &request[..]].concat().into())
}

/// Echoes what only the codec `one` can read.
fn picky() -> Handler {
    let codecs = || Codecs::new().with("one", Identity);
    handler::unary_with(MethodCodecs::new(codecs(), codecs()), |_, request: Bytes| async move { Ok(request) })
}

fn router() -> Router {
    let names = Router::new().unary("/a.A/First", name).unary("/a.A/Second", name);
    names.add("/a.A/Picky", picky()).fallback(handler::unary(name))
}

#[test]
fn a_call_is_named_by_its_own_path_and_codec() {
    for (version, protocol) in WAYS {
        let channel = testing::Channel::builder().http_version(version).serve(router());
        let client = channel.client();
        let call = |path: &str, codec: &str, tenant: Option<&str>| {
            let mut options = CallOptions::new().protocol(protocol).codec(codec);
            if let Some(tenant) = tenant {
                options = options.header("tenant", tenant).unwrap();
            }
            block_on(client.unary(path, text("x"), options))
        };
        let steps = [
            ("/a.A/First", "one", Some("blue")),
            ("/a.A/First", "one", None),
            ("/a.A/Second", "two", None),
            ("/b.B/Other", "two", Some("red")),
            ("/b.B/Another", "two", None),
            ("/a.A/First", "two", None),
        ];
        for (path, codec, tenant) in steps.into_iter().cycle().take(40) {
            let response = call(path, codec, tenant).unwrap();
            assert_eq!(response.message, format!("{path} x"));
            assert_eq!(response.headers.get("seen"), Some(tenant.unwrap_or("none")));
            assert_eq!(response.trailers.get("codec"), Some(codec));
        }
    }
}

#[test]
fn a_codec_is_refused_however_often_it_is_tried() {
    for (version, protocol) in WAYS {
        let channel = testing::Channel::builder().http_version(version).serve(router());
        let client = channel.client();
        for path in ["/a.A/Picky", "/a.A/First", "/a.A/Picky", "/a.A/Picky"].into_iter().cycle().take(12) {
            for codec in ["two", "one", "two"] {
                let options = CallOptions::new().protocol(protocol).codec(codec);
                let answer = block_on(client.unary(path, text("x"), options));
                assert_eq!(
                    answer.is_ok(),
                    path != "/a.A/Picky" || codec == "one",
                    "{path} {codec} {answer:?}"
                );
            }
        }
    }
}

#[test]
fn a_response_that_is_kept_keeps_its_call() {
    let channel = testing::channel(router());
    let client = channel.client();
    let call = |path: &str| block_on(client.unary(path, text("x"), CallOptions::new())).unwrap();
    let kept: Vec<_> =
        (0..80).map(|at| call(if at % 3 == 0 { "/a.A/First" } else { "/a.A/Second" })).collect();
    for (at, response) in kept.iter().enumerate() {
        let context = response.context().unwrap();
        let path = if at % 3 == 0 { "/a.A/First" } else { "/a.A/Second" };
        assert_eq!((context.procedure(), context.is_cancelled()), (path, true));
        assert_eq!(context.ended(), Some(EndedBy::Answer));
    }
    drop(kept);
    assert_eq!(call("/a.A/First").context().unwrap().procedure(), "/a.A/First");
}
