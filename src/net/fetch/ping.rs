//! Asking a host whether it is there.

use super::{Error, Observer, Session};
use crate::net::device::EthernetController;
use crate::time::{Clock, Duration};
use core::net::Ipv4Addr;

/// How long an answer is waited for, as by U-Boot's `ping`.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time between two requests.
const INTERVAL: Duration = Duration::from_secs(1);

impl<C: EthernetController, K: Clock> Session<C, K> {
    /// Whether `host` answers an ICMP echo request.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and [`Error::Unreachable`].
    pub fn ping(&mut self, host: Ipv4Addr, observer: &mut dyn Observer) -> Result<bool, Error> {
        self.connect(observer)?;
        match self.wait_for_neighbor(host, self.limits.neighbor, &mut [], observer) {
            Err(Error::NoNeighbor { .. }) => return Ok(false),
            result => result?,
        }
        let start = self.clock.now();
        let identifier = start.micros() as u16;
        let echo = self.interface.open_echo(identifier);
        let (mut sequence, mut ask_at) = (0, start);
        let result = loop {
            let now = self.clock.now();
            if now.since(start) >= PATIENCE {
                break Ok(false);
            }
            if now >= ask_at {
                self.interface.send_echo(&echo, host, identifier, sequence);
                (sequence, ask_at) = (sequence.wrapping_add(1), now.after(INTERVAL));
            }
            if let Err(error) = self.turn(&mut [], observer) {
                break Err(error);
            }
            if self.interface.echoed(&echo, host) {
                break Ok(true);
            }
        };
        self.interface.close_echo(echo);
        result
    }
}
