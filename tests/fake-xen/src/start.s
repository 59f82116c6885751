// Saves what was found before anything is changed, zeroes .bss as Xen does, relocates, goes on in Rust.
.section .text.head, "ax"
.global _start
_start:
header:
    b       1f
    .long   0
    .quad   0
    .quad   __image_end - header
    .quad   0xa
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

1:  mrs     x19, CurrentEL
    cmp     x19, #(2 << 2)
    b.ne    halt
    mrs     x20, sctlr_el2
    mrs     x21, hcr_el2
    mrs     x22, cptr_el2
    mrs     x23, daif
    mrs     x24, isr_el1
    mrs     x25, spsel
    mov     x26, x0
    mov     x27, x1
    mov     x28, x2
    mov     x29, x3
    mov     x4, #0x33ff                 // no traps of FP/SIMD, which the compiler may use
    msr     cptr_el2, x4
    isb

    adrp    x4, __bss_start
    add     x4, x4, :lo12:__bss_start
    adrp    x5, __bss_end
    add     x5, x5, :lo12:__bss_end
2:  stp     xzr, xzr, [x4], #16
    cmp     x4, x5
    b.lo    2b

    adr     x4, header
    adrp    x6, __relr_start
    add     x6, x6, :lo12:__relr_start
    adrp    x7, __relr_end
    add     x7, x7, :lo12:__relr_end
3:  cmp     x6, x7
    b.hs    7f
    ldr     x8, [x6], #8
    tbnz    x8, #0, 4f
    add     x9, x4, x8
    ldr     x10, [x9]
    add     x10, x10, x4
    str     x10, [x9], #8
    b       3b
4:  mov     x11, x9
5:  lsr     x8, x8, #1
    cbz     x8, 8f
    tbz     x8, #0, 6f
    ldr     x10, [x11]
    add     x10, x10, x4
    str     x10, [x11]
6:  add     x11, x11, #8
    b       5b
8:  add     x9, x9, #(63 * 8)
    b       3b
7:
    adrp    x5, __stack_top
    add     x5, x5, :lo12:__stack_top
    mov     sp, x5
    // struct Found of main.rs, field for field.
    sub     sp, sp, #96
    stp     x26, x27, [sp]
    stp     x28, x29, [sp, #16]
    stp     x19, x20, [sp, #32]
    stp     x21, x22, [sp, #48]
    stp     x23, x24, [sp, #64]
    stp     x25, x4, [sp, #80]
    mov     x0, sp
    mov     x29, xzr
    bl      fake_xen
halt:
    wfe
    b       halt
