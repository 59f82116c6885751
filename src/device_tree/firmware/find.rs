//! Devices by the role they play, wherever a tree has them.

use super::super::read::{Node, Tree};

/// The node behind an alias, or else the first that is compatible with `compatible`.
fn device<'a>(tree: Tree<'a>, alias: &str, compatible: &str) -> Option<Node<'a>> {
    tree.find(alias).or_else(|| tree.compatible(compatible).next())
}

pub(super) fn root(tree: Tree<'_>) -> Option<Node<'_>> {
    Some(tree.root())
}

pub(super) fn chosen(tree: Tree<'_>) -> Option<Node<'_>> {
    tree.find("/chosen")
}

pub(super) fn emmc2_bus(tree: Tree<'_>) -> Option<Node<'_>> {
    tree.find("emmc2bus").or_else(|| tree.compatible("brcm,bcm2711-emmc2").next()?.parent())
}

pub(super) fn blconfig(tree: Tree<'_>) -> Option<Node<'_>> {
    device(tree, "blconfig", "raspberrypi,bootloader-config")
}

pub(super) fn blpubkey(tree: Tree<'_>) -> Option<Node<'_>> {
    device(tree, "blpubkey", "raspberrypi,bootloader-public-key")
}

pub(super) fn ethernet(tree: Tree<'_>) -> Option<Node<'_>> {
    device(tree, "ethernet0", "brcm,bcm2711-genet-v5")
}

/// The PHY that the Ethernet controller names by `phy-handle`.
pub(super) fn ethernet_phy(tree: Tree<'_>) -> Option<Node<'_>> {
    tree.by_phandle(ethernet(tree)?.property("phy-handle")?.u32()?)
}

/// The Bluetooth modem: there may be one under each UART, of which the firmware enables one.
pub(super) fn bluetooth(tree: Tree<'_>) -> Option<Node<'_>> {
    let modems = || tree.nodes().filter(|node| node.name() == "bluetooth");
    modems()
        .find(|node| node.property("local-bd-address").is_some() && node.is_enabled())
        .or_else(|| modems().find(Node::is_enabled))
        .or_else(|| modems().next())
}

pub(super) fn uart_clock(tree: Tree<'_>) -> Option<Node<'_>> {
    tree.find("/clocks/clk-uart").or_else(|| tree.nodes().find(|node| node.name() == "clk-uart"))
}

pub(super) fn pcie(tree: Tree<'_>) -> Option<Node<'_>> {
    device(tree, "pcie0", "brcm,bcm2711-pcie")
}

/// The memory that Linux sets aside for devices that want it in one piece.
pub(super) fn cma(tree: Tree<'_>) -> Option<Node<'_>> {
    tree.find("/reserved-memory/linux,cma")
}
