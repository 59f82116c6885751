// The first instructions. Read with docs/architecture.md, "Start-up".
//
// Entered with the MMU and the data cache off, at any 4 KiB address, x0 = device tree (perhaps). Until `moved`, nothing outside
// the file's own bytes is written: the firmware's tree, an initramfs or the spin table may lie anywhere else.
//
//   x19-x22  x0-x3 as found         x25  CPTR_EL2 as found
//   x23      SCTLR_EL2 as found     x26  where the file was loaded
//   x24      HCR_EL2 as found       x27  DAIF as found         x28  where the image moves to

.section .text.head, "ax"
.global _start
_start:
image_header:
    b       entry
    .long   0
    .quad   0                           // text_offset
    .quad   __image_end - image_header  // image_size: with .bss, heap, DMA arena and stack
    .quad   0xa                         // flags: little-endian, 4 KiB pages, anywhere in memory (bit 3)
.global packed_file
packed_file:
    .quad   0                           // reserved; unpacked.rs writes here where the packed file was loaded
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

entry:
    mrs     x27, daif
    msr     daifset, #0xf
    mov     x19, x0
    mov     x20, x1
    mov     x21, x2
    mov     x22, x3
    // One core only. The firmware keeps the others in its spin table, where Xen looks for them.
    mrs     x4, mpidr_el1
    tst     x4, #0xff
    b.ne    park
    // ADRP works on pages: at another address than a multiple of 4 KiB, no symbol would be found.
    adr     x26, image_header
    tst     x26, #0xfff
    b.ne    park

    mrs     x4, CurrentEL
    cmp     x4, #(2 << 2)
    b.ne    wrong_level

    // Whole values: nothing of the state found is trusted. CPTR_EL2: RES1 bits, no trap of FP/SIMD, which the compiler may use
    // anywhere. HCR_EL2: RW, and AMO so that a physical SError is taken here and reported, not left for Xen.
    mrs     x23, sctlr_el2
    mrs     x24, hcr_el2
    mrs     x25, cptr_el2
    mov     x4, #0x33ff
    msr     cptr_el2, x4
    mov     x4, #0x20
    movk    x4, #0x8000, lsl #16
    msr     hcr_el2, x4
    movz    x4, #0x0830
    movk    x4, #0x30c5, lsl #16
    msr     sctlr_el2, x4
    msr     cntvoff_el2, xzr            // both counters are one: see timer.rs
    msr     tpidr_el2, xzr              // depth of exceptions, see vectors.s
    adrp    x4, exception_vectors
    add     x4, x4, :lo12:exception_vectors
    msr     vbar_el2, x4
    isb

    // Lines that an earlier stage left dirty must not be written over our data later.
    clean_invalidate_all_by_set_way
    ic      iallu
    dsb     sy
    isb

    adrp    x4, exception_stack_top
    add     x4, x4, :lo12:exception_stack_top
    msr     spsel, #1
    mov     sp, x4
    msr     spsel, #0
    adrp    x4, early_stack_top
    add     x4, x4, :lo12:early_stack_top
    mov     sp, x4
    mov     x29, xzr
    mov     x30, xzr

    // Linked at 0: the words of the file hold offsets, and become addresses here.
    mov     x4, x26
    mov     x5, x26
    bl      relocate

    mov     x0, x19
    mov     x1, x26
    bl      xenlift_choose_place
    mov     x28, x0
    cmp     x28, x26
    b.eq    moved

    mov     x4, x26
    mov     x5, x28
    adrp    x6, __file_end
    add     x6, x6, :lo12:__file_end
