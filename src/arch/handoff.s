// xenlift_leave(x0 = device tree, x1 = where to go): caches and MMU off, and away (the boot protocols: Xen's
// docs/misc/arm/booting.txt, Linux' Documentation/arch/arm64/booting.rst; the order is docs/architecture.md, "Hand-off").
//
// From the write to SCTLR_EL2 to the branch there is no load and no store: with the data cache off they would go past lines that
// are still dirty, and a test disassembles this routine to keep it so.

.section .text.leave, "ax"
.global xenlift_leave
.global xenlift_leave_end
xenlift_leave:
    msr     daifset, #0xf
    mov     x19, x0
    mov     x20, x1
    msr     spsel, #1
    dsb     sy
    // A whole value, the one that the firmware's stub starts with: M and C are off, and so is I.
    movz    x4, #0x0830
    movk    x4, #0x30c5, lsl #16
    msr     sctlr_el2, x4
    isb
    clean_invalidate_all_by_set_way
    tlbi    alle2
    ic      iallu
    dsb     sy
    isb
    mov     x0, x19
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    br      x20
xenlift_leave_end:
