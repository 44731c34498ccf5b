/* What a daemon that has been taken over could say to grapevine-firewall: any bytes, as records,
 * into a table with an allow list. Whatever comes, no plan may hold an address that is protected,
 * that no firewall may hold, or that lasts too long. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/firewall/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gv_prefix own[] = {
    {.family = GV_FAMILY_IPV4, .bits = 8, .bytes = {127}},
    {.family = GV_FAMILY_IPV4, .bits = 24, .bytes = {192, 0, 2}},
    {.family = GV_FAMILY_IPV6, .bits = 128, .bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}},
};

static void check(const struct gv_plan *plan)
{
    gv_assert(plan->range_count <= GV_FIREWALL_RANGES);
    for (size_t i = 0; i < plan->entry_count; i++) {
        const struct gv_plan_entry *entry = &plan->entries[i];
        struct gv_prefix prefix = {.family = entry->subject.family,
                                   .bits = entry->subject.family == GV_FAMILY_IPV4 ? 32 : 64};
        memcpy(prefix.bytes, entry->subject.bytes, sizeof entry->subject.bytes);
        gv_assert(entry->seconds <= GV_FIREWALL_LEASE_S);
        gv_assert(entry->seconds == 0 || gv_firewall_may_refuse(&prefix));
        for (size_t j = 0; j < sizeof own / sizeof *own; j++)
            gv_assert(entry->seconds == 0 || !gv_prefix_matches(&own[j], &entry->subject));
    }
    for (size_t i = 0; i < plan->range_count; i++) {
        gv_assert(plan->ranges[i].seconds > 0 && plan->ranges[i].seconds <= GV_FIREWALL_LEASE_S);
        gv_assert(gv_firewall_may_refuse(&plan->ranges[i].prefix));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16] = {1};
    struct gv_nft_table *table = gv_nft_table_new(key, 64);
    struct gv_firewall_record record;
    struct gv_plan plan;
    uint8_t wire[GV_FIREWALL_RECORD];
    uint64_t now_s = 1;

    if (!table || gv_nft_table_protect(table, own, sizeof own / sizeof *own) != GV_OK)
        abort();
    for (; size >= GV_FIREWALL_RECORD; data += GV_FIREWALL_RECORD, size -= GV_FIREWALL_RECORD) {
        if (gv_firewall_record_read(&record, data) != GV_OK)
            continue;
        gv_firewall_record_write(wire, &record);
        gv_assert(memcmp(wire, data, sizeof wire) == 0);
        (void)gv_nft_table_apply(table, &record, now_s);
        gv_assert(gv_nft_table_count(table) <= 64);
        if (record.op == GV_FIREWALL_HELLO)
            now_s += record.number % 4000; /* time goes by */
        if (record.op != GV_FIREWALL_COMMIT)
            continue;
        if (record.number % 5 == 0)
            gv_nft_table_lost(table);
        if (gv_nft_table_plan(table, &plan, now_s) != GV_OK)
            abort();
        check(&plan);
        gv_plan_free(&plan);
        if (record.number % 3 != 0)
            gv_nft_table_done(table);
    }
    gv_nft_table_free(table);
    return 0;
}
