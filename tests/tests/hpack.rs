//! RFC 7541: the examples of its Appendix C, the errors that it demands, and what attacks on it must meet.

use antiphon::Head;
use antiphon::http2::hpack::{DecodeError, Decoder, DecoderLimits, Encoder, Verdict};
use antiphon_tests::hex::unhex;

fn decoder(max_table: usize) -> Decoder {
    Decoder::new(max_table, DecoderLimits::default())
}

fn pairs(decoder: &mut Decoder, block: &str) -> Result<Vec<(String, String)>, DecodeError> {
    let mut pairs = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("examples are text");
    decoder.decode_fields(&unhex(block), &mut |name, value, _| pairs.push((text(name), text(value))))?;
    Ok(pairs)
}

/// Everything in the dynamic table, the newest entry first.
fn table(decoder: &mut Decoder) -> Vec<(String, String)> {
    (0xbe..0xff_u8).map_while(|index| pairs(decoder, &format!("{index:02x}")).ok()).flatten().collect()
}

fn check(decoder: &mut Decoder, block: &str, expected: &[(&str, &str)], entries: &[(&str, &str)]) {
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(pairs(decoder, block), Ok(owned(expected)));
    assert_eq!(table(decoder), owned(entries));
}

fn compression(decoder: &mut Decoder, block: &str) -> &'static str {
    match decoder.decode(&unhex(block), &mut Head::default()) {
        Err(DecodeError::Compression(reason)) => reason,
        other => panic!("{block}: {other:?}"),
    }
}

fn good(decoder: &mut Decoder, block: &str) -> Head {
    let mut head = Head::default();
    assert_eq!(decoder.decode(&unhex(block), &mut head), Ok(Verdict::Good), "{block}");
    head
}

/// RFC 7541 §C.2
#[test]
fn representations() {
    let custom = [("custom-key", "custom-header")];
    check(&mut decoder(4096), "400a 637573746f6d2d6b6579 0d 637573746f6d2d686561646572", &custom, &custom);
    check(&mut decoder(4096), "040c 2f73616d706c652f70617468", &[(":path", "/sample/path")], &[]);
    check(&mut decoder(4096), "1008 70617373776f7264 06 736563726574", &[("password", "secret")], &[]);
    check(&mut decoder(4096), "82", &[(":method", "GET")], &[]);
}

/// RFC 7541 §C.3 and §C.4: the same requests, plain and Huffman-coded.
#[test]
fn requests() {
    let plain = [
        "828684410f 7777772e6578616d706c652e636f6d",
        "828684be5808 6e6f2d6361636865",
        "828785bf400a 637573746f6d2d6b6579 0c 637573746f6d2d76616c7565",
    ];
    let coded = [
        "828684418c f1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886 a8eb10649cbf",
        "828785bf4088 25a849e95ba97d7f 89 25a849e95bb8e8b4bf",
    ];
    let authority = (":authority", "www.example.com");
    let custom = ("custom-key", "custom-value");
    let cache = ("cache-control", "no-cache");
    for blocks in [plain, coded] {
        let mut decoder = decoder(4096);
        let get = (":method", "GET");
        check(&mut decoder, blocks[0], &[get, (":scheme", "http"), (":path", "/"), authority], &[authority]);
        check(
            &mut decoder,
            blocks[1],
            &[get, (":scheme", "http"), (":path", "/"), authority, cache],
            &[cache, authority],
        );
        check(
            &mut decoder,
            blocks[2],
            &[get, (":scheme", "https"), (":path", "/index.html"), authority, custom],
            &[custom, cache, authority],
        );
    }
}

