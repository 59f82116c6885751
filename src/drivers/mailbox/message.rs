//! A message of the property interface: built tag by tag, sent once, taken apart by the same handles.
//!
//! Layout, in little-endian words: size of the message in bytes, code (0 asks, 0x80000000 answers), the tags, 0. A tag: its
//! number, the room for its value in bytes, a code (0 asks; bit 31 and the answer's length answer), the value.

use super::Error;

/// Size in bytes of the buffer for one message: four cache lines, room for a dozen tags.
pub const BYTES: usize = 256;

const WORDS: usize = BYTES / 4;

/// Bit 31 of a code: this is an answer.
const ANSWERED: u32 = 1 << 31;

/// The answer code of a message in which a tag could not be read; the others are answered.
const PARTIAL: u32 = ANSWERED | 1;

/// A question with its answer: one tag of the property interface.
pub trait Property: Copy {
    /// The tag's number.
    const TAG: u32;
    /// Length in bytes of its answer, at most 8.
    const ANSWER_BYTES: u32;
    /// Words that it sends, at most 3.
    const ARGUMENTS: usize;
    /// What the answer means.
    type Answer;

    /// The words that it sends; only the first [`Self::ARGUMENTS`] count.
    fn arguments(&self) -> [u32; 3] {
        [0; 3]
    }
    /// The meaning of the answer's first two words (zero beyond its length); `None` if it cannot be true.
    fn decode(&self, words: [u32; 2]) -> Option<Self::Answer>;
}

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    words: [u32; WORDS],
    used: usize,
}

/// A question in a [`Request`], to find its answer in the [`Answers`] to that request.
#[derive(Clone, Copy, Debug)]
pub struct Question<P: Property> {
    property: P,
    position: usize,
}

impl Request {
    /// One without questions.
    pub const fn new() -> Self {
        Self { words: [0; WORDS], used: 2 }
    }

    /// Adds a question.
    ///
    /// # Errors
    /// [`Error::RequestFull`]; the request is as it was.
    pub fn add<P: Property>(&mut self, property: P) -> Result<Question<P>, Error> {
        let room = P::ARGUMENTS.max(P::ANSWER_BYTES.div_ceil(4) as usize);
        let position = self.used;
        let full = Error::RequestFull { tag: P::TAG };
        // The last word of the buffer stays free for the end of the list.
        let tag = self.words.get_mut(position..WORDS - 1).and_then(|free| free.get_mut(..3 + room)).ok_or(full)?;
        let values = property.arguments().into_iter().take(P::ARGUMENTS);
        for (place, word) in tag.iter_mut().zip([P::TAG, 4 * room as u32, 0].into_iter().chain(values)) {
            *place = word;
        }
        self.used += tag.len();
        Ok(Question { property, position })
    }

    /// The whole message. The rest of the buffer is zero, which is what ends the list of tags.
    pub(super) fn words(&self) -> [u32; WORDS] {
        let mut words = self.words;
        words[0] = 4 * (self.used as u32 + 1);
        words
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

/// The answers to a [`Request`].
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    request: Request,
    words: [u32; WORDS],
}

impl Answers {
    pub(super) fn new(request: Request, words: [u32; WORDS]) -> Result<Self, Error> {
        match words[1] {
            ANSWERED | PARTIAL => Ok(Self { request, words }),
            code => Err(Error::Refused { code }),
        }
    }

    /// The answer to `question`, which [`Request::add`] of the same request gave.
    ///
    /// # Errors
    /// [`Error::UnknownTag`], [`Error::Length`], [`Error::Garbled`], [`Error::Implausible`].
    pub fn get<P: Property>(&self, question: Question<P>) -> Result<P::Answer, Error> {
        let tag = P::TAG;
        let asked = self.request.words.get(question.position..).unwrap_or_default();
        let answered = self.words.get(question.position..).unwrap_or_default();
        let ([tag_asked, room, ..], [tag_answered, room_answered, code, value @ ..]) = (asked, answered) else {
            return Err(Error::Garbled { tag });
        };
        if *tag_asked != tag || tag_answered != tag_asked || room_answered != room {
            return Err(Error::Garbled { tag });
        }
        if code & ANSWERED == 0 {
            return Err(Error::UnknownTag { tag });
        }
        let length = code & !ANSWERED;
        if length < P::ANSWER_BYTES || length > *room {
            return Err(Error::Length { tag, expected: P::ANSWER_BYTES, found: length });
        }
        let mut words = [0; 2];
        for (word, found) in words.iter_mut().zip(value).take(P::ANSWER_BYTES.div_ceil(4) as usize) {
            *word = *found;
        }
        question.property.decode(words).ok_or(Error::Implausible { tag })
    }
}
