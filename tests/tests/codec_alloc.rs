//! What the codec floor may not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use antiphon::codec::{base64_stream, connect_error, end_stream, envelope, grpc_status, percent, timeout};
use antiphon::{Code, Fields, Metadata};
use bytes::BytesMut;

struct Counting;

thread_local! {
    static COUNT: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set((count.get().0 + 1, count.get().1 + layout.size())));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often and how much `work` allocates.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, usize) {
    let before = COUNT.with(Cell::get);
    let result = work();
    let after = COUNT.with(Cell::get);
    drop(result);
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn the_path_of_a_good_call_allocates_nothing() {
    let (mut fields, none) = (Fields::new(), Metadata::new());
    grpc_status::encode_status(None, &none, &mut fields);
    let (mut json, mut text) = (Vec::with_capacity(64), BytesMut::with_capacity(1 << 10));
    let count = allocations(|| {
        fields.clear();
        grpc_status::encode_status(None, &none, &mut fields);
        assert!(grpc_status::decode_status(&fields).is_some_and(|result| result.is_ok()));
        assert!(grpc_status::metadata_from(&fields).is_empty());
        end_stream::encode(None, &none, &mut json);
        assert_eq!(
            timeout::parse_grpc(timeout::encode_grpc(Duration::from_secs(7)).as_bytes()),
            Ok(Duration::from_secs(7))
        );
        assert_eq!(&*timeout::encode_connect(Duration::from_secs(7)), "7000");
        assert!(envelope::Prefix::parse(&envelope::encode(0, 7)).is_some());
        assert_eq!(percent::encode_message("nothing to escape"), "nothing to escape");
        assert_eq!(percent::decode_message(b"nothing to decode"), "nothing to decode");
        let mut encoder = base64_stream::Encoder::new();
        encoder.push(&[7; 301], &mut text);
        encoder.flush(&mut text);
    });
    assert_eq!(count, (0, 0));
}

// A peer's error may be 64 KiB long: what it makes us allocate stays in proportion.
#[test]
fn bombs_stay_small() {
    let zeros = format!("{{\"x\":[{}0]}}", "0,".repeat(32 << 10).get(..65_000).unwrap_or_default());
    let objects = format!("{{\"x\":[{}0]}}", "{},".repeat(21_000));
    let keys: Vec<String> = (0..6500).map(|key| format!("\"{key}\":0")).collect();
    for text in [zeros, objects, format!("{{{}}}", keys.join(","))] {
        let mut decoded = None;
        let (_, bytes) =
            allocations(|| decoded = Some(connect_error::decode(text.as_bytes(), Code::Unknown)));
        assert!(decoded.is_some_and(|decoded| decoded.is_ok()), "{} bytes", text.len());
        assert!(bytes < 8 << 20, "{bytes} bytes for {}", text.len());
    }
    let (_, bytes) = allocations(|| connect_error::decode(&[b'['; 65_535], Code::Unknown));
    assert_eq!(bytes, 0);
}