/// RFC 7541 §C.5 and §C.6: the same responses, plain and Huffman-coded, with a table of 256 bytes that evicts.
#[test]
fn responses() {
    let plain = [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17\
         68747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d41\
         53444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b207665727369\
         6f6e3d31",
    ];
    let coded = [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97\
         c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd\
         5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ];
    let location = ("location", "https://www.example.com");
    let cache = ("cache-control", "private");
    let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let later = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
    let gzip = ("content-encoding", "gzip");
    let cookie = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
    let (found, temporary) = ((":status", "302"), (":status", "307"));
    for blocks in [plain, coded] {
        let mut decoder = decoder(256);
        check(&mut decoder, blocks[0], &[found, cache, date, location], &[location, date, cache, found]);
        check(
            &mut decoder,
            blocks[1],
            &[temporary, cache, date, location],
            &[temporary, location, date, cache],
        );
        let third = [(":status", "200"), cache, later, location, gzip, cookie];
        check(&mut decoder, blocks[2], &third, &[cookie, gzip, later]);
    }
}

/// RFC 7541 §2.3.3, §5.2, §6.1; attacks.md lines 9 and 13: each is a connection error.
#[test]
fn broken_blocks() {
    for (block, reason) in [
        ("80", "an index is zero"),
        ("be", "an index is past the end of the table"),
        ("ff00", "an index is past the end of the table"),
        ("7f00 0161", "an index is past the end of the table"),
        ("0f2f 0161", "an index is past the end of the table"),
        ("1f2f 0161", "an index is past the end of the table"),
        ("8286 40", "a header block ends early"),
        ("3f", "a header block ends early"),
        ("ff", "a header block ends early"),
        ("00 0161", "a header block ends early"),
        ("00 0261", "a string is longer than its header block"),
        ("00 7fffffffff0f", "an integer is too long"),
        ("ff808080808080808001", "an integer is too long"),
        ("00 0161 84ffffffff", "a Huffman string holds EOS or has padding of more than 7 bits"),
        ("00 0161 821fff", "a Huffman string holds EOS or has padding of more than 7 bits"),
        ("00 0161 8118", "the padding of a Huffman string is wrong"),
    ] {
        assert_eq!(compression(&mut decoder(4096), block), reason, "{block}");
    }
}

/// RFC 7541 §4.2, §6.3; attacks.md lines 11 and 12.
#[test]
fn size_updates() {
    assert_eq!(compression(&mut decoder(4096), "82 20"), "a table size update follows a field");
    assert_eq!(compression(&mut decoder(4096), "3fe21f"), "a table size update exceeds the limit");
    assert_eq!(compression(&mut decoder(0), "21"), "a table size update exceeds the limit");
    good(&mut decoder(4096), "20 3fe11f 828684");

    // A smaller table that was acknowledged must be met at the beginning of the next block.
    let shrunk = || {
        let mut decoder = decoder(4096);
        good(&mut decoder, "828684 4001610131");
        decoder.set_max_table(100);
        decoder
    };
    assert_eq!(compression(&mut shrunk(), "828684"), "a table size update is missing");
    assert_eq!(compression(&mut shrunk(), ""), "a table size update is missing");
    assert_eq!(compression(&mut shrunk(), "3f46 828684"), "a table size update exceeds the limit");
    good(&mut shrunk(), "3f45 828684 be");
    assert_eq!(compression(&mut shrunk(), "20 828684 be"), "an index is past the end of the table");

    // The limit dipped: the lowest size must be signalled, although a larger one is allowed by now.
    let mut dipped = shrunk();
    dipped.set_max_table(4096);
    assert_eq!(compression(&mut dipped, "3fe11f 828684"), "a table size update is missing");
    let mut dipped = shrunk();
    dipped.set_max_table(4096);
    good(&mut dipped, "3f45 3fe11f 828684 be");
    good(&mut dipped, "828684 be");

    // The peer uses less than the new limit already: nothing needs to be said.
    let mut small = decoder(4096);
    good(&mut small, "3f20 828684");
    small.set_max_table(100);
    good(&mut small, "828684");
}

