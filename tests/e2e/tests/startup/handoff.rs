//! The last instructions before the next program, read from the built ELF.
//!
//! From the write that turns MMU and caches off to the branch, a load or store would go past lines that are still dirty in the
//! caches, and no test on an emulator without caches could see it. So the machine code itself is looked at.
//! Encodings: Arm ARM DDI 0487, C4.1.

use anyhow::{Context, Result, ensure};

use crate::board;

/// MSR SCTLR_EL2, Xt; Xt in bits 4:0.
const MSR_SCTLR_EL2: u32 = 0xd51c_1000;
/// DC CISW, Xt.
const DC_CISW: u32 = 0xd508_7e40;
const ISB: u32 = 0xd503_3fdf;
const DSB_SY: u32 = 0xd503_3f9f;
const IC_IALLU: u32 = 0xd508_751f;
const MSR_SPSEL_1: u32 = 0xd500_41bf;
const MSR_DAIFSET_ALL: u32 = 0xd503_4fdf;
/// BR Xn; Xn in bits 9:5.
const BR: u32 = 0xd61f_0000;
/// MOV Xd, XZR.
const MOV_ZERO: u32 = 0xaa1f_03e0;
const SCTLR_OFF: u64 = 0x30c5_0830;

/// Whether the instruction is in the group "Loads and Stores" (op0 = x1x0), or is DC ZVA, which stores too.
fn touches_memory(instruction: u32) -> bool {
    instruction >> 25 & 0b0101 == 0b0100 || instruction & !0x1f == 0xd50b_7420
}

/// Whether it leaves the routine or goes by a register elsewhere than at the end: BL, BLR, BR, RET, ERET, SVC, HVC, SMC.
fn leaves(instruction: u32) -> bool {
    instruction >> 26 == 0b10_0101 || instruction >> 25 == 0b110_1011 || instruction >> 24 == 0b1101_0100
}

/// What MOVZ and MOVK put into `register` before the end of `code`.
fn constant(code: &[u32], register: u32) -> Option<u64> {
    code.iter().filter(|word| *word & 0x1f == register).fold(None, |value, word| {
        let shift = (word >> 21 & 3) * 16;
        let immediate = u64::from(word >> 5 & 0xffff) << shift;
        match word >> 23 {
            0b1_1010_0101 => Some(immediate),
            0b1_1110_0101 => value.map(|value| value & !(0xffff << shift) | immediate),
            _ => None,
        }
    })
}

/// Checks a routine from its first instruction to its last.
fn check(code: &[u32]) -> Result<()> {
    let turn_off = code.iter().position(|word| word & !0x1f == MSR_SCTLR_EL2).context("SCTLR_EL2 is not written")?;
    let (before, after) = code.split_at(turn_off);
    let register = code.get(turn_off).context("cut")? & 0x1f;
    let value = constant(before, register).context("SCTLR_EL2 gets no constant")?;
    ensure!(value == SCTLR_OFF, "SCTLR_EL2 gets {value:#x}, expected {SCTLR_OFF:#x}");
    ensure!(before.contains(&MSR_DAIFSET_ALL), "exceptions are not masked before");
    ensure!(before.contains(&MSR_SPSEL_1), "SPSel is not 1 before");
    ensure!(!code.iter().any(|word| touches_memory(*word)), "a load or store in the routine");
    ensure!(after.get(1) == Some(&ISB), "no ISB right after the write");
    ensure!(!after.iter().skip(1).any(|word| word & !0x1f == MSR_SCTLR_EL2), "SCTLR_EL2 is written twice");

    let (last, body) = after.split_last().context("empty")?;
    ensure!(last & !0x3e0 == BR, "{last:#010x} at the end is no BR");
    ensure!(!body.iter().any(|word| leaves(*word)), "a way out of the routine before its end");
    let at = |what: u32, mask: u32| body.iter().rposition(|word| word & mask == what);
    let flush = at(DC_CISW, !0x1f).context("no clean and invalidate by set and way")?;
    let instructions = at(IC_IALLU, !0).context("no IC IALLU")?;
    ensure!(flush < instructions, "IC IALLU before the data caches are empty");
    let between = body.get(flush..instructions).unwrap_or_default();
    ensure!(between.contains(&DSB_SY), "no DSB between the data caches and IC IALLU");
    let end = body.get(instructions..).unwrap_or_default();
    ensure!(end.contains(&DSB_SY) && end.contains(&ISB), "no DSB and ISB after IC IALLU");
    for register in 1..=3 {
        ensure!(end.contains(&(MOV_ZERO | register)), "x{register} is not zeroed");
    }
    Ok(())
}

