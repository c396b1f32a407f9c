//! Any frames, encoded in batches, cut anywhere, and decoded: they come back as they were, and a refused one changes
//! nothing. Then the same bytes with one byte changed: frames or an error.
#![no_main]

use aisys_core::frame::{
    Decoder, Encoder, FLAG_ATTACHED, FLAG_NAMED, FrameError, Header, Limits, MAX_KIND, MAX_TARGET_BYTES,
    RESERVED_FLAGS, Source, Target, TargetRef,
};
use aisys_fuzz::draw::Draw;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, PartialEq)]
struct Message {
    header: Header,
    target: Option<String>,
    body: Vec<u8>,
    attachments: Vec<Vec<u8>>,
}

fn draw_name(draw: &mut Draw<'_>) -> Option<String> {
    match draw.below(8) {
        0 => None,
        1 => Some(String::new()),
        2 => Some("n".repeat(MAX_TARGET_BYTES - 1 + draw.below(3))),
        3 | 4 => Some("Memory.search".to_owned()),
        _ => {
            let size = draw.below(12);
            Some(String::from_utf8_lossy(draw.bytes(size)).into_owned())
        }
    }
}

fn draw_message(draw: &mut Draw<'_>) -> Message {
    let mut trace = [0; 24];
    let size = draw.below(25);
    let given = draw.bytes(size);
    trace[..given.len()].copy_from_slice(given);
    let header = Header {
        flags: u16::from_le_bytes([draw.byte(), if draw.below(16) == 1 { draw.byte() } else { 0 }]),
        kind: draw.byte() % 72,
        prio: draw.byte(),
        corr: draw.word(),
        deadline_us: draw.word(),
        trace,
    };
    let target = draw_name(draw);
    let size = draw.below(100);
    let body = draw.bytes(size).to_vec();
    let count = draw.below(4);
    let attachments = (0..count).map(|_| {
        let size = draw.below(40);
        draw.bytes(size).to_vec()
    });
    Message {
        header,
        target,
        body,
        attachments: attachments.collect(),
    }
}

/// Whether the documented rules refuse it.
fn is_refused(message: &Message, size: usize, limits: &Limits) -> bool {
    let target = message.target.as_deref();
    message.header.kind == 0
        || message.header.kind > MAX_KIND
        || message.header.flags & RESERVED_FLAGS != 0
        || target.is_some_and(|name| name.is_empty() || name.len() > MAX_TARGET_BYTES)
        || size > limits.max_frame_bytes
}

/// The size on the wire.
fn size_of(message: &Message, named: bool) -> usize {
    let name = if named {
        message.target.as_ref().map_or(0, |name| 2 + name.len())
    } else {
        0
    };
    let attached: usize = message.attachments.iter().map(|buffer| 4 + buffer.len()).sum();
    52 + name
        + message.body.len()
        + if message.attachments.is_empty() {
            0
        } else {
            2 + attached
        }
}

/// What a receiver makes of a stream in pieces of a size, and whether it broke.
fn decode(stream: &[u8], piece: usize, limits: Limits) -> (Vec<Message>, bool) {
    let mut decoder = Decoder::new(limits);
    let (mut names, mut messages) = (Vec::<String>::new(), Vec::new());
    for piece in stream.chunks(piece) {
        let outcome = decoder.feed(piece, |source, parts| {
            let frame = match &source {
                Source::Input(input, offset) => &input[*offset..*offset + parts.size],
                Source::Owned(frame) => frame.as_slice(),
            };
            let text = |range: std::ops::Range<usize>| {
                String::from_utf8(frame[range].to_vec()).expect("the decoder checked it")
            };
            let target = match parts.target.clone() {
                TargetRef::None => None,
                TargetRef::Known(id) => Some(names[id as usize - 1].clone()),
                TargetRef::Literal(range) => Some(text(range)),
                TargetRef::Define(_, range) => {
                    names.push(text(range));
                    names.last().cloned()
                }
            };
            let mut header = Header::read(frame);
            header.flags &= !(FLAG_NAMED | FLAG_ATTACHED);
            messages.push(Message {
                header,
                target,
                body: frame[parts.layout.body()].to_vec(),
                attachments: parts
                    .layout
                    .attachments(frame)
                    .map(|range| frame[range].to_vec())
                    .collect(),
            });
            Ok::<(), FrameError>(())
        });
        if outcome.is_err() {
            return (messages, true);
        }
    }
    (messages, false)
}

fuzz_target!(|data: &[u8]| {
    let mut draw = Draw::new(data);
    let limits = Limits {
        max_frame_bytes: 52 + 8 * draw.below(128),
        max_targets: draw.below(4),
    };
    let (piece, place, change) = (1 + draw.below(256), draw.byte(), draw.byte());
    let mut encoder: Encoder<Vec<u8>> = Encoder::new(limits);
    let (mut sent, mut stream, mut known) = (Vec::new(), Vec::new(), Vec::<String>::new());
    while !draw.is_empty() {
        let mut message = draw_message(&mut draw);
        let is_known = message.target.as_ref().is_some_and(|name| known.contains(name));
        let size = size_of(&message, !is_known);
        let before = encoder.batch().to_vec();
        let buffers: Vec<&[u8]> = message.attachments.iter().map(Vec::as_slice).collect();
        let target = match message.target.as_deref() {
            None => Target::None,
            Some(name) => match encoder.id_of(name) {
                Some(id) if message.header.prio & 1 == 1 => Target::Id(id),
                _ => Target::Name(name),
            },
        };
        let outcome = encoder.add(&message.header, target, &message.body, &buffers);
        if is_refused(&message, size, &limits) {
            assert!(outcome.is_err());
            assert_eq!(*encoder.batch(), before);
            continue;
        }
        assert_eq!(outcome, Ok(size));
        assert_eq!(encoder.batch().len(), before.len() + size);
        if let Some(name) = message
            .target
            .as_ref()
            .filter(|_| !is_known && known.len() < limits.max_targets)
        {
            known.push(name.clone());
        }
        message.header.flags &= !(FLAG_NAMED | FLAG_ATTACHED);
        sent.push(message);
        if sent.len() % 3 == 0 {
            stream.extend_from_slice(encoder.batch());
            encoder.reset();
            assert_eq!((encoder.frames(), encoder.batch().len()), (0, 0));
        }
    }
    stream.extend_from_slice(encoder.batch());
    assert_eq!(decode(&stream, piece, limits), (sent, false));

    if !stream.is_empty() {
        let place = usize::from(place) * stream.len() / 256;
        stream[place] ^= change;
        assert_eq!(decode(&stream, piece, limits), decode(&stream, stream.len(), limits));
    }
});
