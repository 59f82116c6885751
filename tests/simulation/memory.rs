//! A file's place in memory.

use xenlift::net::tftp::{Refusal, Sink};

/// A file's place in memory, with as much room as it is told.
pub struct Memory {
    pub bytes: Vec<u8>,
    pub room: usize,
    pub begun: u32,
    pub announced: Option<u64>,
    pub ended: Option<u64>,
}

impl Memory {
    pub fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room, begun: 0, announced: None, ended: None }
    }
}

impl Sink for Memory {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.bytes.clear();
        self.begun += 1;
        self.announced = size;
        match size {
            Some(size) if size > self.room as u64 => Err(Refusal::TooLarge { size, room: self.room as u64 }),
            _ => Ok(()),
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        assert!(self.ended.is_none(), "nothing is written after the end");
        let start = usize::try_from(offset).unwrap();
        let end = start + bytes.len();
        if end > self.room {
            return Err(Refusal::TooLarge { size: end as u64, room: self.room as u64 });
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, size: u64) {
        self.ended = Some(size);
    }
}
