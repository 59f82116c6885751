//! The question about silence learns from what comes after it: it comes later where it was needless, sooner where it was needed. Only a block
//! that was not here when it was asked can tell the one from the other, by coming twice.

use crate::scripted::{GRANTED, Scripted};
use xenlift::net::tftp::packet::{Options, Packet};

/// Blocks in a window here.
const WINDOW: u16 = 4;

/// What a server sends after a question, as numbers of blocks behind the last one that was acknowledged before the window.
struct Round {
    /// What comes of the window before the silence.
    before: &'static [u16],
    /// Which of these is acknowledged because it shows a gap.
    gap: Option<u16>,
    /// The block that the question says has come.
    asked: u16,
    /// What comes after the question.
    after: &'static [u16],
}

/// After how many milliseconds the questions of so many such rounds come, where nothing takes any time but silence. `first` is the number of the
/// first block.
fn questions(round: &Round, first: u16, rounds: usize) -> Vec<u64> {
    let mut scripted = Scripted::new();
    scripted.packet(
        4000,
        Packet::OptionAcknowledgement(Options { window: Some(WINDOW.into()), block_size: Some(8), ..GRANTED }),
    );
    let block = |number: u16| Packet::Data { block: number, bytes: &[7; 8] };
    let acknowledgement = |number: u16| Some((4000, [&[0, 4][..], &number.to_be_bytes()].concat()));
    let mut last = 0_u16;
    // Behind the beginning of a file, what comes early is kept; and the numbers begin where the test wants them.
    while last < 16 || last != first.wrapping_sub(1) {
        last = last.wrapping_add(1);
        let answer = scripted.packet(4000, block(last));
        assert_eq!(answer, acknowledgement(last).filter(|_| last.is_multiple_of(WINDOW)));
    }
    let mut waits = Vec::new();
    for _ in 0..rounds {
        for offset in round.before {
            let answer = scripted.packet(4000, block(last.wrapping_add(*offset)));
            let of_gap = round.gap == Some(*offset);
            assert_eq!(answer, acknowledgement(last.wrapping_add(round.asked)).filter(|_| of_gap), "{offset}");
        }
        let (wait, question) = scripted.silence();
        assert_eq!(Some((4000, question)), acknowledgement(last.wrapping_add(round.asked)));
        waits.push(wait);
        let mut answers = Vec::new();
        for offset in round.after {
            answers.extend(scripted.packet(4000, block(last.wrapping_add(*offset))));
        }
        // The window that the question asked for is behind what had come.
        last = last.wrapping_add(round.asked + WINDOW);
        assert_eq!(answers, Vec::from_iter(acknowledgement(last)), "one answer to whatever comes");
    }
    waits
}

/// First numbers of windows: at a file's beginning, and so that the numbers roll over in every part of a round.
fn firsts() -> impl Iterator<Item = u16> {
    [21].into_iter().chain((65_505..=65_533).step_by(WINDOW.into()))
}

#[test]
fn what_was_here_before_the_question_may_come_again_and_the_next_one_comes_sooner_all_the_same() {
    let rounds = [
        // The window's end was lost, and only that comes.
        Round { before: &[1, 2], gap: None, asked: 2, after: &[3, 4, 5, 6] },
        // The server begins at its window's beginning.
        Round { before: &[1, 2], gap: None, asked: 2, after: &[1, 2, 3, 4, 5, 6] },
        // What had come from behind a gap comes again with it, because its answer was lost too.
        Round { before: &[1, 3], gap: Some(3), asked: 1, after: &[2, 3, 4, 5] },
    ];
    for round in &rounds {
        for first in firsts() {
            assert_eq!(questions(round, first, 5), [20, 10, 5, 3, 2], "{:?} from {first}", round.after);
        }
    }
}

#[test]
fn what_was_on_its_way_when_the_question_was_asked_comes_twice_and_the_next_one_comes_later() {
    let whole_window = Round { before: &[], gap: None, asked: 0, after: &[1, 2, 3, 4, 1, 2, 3, 4] };
    // Of what comes again, only the end was not here before. The first block of each window measures a round trip, which ends long waits.
    let its_end = Round { before: &[1], gap: None, asked: 1, after: &[2, 3, 4, 1, 2, 3, 4, 5] };
    for first in firsts() {
        assert_eq!(questions(&whole_window, first, 5), [20, 40, 80, 100, 100], "from {first}");
        assert_eq!(questions(&its_end, first, 5), [20; 5], "from {first}");
    }
}
