//! Blocks that are much like the ones before them: what was remembered must change nothing.

use antiphon::Head;
use antiphon::http2::hpack::{Decoder, DecoderLimits, Encoder, Verdict};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A request that has most in common with the others: fields come and go, and a value is another now and then.
fn request(random: &mut Random, round: u64) -> Head {
    let path = ["/feed.v1.Feed/Publish", "/feed.v1.Feed/Watch"][random.below(2) as usize];
    let mut head = Head::request("POST", "http", "localhost:80", path);
    for (index, name) in
        ["content-type", "user-agent", "te", "grpc-timeout", "x-a", "x-b", "authorization", "x-c"]
            .into_iter()
            .enumerate()
    {
        if random.below(16) == 0 {
            continue;
        }
        let value = match name {
            "te" => "trailers".to_owned(),
            "grpc-timeout" => format!("{}u", 1000 + round * 7 % 90_000),
            _ if random.below(12) == 0 => {
                format!("other {} \u{e9}", "wide ".repeat(random.below(60) as usize))
            }
            _ => format!("value of {index}"),
        };
        let value = value.trim_end().as_bytes().to_vec();
        if name == "authorization" || random.below(64) == 0 {
            head.fields.push_sensitive(name, &value);
        } else {
            head.fields.push(name, &value);
        }
    }
    head
}

/// A decoder that looks at each field of each block is the judge.
#[test]
fn what_is_remembered_changes_nothing() {
    for (seed, table) in [(1, 4096), (2, 400), (3, 0), (4, 4096)] {
        let mut random = Random(seed);
        let mut encoder = Encoder::new(table);
        let mut decoder = Decoder::new(4096, DecoderLimits::default());
        let mut judge = Decoder::new(4096, DecoderLimits::default());
        let (mut head, mut block) = (Head::default(), Vec::new());
        for round in 0..5000 {
            let sent = request(&mut random, round);
            block.clear();
            encoder.encode_request(&sent, &mut block);
            assert_eq!(decoder.decode(&block, &mut head), Ok(Verdict::Good), "round {round}");
            assert_eq!(head, sent, "round {round}");
            let mut fields = Vec::new();
            judge
                .decode_fields(&block, &mut |name, value, _| fields.push((name.to_vec(), value.to_vec())))
                .unwrap();
            let regular: Vec<_> = sent
                .fields
                .iter()
                .map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec()))
                .collect();
            assert_eq!(fields.split_off(4), regular, "round {round}");
        }
    }
}