1:  ldp     x8, x9, [x4]
    ldp     x10, x11, [x4, #16]
    ldp     x12, x13, [x4, #32]
    ldp     x14, x15, [x4, #48]
    stp     x8, x9, [x5]
    stp     x10, x11, [x5, #16]
    stp     x12, x13, [x5, #32]
    stp     x14, x15, [x5, #48]
    add     x4, x4, #64
    add     x5, x5, #64
    cmp     x4, x6
    b.lo    1b

    // The copy's words are right for the old place; RELR keeps them there, so the second relocation adds the difference.
    mov     x4, x28
    sub     x5, x28, x26
    bl      relocate
    dsb     sy
    ic      iallu
    dsb     sy
    isb
    adr     x4, moved
    sub     x4, x4, x26
    add     x4, x4, x28
    br      x4

moved:
    adrp    x4, exception_vectors
    add     x4, x4, :lo12:exception_vectors
    msr     vbar_el2, x4
    isb
    adrp    x4, exception_stack_top
    add     x4, x4, :lo12:exception_stack_top
    msr     spsel, #1
    mov     sp, x4
    msr     spsel, #0
    adrp    x4, __stack_top
    add     x4, x4, :lo12:__stack_top
    mov     sp, x4

    adrp    x4, __bss_start
    add     x4, x4, :lo12:__bss_start
    adrp    x5, __bss_end
    add     x5, x5, :lo12:__bss_end
2:  cmp     x4, x5
    b.hs    3f
    stp     xzr, xzr, [x4]
    stp     xzr, xzr, [x4, #16]
    stp     xzr, xzr, [x4, #32]
    stp     xzr, xzr, [x4, #48]
    add     x4, x4, #64
    b       2b
3:
    // The instruction fetches of a cached, unmapped core may have brought lines of our image into the unified L2 before they
    // were relocated. The data cache is about to be turned on over them.
    clean_invalidate_all_by_set_way

    // struct Found of start.rs, field for field.
    sub     sp, sp, #80
    stp     x19, x20, [sp]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x27, [sp, #48]
    str     x26, [sp, #64]
    mov     x0, sp
    mov     x29, xzr
    mov     x30, xzr
    bl      xenlift_start
    b       park

// Applies the RELR table to the image at x4, adding x5 to each word it names. Clobbers x6-x12.
// An even entry is the address of a word; an odd one is a bitmap of the 63 words that follow.
relocate:
    adrp    x6, __relr_start
    add     x6, x6, :lo12:__relr_start
    adrp    x7, __relr_end
    add     x7, x7, :lo12:__relr_end
1:  cmp     x6, x7
    b.hs    5f
    ldr     x8, [x6], #8
    tbnz    x8, #0, 2f
    add     x9, x4, x8
    ldr     x10, [x9]
    add     x10, x10, x5
    str     x10, [x9], #8
    b       1b
2:  mov     x11, x9
3:  lsr     x8, x8, #1
    cbz     x8, 4f
    tbz     x8, #0, 6f
    ldr     x10, [x11]
    add     x10, x10, x5
    str     x10, [x11]
6:  add     x11, x11, #8
    b       3b
4:  add     x9, x9, #(63 * 8)
    b       1b
5:  ret

// Not at EL2: nothing here would work, but the reason can be said where a UART has been set up. FP/SIMD is opened as far as
// this level can, because the compiler may use it.
wrong_level:
    lsr     x28, x4, #2
    cmp     x28, #3
    b.eq    1f
    mov     x4, #(3 << 20)
    msr     cpacr_el1, x4
    b       2f
1:  msr     cptr_el3, xzr
2:  isb
    msr     spsel, #0
    adrp    x4, early_stack_top
    add     x4, x4, :lo12:early_stack_top
    mov     sp, x4
    mov     x29, xzr
    mov     x4, x26
    mov     x5, x26
    bl      relocate
    mov     x0, x28
    bl      xenlift_wrong_level

park:
    wfe
    b       park

// In the file, because the first code needs a stack and may write nowhere else. The first part stays the stack of the exception
// vectors for good. A report takes 1,700 bytes of it, the search for a place 3,000 of the other: tests/e2e/tests/startup.rs looks.
.section .data.early_stacks, "aw", %progbits
.balign 4096
.global exception_stack_bottom
exception_stack_bottom:
    .space  4096
exception_stack_top:
    .space  5120
early_stack_top:
