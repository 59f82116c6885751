//! One serial line of an emulated board: everything it says is kept, and can be waited for.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Why a wait ended without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The time was up.
    TimeOut,
    /// The line was closed: the emulator has ended.
    Closed,
}

/// A serial line.
pub struct Serial {
    stream: UnixStream,
    heard: Arc<Heard>,
    /// How much of what was heard earlier waits have consumed.
    position: usize,
}

#[derive(Default)]
struct Heard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
}

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        // The only writer appends; a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serial {
    /// Listens on `stream` from now on, in a thread that ends when the line is closed.
    pub fn new(stream: UnixStream) -> Result<Self> {
        let heard = Arc::new(Heard::default());
        let mut reader = stream.try_clone().context("cannot share a serial line's socket")?;
        let writer = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut state = writer.state();
                state.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                state.closed = count == 0;
                writer.changed.notify_all();
                if state.closed {
                    return;
                }
            }
        });
        Ok(Self { stream, heard, position: 0 })
    }

    /// Waits until one of `texts` has been said since the last successful wait. Returns its index and everything said up to its end.
    pub fn wait_for_any(&mut self, texts: &[&str], within: Duration) -> Result<(usize, String), Missed> {
        let deadline = Instant::now() + within;
        let mut state = self.heard.state();
        loop {
            let fresh = state.bytes.get(self.position..).unwrap_or_default();
            let found = texts
                .iter()
                .enumerate()
                .filter_map(|(index, text)| Some((find(fresh, text.as_bytes())? + text.len(), index)));
            if let Some((end, index)) = found.min() {
                let said = String::from_utf8_lossy(fresh.get(..end).unwrap_or_default()).into_owned();
                self.position += end;
                return Ok((index, said));
            }
            if state.closed {
                return Err(Missed::Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missed::TimeOut);
            }
            state = self.heard.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Types `text`.
    pub fn send(&mut self, text: &[u8]) -> Result<()> {
        self.stream.write_all(text).context("cannot write to a serial line: the emulator has ended")
    }

    /// Everything said so far.
    pub fn transcript(&self) -> Vec<u8> {
        self.heard.state().bytes.clone()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn line() -> (UnixStream, Serial) {
        let (board, ours) = UnixStream::pair().unwrap();
        (board, Serial::new(ours).unwrap())
    }

    #[test]
    fn a_text_that_arrives_in_pieces_is_found_and_consumed() {
        let (mut board, mut serial) = line();
        board.write_all(b"Xen vers").unwrap();
        board.write_all(b"ion 4.17\nlogin: ").unwrap();
        assert_eq!(serial.wait_for_any(&["version"], LONG).unwrap(), (0, "Xen version".to_owned()));
        assert_eq!(serial.wait_for_any(&["version", "login:"], LONG).unwrap().0, 1);
        assert_eq!(serial.transcript(), b"Xen version 4.17\nlogin: ");
    }

    #[test]
    fn of_two_texts_the_one_said_first_wins() {
        let (mut board, mut serial) = line();
        board.write_all(b"panic ... ready").unwrap();
        assert_eq!(serial.wait_for_any(&["ready", "panic"], LONG).unwrap().0, 1);
    }

    #[test]
    fn silence_times_out_and_a_closed_line_is_told_apart() {
        let (board, mut serial) = line();
        assert_eq!(serial.wait_for_any(&["x"], Duration::from_millis(20)), Err(Missed::TimeOut));
        drop(board);
        assert_eq!(serial.wait_for_any(&["x"], LONG), Err(Missed::Closed));
    }

    #[test]
    fn what_is_sent_reaches_the_board() {
        let (mut board, mut serial) = line();
        serial.send(b"boot\r").unwrap();
        let mut received = [0; 5];
        board.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"boot\r");
    }
}
