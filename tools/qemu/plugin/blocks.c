/*
 * A plugin of QEMU that counts what a received frame costs the board's first processor: instructions, and accesses to device registers.
 * `cargo xtask bench --only blocks` reads the line that it prints when QEMU ends.
 *
 * A polling driver looks at the receive ring's producer index and, where that has moved, at descriptors. From a look after which no descriptor was read
 * until the next look nothing was there to be worked on: what happens then is counted a second time, as waiting. So the work of two loaders can be
 * compared even where a server makes them wait.
 *
 * Each time the first processor comes to the first instruction of an arm64 Image (Linux: Documentation/arch/arm64/booting.rst), which is a loader, the
 * loader that it unpacks, Xen, a line tells what was counted so far.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>
#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* Everything that is not RAM on a BCM2711 in its "low peripherals" mode; both loaders map it where it is. */
#define DEVICES_START 0xfc000000ULL
#define DEVICES_END 0x100000000ULL

/* GENET: the receive descriptors, and RDMA_PROD_INDEX of the default ring (Linux: bcmgenet.h). */
#define RECEIVE_DESCRIPTORS 0xfd582000ULL
#define RECEIVE_DESCRIPTORS_END (RECEIVE_DESCRIPTORS + 256 * 12)
#define PRODUCER_INDEX 0xfd583008ULL

/* What is in the header of an arm64 Image, and where. */
#define MAGIC "ARM\x64"
#define MAGIC_OFFSET 56

typedef struct {
    uint64_t instructions;
    uint64_t reads;
    uint64_t writes;
} Counts;

static struct qemu_plugin_scoreboard *instructions;
static qemu_plugin_u64 executed;

static Counts all;
static Counts waiting;
static Counts at_look;
static uint64_t looks;
static bool found;

static void look(void)
{
    if (looks > 0 && !found) {
        waiting.instructions += all.instructions - at_look.instructions;
        waiting.reads += all.reads - at_look.reads;
        waiting.writes += all.writes - at_look.writes;
    }
    at_look = all;
    looks++;
    found = false;
}

static void accessed(unsigned int processor, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    struct qemu_plugin_hwaddr *place;
    bool write = qemu_plugin_mem_is_store(info);

    if (processor != 0 || address < DEVICES_START || address >= DEVICES_END) {
        return;
    }
    place = qemu_plugin_get_hwaddr(info, address);
    if (!place || !qemu_plugin_hwaddr_is_io(place)) {
        return;
    }
    all.instructions = qemu_plugin_u64_get(executed, 0);
    if (!write && address == PRODUCER_INDEX) {
        look();
    }
    if (!write && address >= RECEIVE_DESCRIPTORS && address < RECEIVE_DESCRIPTORS_END) {
        found = true;
    }
    if (write) {
        all.writes++;
    } else {
        all.reads++;
    }
}

static void print(const char *what)
{
    char text[320];

    all.instructions = qemu_plugin_u64_get(executed, 0);
    snprintf(text, sizeof(text),
             "%s: all %" PRIu64 " %" PRIu64 " %" PRIu64 " waiting %" PRIu64 " %" PRIu64 " %" PRIu64 " looks %" PRIu64 "\n",
             what, all.instructions, all.reads, all.writes, waiting.instructions, waiting.reads, waiting.writes, looks);
    qemu_plugin_outs(text);
}

static void entered(unsigned int processor, void *data)
{
    if (processor == 0) {
        print("image");
    }
}

static bool begins_an_image(uint64_t address)
{
    GByteArray *bytes = g_byte_array_new();
    bool found = qemu_plugin_read_memory_vaddr(address + MAGIC_OFFSET, bytes, strlen(MAGIC)) && bytes->len >= strlen(MAGIC) &&
                 memcmp(bytes->data, MAGIC, strlen(MAGIC)) == 0;

    g_byte_array_free(bytes, TRUE);
    return found;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);

    if (begins_an_image(qemu_plugin_tb_vaddr(block))) {
        qemu_plugin_register_vcpu_tb_exec_cb(block, entered, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
    for (size_t index = 0; index < count; index++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, index);

        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(instruction, QEMU_PLUGIN_INLINE_ADD_U64, executed, 1);
        qemu_plugin_register_vcpu_mem_cb(instruction, accessed, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
}

static void ended(qemu_plugin_id_t id, void *data)
{
    print("blocks");
    qemu_plugin_scoreboard_free(instructions);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    instructions = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    executed = qemu_plugin_scoreboard_u64(instructions);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
