//! Words of Xen's command line that were probably meant to be others.
//!
//! Xen says `parameter "dom0_men" unknown!` and goes on, in a log that nobody sees where the mistake cost the console. A word that is not
//! known here and resembles none is left alone: it may be of a Xen newer than this list. The names are facts of Xen's sources (4.14 to 4.23: the
//! parameters of `xen/arch/arm`, `xen/common`, `xen/drivers` and `xen/xsm`), its documentation is `docs/misc/xen-command-line.pandoc`. Xen
//! compares names to the letter, case and underscores included (`parse_params` in `xen/common/kernel.c`).

use super::command_line::words;
use super::nearest::nearest;

/// What Xen for Arm knows.
#[rustfmt::skip]
const KNOWN: [&str; 93] = [
    "acpi", "argo", "ats", "badpage", "bootscrub", "bootscrub_chunk", "buddy-alloc-size", "com1", "com2", "conring_size", "console",
    "console_timestamps", "console_to_ring", "conswitch", "core_parking", "crash-debug-debugkey", "crash-debug-hwdom",
    "crash-debug-kexeccmd", "crash-debug-panic", "crash-debug-watchdog", "crashinfo_maxaddr", "crashkernel", "credit2_balance_over",
    "credit2_balance_under", "credit2_cap_period_ms", "credit2_load_precision_shift", "credit2_load_window_shift", "credit2_runqueue",
    "dbgp", "debug_stack_lines", "debugtrace", "dit", "dma_bits", "dom0", "dom0-iommu", "dom0-llc-colors", "dom0_max_vcpus", "dom0_mem",
    "dom0_vcpus_pin", "dtuart", "ext_regions", "extra_guest_irqs", "flask", "gdb", "gnttab", "gnttab_max_frames",
    "gnttab_max_maptrack_frames", "guest_loglvl", "hardware_dom", "hmp-unsafe", "iommu", "iommu_dev_iotlb_timeout", "llc-coloring",
    "llc-nr-ways", "llc-size", "load-balance-ratelimit", "lock-depth-size", "loglvl", "low_crashinfo", "low_mem_virq_limit",
    "max_lpi_bits", "maxcpus", "memop-max-order", "noreboot", "numa", "partial-emulation", "pci", "pci-passthrough", "pci-phantom",
    "pdx-compress", "sched", "sched-gran", "sched_credit2_max_cpus_runqueue", "sched_credit2_migrate_resist", "sched_credit_tslice_ms",
    "sched_ratelimit_us", "sched_smt_power_savings", "scmi-smc-passthrough", "scrub-domheap", "serial_tx_buffer", "serrors", "spec-ctrl",
    "sync_console", "tbuf_size", "tee", "tevt_mask", "tickle_one_idle_cpu", "timer_slop", "vcpu_migration_delay", "vwfi",
    "xen-llc-colors", "xenheap_megabytes", "xsm",
];

/// What only Xen for x86 knows, and what resembles something above: a leftover, and no slip of the keyboard.
const OF_OTHERS: [&str; 2] = ["pcid", "reboot"];

/// The names on `line` that are probably misspelt, each with what was probably meant.
pub fn misspelt(line: &str) -> impl Iterator<Item = (&str, &'static str)> {
    words(line).filter_map(|word| {
        let name = word.split('=').next().unwrap_or(word);
        // Whatever is on or off can be turned round.
        let name = name.strip_prefix("no-").unwrap_or(name);
        let known = |name: &str| KNOWN.contains(&name) || OF_OTHERS.contains(&name);
        if known(name) {
            return None;
        }
        Some((name, nearest(name, KNOWN)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<(&str, &str)> {
        misspelt(line).collect()
    }

    #[test]
    fn slips_of_the_keyboard_get_the_nearest_name() {
        for (line, expected) in [
            ("dom0_men=1G", ("dom0_men", "dom0_mem")),
            ("console=dtuart dtaurt=serial1", ("dtaurt", "dtuart")),
            ("dom0-mem=512M", ("dom0-mem", "dom0_mem")),
            ("DOM0_MEM=512M", ("DOM0_MEM", "dom0_mem")),
            ("dom0_max_vcpu=1", ("dom0_max_vcpu", "dom0_max_vcpus")),
            ("no-bootscrubb", ("bootscrubb", "bootscrub")),
            ("loglevel=all", ("loglevel", "loglvl")),
            ("sync-console", ("sync-console", "sync_console")),
        ] {
            assert_eq!(found(line), [expected], "{line}");
        }
    }

    #[test]
    fn known_names_and_those_that_resemble_none_are_left_alone() {
        for line in [
            "console=dtuart dtuart=serial0 dom0_mem=1G dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null",
            "console=dtuart dtuart=serial1 sync_console",
            "console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=512M dom0_max_vcpus=1 bootscrub=0",
            "console=dtuart dtuart=serial0 dom0_mem=1500M dom0_max_vcpus=1 bootscrub=0 vwfi=native sched=null   ",
            "no-bootscrub noreboot loglvl=all guest_loglvl=all iommu=off xsm=flask llc-coloring=on",
            "earlyprintk=xen root=/dev/ram0 placeholder conswitch=x watchdog cpufreq=xen hap=1 pcid=0 reboot=no nosmp",
            "some-option-of-xen-5 = no- =1",
            "",
        ] {
            assert_eq!(found(line), [], "{line}");
        }
    }

    #[test]
    fn every_known_name_is_its_own_nearest() {
        for name in KNOWN {
            assert_eq!(nearest(name, KNOWN), Some(name));
        }
    }
}
