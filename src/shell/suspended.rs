//! What a shell knows beside its machine: it outlives the machine's being lent, so that whoever comes to the prompt finds what a script, or
//! he himself before, has set and loaded.

use super::{Environment, Loaded, Platform, Shell, landing, language};
use alloc::vec::Vec;

/// A shell without a machine: variables, exit status, and where in memory its files and its tree lie.
pub struct Suspended {
    environment: Environment,
    working_tree: Option<u64>,
    loaded: Vec<Loaded>,
    image_place: u64,
    language: language::State,
    defaults: Environment,
    has_saved: bool,
    has_noted: bool,
}

impl Suspended {
    /// One that has only variables.
    pub fn new(environment: Environment) -> Self {
        Self {
            defaults: environment.clone(),
            environment,
            working_tree: None,
            loaded: Vec::new(),
            image_place: landing::LOAD_ADDRESS,
            language: language::State::default(),
            has_saved: false,
            has_noted: false,
        }
    }

    /// Forgets what lies in memory, because somebody else has used that.
    pub fn forget_memory(&mut self) {
        self.loaded.clear();
        self.working_tree = None;
    }
}

impl<'p> Shell<'p> {
    /// The shell that `suspended` was, on `platform`.
    pub fn resume(platform: &'p mut dyn Platform, suspended: Suspended) -> Self {
        let Suspended { environment, working_tree, loaded, image_place, language, defaults, has_saved, has_noted } =
            suspended;
        Self { platform, environment, working_tree, loaded, image_place, language, defaults, has_saved, has_noted }
    }

    /// Gives the machine back and keeps everything else.
    pub fn suspend(self) -> Suspended {
        let Self {
            platform: _,
            environment,
            working_tree,
            loaded,
            image_place,
            mut language,
            defaults,
            has_saved,
            has_noted,
        } = self;
        // Whatever was under way has ended.
        language.budget = language::limits::Budget::default();
        Suspended { environment, working_tree, loaded, image_place, language, defaults, has_saved, has_noted }
    }
}
