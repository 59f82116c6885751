//! Names that new nodes and properties may have: those that dtc accepts (Devicetree Specification v0.4, 2.2.1 and 2.2.4).

use super::super::check::LONGEST_NAME;
use super::super::label::Label;
use super::{Error, NameFault};

/// Checks the name of a new node, unit address and all.
pub(super) fn check_node_name(name: &str) -> Result<(), Error> {
    check_name(name, ",._+-@")?;
    if name.matches('@').count() > 1 {
        return Err(Error::BadName { name: Label::new(name), fault: NameFault::SecondUnitAddress });
    }
    Ok(())
}

/// Checks the name of a new property.
pub(super) fn check_property_name(name: &str) -> Result<(), Error> {
    check_name(name, ",._+?#-*")
}

fn check_name(name: &str, others: &str) -> Result<(), Error> {
    let wrong = |fault| Err(Error::BadName { name: Label::new(name), fault });
    if name.is_empty() {
        return wrong(NameFault::Empty);
    }
    if name.len() > LONGEST_NAME {
        return wrong(NameFault::TooLong);
    }
    match name.chars().find(|&character| !character.is_ascii_alphanumeric() && !others.contains(character)) {
        Some(character) => wrong(NameFault::Character(character)),
        None => Ok(()),
    }
}
