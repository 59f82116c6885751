//! A session that any frames come to.

use crate::server;
use crate::simulation::board::Board;
use crate::simulation::lan::Lan;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_panics_the_session_or_spoils_a_file(
        frames in proptest::collection::vec(
            (0_u8..4, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..120)),
            0..200,
        ),
    ) {
        let mut board = Board::new(Lan::new(server()));
        board.whole("empty");
        for (kind, to_board, body) in frames {
            // Ethernet to us or to all, then IPv4, ARP, something else, or UDP to us with a body that is junk.
            let mut frame = if to_board { vec![0xdc, 0xa6, 0x32, 1, 2, 3] } else { vec![0xff; 6] };
            frame.extend([2, 0, 0, 0, 0, 9]);
            frame.extend([[0x08, 0x00], [0x08, 0x06], [0x12, 0x34], [0x08, 0x00]][usize::from(kind)]);
            if kind == 3 {
                let length = (20 + body.len() as u16).to_be_bytes();
                frame.extend([0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 2, 9, 10, 0, 2, 15]);
            }
            frame.extend(body);
            let now = board.session.now();
            board.lan.borrow_mut().inject(now, frame);
        }
        board.whole("xen");
    }
}
