/* What an assembler knows between two lines, for who keeps it over a restart (SPEC 10.5). */
#include <string.h>

#include "node/ingest/assemble.h"
#include "node/ingest/assembler.h"

size_t gv_assembler_memory(struct gv_assembler *assembler,
                           struct gv_memory_area out[GV_ASSEMBLER_AREAS])
{
    out[0] = (struct gv_memory_area){assembler, offsetof(struct gv_assembler, hints), NULL};
    out[1] = (struct gv_memory_area){&assembler->mailbox, sizeof assembler->mailbox, NULL};
    out[2] = (struct gv_memory_area){&assembler->clock, sizeof assembler->clock, NULL};
    return 3 + (assembler->own ? gv_hints_memory(assembler->own, out + 3) : 0);
}

void gv_assembler_recall(struct gv_assembler *assembler, uint64_t now_ms)
{
    /* While nobody read, nobody could have read the disconnect line either. */
    for (size_t i = 0; i < GV_CONNECTION_SETS * GV_CONNECTION_WAYS; i++)
        assembler->drop_read[i] = (uint32_t)(now_ms / 1000);
    assembler->may_be_drops = true;
    if (assembler->mailbox.held_count > GV_MAILBOX_HELD)
        assembler->mailbox.held_count = 0;
    if (assembler->own)
        gv_hints_recall(assembler->own);
}

void gv_assembler_erase(struct gv_assembler *assembler, const struct gv_subject *subject)
{
    for (size_t i = 0; i < GV_CONNECTION_SETS * GV_CONNECTION_WAYS; i++) {
        size_t set = i / GV_CONNECTION_WAYS, way = i % GV_CONNECTION_WAYS;

        if (!gv_ip_address_of(&assembler->table[set][way].address, subject))
            continue;
        assembler->sets[set].key[way] = 0;
        assembler->sets[set].seen[way] = 0;
        assembler->sets[set].may_be_dropped[way] = false;
        memset(&assembler->table[set][way], 0, sizeof assembler->table[set][way]);
    }
    gv_mailbox_erase(&assembler->mailbox, subject);
    if (assembler->own)
        gv_hints_erase(assembler->own, subject);
}
