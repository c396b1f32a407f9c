//! Any bytes, cut anywhere: the decoder gives the frames that a plain reading of `docs/wire.md` gives, or breaks where
//! that does, whichever way the bytes were cut.
#![no_main]

use std::ops::Range;

use aisys_core::frame::{Decoder, FrameError, Header, Limits, Source, TargetRef};
use aisys_fuzz::draw::Draw;
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    max_frame_bytes: 1 << 12,
    max_targets: 4,
};

/// A frame with everything that was read from it.
#[derive(Debug, PartialEq)]
struct Read {
    bytes: Vec<u8>,
    flags: u16,
    kind: u8,
    prio: u8,
    corr: u64,
    deadline_us: u64,
    trace: Vec<u8>,
    target: TargetRef,
    body: Range<usize>,
    attachments: Vec<Range<usize>>,
}

/// The frames of a stream and whether it broke, and how many bytes wait for the rest of a frame.
type Outcome = (Vec<Read>, bool, usize);

fn number(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    let field = bytes.get(at..at + count)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The frame at the start of the bytes, by the specification alone; None if it is against it.
fn model_frame(bytes: &[u8], named: &mut usize) -> Option<Read> {
    let (flags, kind) = (number(bytes, 4, 2)? as u16, bytes[6]);
    if kind == 0 || kind > 63 || flags >= 0x100 {
        return None;
    }
    let id = number(bytes, 48, 4)? as u32;
    let mut at = 52;
    let target = if flags & 1 == 0 {
        match id {
            0 => TargetRef::None,
            id if id as usize <= *named => TargetRef::Known(id),
            _ => return None,
        }
    } else {
        let size = number(bytes, at, 2)? as usize;
        let name = at + 2..at + 2 + size;
        at = name.end;
        if size == 0 || size > 512 || std::str::from_utf8(bytes.get(name.clone())?).is_err() {
            return None;
        }
        if id == 0 {
            TargetRef::Literal(name)
        } else {
            *named += 1;
            if id as usize != *named || *named > LIMITS.max_targets {
                return None;
            }
            TargetRef::Define(id, name)
        }
    };
    let mut sizes = Vec::new();
    if flags & 2 != 0 {
        let count = number(bytes, at, 2)? as usize;
        at += 2;
        if count > 4096 {
            return None;
        }
        for _ in 0..count {
            sizes.push(number(bytes, at, 4)? as usize);
            at += 4;
        }
    }
    let body_end = bytes.len().checked_sub(sizes.iter().sum())?;
    if body_end < at {
        return None;
    }
    let mut start = body_end;
    let attachments = sizes.iter().map(|size| {
        start += size;
        start - size..start
    });
    Some(Read {
        attachments: attachments.collect(),
        bytes: bytes.to_vec(),
        flags,
        kind,
        prio: bytes[7],
        corr: number(bytes, 8, 8)?,
        deadline_us: number(bytes, 16, 8)?,
        trace: bytes[24..48].to_vec(),
        target,
        body: at..body_end,
    })
}

fn model(mut stream: &[u8]) -> Outcome {
    let (mut frames, mut named) = (Vec::new(), 0);
    while let Some(size) = number(stream, 0, 4) {
        let size = size as usize;
        if !(52..=LIMITS.max_frame_bytes).contains(&size) {
            return (frames, true, 0);
        }
        let Some(bytes) = stream.get(..size) else { break };
        let Some(frame) = model_frame(bytes, &mut named) else {
            return (frames, true, 0);
        };
        frames.push(frame);
        stream = &stream[size..];
    }
    (frames, false, stream.len())
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(LIMITS);
    let mut frames = Vec::new();
    for piece in pieces {
        let outcome = decoder.feed(piece, |source, parts| {
            let bytes = match source {
                Source::Input(input, offset) => input[offset..offset + parts.size].to_vec(),
                Source::Owned(frame) => frame,
            };
            let attachments: Vec<Range<usize>> = parts.layout.attachments(&bytes).collect();
            assert_eq!(attachments.len(), parts.layout.attachment_count(&bytes));
            assert_eq!(bytes.len(), parts.size);
            let header = Header::read(&bytes);
            assert_eq!((header.kind, header.corr), (parts.kind, parts.corr));
            frames.push(Read {
                attachments,
                flags: header.flags,
                kind: header.kind,
                prio: header.prio,
                corr: header.corr,
                deadline_us: header.deadline_us,
                trace: header.trace.to_vec(),
                target: parts.target.clone(),
                body: parts.layout.body(),
                bytes,
            });
            Ok::<(), FrameError>(())
        });
        if outcome.is_err() {
            let again: Result<(), FrameError> = decoder.feed(&[], |_, _| Ok(()));
            assert_eq!(again, Err(FrameError::Broken));
            assert_eq!(decoder.tail_bytes(), 0);
            return (frames, true, 0);
        }
    }
    (frames, false, decoder.tail_bytes())
}

/// Pieces of the sizes that the seeds say, over and over.
fn cut<'a>(mut rest: &'a [u8], sizes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = usize::from(*sizes.next()?).max(1).min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fuzz_target!(|data: &[u8]| {
    let mut draw = Draw::new(data);
    let sizes = draw.bytes(3);
    let stream = draw.bytes(data.len());
    let expected = model(stream);
    assert_eq!(decode(std::iter::once(stream)), expected);
    assert_eq!(decode(cut(stream, sizes)), expected);
});
