//! Barriers and hints, each a safe function of one instruction; on the host they do nothing.

macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident = $instruction:literal;)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name() {
            #[cfg(target_os = "none")]
            // SAFETY: the instruction reads and writes no register and no memory. Without `nomem` the compiler does not move
            // memory accesses across it, which is the point of a barrier.
            unsafe {
                core::arch::asm!($instruction, options(nostack, preserves_flags));
            }
        })*
    };
}

instructions! {
    /// Orders all accesses before it against all after it, as seen by every master of the system.
    dmb_sy = "dmb sy";
    /// Waits until all accesses and cache maintenance before it are complete, for every master of the system.
    dsb_sy = "dsb sy";
    /// Makes the effects of system register writes visible to the instructions after it.
    isb = "isb";
    /// Waits for an event, or a while.
    wfe = "wfe";
}

/// Waits for events for ever: the end of a path that must not go on.
pub fn park() -> ! {
    #[cfg(not(target_os = "none"))]
    panic_on_host("park");
    #[cfg(target_os = "none")]
    loop {
        wfe();
    }
}

/// On the host, what does not return panics instead.
#[cfg(not(target_os = "none"))]
#[expect(clippy::panic, reason = "the host twin of a function that never returns")]
pub(crate) fn panic_on_host(what: &str) -> ! {
    panic!("{what} never returns")
}
