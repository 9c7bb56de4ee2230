//! Small bytes that stand for a GiB cost no more than the limit and a window.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use antiphon::rpc::{Coding, Codings, DecompressError, Snappy};
use antiphon_tests::hex::unhex;
use flate2::{Compress, Compression, FlushCompress};

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

const MIB: usize = 1 << 20;

/// The most memory that the process ever had, in bytes: libzstd does not ask our allocator. 0 where nobody tells.
fn resident_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_or(0, |kib: usize| kib << 10)
}

/// A GiB of zeros in DEFLATE: one MiB up to a whole byte, a thousand and twenty-four times.
fn deflated_bomb(header: &[u8]) -> Vec<u8> {
    let mut piece = Vec::with_capacity(64 << 10);
    let mut compress = Compress::new(Compression::new(9), false);
    compress.compress_vec(&vec![0; MIB], &mut piece, FlushCompress::Full).unwrap();
    assert!(compress.total_in() == MIB as u64 && piece.ends_with(&[0, 0, 0xff, 0xff]));
    [header.to_vec(), piece.repeat(1024)].concat()
}

/// A GiB of zeros in Brotli, by brotli 1.2.0 (Python) with quality 5, flushed every 16 MiB.
fn brotli_bomb() -> Vec<u8> {
    let first = unhex("cbffff3f002400e2b14072effff8ffff078004401c1680eefd9f01");
    let next = unhex("fcffff034002200e0b40f7fe8fffff7f004800c46101e8deff19");
    [first, next.repeat(63), vec![3]].concat()
}

/// A GiB of zeros in one frame: blocks that repeat a byte 128 Ki times (RFC 8878 §3.1.1.2), in a window of 8 MiB.
fn zstd_bomb() -> Vec<u8> {
    [unhex("28b52ffd 0068"), unhex("020010 00").repeat(8191), unhex("030010 00")].concat()
}

/// A GiB of zeros in chunks of 64 KiB.
fn snappy_bomb() -> Vec<u8> {
    let mut stream = Vec::new();
    Snappy::default().compress(&[0; 1 << 16], &mut stream);
    let chunk = stream.split_off(10);
    [stream, chunk.repeat(1 << 14)].concat()
}

// One test: others at the same time would be counted as well.
#[test]
fn bombs_stay_small() {
    let gzip = deflated_bomb(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut bombs = vec![
        // What the formats need for their windows and tables, in MiB.
        ("gzip", gzip, 1),
        ("deflate", deflated_bomb(&[0x78, 0x9c]), 1),
        ("br", brotli_bomb(), 18),
        ("snappy", snappy_bomb(), 1),
    ];
    if cfg!(feature = "zstd") {
        bombs.push(("zstd", zstd_bomb(), 9));
    }
    let codings = Codings::all();
    for (name, bomb, window) in &bombs {
        let coding = codings.find(name).unwrap();
        for max in [0, 1000, MIB, 4 * MIB] {
            let (before, resident) = (NOW.load(Relaxed), resident_peak());
            PEAK.store(before, Relaxed);
            let mut out = Vec::new();
            assert_eq!(coding.decompress(bomb, max, &mut out), Err(DecompressError::TooLarge), "{name}");
            assert!(out.len() == max + 1 && out.iter().all(|byte| *byte == 0), "{name}");
            // A vector grows by doubling, and the old one lives until it is copied.
            let allowed = window * MIB + 3 * (max + 1);
            let (heap, resident) = (PEAK.load(Relaxed) - before, resident_peak() - resident);
            assert!(heap <= allowed, "{name} {max}: {heap} bytes of heap");
            assert!(resident <= allowed + 2 * MIB, "{name} {max}: {resident} bytes more in memory");
        }
    }
    if cfg!(feature = "zstd") {
        // They are good for who wants them whole: the first 64 MiB of one.
        let part = [&zstd_bomb()[..6 + 4 * 511], &unhex("030010 00")].concat();
        let mut out = Vec::new();
        assert_eq!(codings.find("zstd").unwrap().decompress(&part, 64 * MIB, &mut out), Ok(()));
        assert_eq!(out.len(), 64 * MIB);
    }
}
