//! Building batches.

use std::collections::HashMap;

use super::{
    FLAG_ATTACHED, FLAG_NAMED, FrameError, Header, Limits, MAX_ATTACHMENTS, MAX_KIND, MAX_TARGET_BYTES,
    MAX_TARGET_TABLE_BYTES, MIN_FRAME_BYTES, RESERVED_FLAGS,
};

/// A batch buffer larger than this is given back after use instead of being kept for the next batch.
const KEEP_CAPACITY: usize = 1 << 20;

/// The memory that a batch grows in.
pub trait Batch {
    /// Make room for so many bytes behind those that are there; false if there is no memory for them.
    fn reserve(&mut self, more: usize) -> bool;

    /// Append; whoever calls has reserved the room.
    fn push(&mut self, bytes: &[u8]);
}

impl Batch for Vec<u8> {
    #[inline]
    fn reserve(&mut self, more: usize) -> bool {
        self.try_reserve(more).is_ok()
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

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
pub struct Encoder<B = Vec<u8>> {
    limits: Limits,
    batch: B,
    frames: usize,
    ids: HashMap<Box<str>, u32>,
    name_bytes: usize,
}

impl Encoder {
    /// Begin the next batch in the memory of this one. Names stay known: the frames that defined them count as sent.
    pub fn reset(&mut self) {
        let mut batch = self.next(Vec::new());
        if batch.capacity() <= KEEP_CAPACITY {
            batch.clear();
            self.batch = batch;
        }
    }
}

impl<B: Batch> Encoder<B> {
    pub fn new(limits: Limits) -> Self
    where
        B: Default,
    {
        Self {
            limits,
            batch: B::default(),
            frames: 0,
            ids: HashMap::new(),
            name_bytes: 0,
        }
    }

    /// The batch so far.
    pub fn batch(&self) -> &B {
        &self.batch
    }

    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Begin the next batch in `batch` and return this one. Names stay known: the frames that defined them count as
    /// sent.
    pub fn next(&mut self, batch: B) -> B {
        self.frames = 0;
        std::mem::replace(&mut self.batch, batch)
    }

    /// The number under which the receiver knows a name, once a frame has defined it.
    pub fn id_of(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// Append a frame and return its size in bytes. The NAMED and ATTACHED flags are this function's own.
    #[inline]
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
        if !batch.reserve(size) {
            return Err(FrameError::NoMemory { bytes: size });
        }
        let mut fixed = [0u8; MIN_FRAME_BYTES];
        fixed[0..4].copy_from_slice(&(size as u32).to_le_bytes());
        fixed[4..6].copy_from_slice(&flags.to_le_bytes());
        fixed[6] = header.kind;
        fixed[7] = header.prio;
        fixed[8..16].copy_from_slice(&header.corr.to_le_bytes());
        fixed[16..24].copy_from_slice(&header.deadline_us.to_le_bytes());
        fixed[24..48].copy_from_slice(&header.trace);
        fixed[48..52].copy_from_slice(&id.to_le_bytes());
        batch.push(&fixed);
        if let Some(name) = name {
            batch.push(&(name.len() as u16).to_le_bytes());
            batch.push(name.as_bytes());
            if define {
                self.name_bytes += name.len();
                self.ids.insert(name.into(), id);
            }
        }
        if !attachments.is_empty() {
            batch.push(&(attachments.len() as u16).to_le_bytes());
            for buffer in attachments {
                batch.push(&(buffer.len() as u32).to_le_bytes());
            }
        }
        batch.push(body);
        for buffer in attachments {
            batch.push(buffer);
        }
        self.frames += 1;
        Ok(size)
    }

    /// The id to write, the name to write, and whether that name defines the id.
    #[inline]
    fn resolve<'a>(&self, target: Target<'a>) -> Result<(u32, Option<&'a str>, bool), FrameError> {
        let name = match target {
            Target::None => return Ok((0, None, false)),
            Target::Id(id) if id != 0 && id as usize <= self.ids.len() => return Ok((id, None, false)),
            Target::Id(id) => return Err(FrameError::TargetUnknown(id)),
            Target::Name(name) => name,
        };
        self.resolve_name(name)
    }

    fn resolve_name<'a>(&self, name: &'a str) -> Result<(u32, Option<&'a str>, bool), FrameError> {
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

    #[inline]
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
