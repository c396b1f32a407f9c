//! Any bytes, cut anywhere: the decoder never panics, and decodes the same whichever way they were cut.
#![no_main]

use aisys_core::frame::{Decoder, FrameError, Limits, Source};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    max_frame_bytes: 1 << 16,
    max_targets: 16,
};

/// The frames of a stream that came in chunks of a size, and whether it broke.
fn decode(data: &[u8], chunk: usize) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = Decoder::new(LIMITS);
    let mut frames = Vec::new();
    for piece in data.chunks(chunk) {
        let outcome = decoder.feed(piece, |source, parts| {
            let frame = match source {
                Source::Input(input, offset) => input[offset..offset + parts.size].to_vec(),
                Source::Owned(frame) => frame,
            };
            let body = parts.layout.body();
            let end = parts.layout.attachments(&frame).last().map_or(body.end, |last| last.end);
            assert_eq!(end, frame.len());
            frames.push(frame);
            Ok::<(), FrameError>(())
        });
        if outcome.is_err() {
            assert_eq!(decoder.tail_bytes(), 0);
            return (frames, true);
        }
    }
    (frames, false)
}

fuzz_target!(|data: &[u8]| {
    let Some((first, stream)) = data.split_first() else {
        return;
    };
    let whole = decode(stream, stream.len().max(1));
    assert_eq!(whole, decode(stream, usize::from(*first).max(1)));
});