/// RFC 7541 §4.4; attacks.md lines 65 and 66.
#[test]
fn eviction() {
    // Two entries of 34 bytes fit in 70; a third evicts the first.
    let mut two = decoder(70);
    good(&mut two, "4001610131 4001620132 4001630133");
    let entries = table(&mut two);
    assert_eq!(entries.iter().map(|entry| entry.0.as_str()).collect::<Vec<_>>(), ["c", "b"]);
    // The name of the entry that this insertion evicts.
    let head = good(&mut two, "7f00 0139");
    assert_eq!(head.fields.get("b"), Some(&b"9"[..]));
    assert_eq!(table(&mut two)[0], ("b".to_owned(), "9".to_owned()));
    // Larger than the table: empties it, and is no error.
    good(&mut two, &format!("40016128{}", "78".repeat(40)));
    assert!(table(&mut two).is_empty());
}

/// Attack A6: each is malformed, the connection goes on, and nothing grows.
#[test]
fn empty_names() {
    let mut decoder = decoder(4096);
    let mut head = Head::default();
    for _ in 0..10_000 {
        let verdict = decoder.decode(&unhex("838684 000000"), &mut head);
        assert!(matches!(verdict, Ok(Verdict::Malformed(_))));
    }
    assert!(decoder.capacity_bytes() + head.capacity_bytes() < 1 << 10);
    good(&mut decoder, "828684");
}

/// Attack A11: small references to large entries.
#[test]
fn bombs() {
    let mut decoder = decoder(4096);
    let mut head = Head::default();
    good(&mut decoder, "828684 40016100");
    let mut bomb = unhex("828684");
    bomb.extend(vec![0xbe; 470]);
    assert_eq!(decoder.decode(&bomb, &mut head), Ok(Verdict::TooLarge), "more than 128 fields");
    assert!(head.fields.is_empty() && head.capacity_bytes() <= 20 << 10);
    bomb.extend(vec![0xbe; 16_000]);
    assert_eq!(decoder.decode(&bomb, &mut head), Err(DecodeError::TooLarge));

    let mut decoder = self::decoder(4096);
    good(&mut decoder, &format!("828684 4001617fbd1d {}", "78".repeat(3900)));
    let five = unhex("828684 bebebebebe");
    assert_eq!(decoder.decode(&five, &mut head), Ok(Verdict::TooLarge), "more than 16 KiB");
    assert!(head.fields.is_empty() && head.capacity_bytes() <= 20 << 10);
    let mut twenty = unhex("828684");
    twenty.extend([0xbe; 20]);
    assert_eq!(decoder.decode(&twenty, &mut head), Err(DecodeError::TooLarge));
    assert!(decoder.capacity_bytes() <= 16 << 10);
}

/// Attack A11: the crumbs of a cookie count as fields.
#[test]
fn crumbs_count() {
    let crumb = "60 0161";
    let mut decoder = decoder(0);
    good(&mut decoder, &format!("828684 {}", crumb.repeat(125)));
    let mut head = Head::default();
    let block = unhex(&format!("828684 {}", crumb.repeat(126)));
    assert_eq!(decoder.decode(&block, &mut head), Ok(Verdict::TooLarge));
}

/// Attack A12: a string that cannot fit is refused before it is decoded.
#[test]
fn large_strings() {
    let mut head = Head::default();
    for coded in [false, true] {
        // 65,536 bytes of text, and 262,144 coded ones, which stand for 69,905 at least.
        let (len, byte) = if coded { (262_144, 0xff) } else { (65_536, b'x') };
        let mut block = unhex("82868400 0161");
        block.push(if coded { 0xff } else { 0x7f });
        let mut rest = len - 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 0x80);
            rest /= 128;
        }
        block.push(rest as u8);
        block.extend(vec![byte; len]);
        let mut decoder = decoder(4096);
        assert_eq!(decoder.decode(&block, &mut head), Err(DecodeError::TooLarge));
        assert!(decoder.capacity_bytes() < 1 << 10);
    }
}

