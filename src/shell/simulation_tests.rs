use super::*;

fn machine() -> Simulation {
    let mut files = FileMap::default();
    files.server.insert("xen".to_string(), b"hypervisor".to_vec());
    files.card.insert("boot/boot.scr".to_string(), b"script".to_vec());
    files.card.insert("config.txt".to_string(), b"kernel=".to_vec());
    Simulation::raspberry_pi_4(files).unwrap()
}

fn card() -> Partition {
    Partition { interface: "mmc".to_string(), device: 0, partition: Some(1) }
}

const PLACE: PhysicalRange = PhysicalRange { start: 0x20_0000, end: 0x30_0000 };
const LANDING: Landing = Landing::new(PLACE);

#[test]
fn a_file_comes_to_its_place_and_is_kept_in_the_record() {
    let mut machine = machine();
    assert_eq!(machine.fetch(&Network::default(), "xen", &LANDING).unwrap(), 10);
    let range = PhysicalRange { start: 0x20_0000, end: 0x20_000a };
    assert_eq!(machine.memory(range).unwrap(), b"hypervisor");
    assert_eq!(machine.asked, [Asked::Fetched { path: "xen".to_string(), network: Network::default(), range }]);
}

#[test]
fn a_file_that_does_not_fit_is_refused_and_nothing_is_written() {
    let mut machine = machine();
    let small = PhysicalRange { start: PLACE.start, end: PLACE.start + 9 };
    assert!(machine.fetch(&Network::default(), "xen", &Landing::new(small)).is_err());
    assert_eq!(machine.memory(small).unwrap(), [0; 9]);
}

#[test]
fn a_piece_of_a_file_of_the_card_can_be_read() {
    let mut machine = machine();
    assert_eq!(machine.load(&card(), "/boot/boot.scr", 2, Some(3), &LANDING).unwrap(), 3);
    assert_eq!(machine.memory(PhysicalRange { start: PLACE.start, end: PLACE.start + 4 }).unwrap(), b"rip\0");
    assert_eq!(machine.load(&card(), "config.txt", 9, None, &LANDING).unwrap(), 0);
}

#[test]
fn directories_are_listed_one_level_deep() {
    let mut machine = machine();
    let entry = |name: &str, size| DirectoryEntry { name: name.to_string(), size };
    assert_eq!(machine.list(&card(), "/").unwrap().entries, [entry("boot", None), entry("config.txt", Some(7))]);
    assert_eq!(machine.list(&card(), "boot/").unwrap().entries, [entry("boot.scr", Some(6))]);
    assert!(machine.list(&card(), "nowhere").is_err());
}

#[test]
fn what_is_reserved_can_be_read_but_not_written() {
    let mut machine = machine();
    let page = PhysicalRange { start: 0, end: 16 };
    assert!(machine.memory(page).is_ok());
    assert!(matches!(machine.memory_mut(page), Err(NotMemory::Taken { .. })));
    let hole = PhysicalRange { start: 0x3b3f_ffff, end: 0x3b40_0001 };
    assert_eq!(machine.memory(hole), Err(NotMemory::Outside(hole)));
}

#[test]
fn ctrl_c_comes_once_at_its_moment() {
    let mut machine = machine();
    machine.interrupt_at = Some(Instant::from_micros(250));
    let looks: Vec<bool> = (0..4).map(|_| machine.interrupted()).collect();
    assert_eq!(looks, [false, false, true, false]);
}
