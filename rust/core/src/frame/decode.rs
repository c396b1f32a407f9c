//! Taking a byte stream apart, however it was cut.

use std::ops::Range;

use super::{
    FLAG_ATTACHED, FLAG_NAMED, FrameError, Limits, MAX_ATTACHMENTS, MAX_KIND, MAX_TARGET_BYTES, MAX_TARGET_TABLE_BYTES,
    MIN_FRAME_BYTES, RESERVED_FLAGS, le16, le32, le64,
};

/// First allocation for a frame that came in pieces; a frame's announced length alone never allocates.
const FIRST_TAIL_BYTES: usize = 64 << 10;

/// Whom a frame is for, as the wire says it. Ranges are within the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetRef {
    None,
    /// A number that an earlier frame defined.
    Known(u32),
    /// This frame defines the number. Numbers are dense: the first is 1, the next one more.
    Define(u32, Range<usize>),
    /// A name without a number, used when the table is full.
    Literal(Range<usize>),
}

/// Where the body and the attachments of a checked frame lie, relative to its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    body: u32,
    body_end: u32,
    /// Where the lengths of the attachments begin, behind their count; 0 if there are none.
    table: u32,
}

impl Layout {
    #[inline]
    pub fn body(&self) -> Range<usize> {
        self.body as usize..self.body_end as usize
    }

    /// How many attachments there are in `frame`, which must be the bytes this layout was read from.
    pub fn attachment_count(&self, frame: &[u8]) -> usize {
        match self.table as usize {
            0 => 0,
            table => le16(frame, table - 2) as usize,
        }
    }

    /// The ranges of the attachments within `frame`, which must be the bytes this layout was read from.
    pub fn attachments<'a>(&self, frame: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut start = self.body_end as usize;
        let table = self.table as usize;
        let lengths = &frame[table..table + 4 * self.attachment_count(frame)];
        lengths.chunks_exact(4).map(move |length| {
            let range = start..start + le32(length, 0) as usize;
            start = range.end;
            range
        })
    }
}

/// What a receiver needs of a checked frame at once; the other fields are read from its bytes when they are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    pub kind: u8,
    pub corr: u64,
    pub size: usize,
    pub target: TargetRef,
    pub layout: Layout,
}

/// The bytes of a decoded frame.
pub enum Source<'a> {
    /// Within the input of this `feed`, from this offset.
    Input(&'a [u8], usize),
    /// Put together from several inputs.
    Owned(Vec<u8>),
}

/// What a direction of a link has named so far.
#[derive(Default)]
struct Names {
    count: usize,
    bytes: usize,
}

/// One direction of one link, receiving end. Once broken it stays broken: after a bad length nobody knows where the
/// next frame begins.
pub struct Decoder {
    limits: Limits,
    names: Names,
    pub(super) tail: Vec<u8>,
    broken: bool,
}

