//! The simulated machine of the shell with its console on the rig's line: what a person at the prompt has before him.

use super::Rig;
use std::fmt;
use std::net::Ipv4Addr;
use xenlift::boot::layout::Layout;
use xenlift::config::Entry;
use xenlift::range::PhysicalRange;
use xenlift::shell::Failure;
use xenlift::shell::landing::Landing;
use xenlift::shell::platform::{
    Boot, Directory, Facts, Lease, Network, NetworkFailure, NotMemory, Partition, PartitionEntry, Platform, Report,
};
use xenlift::shell::simulation::{FileMap, Simulation};
use xenlift::time::{Clock, Duration, Instant};

/// How long the machine works between two looks at its console, as the board does.
const BETWEEN_LOOKS: Duration = Duration::from_micros(300);

/// The machine: all but its console is the simulation's.
pub struct Machine {
    pub rig: Rig,
    pub simulation: Simulation,
}

impl Machine {
    pub fn new(rig: Rig) -> Self {
        Self { rig, simulation: Simulation::raspberry_pi_4(FileMap::default()).unwrap() }
    }
}

impl Platform for Machine {
    fn print(&mut self, text: fmt::Arguments<'_>) {
        fmt::Write::write_fmt(&mut self.rig.console, text).unwrap();
    }

    fn interrupted(&mut self) -> bool {
        self.rig.work(BETWEEN_LOOKS);
        self.rig.console.poll();
        self.rig.console.take_interrupt()
    }

    fn typed(&mut self) -> Option<u8> {
        self.rig.console.read()
    }

    fn take_input_lost(&mut self) -> bool {
        self.rig.console.take_input_lost()
    }

    fn take_line_errors(&mut self) -> bool {
        self.rig.console.take_line_errors()
    }

    fn now(&self) -> Instant {
        self.rig.clock.now()
    }

    fn facts(&self) -> &Facts {
        self.simulation.facts()
    }

    fn entries(&self) -> &[Entry] {
        self.simulation.entries()
    }

    fn firmware_tree(&self) -> Option<&[u8]> {
        self.simulation.firmware_tree()
    }

    fn report(&mut self, topic: Report, out: &mut dyn fmt::Write) -> Result<(), Failure> {
        self.simulation.report(topic, out)
    }

    fn layout(&self) -> &Layout {
        self.simulation.layout()
    }

    fn memory(&self, range: PhysicalRange) -> Result<&[u8], NotMemory> {
        self.simulation.memory(range)
    }

    fn memory_mut(&mut self, range: PhysicalRange) -> Result<&mut [u8], NotMemory> {
        self.simulation.memory_mut(range)
    }

    fn fetch(&mut self, network: &Network, path: &str, landing: &Landing) -> Result<u64, NetworkFailure> {
        self.simulation.fetch(network, path, landing)
    }

    fn lease(&mut self) -> Result<Lease, NetworkFailure> {
        self.simulation.lease()
    }

    fn ping(&mut self, network: &Network, address: Ipv4Addr) -> Result<bool, Failure> {
        self.simulation.ping(network, address)
    }

    fn load(
        &mut self,
        partition: &Partition,
        path: &str,
        offset: u64,
        length: Option<u64>,
        landing: &Landing,
    ) -> Result<u64, Failure> {
        self.simulation.load(partition, path, offset, length, landing)
    }

    fn rescan(&mut self) -> Result<(), Failure> {
        self.simulation.rescan()
    }

    fn partitions(&mut self, interface: &str, device: u32) -> Result<Vec<PartitionEntry>, Failure> {
        self.simulation.partitions(interface, device)
    }

    fn find(&mut self, partition: &Partition, path: &str) -> Result<Option<u64>, Failure> {
        self.simulation.find(partition, path)
    }

    fn list(&mut self, partition: &Partition, path: &str) -> Result<Directory, Failure> {
        self.simulation.list(partition, path)
    }

    fn boot(&mut self, boot: &Boot<'_>) -> Failure {
        self.simulation.boot(boot)
    }

    fn go(&mut self, entry: u64) -> Failure {
        self.simulation.go(entry)
    }

    fn reset(&mut self) -> Failure {
        self.simulation.reset()
    }
}
