// Cleans and invalidates every data and unified cache level up to the level of coherency by set and way (Arm ARM DDI 0487,
// D7.5.9; the CCSIDR_EL1 format without FEAT_CCIDX, which no ARMv8.0 core has). Touches no memory and no stack. Only sound
// while one core runs with caches: maintenance by set and way is not broadcast. Clobbers x4-x14 and the flags.
.macro clean_invalidate_all_by_set_way
    dsb     sy
    mrs     x4, clidr_el1
    ubfx    x5, x4, #24, #3             // level of coherency
    mov     x6, #0                      // level, from 0
.Llevel\@:
    cmp     x6, x5
    b.hs    .Ldone\@
    add     x7, x6, x6, lsl #1
    lsr     x7, x4, x7
    and     x7, x7, #7                  // cache type: 2 and up hold data
    cmp     x7, #2
    b.lo    .Lnext\@
    lsl     x7, x6, #1
    msr     csselr_el1, x7
    isb
    mrs     x8, ccsidr_el1
    and     x9, x8, #7
    add     x9, x9, #4                  // log2 of the line size in bytes
    ubfx    x10, x8, #3, #10            // last way
    ubfx    x11, x8, #13, #15           // last set
    clz     w12, w10                    // the way's place is at the top of 32 bits
.Lset\@:
    mov     x13, x10
.Lway\@:
    lsl     x8, x13, x12
    orr     x8, x8, x7
    lsl     x14, x11, x9
    orr     x8, x8, x14
    dc      cisw, x8
    subs    x13, x13, #1
    b.pl    .Lway\@
    subs    x11, x11, #1
    b.pl    .Lset\@
.Lnext\@:
    add     x6, x6, #1
    b       .Llevel\@
.Ldone\@:
    msr     csselr_el1, xzr
    dsb     sy
    isb
.endm
