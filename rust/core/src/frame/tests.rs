//! The codec against itself: what was encoded comes back under any split, and no bytes make it panic.

use proptest::prelude::*;

use super::*;

/// A frame as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    header: Header,
    target: Option<String>,
    body: Vec<u8>,
    attachments: Vec<Vec<u8>>,
}

impl Message {
    fn new(kind: u8, target: Option<&str>, body: &[u8]) -> Self {
        let header = Header {
            flags: 0,
            kind,
            prio: 100,
            corr: 7,
            deadline_us: 0,
            trace: [0; TRACE_BYTES],
        };
        Self {
            header,
            target: target.map(str::to_owned),
            body: body.to_vec(),
            attachments: Vec::new(),
        }
    }

    fn add_to(&self, encoder: &mut Encoder) -> Result<usize, FrameError> {
        let views: Vec<&[u8]> = self.attachments.iter().map(Vec::as_slice).collect();
        let target = self.target.as_deref().map_or(Target::None, Target::Name);
        encoder.add(&self.header, target, &self.body, &views)
    }
}

/// A decoder that keeps the names and copies everything out.
struct Reader {
    decoder: Decoder,
    names: Vec<String>,
    messages: Vec<Message>,
}

impl Reader {
    fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::new(limits),
            names: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn feed(&mut self, data: &[u8]) -> Result<(), FrameError> {
        let Self {
            decoder,
            names,
            messages,
        } = self;
        decoder.feed(data, |source, parts| {
            let frame = match &source {
                Source::Input(data, offset) => &data[*offset..*offset + parts.size],
                Source::Owned(frame) => frame.as_slice(),
            };
            let text = |range: &std::ops::Range<usize>| {
                String::from_utf8(frame[range.clone()].to_vec()).map_err(|_| FrameError::TargetNotUtf8)
            };
            let target = match &parts.target {
                TargetRef::None => None,
                TargetRef::Known(id) => Some(names[*id as usize - 1].clone()),
                TargetRef::Literal(range) => Some(text(range)?),
                TargetRef::Define(id, range) => {
                    names.push(text(range)?);
                    assert_eq!(*id as usize, names.len());
                    names.last().cloned()
                }
            };
            let attachments: Vec<Vec<u8>> = parts
                .layout
                .attachments(frame)
                .map(|range| frame[range].to_vec())
                .collect();
            assert_eq!(attachments.len(), parts.layout.attachment_count(frame));
            let mut header = Header::read(frame);
            assert_eq!((header.kind, header.corr), (parts.kind, parts.corr));
            header.flags &= !(FLAG_NAMED | FLAG_ATTACHED);
            messages.push(Message {
                header,
                target,
                body: frame[parts.layout.body()].to_vec(),
                attachments,
            });
            Ok(())
        })
    }
}

fn encode(messages: &[Message], limits: Limits) -> Vec<u8> {
    let mut encoder: Encoder = Encoder::new(limits);
    for message in messages {
        let before = encoder.batch().len();
        let size = message.add_to(&mut encoder);
        assert_eq!(size, Ok(encoder.batch().len() - before));
    }
    assert_eq!(encoder.frames(), messages.len());
    encoder.batch().clone()
}

fn arb_message() -> impl Strategy<Value = Message> {
    let header = (
        any::<u8>(),
        1..=MAX_KIND,
        any::<u8>(),
        any::<u64>(),
        any::<u64>(),
        any::<[u8; 24]>(),
    )
        .prop_map(|(flags, kind, prio, corr, deadline_us, trace)| Header {
            flags: u16::from(flags) & !(FLAG_NAMED | FLAG_ATTACHED),
            kind,
            prio,
            corr,
            deadline_us,
            trace,
        });
    let target = prop::option::of(prop::sample::select(vec![
        "A.b",
        "Memory.search",
        "topic.ü",
        "x",
        "y",
        "z",
    ]));
    let buffers = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4);
    (header, target, prop::collection::vec(any::<u8>(), 0..300), buffers).prop_map(|(header, target, body, buffers)| {
        Message {
            header,
            target: target.map(str::to_owned),
            body,
            attachments: buffers,
        }
    })
}

