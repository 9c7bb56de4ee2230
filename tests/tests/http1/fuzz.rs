//! The bodies of the fuzz targets over seeds and over random data.

use antiphon_tests::fuzz::http1::{h1_chunks, h1_client, h1_cuts, h1_head, h1_pair, h1_server};

/// A small generator of our own: the same data on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % most).map(|_| self.next() as u8).collect()
    }
}

fn rounds(body: fn(&[u8]), most: u64, rounds: usize) {
    let mut random = Random(most);
    for _ in 0..rounds {
        body(&random.bytes(most));
    }
}

#[test]
fn servers() {
    rounds(h1_server, 120, 20_000);
}

#[test]
fn clients() {
    rounds(h1_client, 120, 20_000);
}

#[test]
fn pairs() {
    rounds(h1_pair, 200, 3000);
}

#[test]
fn cuts() {
    rounds(h1_cuts, 60, 4000);
}

#[test]
fn heads() {
    rounds(h1_head, 40, 20_000);
    for seed in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET http://b/c HTTP/1.1\r\nHost: a\r\nX:\t y \r\n\r\n",
        b"\r\nOPTIONS * HTTP/1.0\r\n\r\n",
    ] {
        for index in 0..seed.len() {
            for byte in 0..=255 {
                let mut changed = seed.to_vec();
                changed[index] = byte;
                h1_head(&[&[0xff], &changed[..]].concat());
            }
        }
    }
}

#[test]
fn chunks() {
    rounds(h1_chunks, 60, 20_000);
    for first in 0..=255 {
        for second in 0..=255 {
            h1_chunks(&[
                0, first, second, b'\r', b'\n', b'x', b'\r', b'\n', b'0', b'\r', b'\n', b'\r', b'\n',
            ]);
        }
    }
}

/// More informational answers than a client takes are no honest server's: what libFuzzer made of that.
#[test]
fn informational_answers_have_a_number() {
    h1_pair(&antiphon_tests::hex::unhex(
        "458fde948585000000606060606060606060606060606060606060606060005bcf",
    ));
}

/// A body that comes to its end while a part of it is read, found by libFuzzer.
#[test]
fn an_end_that_comes_while_the_body_is_read() {
    h1_pair(&antiphon_tests::hex::unhex(
        "d4600804000a0d0aff6300c20840de0260848484848484848484848484848484848484212121212121212121212121212121212121212121212184848484848484848484848484848484848484848484848484848484848484848484848484020202022202",
    ));
}