/// Attack A13: a block over the limit is decoded to its end all the same.
#[test]
fn blocks_over_the_limit_keep_the_tables_in_step() {
    let limits = DecoderLimits { header_fields: 4, ..DecoderLimits::default() };
    let mut decoder = Decoder::new(4096, limits);
    let mut head = Head::default();
    let over = unhex("828684 000178 0179 000178 0179 40 0162 0163");
    assert_eq!(decoder.decode(&over, &mut head), Ok(Verdict::TooLarge));
    assert_eq!((head.method(), head.fields.len()), ("GET", 0));
    assert_eq!(good(&mut decoder, "be").fields.get("b"), Some(&b"c"[..]));
    // A malformed block too.
    let malformed = unhex("8282 40 0162 0164");
    assert!(matches!(decoder.decode(&malformed, &mut head), Ok(Verdict::Malformed(_))));
    assert_eq!(good(&mut decoder, "be").fields.get("b"), Some(&b"d"[..]));
}

/// The hard limit holds below the soft one too.
#[test]
fn the_hard_limit_ends_the_connection() {
    let limits = DecoderLimits { header_list: 200, hard_header_list: 200, header_fields: 100 };
    let mut head = Head::default();
    assert_eq!(Decoder::new(0, limits).decode(&unhex("82868400 0161 0162"), &mut head), Ok(Verdict::Good));
    let five = unhex("82868400 0161 0162 00 0161 0162");
    assert_eq!(Decoder::new(0, limits).decode(&five, &mut head), Ok(Verdict::Good));
    let six = unhex("82868400 0161 0162 00 0161 0162 00 0161 0162");
    assert_eq!(Decoder::new(0, limits).decode(&six, &mut head), Err(DecodeError::TooLarge));
}

fn grpc_head() -> Head {
    let mut head = Head::request("POST", "http", "example.com", "/feed.v1.Feed/Publish");
    head.fields.push("content-type", b"application/grpc");
    head.fields.push("user-agent", b"grpc-go/1.85");
    head.fields.push("te", b"trailers");
    head
}

/// Heads, tables and memos are recycled: after the first calls no memory is added.
#[test]
fn steady_state_takes_no_memory() {
    let (mut encoder, mut decoder) = (Encoder::new(4096), decoder(4096));
    let (mut sent, mut received, mut block) = (grpc_head(), Head::default(), Vec::new());
    let mut held = 0;
    for round in 0..1000_u32 {
        sent.fields.retain(|field| field.name != "grpc-timeout");
        sent.fields.push("grpc-timeout", format!("{}u", 1000 + round).as_bytes());
        block.clear();
        encoder.encode_request(&sent, &mut block);
        assert_eq!(decoder.decode(&block, &mut received), Ok(Verdict::Good));
        assert_eq!(received, sent);
        let holds = encoder.capacity_bytes() + decoder.capacity_bytes() + received.capacity_bytes();
        if round == 10 {
            held = holds;
        } else if round > 10 {
            assert_eq!(holds, held);
        }
    }
    assert!(held < 8 << 10, "{held}");
}

/// A block that is remembered is forgotten when the table changes.
#[test]
fn memos_follow_the_table() {
    let mut decoder = decoder(4096);
    good(&mut decoder, "828684 4001610131");
    for _ in 0..3 {
        assert_eq!(good(&mut decoder, "828684 be").fields.get("a"), Some(&b"1"[..]));
    }
    good(&mut decoder, "828684 4001620132");
    for _ in 0..3 {
        assert_eq!(good(&mut decoder, "828684 be").fields.get("b"), Some(&b"2"[..]));
    }
    assert_eq!(compression(&mut decoder, "20 828684 be"), "an index is past the end of the table");
}

/// An encoder without a table gives the same bytes each time, and says nothing of table sizes unless it must.
#[test]
fn a_server_encodes_without_state() {
    let mut encoder = Encoder::new(0);
    let mut head = Head::response(200);
    head.fields.push("content-type", b"application/grpc");
    let mut first = Vec::new();
    encoder.encode_response(&head, &mut first);
    assert_eq!(first[0], 0x88);
    for _ in 0..5 {
        let mut again = Vec::new();
        encoder.encode_response(&head, &mut again);
        assert_eq!(again, first);
    }
    encoder.set_peer_max_table(65_536);
    let mut again = Vec::new();
    encoder.encode_response(&head, &mut again);
    assert_eq!(again, first);
    encoder.set_peer_max_table(100);
    let mut again = Vec::new();
    encoder.encode_response(&head, &mut again);
    assert_eq!((again[0], &again[1..]), (0x20, &first[..]));
}

