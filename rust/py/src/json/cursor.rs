//! A place in a text, and the faults found there.

use aisys_text::Flaw;

use super::errors::{Fault, Stop};

/// Reads a text byte by byte. The text ends in a NUL, which stops every loop that looks for something else.
pub struct Cursor<'a> {
    /// The text and its NUL.
    text: &'a [u8],
    /// At most the index of the NUL.
    at: usize,
    pub fault: Option<Fault>,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of a text that ends in a NUL.
    pub fn new(text: &'a [u8]) -> Self {
        debug_assert_eq!(text.last(), Some(&0));
        Self {
            text,
            at: 0,
            fault: None,
        }
    }

    /// The text and its NUL.
    #[inline(always)]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    #[inline(always)]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Length of the text without its NUL.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.text.len() - 1
    }

    #[inline(always)]
    pub fn at_end(&self) -> bool {
        self.at == self.len()
    }

    /// The byte here; NUL at the end (and where the text itself has one).
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        debug_assert!(self.at < self.text.len());
        // SAFETY: `at` is at most the index of the NUL.
        unsafe { *self.text.get_unchecked(self.at) }
    }

    /// Goes to a place up to which the bytes were looked at.
    #[inline(always)]
    pub fn go(&mut self, at: usize) {
        debug_assert!(at < self.text.len());
        self.at = at.min(self.text.len() - 1);
    }

    /// Passes over the byte here, which is not the final NUL.
    #[inline(always)]
    pub fn bump(&mut self) {
        debug_assert!(!self.at_end());
        self.at += 1;
    }

    #[inline(always)]
    pub fn skip_whitespace(&mut self) {
        if self.peek() > b' ' {
            return;
        }
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.bump();
        }
    }

    /// Records a problem at a place.
    #[cold]
    #[inline(never)]
    pub fn fail(&mut self, problem: &'static str, at: usize) -> Stop {
        let problem = if at >= self.len() {
            "unexpected end of the text"
        } else {
            problem
        };
        self.fault = Some(Fault::Text {
            problem,
            at: at.min(self.len()),
        });
        Stop
    }

    /// Records what a reader of the text found.
    #[cold]
    #[inline(never)]
    pub fn flawed(&mut self, flaw: Flaw) -> Stop {
        match flaw {
            Flaw::At(problem, at) => self.fail(problem, at),
            Flaw::Of(problem, at) => self.refuse(problem, at),
        }
    }

    /// Records a problem here.
    #[cold]
    #[inline(never)]
    pub fn fail_here(&mut self, problem: &'static str) -> Stop {
        self.fail(problem, self.at)
    }

    /// Records a problem of something that began at a place, even if the text ends there.
    #[cold]
    #[inline(never)]
    pub fn refuse(&mut self, problem: &'static str, at: usize) -> Stop {
        self.fault = Some(Fault::Text { problem, at });
        Stop
    }
}
