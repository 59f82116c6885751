/*
 * BCM2711 Ethernet (GENET v5 and its PHY) for the Raspberry Pi 4 machine.
 *
 * All behaviour is in the Rust library behind genet_model.h. This file is what QEMU needs around it: registers, network interface, timer,
 * interrupt lines, guest memory, properties, and the log of what the model refused.
 *
 * Copyright (c) 2026 the Xenlift authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "genet_model.h"
#include "hw/irq.h"
#include "hw/net/bcm2838_genet.h"
#include "hw/qdev-properties.h"
#include "hw/sysbus.h"
#include "net/net.h"
#include "qapi/error.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qom/object.h"

#define GENET_WINDOW 0x10000

/* How much later than the model asks the timer may come: genet_set_timer(). */
#define GENET_TIMER_SLACK (100 * SCALE_US)
#define GENET_NEVER UINT64_MAX

struct BCM2838GenetState {
    SysBusDevice parent_obj;

    MemoryRegion registers;
    qemu_irq lines[2];
    NICState *nic;
    NICConf conf;
    QEMUTimer *timer;
    /* When the model wants to be called, GENET_NEVER if not at all. */
    uint64_t wish;
    GenetModel *model;

    /* A call into the model is under way: nothing else may enter it. */
    bool inside;
    /* Effects are being carried out: whoever enters the model meanwhile leaves its effects to that loop. */
    bool draining;
    /* The board has been reset once, at power-on. */
    bool powered;

    uint64_t seed;
    uint32_t autonegotiation_ms;
    uint32_t power_on_ms;
    uint8_t partner;
    uint8_t phy_start;
    bool refuse_short_frames;
    char *refusals_path;
    FILE *refusals;
    /* Room for one, here because on the stack it would be cleared at every access. */
    char refusal[512];
};

OBJECT_DECLARE_SIMPLE_TYPE(BCM2838GenetState, BCM2838_GENET)

static uint64_t genet_now(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void genet_log_refusals(BCM2838GenetState *s)
{
    while (genet_model_next_refusal(s->model, s->refusal, sizeof(s->refusal))) {
        qemu_log_mask(LOG_GUEST_ERROR, "genet: %s\n", s->refusal);
        if (s->refusals) {
            fprintf(s->refusals, "%s\n", s->refusal);
            fflush(s->refusals);
        }
    }
}

/*
 * Every access lets the model catch up with the clock first, so a driver that polls sees its frame sent in time without a timer. The timer is for
 * one that waits for its interrupt. Exact to the microsecond it would wake QEMU's main loop twice for each frame, to fight with the processor for
 * the lock; so it may come late by the slack, and one that is pending and comes early is left alone: it finds nothing to do and is set again.
 */
static void genet_set_timer(BCM2838GenetState *s)
{
    int64_t latest;

    if (s->wish == GENET_NEVER) {
        return;
    }
    latest = MIN(s->wish, INT64_MAX - GENET_TIMER_SLACK) + GENET_TIMER_SLACK;
    if (!timer_pending(s->timer) || timer_expire_time_ns(s->timer) > latest) {
        timer_mod(s->timer, latest);
    }
}

/* Carries out what the model wants done, in order, with no call into the model under way. */
static void genet_drain(BCM2838GenetState *s)
{
    GenetModelEffect effect;

    if (s->draining) {
        return;
    }
    s->draining = true;
    while (genet_model_next_effect(s->model, &effect)) {
        switch (effect.kind) {
        case GENET_MODEL_SEND:
            /* slirp answers inside this call: genet_receive() enters the model here. */
            qemu_send_packet(qemu_get_queue(s->nic), effect.frame, effect.length);
            break;
        case GENET_MODEL_INTERRUPT:
            if (effect.line < ARRAY_SIZE(s->lines)) {
                qemu_set_irq(s->lines[effect.line], effect.raised);
            }
            break;
        case GENET_MODEL_TIMER:
            s->wish = effect.moment;
            break;
        default:
            s->wish = GENET_NEVER;
            break;
        }
    }
    s->draining = false;
    genet_set_timer(s);
    genet_log_refusals(s);
}

static uint64_t genet_read(void *opaque, hwaddr offset, unsigned size)
{
    BCM2838GenetState *s = opaque;
    uint32_t value;

    if (s->inside) {
        return 0;
    }
    s->inside = true;
    value = genet_model_read(s->model, genet_now(), offset);
    s->inside = false;
    genet_drain(s);
    return value;
}

static void genet_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    BCM2838GenetState *s = opaque;

    if (s->inside) {
        return;
    }
    s->inside = true;
    genet_model_write(s->model, genet_now(), offset, value);
    s->inside = false;
    genet_drain(s);
}

static const MemoryRegionOps genet_ops = {
    .read = genet_read,
    .write = genet_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
};

static void genet_timer(void *opaque)
{
    BCM2838GenetState *s = opaque;

    s->inside = true;
    genet_model_advance(s->model, genet_now());
    s->inside = false;
    genet_drain(s);
}

/* The controller masters RAM only: a descriptor that points to registers, its own among them, is refused. */
static const MemTxAttrs genet_attrs = { .memory = true };

static bool genet_memory_read(void *opaque, uint64_t address, uint8_t *bytes, uint64_t length)
{
    return address_space_read(&address_space_memory, address, genet_attrs, bytes, length) == MEMTX_OK;
}

static bool genet_memory_write(void *opaque, uint64_t address, const uint8_t *bytes, uint64_t length)
{
    return address_space_write(&address_space_memory, address, genet_attrs, bytes, length) == MEMTX_OK;
}

