.section .stub, "ax"
.global stub
stub:
    b       begin

// Where the board's tree says that cores wait (cpu-release-addr): 0xd8 + 8 * core.
.org 0xd8
spin_table:
    .quad   0, 0, 0, 0

.org 0x100
begin:
    mrs     x0, mpidr_el1
    ands    x0, x0, #0xff
    b.eq    first_core

    // As the firmware's stub: at EL2, waiting for an address. A loader that wakes these breaks Xen.
    bl      to_el2_setup
    adr     x1, secondary_at_el2
    msr     elr_el3, x1
    mov     x1, #0x3c9
    msr     spsr_el3, x1
    eret
secondary_at_el2:
    mrs     x0, mpidr_el1
    and     x0, x0, #0xff
    adr     x1, spin_table
    // The firmware's stub waits with WFE, which an emulator turns into a busy loop on three of its threads. Nobody is to wake
    // these cores; WFI lets them sleep.
1:  wfi
    ldr     x2, [x1, x0, lsl #3]
    cbz     x2, 1b
    mov     x0, xzr
    br      x2

first_core:
    bl      to_el2_setup

    // Junk in RAM: a pattern that no zeroed page has, in up to six ranges of whole 64 bytes.
    adr     x10, junk_ranges
    mov     x11, #6
    ldr     x12, junk_seed
1:  ldp     x13, x14, [x10], #16
2:  cmp     x13, x14
    b.hs    3f
    add     x15, x12, x13
    stp     x12, x15, [x13]
    stp     x15, x12, [x13, #16]
    stp     x12, x15, [x13, #32]
    stp     x15, x12, [x13, #48]
    add     x12, x12, #1
    add     x13, x13, #64
    b       2b
3:  subs    x11, x11, #1
    b.ne    1b

    // The UART on the header as the firmware's enable_uart=1 leaves it: 1 the PL011, 2 the mini UART, 0 none.
    ldr     x1, uart
    movz    x2, #0xfe20, lsl #16
    ldr     w3, [x2, #4]
    bic     w3, w3, #(0x3f << 12)
    cbz     x1, 4f
    cmp     x1, #1
    b.ne    5f
    mov     w4, #0x4000                 // GPIO 14 and 15 ALT0
    movk    w4, #0x2, lsl #16
    orr     w3, w3, w4
    str     w3, [x2, #4]
    add     x2, x2, #0x1000
    mov     w4, #0x70                   // 8 bits, FIFO
    str     w4, [x2, #0x2c]
    mov     w4, #0x301                  // on, both ways
    str     w4, [x2, #0x30]
    b       4f
5:  mov     w4, #0x2000                 // ALT5
    movk    w4, #0x1, lsl #16
    orr     w3, w3, w4
    str     w3, [x2, #4]
    movz    x2, #0x5000
    movk    x2, #0xfe21, lsl #16
    mov     w4, #1
    str     w4, [x2, #4]                // AUX_ENABLES
    mov     w4, #3
    str     w4, [x2, #0x4c]             // 8 bits
    str     w4, [x2, #0x60]             // on, both ways
4:
    // The watchdog's time; the emulator resets at once where its control bits are set, so those stay clear.
    ldr     x1, watchdog
    cbz     x1, 6f
    movz    x2, #0xfe10, lsl #16
    movz    w3, #0x5a00, lsl #16
    orr     w3, w3, w1
    str     w3, [x2, #0x24]
6:
    // Junk in EL2.
    ldr     x1, sctlr_el2_value
    msr     sctlr_el2, x1
    ldr     x1, hcr_el2_value
    msr     hcr_el2, x1
    ldr     x1, cptr_el2_value
    msr     cptr_el2, x1
    ldr     x1, junk_seed
    and     x2, x1, #~0x7ff
    msr     vbar_el2, x2
    msr     tcr_el2, x1
    msr     mair_el2, x1
    msr     ttbr0_el2, x1
    msr     elr_el2, x1
    msr     esr_el2, x1
    msr     far_el2, x1
    msr     tpidr_el2, x1
    msr     tpidr_el1, x1
    msr     tpidr_el0, x1
    msr     sp_el0, x1
    msr     sp_el1, x1
    msr     sp_el2, x1
    mov     x2, #2
    msr     csselr_el1, x2
    // Junk in the vector registers.
    dup     v0.2d, x1
    mov     v1.16b, v0.16b
    mov     v31.16b, v0.16b

    ldr     x2, entry
    msr     elr_el3, x2
    ldr     x2, spsr
    msr     spsr_el3, x2
    isb
    // Junk everywhere else.
    mov     x4, x1
    mov     x5, x1
    mov     x6, x1
    mov     x7, x1
    mov     x8, x1
    mov     x9, x1
    mov     x10, x1
    mov     x11, x1
    mov     x12, x1
    mov     x13, x1
    mov     x14, x1
    mov     x15, x1
    mov     x16, x1
    mov     x17, x1
    mov     x18, x1
    mov     x19, x1
    mov     x20, x1
    mov     x21, x1
    mov     x22, x1
    mov     x23, x1
    mov     x24, x1
    mov     x25, x1
    mov     x26, x1
    mov     x27, x1
    mov     x28, x1
    mov     x29, x1
    mov     x30, x1
    ldr     x0, tree
    ldr     x2, junk_seed
    ldr     x3, junk_seed
    eret

// What the firmware's stub does in EL3: nonsecure, AArch64 below, HVC on, SMC off (so there is no PSCI).
to_el2_setup:
    mov     x1, #0x5b1
    msr     scr_el3, x1
    msr     cptr_el3, xzr
    mov     x1, #0x0830
    movk    x1, #0x30c5, lsl #16
    msr     sctlr_el2, x1
    isb
    ret

.org 0x800
    .ascii  "HOSTSTUB"                  // the magic that a test looks for, then 64-bit little-endian words:
entry:
    .quad   0x200000                    //  0  where the loader is
tree:
    .quad   0                           //  1  x0
spsr:
    .quad   0x3c9                       //  2  EL2h, all masked
sctlr_el2_value:
    .quad   0x30c50830                  //  3
hcr_el2_value:
    .quad   0                           //  4
cptr_el2_value:
    .quad   0x33ff                      //  5
uart:
    .quad   1                           //  6
watchdog:
    .quad   0                           //  7  ticks
junk_seed:
    .quad   0xa5a5c3c3deadbeef          //  8
junk_ranges:
    .quad   0, 0, 0, 0, 0, 0            //  9  start, end, six times
    .quad   0, 0, 0, 0, 0, 0

// The rest of the page tells whether somebody wrote here.
.org 0xa00
.fill 384, 4, 0x7e57ab1e