proptest! {
    #[test]
    fn what_was_encoded_comes_back_under_any_split(
        messages in prop::collection::vec(arb_message(), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        max_targets in 0usize..6,
    ) {
        let limits = Limits { max_targets, ..Limits::default() };
        let bytes = encode(&messages, limits);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut reader = Reader::new(limits);
        let mut at = 0;
        for cut in cuts {
            prop_assert_eq!(reader.feed(&bytes[at..cut]), Ok(()));
            at = cut;
        }
        prop_assert_eq!(reader.messages, messages);
        prop_assert_eq!(reader.decoder.tail_bytes(), 0);
    }

    #[test]
    fn byte_by_byte_is_a_split_like_any_other(messages in prop::collection::vec(arb_message(), 0..4)) {
        let bytes = encode(&messages, Limits::default());
        let mut reader = Reader::new(Limits::default());
        for byte in &bytes {
            prop_assert_eq!(reader.feed(std::slice::from_ref(byte)), Ok(()));
        }
        prop_assert_eq!(reader.messages, messages);
    }

    #[test]
    fn random_bytes_never_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
        let mut reader = Reader::new(Limits { max_frame_bytes: 4096, max_targets: 8 });
        for chunk in chunks {
            let _ = reader.feed(&chunk);
        }
    }

    #[test]
    fn a_damaged_batch_never_panics_and_breaks_for_good(
        messages in prop::collection::vec(arb_message(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&messages, Limits::default());
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let mut reader = Reader::new(Limits { max_frame_bytes: 4096, max_targets: 8 });
        if reader.feed(&bytes).is_err() {
            prop_assert_eq!(reader.feed(&[]), Err(FrameError::Broken));
            prop_assert_eq!(reader.decoder.tail_bytes(), 0);
        }
    }
}

#[test]
fn a_name_travels_once() {
    let mut encoder = Encoder::new(Limits::default());
    let message = Message::new(2, Some("Memory.search"), b"{}");
    let first = message.add_to(&mut encoder);
    encoder.reset();
    let second = message.add_to(&mut encoder);
    assert_eq!(first, Ok(MIN_FRAME_BYTES + 2 + "Memory.search".len() + 2));
    assert_eq!(second, Ok(MIN_FRAME_BYTES + 2));
    assert_eq!(encoder.id_of("Memory.search"), Some(1));
}

#[test]
fn a_refused_frame_leaves_the_encoder_as_it_was() {
    let mut encoder = Encoder::new(Limits {
        max_frame_bytes: 100,
        ..Limits::default()
    });
    let big = Message::new(2, Some("A.b"), &[0; 100]);
    assert_eq!(
        big.add_to(&mut encoder),
        Err(FrameError::TooLong {
            bytes: 52 + 2 + 3 + 100,
            limit: 100
        })
    );
    assert_eq!(
        (encoder.batch().len(), encoder.frames(), encoder.id_of("A.b")),
        (0, 0, None)
    );
    assert_eq!(Message::new(2, Some("A.b"), b"").add_to(&mut encoder), Ok(57));
}

/// A batch in memory that has an end.
#[derive(Default)]
struct Scarce(Vec<u8>);

impl Batch for Scarce {
    fn reserve(&mut self, more: usize) -> bool {
        self.0.len() + more <= 120
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

#[test]
fn a_batch_without_memory_refuses_the_frame_alone() {
    let mut encoder = Encoder::<Scarce>::new(Limits::default());
    let header = Message::new(2, None, b"").header;
    assert_eq!(encoder.add(&header, Target::None, b"", &[]), Ok(52));
    assert_eq!(
        encoder.add(&header, Target::Name("A.b"), &[0; 100], &[]),
        Err(FrameError::NoMemory { bytes: 157 })
    );
    assert_eq!((encoder.frames(), encoder.id_of("A.b")), (1, None));
    assert_eq!(encoder.add(&header, Target::Name("A.b"), b"", &[]), Ok(57));
    assert_eq!(encoder.next(Scarce::default()).0.len(), 109);
}

#[test]
fn the_encoder_refuses_what_the_decoder_would() {
    let mut encoder = Encoder::new(Limits::default());
    let mut refused = |message: Message| message.add_to(&mut encoder);
    assert_eq!(refused(Message::new(0, None, b"")), Err(FrameError::BadKind(0)));
    assert_eq!(refused(Message::new(64, None, b"")), Err(FrameError::BadKind(64)));
    assert_eq!(refused(Message::new(2, Some(""), b"")), Err(FrameError::TargetEmpty));
    assert_eq!(
        refused(Message::new(2, Some(&"x".repeat(513)), b"")),
        Err(FrameError::TargetTooLong { bytes: 513 })
    );
    let mut reserved = Message::new(2, None, b"");
    reserved.header.flags = 0x100;
    assert_eq!(refused(reserved), Err(FrameError::ReservedFlags(0x100)));
    let mut many = Message::new(2, None, b"");
    many.attachments = vec![Vec::new(); MAX_ATTACHMENTS + 1];
    assert_eq!(
        refused(many),
        Err(FrameError::TooManyAttachments {
            count: MAX_ATTACHMENTS + 1
        })
    );
    let header = Message::new(2, None, b"").header;
    assert_eq!(
        encoder.add(&header, Target::Id(1), b"", &[]),
        Err(FrameError::TargetUnknown(1))
    );
    assert_eq!(
        encoder.add(&header, Target::Id(0), b"", &[]),
        Err(FrameError::TargetUnknown(0))
    );
}

/// A frame by hand: header fields that matter, then whatever follows.
fn raw(flags: u16, kind: u8, id: u32, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 48];
    frame[0..4].copy_from_slice(&((MIN_FRAME_BYTES + rest.len()) as u32).to_le_bytes());
    frame[4..6].copy_from_slice(&flags.to_le_bytes());
    frame[6] = kind;
    frame.extend_from_slice(&id.to_le_bytes());
    frame.extend_from_slice(rest);
    frame
}

fn refusal(bytes: &[u8]) -> Result<(), FrameError> {
    Reader::new(Limits {
        max_frame_bytes: 4096,
        max_targets: 2,
    })
    .feed(bytes)
}

#[test]
fn every_limit_has_its_error() {
    let name = |text: &[u8]| [&(text.len() as u16).to_le_bytes()[..], text].concat();
    let cases: Vec<(Vec<u8>, FrameError)> = vec![
        (51u32.to_le_bytes().to_vec(), FrameError::TooShort { bytes: 51 }),
        (
            u32::MAX.to_le_bytes().to_vec(),
            FrameError::TooLong {
                bytes: u32::MAX as usize,
                limit: 4096,
            },
        ),
        (raw(0, 0, 0, b""), FrameError::BadKind(0)),
        (raw(0, 64, 0, b""), FrameError::BadKind(64)),
        (raw(0x8000, 2, 0, b""), FrameError::ReservedFlags(0x8000)),
        (raw(0, 2, 1, b""), FrameError::TargetUnknown(1)),
        (raw(FLAG_NAMED, 2, 1, b"\x01"), FrameError::TargetTruncated),
        (raw(FLAG_NAMED, 2, 1, b"\x05\x00abc"), FrameError::TargetTruncated),
        (raw(FLAG_NAMED, 2, 1, &name(b"")), FrameError::TargetEmpty),
        (
            raw(FLAG_NAMED, 2, 1, &name(&[b'x'; 513])),
            FrameError::TargetTooLong { bytes: 513 },
        ),
        (raw(FLAG_NAMED, 2, 1, &name(b"\xff")), FrameError::TargetNotUtf8),
        (
            raw(FLAG_NAMED, 2, 2, &name(b"a")),
            FrameError::TargetOutOfOrder { id: 2, expected: 1 },
        ),
        (raw(FLAG_ATTACHED, 2, 0, b""), FrameError::AttachmentsTruncated),
        (
            raw(FLAG_ATTACHED, 2, 0, b"\x02\x00\x01\x00\x00\x00"),
            FrameError::AttachmentsTruncated,
        ),
        (
            raw(FLAG_ATTACHED, 2, 0, b"\x01\x00\xff\xff\xff\xffx"),
            FrameError::AttachmentsTruncated,
        ),
        (
            raw(FLAG_ATTACHED, 2, 0, b"\xff\xff"),
            FrameError::TooManyAttachments { count: 0xffff },
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(refusal(&bytes), Err(error), "{error}");
    }
    let third = [
        raw(FLAG_NAMED, 2, 1, &name(b"a")),
        raw(FLAG_NAMED, 2, 2, &name(b"b")),
        raw(1, 2, 3, &name(b"c")),
    ];
    assert_eq!(refusal(&third.concat()), Err(FrameError::TooManyTargets { limit: 2 }));
}

#[test]
fn an_announced_length_alone_allocates_nothing() {
    let mut decoder = Decoder::new(Limits::default());
    let head = (16u32 << 20).to_le_bytes();
    let none = |_: Source<'_>, _: Parts| Ok::<(), FrameError>(());
    assert_eq!(decoder.feed(&head, none), Ok(()));
    assert_eq!(decoder.feed(&[0; 100], none), Ok(()));
    assert!(decoder.tail.capacity() <= 64 << 10);
    assert_eq!(decoder.tail_bytes(), 104);
}

#[test]
fn a_long_frame_in_pieces_ends_with_no_spare_capacity() {
    let bytes = encode(&[Message::new(2, None, &vec![7; 3 << 20])], Limits::default());
    let mut decoder = Decoder::new(Limits::default());
    let mut capacity = 0;
    for chunk in bytes.chunks(256 << 10) {
        let done = decoder.feed(chunk, |source, _| {
            if let Source::Owned(frame) = source {
                capacity = frame.capacity();
            }
            Ok::<(), FrameError>(())
        });
        assert_eq!(done, Ok(()));
    }
    assert_eq!(capacity, bytes.len());
}
