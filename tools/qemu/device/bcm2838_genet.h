/*
 * BCM2711 Ethernet (GENET v5 and its PHY).
 *
 * Copyright (c) 2026 the Xenlift authors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_BCM2838_GENET_H
#define HW_NET_BCM2838_GENET_H

#define TYPE_BCM2838_GENET "bcm2838-genet"

/* Above BCM2838_PERI_LOW_BASE. */
#define BCM2838_GENET_OFFSET 0x1580000

#endif
