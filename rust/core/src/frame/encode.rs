//! Building batches.

use std::collections::HashMap;

use super::{
    FLAG_ATTACHED, FLAG_NAMED, FrameError, Header, Limits, MAX_ATTACHMENTS, MAX_KIND, MAX_TARGET_BYTES,
    MAX_TARGET_TABLE_BYTES, MIN_FRAME_BYTES, RESERVED_FLAGS,
};

/// A batch buffer larger than this is given back after use instead of being kept for the next batch.
const KEEP_CAPACITY: usize = 1 << 20;

/// Whom a frame is for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    None,
    Name(&'a str),
    /// A number that [`Encoder::id_of`] gave.
    Id(u32),
}

/// One direction of one link, sending end.
///
/// A frame that is refused leaves the encoder as it was: a caller's oversized request must not break the link for
/// the others.
pub struct Encoder {
    limits: Limits,
    batch: Vec<u8>,
    frames: usize,
    ids: HashMap<Box<str>, u32>,
    name_bytes: usize,
}

impl Encoder {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            batch: Vec::new(),
            frames: 0,
            ids: HashMap::new(),
            name_bytes: 0,
        }
    }

    /// The bytes of the batch so far.
    pub fn batch(&self) -> &[u8] {
        &self.batch
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Begin the next batch. Names stay known: the frames that defined them count as sent.
    pub fn reset(&mut self) {
        self.frames = 0;
        if self.batch.capacity() > KEEP_CAPACITY {
            self.batch = Vec::new();
        } else {
            self.batch.clear();
        }
    }

    /// The number under which the receiver knows a name, once a frame has defined it.
    pub fn id_of(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// Append a frame and return its size in bytes. The NAMED and ATTACHED flags are this function's own.
    pub fn add(
        &mut self,
        header: &Header,
        target: Target<'_>,
        body: &[u8],
        attachments: &[&[u8]],
    ) -> Result<usize, FrameError> {
        let (id, name, define) = self.resolve(target)?;
        let mut flags = header.flags & !(FLAG_NAMED | FLAG_ATTACHED);
        let mut size = MIN_FRAME_BYTES + body.len();
        if let Some(name) = name {
            flags |= FLAG_NAMED;
            size += 2 + name.len();
        }
        if !attachments.is_empty() {
            flags |= FLAG_ATTACHED;
            size += 2 + attachments.iter().map(|buffer| 4 + buffer.len()).sum::<usize>();
        }
        self.check(header, flags, size, attachments.len())?;

        let batch = &mut self.batch;
        batch.reserve(size);
        let mut fixed = [0u8; MIN_FRAME_BYTES];
        fixed[0..4].copy_from_slice(&(size as u32).to_le_bytes());
        fixed[4..6].copy_from_slice(&flags.to_le_bytes());
        fixed[6] = header.kind;
        fixed[7] = header.prio;
        fixed[8..16].copy_from_slice(&header.corr.to_le_bytes());
        fixed[16..24].copy_from_slice(&header.deadline_us.to_le_bytes());
        fixed[24..48].copy_from_slice(&header.trace);
        fixed[48..52].copy_from_slice(&id.to_le_bytes());
        batch.extend_from_slice(&fixed);
        if let Some(name) = name {
            batch.extend_from_slice(&(name.len() as u16).to_le_bytes());
            batch.extend_from_slice(name.as_bytes());
            if define {
                self.name_bytes += name.len();
                self.ids.insert(name.into(), id);
            }
        }
        if !attachments.is_empty() {
            batch.extend_from_slice(&(attachments.len() as u16).to_le_bytes());
            for buffer in attachments {
                batch.extend_from_slice(&(buffer.len() as u32).to_le_bytes());
            }
        }
        batch.extend_from_slice(body);
        for buffer in attachments {
            batch.extend_from_slice(buffer);
        }
        self.frames += 1;
        Ok(size)
    }

    /// The id to write, the name to write, and whether that name defines the id.
    fn resolve<'a>(&self, target: Target<'a>) -> Result<(u32, Option<&'a str>, bool), FrameError> {
        let name = match target {
            Target::None => return Ok((0, None, false)),
            Target::Id(id) if id != 0 && id as usize <= self.ids.len() => return Ok((id, None, false)),
            Target::Id(id) => return Err(FrameError::TargetUnknown(id)),
            Target::Name(name) => name,
        };
        if let Some(id) = self.ids.get(name) {
            return Ok((*id, None, false));
        }
        if name.is_empty() {
            return Err(FrameError::TargetEmpty);
        }
        if name.len() > MAX_TARGET_BYTES {
            return Err(FrameError::TargetTooLong { bytes: name.len() });
        }
        // A full table is no reason to fail: the name goes out each time, under no number.
        let room = self.ids.len() < self.limits.max_targets && self.name_bytes + name.len() <= MAX_TARGET_TABLE_BYTES;
        Ok((if room { self.ids.len() as u32 + 1 } else { 0 }, Some(name), room))
    }

    fn check(&self, header: &Header, flags: u16, size: usize, attachments: usize) -> Result<(), FrameError> {
        if header.kind == 0 || header.kind > MAX_KIND {
            return Err(FrameError::BadKind(header.kind));
        }
        if flags & RESERVED_FLAGS != 0 {
            return Err(FrameError::ReservedFlags(flags));
        }
        if attachments > MAX_ATTACHMENTS {
            return Err(FrameError::TooManyAttachments { count: attachments });
        }
        let limit = self.limits.max_frame_bytes.min(u32::MAX as usize);
        if size > limit {
            return Err(FrameError::TooLong { bytes: size, limit });
        }
        Ok(())
    }
}