/// RFC 7541 §4.2; attacks.md line 67: the lowest size, then the final one.
#[test]
fn an_encoder_signals_a_dip() {
    let mut encoder = Encoder::new(4096);
    let head = grpc_head();
    let mut block = Vec::new();
    encoder.encode_request(&head, &mut block);
    encoder.set_peer_max_table(0);
    encoder.set_peer_max_table(50);
    encoder.set_peer_max_table(4096);
    block.clear();
    encoder.encode_request(&head, &mut block);
    assert_eq!(block[..4], unhex("20 3fe11f"));
    block.clear();
    encoder.encode_request(&head, &mut block);
    assert_eq!(block.len(), 7, "all indexed again");
    // Never more than our own cap.
    encoder.set_peer_max_table(1 << 20);
    let mut again = Vec::new();
    encoder.encode_request(&head, &mut again);
    assert_eq!(again, block);
}

/// RFC 7541 §7.1.3; attacks.md line 68: what may never be indexed is marked so, also when it is sent on.
#[test]
fn secrets_are_never_indexed() {
    let mut head = Head::default();
    head.fields.push("authorization", b"Bearer abc");
    head.fields.push("cookie", b"a=b");
    head.fields.push_sensitive("x-token", b"t");
    let (mut encoder, mut decoder, mut block) = (Encoder::new(4096), decoder(4096), Vec::new());
    encoder.encode_trailers(&head.fields, &mut block);
    let mut count = 0;
    let mut each = |_: &[u8], _: &[u8], secret: bool| count += usize::from(secret);
    decoder.decode_fields(&block, &mut each).expect("a good block");
    assert_eq!(count, 3);
    assert!(table(&mut decoder).is_empty());
    // Received as never to be indexed: sensitive, and so sent on.
    let received = good(&mut decoder, "10 0161 0162");
    assert!(received.fields.iter().all(|field| field.sensitive));
    block.clear();
    encoder.encode_trailers(&received.fields, &mut block);
    assert_eq!(block, unhex("10 0161 0162"));
}

/// RFC 9113 §8.2.2; attacks.md lines 52, 54 and 59: never sent, whatever the application did.
#[test]
fn forbidden_fields_are_left_out() {
    let mut head = grpc_head();
    let mut clean = Vec::new();
    Encoder::new(0).encode_request(&head, &mut clean);
    for (name, value) in [
        ("connection", &b"close"[..]),
        ("transfer-encoding", b"chunked"),
        ("te", b"gzip"),
        ("host", b"example.com"),
        (":path", b"/"),
        (":unknown", b""),
        ("x y", b""),
        ("x", b"a\r\nb: c"),
        ("x", b" a"),
    ] {
        head.fields.push(name, value);
    }
    let mut block = Vec::new();
    Encoder::new(0).encode_request(&head, &mut block);
    assert_eq!(block, clean);
}

/// A value that changes with each call enters the table once, for its name; then nothing is evicted for it.
#[test]
fn varying_values_are_not_indexed() {
    let mut encoder = Encoder::new(4096);
    let mut decoder = decoder(4096);
    for round in 0..200_u32 {
        let mut head = grpc_head();
        head.fields.push("grpc-timeout", format!("{}u", 100 + round).as_bytes());
        head.fields.push("trace-bin", format!("{round}").as_bytes());
        let mut block = Vec::new();
        encoder.encode_request(&head, &mut block);
        let mut received = Head::default();
        assert_eq!(decoder.decode(&block, &mut received), Ok(Verdict::Good));
        assert_eq!(received, head);
        assert!(round == 0 || block.len() <= 7 + (3 + 4) + (2 + 9 + 3), "{}", block.len());
    }
    // :authority, :path, content-type, user-agent, te and one grpc-timeout.
    assert_eq!(table(&mut decoder).len(), 6);
}
