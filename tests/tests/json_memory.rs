//! Small JSON that stands for many values costs a bounded multiple of its size, and no more where it is nested.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use antiphon_service::prost::Message;
use antiphon_service::{Bytes, Codec, Json, Schema};
use prost_types::{Any, ListValue, Struct};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| Schema::new(Vec::leak(prost_reflect::DescriptorPool::global().encode_to_vec())))
}

/// How many bytes for each byte of the text the program has at most while it reads it, and writes it again.
fn times<T: Message + Default>(name: &str, text: String) -> usize {
    let (size, json) = (text.len(), Json::new(schema(), name));
    // The schema is read once, and that is not what is measured.
    assert!(Codec::<T>::decode(&json, Bytes::from_static(b"")).is_err());
    let text = Bytes::from(text);
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let message: T = json.decode(text).unwrap();
    let read = PEAK.load(Relaxed) - before;
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let mut out = Vec::new();
    json.encode(&message, &mut out).unwrap();
    let written = PEAK.load(Relaxed) - before;
    read.max(written) / size
}

// A list of one-digit numbers is the worst that two bytes can be: eleven on the wire, and a value of the language.
#[test]
fn what_is_small_as_text_stays_affordable() {
    let ones = format!("[1{}]", ",1".repeat(256 << 10));
    let keys: Vec<_> = (0..64 << 10).map(|key| format!("\"{key:x}\":0")).collect();
    let any = format!("{{\"@type\":\"x/google.protobuf.ListValue\",\"value\":{ones}}}");
    let deep = |text: &str, levels: usize| format!("{}{text}{}", "[".repeat(levels), "]".repeat(levels));
    let flat = times::<ListValue>("google.protobuf.ListValue", ones.clone());
    for (what, times) in [
        ("flat", flat),
        ("nested", times::<ListValue>("google.protobuf.ListValue", deep(&ones, 40))),
        ("lists", times::<ListValue>("google.protobuf.ListValue", format!("[1{}]", ",[]".repeat(200_000)))),
        ("keys", times::<Struct>("google.protobuf.Struct", format!("{{{}}}", keys.join(",")))),
        ("Any", times::<Any>("google.protobuf.Any", any)),
    ] {
        assert!(times <= 64, "{what}: {times} bytes for each");
    }
}