/// The block of `fields` as a client writes it that indexes all: `literals` stand behind, without indexing.
fn block(fixed: &[u8], literals: &[(&str, &str)]) -> Vec<u8> {
    let mut block = fixed.to_vec();
    for (name, value) in literals {
        block.extend_from_slice(&[0, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

/// RFC 9113 §8.3 and §8.3.1: what follows a beginning that was met before is judged with it.
#[test]
fn rules_across_a_beginning_that_is_known() {
    // :method, :scheme, :path, :authority h, x-a 1: the last two go into the table.
    let first = [&[0x83, 0x86, 0x84, 0x41, 1, b'h', 0x40, 3][..], b"x-a", &[1, b'1']].concat();
    let known = [0x83, 0x86, 0x84, 0xbf, 0xbe];
    let cases: [(&[(&str, &str)], bool); 9] = [
        (&[], true),
        (&[("x-b", "2")], true),
        (&[("host", "h")], true),
        (&[("host", "H"), ("x-b", "2")], true),
        (&[("host", "other")], false),
        (&[("host", "h"), ("host", "h")], false),
        (&[(":path", "/")], false),
        (&[("x-b", "2"), (":status", "200")], false),
        (&[("te", "gzip")], false),
    ];
    for (literals, good) in cases {
        let mut decoder = Decoder::new(4096, DecoderLimits::default());
        let mut head = Head::default();
        for start in [&first[..], &known, &known] {
            assert_eq!(decoder.decode(&block(start, &[("x-z", "0")]), &mut head), Ok(Verdict::Good));
        }
        let verdict = decoder.decode(&block(&known, literals), &mut head).unwrap();
        assert_eq!(verdict == Verdict::Good, good, "{literals:?}: {verdict:?}");
        if good {
            assert_eq!((head.authority(), head.path()), (Some("h"), "/"));
            assert_eq!(head.fields.get("x-a"), Some(&b"1"[..]));
            assert!(!head.fields.contains("host"));
        }
    }
}

/// RFC 7541 §2.3.3: an index past the end of the table is an error, whatever was remembered.
#[test]
fn an_index_past_the_end_is_none_that_is_known() {
    let first = [&[0x83, 0x86, 0x84, 0x41, 1, b'h', 0x40, 3][..], b"x-a", &[1, b'1']].concat();
    let mut decoder = Decoder::new(4096, DecoderLimits::default());
    let mut head = Head::default();
    assert_eq!(decoder.decode(&first, &mut head), Ok(Verdict::Good));
    assert_eq!(decoder.decode(&[0x83, 0x86, 0x84, 0xbf, 0xbe], &mut head), Ok(Verdict::Good));
    for past in 0xc0..=0xfe {
        let mut decoder = Decoder::new(4096, DecoderLimits::default());
        decoder.decode(&first, &mut head).unwrap();
        decoder.decode(&[0x83, 0x86, 0x84, 0xbf, 0xbe, 0x40, 1, b'y', 0], &mut head).unwrap();
        let result = decoder.decode(&[0x83, 0x86, 0x84, past, 0xbe], &mut head);
        assert!(past == 0xc0 && result.is_ok() || result.is_err(), "{past:#x} {result:?}");
    }
}

// A head belongs to the caller, who may change it between two blocks.
#[test]
fn a_head_that_was_changed_is_made_anew() {
    let sent = Head::request("POST", "http", "localhost:80", "/feed.v1.Feed/Publish");
    let mut encoder = Encoder::new(0);
    let mut decoder = Decoder::new(4096, DecoderLimits::default());
    let (mut head, mut block) = (Head::default(), Vec::new());
    encoder.encode_request(&sent, &mut block);
    for round in 0..6 {
        assert_eq!(decoder.decode(&block, &mut head), Ok(Verdict::Good));
        assert_eq!(head, sent, "round {round}");
        head.fields.push("x-mine", b"1");
        assert_ne!(head.clone(), sent);
    }
}

/// An indexed field (RFC 7541 §5.1, §6.1).
fn indexed(index: usize) -> Vec<u8> {
    if index < 127 {
        return vec![0x80 | index as u8];
    }
    let (mut block, mut left) = (vec![0xff], index - 127);
    while left >= 128 {
        block.push(left as u8 | 0x80);
        left >>= 7;
    }
    block.push(left as u8);
    block
}

/// RFC 7541 §2.3.3: what is known is pushed back by each field behind it, to indices of two bytes and of three.
#[test]
fn a_beginning_is_known_by_indices_of_any_length() {
    for table in [4096, 1 << 16] {
        let mut decoder = Decoder::new(table, DecoderLimits::default());
        let mut head = Head::default();
        let first = [&[0x83, 0x86, 0x84, 0x41, 1, b'h', 0x40, 3][..], b"x-a", &[1, b'1']].concat();
        assert_eq!(decoder.decode(&first, &mut head), Ok(Verdict::Good));
        // Until the first two would be evicted.
        let rounds = if table == 4096 { 100 } else { 1500 };
        for round in 0..rounds {
            let known = [vec![0x83, 0x86, 0x84], indexed(63 + round), indexed(62 + round)].concat();
            let literal = [&[0x40, 1, b'z', 4][..], format!("{round:04}").as_bytes()].concat();
            assert_eq!(decoder.decode(&[known, literal].concat(), &mut head), Ok(Verdict::Good));
            assert_eq!((head.authority(), head.path()), (Some("h"), "/"), "round {round}");
            let fields: Vec<_> = head.fields.iter().map(|field| (field.name, field.value.to_vec())).collect();
            assert_eq!(fields, [("x-a", b"1".to_vec()), ("z", format!("{round:04}").into_bytes())]);
        }
        let past = [vec![0x83, 0x86, 0x84], indexed(64 + rounds), indexed(63 + rounds)].concat();
        assert!(decoder.decode(&past, &mut head).is_err());
    }
}
