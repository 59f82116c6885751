//! The checks before the jump, as the board makes them (`boot::departure`), of what a script would start.
//!
//! The board's console is taken to be the UART that the tree's `stdout-path` names, else the mini UART, which a Raspberry Pi 4 has on its header
//! unless Bluetooth was moved or switched off. What the loader itself takes of the memory, some 11 MiB, is not taken off.

use xenlift::boot::departure::{HEADER_PINS, check_xen, uart_path};
use xenlift::boot::image::System;
use xenlift::boot::warnings::{self, Ready};
use xenlift::boot::xen;
use xenlift::boot::xen_console::{self, Ours};
use xenlift::boot::xen_modules::{command_lines, is_for_xen, modules};
use xenlift::device_tree::Tree;
use xenlift::drivers::uart::UartKind;
use xenlift::drivers::uart_choice::stdout_uart;
use xenlift::range::PhysicalRange;
use xenlift::shell::Platform;
use xenlift::shell::simulation::Simulation;

/// What the board would warn of or refuse, in its words: the program at `program`, with all that is used at `used`, by `tree`.
pub fn look(machine: &Simulation, program: PhysicalRange, used: &[PhysicalRange], tree: &Tree<'_>) -> Vec<String> {
    let system = System::identify(machine.memory(program).unwrap_or_default());
    if !is_for_xen(tree) {
        return warnings::without_xens_part(tree, system).iter().map(ToString::to_string).collect();
    }
    let path = uart_path(tree, console(tree));
    let console = match xen_console::resolve(tree, command_lines(tree).xen, Ours { path: &path, pins: &HEADER_PINS }) {
        Ok(console) => console,
        Err(error) => return vec![error.to_string()],
    };
    // Too many are among the lints, and so is what lies over something else.
    let Ok(modules) = modules(tree) else { return Vec::new() };
    let mut layout = machine.layout().clone();
    for range in used {
        let _ = layout.place("what the script loaded", *range);
    }
    let mut told: Vec<String> = xen::check_reservations(tree, &layout).err().iter().map(ToString::to_string).collect();
    let ready = Ready { tree, modules: &modules, layout: &layout, system, console: &console };
    // A board that refuses says no more; here all of it is of use at once.
    told.extend(check_xen(&ready, &|range| machine.memory(range).ok()).err().iter().map(ToString::to_string));
    told.extend(warnings::look(&ready).iter().map(ToString::to_string));
    told
}

fn console(tree: &Tree<'_>) -> UartKind {
    let named = tree.stdout().and_then(|(node, _)| {
        let compatible = node.property("compatible").map_or(&[][..], |property| property.value());
        stdout_uart(&node.path().to_string(), compatible)
    });
    named.unwrap_or(UartKind::MiniUart)
}
