//! What browsers and caches want: preflights and headers of CORS, entity tags.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon::{Code, EndedBy};
use antiphon_service::{
    Bytes, CallOptions, Context, Cors, HttpVersion, Method, Protocol, Router, Shape, Status, handler,
};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use crate::env::{BOTH, everywhere};
use crate::intercept::echo;

/// Sends a request of HTTP/1.1 and returns the head of the answer, in lower case.
async fn ask(address: &str, request: &str) -> String {
    let mut stream = smol::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap() > 0 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().to_lowercase()
}

const PREFLIGHT: &str = "OPTIONS /t.T/Unary HTTP/1.1\nhost: a\norigin: https://app.example\n\
                         access-control-request-method: POST\naccess-control-request-headers: content-type\n\n";

// Fetch §3.2.2, §3.2.3, §3.2.5.
#[test]
fn preflights_are_answered_for_known_origins() {
    everywhere(|env| async move {
        let cors = Cors::origins(["https://app.example"]).request_header("authorization").credentials();
        let served = env.serve(echo().cors(cors)).await;
        let answer = ask(&served.address, PREFLIGHT).await;
        assert!(answer.starts_with("http/1.1 204 "), "{answer}");
        for field in [
            "\r\naccess-control-allow-origin: https://app.example\r\n",
            "\r\naccess-control-allow-credentials: true\r\n",
            "\r\naccess-control-allow-methods: get, post\r\n",
            "\r\naccess-control-allow-headers: content-type, connect-protocol-version,",
            ", authorization\r\n",
            "\r\naccess-control-max-age: 7200\r\n",
            "\r\nvary: origin\r\n",
        ] {
            assert!(answer.contains(field), "{field:?} {answer}");
        }
        assert!(!answer.contains("content-length"), "{answer}");
        let answer = ask(&served.address, &PREFLIGHT.replace("app.example", "evil.example")).await;
        assert!(answer.starts_with("http/1.1 204 ") && !answer.contains("access-control"), "{answer}");
        // Paths that nobody serves too: a browser's script then sees the answer to its call.
        let answer = ask(&served.address, &PREFLIGHT.replace("/t.T/Unary", "/nothing")).await;
        assert!(answer.contains("access-control-allow-origin"), "{answer}");
        // OPTIONS for another reason is no preflight.
        let answer = ask(&served.address, "OPTIONS /t.T/Unary HTTP/1.1\nhost: a\n\n").await;
        assert!(answer.starts_with("http/1.1 405 "), "{answer}");
    });
}

#[test]
fn every_answer_to_a_page_has_the_headers() {
    everywhere(|env| async move {
        let served = env.serve(echo().cors(Cors::any().response_header("x-request-id").credentials())).await;
        for (path, content_type, status) in [
            ("/t.T/Unary", "application/proto", "200"),
            ("/t.T/Unary", "application/grpc-web", "200"),
            ("/t.T/Unary", "text/html", "415"),
            ("/nothing", "application/proto", "404"),
            ("/nothing", "application/grpc-web", "200"),
        ] {
            let body = if content_type.contains("grpc") { "\0\0\0\0\0" } else { "" };
            let request = format!(
                "POST {path} HTTP/1.1\nhost: a\norigin: https://any.example\ncontent-type: {content_type}\n\
                 content-length: {}\n\n{body}",
                body.len()
            );
            let answer = ask(&served.address, &request).await;
            assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{path} {content_type} {answer}");
            assert!(answer.contains("\r\naccess-control-allow-origin: *\r\n"), "{answer}");
            assert!(
                answer.contains("\r\naccess-control-expose-headers: grpc-status, grpc-message,"),
                "{answer}"
            );
            assert!(answer.contains(", x-request-id\r\n") && !answer.contains("credentials"), "{answer}");
        }
        let plain =
            "POST /t.T/Unary HTTP/1.1\nhost: a\ncontent-type: application/proto\ncontent-length: 0\n\n";
        assert!(!ask(&served.address, plain).await.contains("access-control"));
        // Browsers speak HTTP/2 as well.
        let client = served.connect(HttpVersion::Http2).await;
        let options = CallOptions::new().header("origin", "https://any.example").unwrap();
        let reply = client.unary("/t.T/Unary", "x".into(), options).await.unwrap();
        assert_eq!(reply.headers.get("access-control-allow-origin"), Some("*"));
    });
}