static ssize_t genet_receive(NetClientState *nc, const uint8_t *frame, size_t size)
{
    BCM2838GenetState *s = qemu_get_nic_opaque(nc);

    if (s->inside) {
        return 0; /* Queued by QEMU: qemu_flush_queued_packets() is called by the next frame. */
    }
    s->inside = true;
    genet_model_receive(s->model, genet_now(), frame, size);
    s->inside = false;
    genet_drain(s);
    return size;
}

static void genet_link_changed(NetClientState *nc)
{
    BCM2838GenetState *s = qemu_get_nic_opaque(nc);

    s->inside = true;
    genet_model_set_link(s->model, genet_now(), !nc->link_down);
    s->inside = false;
    genet_drain(s);
}

static NetClientInfo genet_net_info = {
    .type = NET_CLIENT_DRIVER_NIC,
    .size = sizeof(NICState),
    .receive = genet_receive,
    .link_status_changed = genet_link_changed,
};

static void genet_reset(DeviceState *dev)
{
    BCM2838GenetState *s = BCM2838_GENET(dev);

    /* The first reset is power-on itself, which the model has been through. */
    if (!s->powered) {
        s->powered = true;
        return;
    }
    s->inside = true;
    genet_model_reset(s->model, genet_now());
    s->inside = false;
    genet_drain(s);
}

static void genet_realize(DeviceState *dev, Error **errp)
{
    BCM2838GenetState *s = BCM2838_GENET(dev);
    GenetModelMemory memory = { .opaque = s, .read = genet_memory_read, .write = genet_memory_write };
    GenetModelSettings settings = {
        .seed = s->seed,
        .autonegotiation_ms = s->autonegotiation_ms,
        .power_on_ms = s->power_on_ms,
        .partner = s->partner,
        .phy_start = s->phy_start,
        .cable = s->conf.peers.ncs[0] != NULL,
        .refuse_short_frames = s->refuse_short_frames,
    };

    if (genet_model_abi() != GENET_MODEL_ABI) {
        error_setg(errp, "genet: the model's interface is version %u, this device wants %u", genet_model_abi(), GENET_MODEL_ABI);
        return;
    }
    if (s->refusals_path) {
        s->refusals = fopen(s->refusals_path, "w");
        if (!s->refusals) {
            error_setg_errno(errp, errno, "genet: cannot write %s", s->refusals_path);
            return;
        }
    }
    s->model = genet_model_new(&settings, &memory);
    s->wish = GENET_NEVER;
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, genet_timer, s);
    qemu_macaddr_default_if_unset(&s->conf.macaddr);
    s->nic = qemu_new_nic(&genet_net_info, &s->conf, object_get_typename(OBJECT(dev)), dev->id, &dev->mem_reentrancy_guard, s);
    qemu_format_nic_info_str(qemu_get_queue(s->nic), s->conf.macaddr.a);
    /* The timer of the PHY's first negotiation. */
    genet_timer(s);
}

static void genet_unrealize(DeviceState *dev)
{
    BCM2838GenetState *s = BCM2838_GENET(dev);

    timer_free(s->timer);
    qemu_del_nic(s->nic);
    genet_model_free(s->model);
    if (s->refusals) {
        fclose(s->refusals);
    }
}

static void genet_init(Object *obj)
{
    BCM2838GenetState *s = BCM2838_GENET(obj);

    memory_region_init_io(&s->registers, obj, &genet_ops, s, TYPE_BCM2838_GENET, GENET_WINDOW);
    sysbus_init_mmio(SYS_BUS_DEVICE(obj), &s->registers);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->lines[0]);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->lines[1]);
}

static char *genet_left_running(Object *obj, Error **errp)
{
    BCM2838GenetState *s = BCM2838_GENET(obj);
    char text[1024] = "";

    if (s->model) {
        genet_model_left_running(s->model, text, sizeof(text));
    }
    return g_strdup(text);
}

static const Property genet_properties[] = {
    DEFINE_NIC_PROPERTIES(BCM2838GenetState, conf),
    DEFINE_PROP_UINT64("seed", BCM2838GenetState, seed, 1),
    DEFINE_PROP_UINT32("autoneg-ms", BCM2838GenetState, autonegotiation_ms, 3000),
    DEFINE_PROP_UINT32("power-on-ms", BCM2838GenetState, power_on_ms, 0),
    DEFINE_PROP_UINT8("partner", BCM2838GenetState, partner, 0x2f),
    DEFINE_PROP_UINT8("phy-start", BCM2838GenetState, phy_start, 0),
    DEFINE_PROP_BOOL("refuse-short-frames", BCM2838GenetState, refuse_short_frames, false),
    DEFINE_PROP_STRING("refusals", BCM2838GenetState, refusals_path),
};

static void genet_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);

    dc->desc = "BCM2711 GENET v5 Ethernet";
    dc->realize = genet_realize;
    dc->unrealize = genet_unrealize;
    device_class_set_legacy_reset(dc, genet_reset);
    device_class_set_props(dc, genet_properties);
    object_class_property_add_str(oc, "left-running", genet_left_running, NULL);
    object_class_property_set_description(oc, "left-running", "What a driver's stop would have ended");
    set_bit(DEVICE_CATEGORY_NETWORK, dc->categories);
}

static const TypeInfo genet_type = {
    .name = TYPE_BCM2838_GENET,
    .parent = TYPE_SYS_BUS_DEVICE,
    .instance_size = sizeof(BCM2838GenetState),
    .instance_init = genet_init,
    .class_init = genet_class_init,
};

static void genet_register_types(void)
{
    type_register_static(&genet_type);
}

type_init(genet_register_types)
