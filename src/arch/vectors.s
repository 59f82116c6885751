// The exception vectors (Arm ARM DDI 0487, D1.4.1). Every exception is the end: it is reported, then the board is reset.
//
// The stack cannot be trusted, so the depth is kept in TPIDR_EL2 and x0, x1 are saved in TPIDR_EL0 and TPIDR_EL1, which nothing
// else in the loader uses. Depth 1 reports in full. Depth 2, an exception inside the report, starts the exception stack
// afresh and says only the essential. Depth 3 resets. Depth 4, an exception inside the reset hook, parks the core.

.macro vector kind
    .balign 128
    msr     tpidr_el0, x0
    msr     tpidr_el1, x1
    mov     x0, #\kind
    b       exception_entry
.endm

.section .text.vectors, "ax"
.balign 2048
exception_vectors:
    vector 0
    vector 1
    vector 2
    vector 3
    vector 4
    vector 5
    vector 6
    vector 7
    vector 8
    vector 9
    vector 10
    vector 11
    vector 12
    vector 13
    vector 14
    vector 15

.balign 128
exception_entry:
    mrs     x1, tpidr_el2
    add     x1, x1, #1
    msr     tpidr_el2, x1
    cmp     x1, #1
    b.ne    exception_nested

    // struct Frame of exception.rs, field for field. An exception always arrives on SP_EL2.
    sub     sp, sp, #304
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x2, tpidr_el0
    mrs     x3, tpidr_el1
    stp     x2, x3, [sp]
    mrs     x2, sp_el0
    stp     x30, x2, [sp, #240]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x2, x3, [sp, #256]
    mrs     x2, esr_el2
    mrs     x3, far_el2
    stp     x2, x3, [sp, #272]
    str     x0, [sp, #288]
    mov     x0, sp
    mov     x29, xzr
    bl      xenlift_exception
    b       exception_park

exception_nested:
    adrp    x2, exception_stack_top
    add     x2, x2, :lo12:exception_stack_top
    mov     sp, x2
    mov     x29, xzr
    cmp     x1, #3
    b.hi    exception_park
    b.eq    1f
    mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    bl      xenlift_exception_in_report
    b       exception_park
1:  bl      xenlift_reset
exception_park:
    wfe
    b       exception_park
