/*
 * The C interface of tools/qemu/genet-model-c: the GENET controller and its PHY.
 *
 * Nothing here calls back except for the two memory functions, and these only during the call that they belong to. What else the
 * controller wants done is taken with genet_model_next_effect() after each call. Times are nanoseconds of the virtual clock.
 *
 * Copyright (c) 2026 the Xenlift authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GENET_MODEL_H
#define GENET_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* To be equal to what genet_model_abi() returns. */
#define GENET_MODEL_ABI 3

typedef struct GenetModel GenetModel;

/* Access to guest memory; false where the range is not all memory. */
typedef struct GenetModelMemory {
    void *opaque;
    bool (*read)(void *opaque, uint64_t address, uint8_t *bytes, uint64_t length);
    bool (*write)(void *opaque, uint64_t address, const uint8_t *bytes, uint64_t length);
} GenetModelMemory;

typedef struct GenetModelSettings {
    uint64_t seed;
    uint32_t autonegotiation_ms;
    uint32_t power_on_ms; /* how long ago power came */
    uint8_t partner;   /* 1: 10 half, 2: 10 full, 4: 100 half, 8: 100 full, 16: 1000 half, 32: 1000 full */
    uint8_t phy_start; /* 0: fresh, 1: negotiated, 2: powered down */
    bool cable;
    bool refuse_short_frames;
} GenetModelSettings;

enum {
    GENET_MODEL_SEND = 0,
    GENET_MODEL_INTERRUPT = 1,
    GENET_MODEL_TIMER = 2,
    GENET_MODEL_NO_TIMER = 3,
};

typedef struct GenetModelEffect {
    uint32_t kind;
    uint32_t line;        /* interrupt */
    bool raised;          /* interrupt */
    uint64_t moment;      /* timer */
    const uint8_t *frame; /* send: valid until the next genet_model_next_effect() */
    uint64_t length;      /* send */
} GenetModelEffect;

uint32_t genet_model_abi(void);
GenetModel *genet_model_new(const GenetModelSettings *settings, const GenetModelMemory *memory);
void genet_model_free(GenetModel *model);
/* A reset of the board: the PHY keeps its state. */
void genet_model_reset(GenetModel *model, uint64_t now);
uint32_t genet_model_read(GenetModel *model, uint64_t now, uint32_t offset);
void genet_model_write(GenetModel *model, uint64_t now, uint32_t offset, uint32_t value);
void genet_model_advance(GenetModel *model, uint64_t now);
void genet_model_receive(GenetModel *model, uint64_t now, const uint8_t *frame, size_t length);
void genet_model_set_link(GenetModel *model, uint64_t now, bool present);
bool genet_model_next_effect(GenetModel *model, GenetModelEffect *effect);
/* The text of the next refusal that was not asked for yet, cut to size. */
bool genet_model_next_refusal(GenetModel *model, char *text, size_t size);
/* What a driver's stop would have ended, "; " between; empty if nothing goes on. Cut to size. */
void genet_model_left_running(GenetModel *model, char *text, size_t size);

#endif
