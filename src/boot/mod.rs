//! Booting: from an entry of the settings to the jump.
//!
//! * [`image`] – what a kernel or hypervisor file is, and how much memory it needs. [`gzip`] – unpacking.
//! * [`legacy_image`], [`fit`] – files in mkimage's two formats: scripts, kernels, several in one.
//! * [`layout`] – who lies where in physical memory: the one allocator.
//! * [`plan`] – what an entry takes, checked before a byte is fetched wherever it can be. [`outline`] – that in words.
//! * [`xen_console`] – which UART Xen will use, and what the tree needs for that. [`xen`] – `/chosen` as Xen wants it,
//!   [`xen_modules`] – read back.
//! * [`dom0_memory`] – whether Xen will find what `dom0_mem=` asks for.
//! * [`guests`] – mistakes with domains that Xen starts by itself.
//! * [`digest`] – what a file's bytes were found to be. [`warnings`] – mistakes that keep nothing from being started. [`summary`] – the lines
//!   before the jump.
//! * [`timing`] – when each step was taken. [`memory_map`] – who lies where, in words. [`page`] – text of a terminal's width.
//!
//! These are pure and host-tested. Over them, in the order of a boot:
//!
//! * [`bring_up`] – the console, and what the firmware tells. [`loader`] – settings, scripts, starting over. [`choice`] – menu, shell, fallbacks,
//!   with the [`keyboard`] of whoever sits there.
//! * [`settings`] – where settings come from. [`card`] – the card slot. [`network`] – the session over the board's Ethernet.
//! * [`attempt`] – one attempt at one entry; [`supply`] – where its files come from; [`store`] – where they go.
//! * [`script`] – the board as scripts see it, [`prompt`] – as a person at the prompt does.
//! * [`departure`] – the last part of it, which it shares with scripts: tree, checks, summary, jump.

pub mod attempt;
pub mod bring_up;
pub mod card;
pub mod choice;
pub mod departure;
pub mod digest;
pub mod dom0_memory;
pub mod fit;
pub mod guests;
pub mod gzip;
pub mod image;
pub mod keyboard;
pub mod layout;
pub mod legacy_image;
pub mod loader;
pub mod memory_map;
pub mod network;
pub mod outline;
pub mod page;
pub mod plan;
pub mod prompt;
pub mod script;
pub mod settings;
pub mod store;
pub mod summary;
pub mod supply;
#[cfg(test)]
pub(crate) mod test_tree;
pub mod timing;
pub mod warnings;
pub mod xen;
pub mod xen_console;
pub mod xen_modules;
