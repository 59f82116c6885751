//! What lies between a server and the board: a wire, a switch, a wire, and the board's receive ring. Time is simulated and counted in
//! nanoseconds, chance comes from a seed, so every run is the same run.

use std::collections::VecDeque;

use super::server::Server;

/// Slots of the controller's receive ring.
const RING: usize = 256;

/// What a frame takes on the wire beyond its bytes: preamble, frame check sequence, gap (8 + 4 + 12).
const AROUND_A_FRAME: usize = 24;

/// The shortest frame.
const SHORTEST_FRAME: usize = 60;

/// The server's own wire, in Mb/s.
const SERVER_MEGABITS: u64 = 1000;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The board's link.
    pub megabits: u64,
    /// Time for both ways, in nanoseconds, without what the frames themselves take.
    pub round_trip: u64,
    /// Bytes that the switch holds for the board's port. What finds no room is dropped.
    pub buffer: usize,
    /// Frames lost anywhere, of a thousand, in each direction.
    pub lost_permille: u64,
    /// What the processor spends on a received frame and on a sent one, in nanoseconds.
    pub receive_cost: u64,
    pub send_cost: u64,
}

/// Nanoseconds that a frame of `length` bytes takes on a wire.
pub fn wire_time(length: usize, megabits: u64) -> u64 {
    (length.max(SHORTEST_FRAME) + AROUND_A_FRAME) as u64 * 8 * 1000 / megabits
}

/// A small generator (xorshift64*).
struct Random(u64);

impl Random {
    fn chance(&mut self, permille: u64) -> bool {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % 1000 < permille
    }
}

/// Everything on the other side of the board's controller, and the moment.
pub struct World {
    pub now: u64,
    pub conditions: Conditions,
    pub server: Server,
    /// Frames that had no room in the ring, and in the switch.
    pub ring_drops: u64,
    pub switch_drops: u64,
    /// Frames that came to the board.
    pub received: u64,
    to_board: VecDeque<(u64, Vec<u8>)>,
    to_server: VecDeque<(u64, Vec<u8>)>,
    /// What the switch holds for the board: when each frame is gone, and its bytes.
    held: VecDeque<(u64, usize)>,
    ring: VecDeque<Vec<u8>>,
    /// The board works on the frame of one more slot.
    working: bool,
    server_wire_free: u64,
    board_wire_free: [u64; 2],
    random: Random,
}

impl World {
    pub fn new(conditions: Conditions, server: Server, seed: u64) -> Self {
        Self {
            now: 1_000_000,
            conditions,
            server,
            ring_drops: 0,
            switch_drops: 0,
            received: 0,
            to_board: VecDeque::new(),
            to_server: VecDeque::new(),
            held: VecDeque::new(),
            ring: VecDeque::new(),
            working: false,
            server_wire_free: 0,
            board_wire_free: [0; 2],
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        }
    }

    /// When the next thing happens by itself.
    fn next(&self) -> Option<u64> {
        let arrivals = [self.to_board.front(), self.to_server.front()].into_iter().flatten().map(|(at, _)| *at);
        arrivals.chain(self.server.wakes_at(self.server_wire_free)).min()
    }

    /// Lets everything happen that happens within `time`.
    pub fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.happen();
        }
        self.now = end;
    }

    /// The board has nothing to do until something comes, or for `most`.
    pub fn idle(&mut self, most: u64) {
        let end = self.now + most;
        while self.ring.is_empty() {
            match self.next().filter(|at| *at <= end) {
                Some(at) => self.now = at.max(self.now),
                None => {
                    self.now = end;
                    return;
                }
            }
            self.happen();
        }
    }

    fn happen(&mut self) {
        let now = self.now;
        while let Some((_, frame)) = self.to_board.pop_front_if(|(at, _)| *at <= now) {
            if self.ring.len() + usize::from(self.working) < RING {
                self.ring.push_back(frame);
            } else {
                self.ring_drops += 1;
            }
        }
        while let Some((_, frame)) = self.to_server.pop_front_if(|(at, _)| *at <= now) {
            self.server.receive(now, &frame);
        }
        if self.server_wire_free <= now
            && let Some(frame) = self.server.send(now)
        {
            let taken = wire_time(frame.len(), SERVER_MEGABITS);
            self.server_wire_free = now + taken;
            self.through_the_switch(now + taken, frame);
        }
    }

    fn through_the_switch(&mut self, at: u64, frame: Vec<u8>) {
        let Conditions { megabits, round_trip, buffer, lost_permille, .. } = self.conditions;
        while self.held.pop_front_if(|(gone, _)| *gone <= at).is_some() {}
        let held: usize = self.held.iter().map(|(_, length)| length).sum();
        if held + frame.len() > buffer {
            self.switch_drops += 1;
            return;
        }
        let gone = self.board_wire_free[0].max(at) + wire_time(frame.len(), megabits);
        self.board_wire_free[0] = gone;
        self.held.push_back((gone, frame.len()));
        if !self.random.chance(lost_permille) {
            self.to_board.push_back((gone + round_trip / 2, frame));
        }
    }

    /// The oldest frame of the ring, which keeps its slot until [`release`](Self::release).
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let frame = self.ring.pop_front();
        self.working = frame.is_some();
        self.received += u64::from(frame.is_some());
        frame
    }

    /// The board is done with the frame that it took.
    pub fn release(&mut self) {
        self.working = false;
        self.pass(self.conditions.receive_cost);
    }

    /// The board sends.
    pub fn send(&mut self, frame: Vec<u8>) {
        let Conditions { megabits, round_trip, lost_permille, send_cost, .. } = self.conditions;
        self.pass(send_cost);
        let sent = self.board_wire_free[1].max(self.now) + wire_time(frame.len(), megabits);
        self.board_wire_free[1] = sent;
        if !self.random.chance(lost_permille) {
            self.to_server.push_back((sent + wire_time(frame.len(), SERVER_MEGABITS) + round_trip / 2, frame));
        }
    }
}

impl Conditions {
    /// Whether the switch holds what comes in of a window before it has passed it on.
    pub fn holds(&self, window: u16) -> bool {
        let (length, window) = (super::BLOCK_FRAME, u64::from(window));
        let passed_on = window * wire_time(length, SERVER_MEGABITS) / wire_time(length, self.megabits);
        window.saturating_sub(passed_on) as usize * length <= self.buffer
    }

    /// Bytes a second that a window of `window` blocks can bring: for each window the wire is idle for a round trip, which is
    /// all that passes between a window's last block and the first one of the next.
    pub fn formula(&self, window: u64) -> f64 {
        let block = wire_time(super::BLOCK_FRAME, self.megabits).max(self.receive_cost);
        let answer = wire_time(0, self.megabits) + wire_time(0, SERVER_MEGABITS);
        let to_the_switch = wire_time(super::BLOCK_FRAME, SERVER_MEGABITS);
        let idle = self.round_trip + self.receive_cost + self.send_cost + answer + to_the_switch;
        (window * super::BLOCK) as f64 * 1e9 / (window * block + idle) as f64
    }
}