/// The words of the loader's routine.
fn routine() -> Result<Vec<u32>> {
    use object::{Object, ObjectSection};
    let elf = board::elf()?;
    let file = object::File::parse(&*elf).context("unreadable loader.elf")?;
    let (start, end) = (board::symbol("xenlift_leave")?, board::symbol("xenlift_leave_end")?);
    let text = file.section_by_name(".text").context("loader.elf has no .text")?;
    let bytes = text.data_range(start, end - start)?.context("the routine is not in .text")?;
    Ok(bytes.chunks_exact(4).map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte))).collect())
}

#[test]
fn the_way_out_touches_no_memory_and_leaves_nothing_in_the_caches() -> Result<()> {
    check(&routine()?)
}

#[test]
fn the_check_sees_what_it_is_there_to_see() -> Result<()> {
    let good = routine()?;
    let turn_off = good.iter().position(|word| word & !0x1f == MSR_SCTLR_EL2).context("SCTLR_EL2 is not written")?;
    // A load or store of every kind after the write: STP, LDR, LDR (literal), LDUR, LD1, STLR, LDXR, CAS, PRFM, DC ZVA.
    for planted in [
        0xa9bf_7bfd,
        0xf940_0000,
        0x5800_0040,
        0xf840_0000,
        0x4c40_7000,
        0xc89f_fc00,
        0xc85f_7c00,
        0xc8a0_7c00,
        0xf980_0000,
        0xd50b_7420,
    ] {
        for at in [turn_off + 2, good.len() - 1] {
            let mut code = good.clone();
            code.insert(at, planted);
            ensure!(check(&code).is_err(), "{planted:#010x} at {at} goes unseen");
        }
    }
    // Every ingredient taken away.
    for (name, word, mask) in [
        ("DAIF", MSR_DAIFSET_ALL, !0),
        ("SPSel", MSR_SPSEL_1, !0),
        ("SCTLR", MSR_SCTLR_EL2, !0x1f),
        ("ISB", ISB, !0),
        ("DC CISW", DC_CISW, !0x1f),
        ("DSB", DSB_SY, !0),
        ("IC IALLU", IC_IALLU, !0),
        ("BR", BR, !0x3e0),
        ("x2", MOV_ZERO | 2, !0),
    ] {
        let code: Vec<u32> = good.iter().copied().filter(|found| found & mask != word).collect();
        ensure!(code.len() < good.len(), "{name} is not in the routine at all");
        ensure!(check(&code).is_err(), "a routine without {name} goes unseen");
    }
    // M or C left on.
    for bit in [0, 2] {
        let code: Vec<u32> = good
            .iter()
            .map(|word| {
                if word >> 5 & 0xffff == 0x0830 && word >> 23 == 0b1_1010_0101 { word | 1 << (5 + bit) } else { *word }
            })
            .collect();
        ensure!(check(&code).is_err(), "bit {bit} of SCTLR_EL2 goes unseen");
    }
    // A call on the way.
    let mut code = good.clone();
    code.insert(turn_off + 2, 0x9400_0010);
    ensure!(check(&code).is_err(), "a call goes unseen");
    Ok(())
}
