//! Variables: what scripts call the environment. A name has one value, text; an empty value is no value (as in U-Boot).

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

/// The variables of a shell, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Gives `name` a value; an empty one takes the variable away.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.variables.remove(name);
        } else {
            self.variables.insert(name.to_string(), value.to_string());
        }
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
