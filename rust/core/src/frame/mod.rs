//! The wire format of a link; `docs/wire.md` is its specification.
//!
//! A frame is a 48-byte header, a target, an optional attachment table, the body, and the attachments. Frames lie
//! back to back. Target names travel once per link direction and are small numbers from then on.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Layout, Parts, Source, TargetRef};
pub use encode::{Batch, Encoder, Target};

use std::fmt;

pub const HEADER_BYTES: usize = 48;
/// The header and the target id.
pub const MIN_FRAME_BYTES: usize = HEADER_BYTES + 4;
pub const TRACE_BYTES: usize = 24;

/// The frame carries the target's name.
pub const FLAG_NAMED: u16 = 1;
/// The frame carries an attachment table and buffers.
pub const FLAG_ATTACHED: u16 = 2;
/// Bits that must be zero in this version.
pub const RESERVED_FLAGS: u16 = 0xff00;
/// Kinds are 1 to this; which of them mean something is for the layer above.
pub const MAX_KIND: u8 = 63;

pub const MAX_TARGET_BYTES: usize = 512;
/// All target names of one link direction together.
pub const MAX_TARGET_TABLE_BYTES: usize = 4 << 20;
pub const MAX_ATTACHMENTS: usize = 4096;
pub const DEFAULT_MAX_FRAME_BYTES: usize = 16 << 20;
pub const DEFAULT_MAX_TARGETS: usize = 65536;

/// What both ends of a link must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_frame_bytes: usize,
    pub max_targets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
            max_targets: DEFAULT_MAX_TARGETS,
        }
    }
}

/// The fixed fields of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub flags: u16,
    pub kind: u8,
    pub prio: u8,
    pub corr: u64,
    /// Time that remains, not a point in time: the clocks of two machines differ. 0 is none.
    pub deadline_us: u64,
    /// 16 bytes of trace id, 8 of span id; zeros are none.
    pub trace: [u8; TRACE_BYTES],
}

impl Header {
    /// The fixed fields of a frame of at least [`HEADER_BYTES`].
    #[inline]
    pub fn read(frame: &[u8]) -> Self {
        let mut trace = [0; TRACE_BYTES];
        trace.copy_from_slice(&frame[24..HEADER_BYTES]);
        Self {
            flags: le16(frame, 4),
            kind: frame[6],
            prio: frame[7],
            corr: le64(frame, 8),
            deadline_us: le64(frame, 16),
            trace,
        }
    }
}

#[inline]
fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// Bytes that are not frames of this protocol, or a frame that its limits do not admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    TooShort {
        bytes: usize,
    },
    TooLong {
        bytes: usize,
        limit: usize,
    },
    BadKind(u8),
    ReservedFlags(u16),
    TargetTruncated,
    TargetEmpty,
    TargetTooLong {
        bytes: usize,
    },
    TargetNotUtf8,
    TargetUnknown(u32),
    TargetOutOfOrder {
        id: u32,
        expected: u32,
    },
    TooManyTargets {
        limit: usize,
    },
    TooManyAttachments {
        count: usize,
    },
    AttachmentsTruncated,
    /// The batch cannot grow by that much.
    NoMemory {
        bytes: usize,
    },
    /// An earlier error: where frames begin is no longer known.
    Broken,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { bytes } => {
                write!(f, "a frame announces {bytes} bytes; the smallest has {MIN_FRAME_BYTES}")
            }
            Self::TooLong { bytes, limit } => write!(f, "a frame of {bytes} bytes; the limit is {limit}"),
            Self::BadKind(kind) => write!(f, "frame kind {kind} is not within 1 to {MAX_KIND}"),
            Self::ReservedFlags(flags) => write!(f, "frame flags {flags:#06x} use reserved bits"),
            Self::TargetTruncated => f.write_str("the target name ends after its frame"),
            Self::TargetEmpty => f.write_str("the target name is empty"),
            Self::TargetTooLong { bytes } => {
                write!(f, "a target name of {bytes} bytes; the limit is {MAX_TARGET_BYTES}")
            }
            Self::TargetNotUtf8 => f.write_str("the target name is not UTF-8"),
            Self::TargetUnknown(id) => write!(f, "target {id} was never named on this link"),
            Self::TargetOutOfOrder { id, expected } => {
                write!(f, "target {id} is named out of order; {expected} is next")
            }
            Self::TooManyTargets { limit } => write!(f, "more than {limit} targets, or too many bytes of their names"),
            Self::TooManyAttachments { count } => {
                write!(f, "{count} attachments; the limit is {MAX_ATTACHMENTS}")
            }
            Self::AttachmentsTruncated => f.write_str("the attachments end after their frame"),
            Self::NoMemory { bytes } => write!(f, "no memory for a frame of {bytes} bytes"),
            Self::Broken => f.write_str("the link broke at an earlier frame"),
        }
    }
}

impl std::error::Error for FrameError {}