impl Decoder {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            names: Names::default(),
            tail: Vec::new(),
            broken: false,
        }
    }

    /// Bytes of a frame whose rest has not come yet.
    pub fn tail_bytes(&self) -> usize {
        self.tail.len()
    }

    /// Decode what is complete and keep the rest. An error, of the bytes or of `sink`, breaks the decoder for ever.
    #[inline]
    pub fn feed<E, F>(&mut self, data: &[u8], mut sink: F) -> Result<(), E>
    where
        E: From<FrameError>,
        F: FnMut(Source<'_>, Parts) -> Result<(), E>,
    {
        if self.broken {
            return Err(FrameError::Broken.into());
        }
        let outcome = self.run(data, &mut sink);
        if outcome.is_err() {
            self.broken = true;
            self.tail = Vec::new();
        }
        outcome
    }

    #[inline]
    fn run<E, F>(&mut self, data: &[u8], sink: &mut F) -> Result<(), E>
    where
        E: From<FrameError>,
        F: FnMut(Source<'_>, Parts) -> Result<(), E>,
    {
        let mut at = 0;
        if !self.tail.is_empty() {
            let Some(used) = self.complete_tail(data)? else {
                return Ok(());
            };
            at = used;
            let frame = std::mem::take(&mut self.tail);
            let parts = parse(&frame, &mut self.names, &self.limits)?;
            sink(Source::Owned(frame), parts)?;
        }
        while let Some(head) = data.get(at..at + 4) {
            let size = self.check_size(le32(head, 0) as usize)?;
            let Some(frame) = data.get(at..at + size) else { break };
            let parts = parse(frame, &mut self.names, &self.limits)?;
            sink(Source::Input(data, at), parts)?;
            at += size;
        }
        self.tail.extend_from_slice(&data[at..]);
        Ok(())
    }

    /// Move bytes into the tail until its frame is whole; how many were used, or None if it still is not.
    fn complete_tail(&mut self, data: &[u8]) -> Result<Option<usize>, FrameError> {
        let mut used = 0;
        if self.tail.len() < 4 {
            used = data.len().min(4 - self.tail.len());
            self.tail.extend_from_slice(&data[..used]);
            if self.tail.len() < 4 {
                return Ok(None);
            }
        }
        let size = self.check_size(le32(&self.tail, 0) as usize)?;
        let more = (data.len() - used).min(size - self.tail.len());
        let needed = self.tail.len() + more;
        if needed > self.tail.capacity() {
            // Grows with what really came, and never beyond the frame.
            let capacity = needed.max(2 * self.tail.capacity()).max(FIRST_TAIL_BYTES).min(size);
            self.tail.reserve_exact(capacity - self.tail.len());
        }
        self.tail.extend_from_slice(&data[used..used + more]);
        Ok((self.tail.len() == size).then_some(used + more))
    }

    #[inline]
    fn check_size(&self, bytes: usize) -> Result<usize, FrameError> {
        if bytes < MIN_FRAME_BYTES {
            return Err(FrameError::TooShort { bytes });
        }
        if bytes > self.limits.max_frame_bytes {
            return Err(FrameError::TooLong {
                bytes,
                limit: self.limits.max_frame_bytes,
            });
        }
        Ok(bytes)
    }
}

/// Check a whole frame of at least [`MIN_FRAME_BYTES`] and find its parts.
#[inline]
fn parse(frame: &[u8], names: &mut Names, limits: &Limits) -> Result<Parts, FrameError> {
    let (flags, kind) = (le16(frame, 4), frame[6]);
    if kind == 0 || kind > MAX_KIND {
        return Err(FrameError::BadKind(kind));
    }
    if flags & RESERVED_FLAGS != 0 {
        return Err(FrameError::ReservedFlags(flags));
    }
    let id = le32(frame, 48);
    let mut at = MIN_FRAME_BYTES;
    let target = if flags & FLAG_NAMED != 0 {
        let name = read_name(frame, at)?;
        at = name.end;
        define(id, name, names, limits)?
    } else if id == 0 {
        TargetRef::None
    } else if id as usize <= names.count {
        TargetRef::Known(id)
    } else {
        return Err(FrameError::TargetUnknown(id));
    };
    let layout = if flags & FLAG_ATTACHED != 0 {
        read_table(frame, at)?
    } else {
        // A frame's length has 32 bits, so every place within it has.
        Layout {
            body: at as u32,
            body_end: frame.len() as u32,
            table: 0,
        }
    };
    Ok(Parts {
        kind,
        corr: le64(frame, 8),
        size: frame.len(),
        target,
        layout,
    })
}

fn read_name(frame: &[u8], at: usize) -> Result<Range<usize>, FrameError> {
    if at + 2 > frame.len() {
        return Err(FrameError::TargetTruncated);
    }
    let bytes = le16(frame, at) as usize;
    if bytes == 0 {
        return Err(FrameError::TargetEmpty);
    }
    if bytes > MAX_TARGET_BYTES {
        return Err(FrameError::TargetTooLong { bytes });
    }
    let range = at + 2..at + 2 + bytes;
    let name = frame.get(range.clone()).ok_or(FrameError::TargetTruncated)?;
    std::str::from_utf8(name).map_err(|_| FrameError::TargetNotUtf8)?;
    Ok(range)
}

fn define(id: u32, name: Range<usize>, names: &mut Names, limits: &Limits) -> Result<TargetRef, FrameError> {
    if id == 0 {
        return Ok(TargetRef::Literal(name));
    }
    let expected = names.count + 1;
    if id as usize != expected {
        return Err(FrameError::TargetOutOfOrder {
            id,
            expected: expected as u32,
        });
    }
    let bytes = names.bytes + name.len();
    if expected > limits.max_targets || bytes > MAX_TARGET_TABLE_BYTES {
        return Err(FrameError::TooManyTargets {
            limit: limits.max_targets,
        });
    }
    *names = Names { count: expected, bytes };
    Ok(TargetRef::Define(id, name))
}

fn read_table(frame: &[u8], at: usize) -> Result<Layout, FrameError> {
    if at + 2 > frame.len() {
        return Err(FrameError::AttachmentsTruncated);
    }
    let count = le16(frame, at) as usize;
    if count > MAX_ATTACHMENTS {
        return Err(FrameError::TooManyAttachments { count });
    }
    let table = at + 2..at + 2 + 4 * count;
    let lengths = frame.get(table.clone()).ok_or(FrameError::AttachmentsTruncated)?;
    // Each length is below 2**32 and there are few, so the sum cannot overflow.
    let total: u64 = lengths.chunks_exact(4).map(|length| u64::from(le32(length, 0))).sum();
    let room = (frame.len() - table.end) as u64;
    if total > room {
        return Err(FrameError::AttachmentsTruncated);
    }
    Ok(Layout {
        body: table.end as u32,
        body_end: (frame.len() - total as usize) as u32,
        table: table.start as u32,
    })
}
