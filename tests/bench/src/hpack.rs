//! An encoder that does what Go's does: everything is indexed, and strings are Huffman-coded where that is shorter.

use std::collections::VecDeque;

use antiphon::Fields;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Encoder};

const TABLE: usize = 4096;

pub struct GoEncoder {
    fixed: Vec<(String, String)>,
    table: VecDeque<(String, String)>,
    size: usize,
}

impl GoEncoder {
    pub fn new() -> Self {
        let mut decoder = Decoder::new(TABLE, DecoderLimits::default());
        let mut fixed = Vec::new();
        for index in 1..=61_u8 {
            decoder
                .decode_fields(&[0x80 | index], &mut |name, value, _| {
                    let text =
                        |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the static table is text");
                    fixed.push((text(name), text(value)));
                })
                .expect("the static table has 61 entries");
        }
        Self { fixed, table: VecDeque::new(), size: 0 }
    }

    /// Appends the block of these fields.
    pub fn encode(&mut self, fields: &[(&str, String)], out: &mut Vec<u8>) {
        for (name, value) in fields {
            self.field(name, value, out);
        }
    }

    fn field(&mut self, name: &str, value: &str, out: &mut Vec<u8>) {
        let entries = || self.fixed.iter().chain(&self.table).zip(1..);
        if let Some((_, index)) = entries().find(|(entry, _)| entry.0 == name && entry.1 == value) {
            return integer(index, 7, 0x80, out);
        }
        match entries().find(|(entry, _)| entry.0 == name) {
            Some((_, index)) => integer(index, 6, 0x40, out),
            None => {
                integer(0, 6, 0x40, out);
                string(name, out);
            }
        }
        string(value, out);
        self.size += name.len() + value.len() + 32;
        self.table.push_front((name.to_owned(), value.to_owned()));
        while self.size > TABLE {
            let Some((name, value)) = self.table.pop_back() else { break };
            self.size -= name.len() + value.len() + 32;
        }
    }
}

fn integer(value: usize, bits: u32, first: u8, out: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    if value < most {
        return out.push(first | value as u8);
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A string as the engine's encoder writes it: that of a secret field is a literal behind three bytes for its name.
fn string(text: &str, out: &mut Vec<u8>) {
    let mut fields = Fields::new();
    fields.push_sensitive("x", text.as_bytes());
    let mut block = Vec::new();
    Encoder::new(0).encode_trailers(&fields, &mut block);
    out.extend_from_slice(&block[3..]);
}