// Fetch, "CORS protocol and HTTP caches": a cache may give the answer to a plain GET to a page, and that to one page to
// another.
#[test]
fn what_caches_keep_says_whom_it_is_for() {
    everywhere(|env| async move {
        const GET: &str = "GET /t.T/Read?connect=v1&encoding=json&message=1 HTTP/1.1\nhost: a\n\n";
        let read = |cors| {
            let method = Method::new(Shape::Unary).without_side_effects();
            let handler = handler::unary(|_: Context, message: Bytes| async move { Ok(message) });
            Router::new().route("/t.T/Read", method, handler).cors(cors)
        };
        let listed = env.serve(read(Cors::origins(["https://app.example"]))).await;
        let from = |origin: &str| GET.replace("host: a\n", &format!("host: a\norigin: {origin}\n"));
        for request in
            [GET.to_owned(), from("https://app.example"), from("https://evil.example"), from("\u{ff}")]
        {
            let answer = ask(&listed.address, &request).await;
            assert!(answer.starts_with("http/1.1 200 "), "{answer}");
            assert!(answer.contains("\r\nvary: origin\r\n"), "{answer}");
            assert_eq!(answer.contains("allow-origin"), request.contains("app"), "{answer}");
        }
        let any = env.serve(read(Cors::any())).await;
        let answer = ask(&any.address, GET).await;
        assert!(answer.contains("\r\naccess-control-allow-origin: *\r\n"), "{answer}");
    });
}

// RFC 9110 §13.1.2, §15.4.5; Connect "Unary-Get-Request".
#[test]
fn a_client_that_has_the_answer_gets_none() {
    everywhere(|env| async move {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let read = handler::unary(move |context: Context, _: Bytes| {
            let counter = Arc::clone(&counter);
            async move {
                context.etag("rev-7")?;
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(Bytes::from_static(b"the answer"))
            }
        });
        let method = Method::new(Shape::Unary).without_side_effects();
        let served = env.serve(Router::new().route("/t.T/Read", method, read)).await;
        for version in BOTH {
            let client = served.connect(version).await;
            let get = |known: Option<&str>| {
                let options = CallOptions::new().use_get(true);
                let options = match known {
                    Some(known) => options.header("if-none-match", known).unwrap(),
                    None => options,
                };
                client.unary("/t.T/Read", Bytes::new(), options)
            };
            let fresh = get(None).await.unwrap();
            assert_eq!(fresh.headers.get("etag"), Some("\"rev-7\""));
            assert_eq!(get(Some("\"rev-6\", \"x\"")).await.unwrap().message, "the answer");
            assert_eq!(made.swap(0, Ordering::SeqCst), 2);
            for known in ["\"rev-7\"", "W/\"rev-7\"", "\"rev-6\", \"rev-7\"", "*"] {
                let status = get(Some(known)).await.unwrap_err();
                assert!(status.is_not_modified(), "{known} {status}");
                assert_eq!((status.code(), status.ended()), (Code::Unknown, EndedBy::Status));
                assert_eq!(status.metadata().get("etag"), Some("\"rev-7\""));
            }
            assert_eq!(made.load(Ordering::SeqCst), 0);
            // A POST is answered in any case, and so is gRPC.
            for protocol in [Protocol::Connect, Protocol::GrpcWeb] {
                let options = CallOptions::new().protocol(protocol).header("if-none-match", "*").unwrap();
                let reply = client.unary("/t.T/Read", Bytes::new(), options).await.unwrap();
                assert!(reply.headers.get("etag").is_none());
            }
            made.store(0, Ordering::SeqCst);
        }
    });
}

#[test]
fn a_tag_that_may_not_be_sent_is_the_handler_s_fault() {
    everywhere(|env| async move {
        let read = handler::unary(|context: Context, _: Bytes| async move {
            let wrong: Result<(), Status> = context.etag("a\"b");
            assert_eq!(wrong.unwrap_err().code(), Code::Internal);
            Ok(Bytes::new())
        });
        let method = Method::new(Shape::Unary).without_side_effects();
        let served = env.serve(Router::new().route("/t.T/Read", method, read)).await;
        let client = served.connect(HttpVersion::Http2).await;
        client.unary("/t.T/Read", Bytes::new(), CallOptions::new().use_get(true)).await.unwrap();
    });
}

// Connect "Unary-Get-Request": the limit of a method holds for messages in a URL as well.
#[test]
fn a_message_in_a_url_has_the_limit_of_its_method() {
    everywhere(|env| async move {
        let method = Method::new(Shape::Unary).without_side_effects();
        let handler = handler::unary(|_: Context, message: Bytes| async move { Ok(message) });
        let router = Router::new()
            .route("/t.T/Read", method, handler)
            .rules("t.T", antiphon_service::Rules::new().max_receive(1000));
        let served = env.serve(router).await;
        let get =
            |query: &str| format!("GET /t.T/Read?connect=v1&encoding=json&{query} HTTP/1.1\nhost: a\n\n");
        let message = |length| get(&format!("message={}", "1".repeat(length)));
        assert!(ask(&served.address, &message(1000)).await.starts_with("http/1.1 200 "));
        for (request, status) in [
            (message(1001), 429),
            (get("message=1&message=1"), 400),
            (get("message=%zz"), 400),
            (get("base64=1&message=!"), 400),
            (get("compression=lzma&message=1"), 501),
            (get("base64=1"), 400),
        ] {
            let answer = ask(&served.address, &request).await;
            assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{request:.99} {answer}");
        }
        // A method that may have effects is not called so.
        let effects = env.serve(echo()).await;
        let answer = ask(&effects.address, &get("message=1").replace("t.T/Read", "t.T/Unary")).await;
        assert!(answer.starts_with("http/1.1 405 "), "{answer}");
    });
}
