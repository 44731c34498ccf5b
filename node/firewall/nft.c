#include "node/firewall/nft.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "node/firewall/netlink.h"

#define REFUSED4 "refused4"
#define REFUSED6 "refused6"
enum { RANGES4, RANGES6, ALLOWED4, ALLOWED6, INTERVALS };
static const char *const interval_names[INTERVALS] = {"ranges4", "ranges6", "allowed4", "allowed6"};

struct gv_nft {
    struct nft_ctx *context;
    struct gv_netlink netlink;
    uint32_t generation;        /* of the ruleset, after our last change */
    char *listing;              /* owned; how libnftables lists what gv_nft_build made */
    uint64_t prints[INTERVALS]; /* of what was put into the interval sets last */
};

int gv_nft_open(struct gv_nft **out, struct gv_text *error)
{
    struct gv_nft *nft = calloc(1, sizeof *nft);

    *out = NULL;
    if (!nft)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    int rc = gv_netlink_open(&nft->netlink, error);
    if (rc != GV_OK) {
        free(nft);
        return rc;
    }
    nft->context = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft->context || nft_ctx_buffer_output(nft->context) != 0 ||
        nft_ctx_buffer_error(nft->context) != 0) {
        gv_nft_close(nft);
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    }
    nft_ctx_output_set_flags(nft->context, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE |
                                               NFT_CTX_OUTPUT_NUMERIC_ALL);
    *out = nft;
    return GV_OK;
}

void gv_nft_close(struct gv_nft *nft)
{
    if (!nft)
        return;
    gv_netlink_close(&nft->netlink);
    if (nft->context)
        nft_ctx_free(nft->context);
    free(nft->listing);
    free(nft);
}

/* ---- libnftables ---------------------------------------------------------------------------- */

static int run(struct gv_nft *nft, const char *commands, struct gv_text *error)
{
    if (nft_run_cmd_from_buffer(nft->context, commands) == 0)
        return GV_OK;
    const char *said = nft_ctx_get_error_buffer(nft->context);
    bool forbidden = strstr(said, strerror(EPERM)) != NULL;
    return gv_fail(error, forbidden ? GV_ERR_FORBIDDEN : GV_ERR_IO, "nf_tables: %.*s",
                   (int)strcspn(said, "\n"), said);
}

static const char head[] = "add table inet " GV_NFT_TABLE "\n"
                           "delete table inet " GV_NFT_TABLE "\n";

/* An IPv6 subject is a /64, so its first address is looked up. Hash sets, because one change of an
 * interval set of 100,000 takes seconds (tests/bench/firewall.sh). */
static const char body[] = "table inet " GV_NFT_TABLE " {\n"
                           "  set refused4 { type ipv4_addr; flags timeout; }\n"
                           "  set refused6 { type ipv6_addr; flags timeout; }\n"
                           "  set ranges4 { type ipv4_addr; flags interval, timeout; }\n"
                           "  set ranges6 { type ipv6_addr; flags interval, timeout; }\n"
                           "  set allowed4 { type ipv4_addr; flags interval; }\n"
                           "  set allowed6 { type ipv6_addr; flags interval; }\n"
                           "  chain refuse {\n"
                           "    iif lo return\n"
                           "    ip saddr @allowed4 return\n"
                           "    ip6 saddr @allowed6 return\n"
                           "    ip saddr @refused4 counter %s\n"
                           "    ip saddr @ranges4 counter %s\n"
                           "    ip6 saddr and ffff:ffff:ffff:ffff:: @refused6 counter %s\n"
                           "    ip6 saddr @ranges6 counter %s\n"
                           "  }\n"
                           "  chain input {\n"
                           "    type filter hook input priority -5; policy accept;\n"
                           "    tcp dport { %s } jump refuse\n"
                           "  }\n"
                           "}\n";

/* The listing, owned by the caller; NULL when there is no such table. */
static char *list_table(struct gv_nft *nft)
{
    if (nft_run_cmd_from_buffer(nft->context, "list table inet " GV_NFT_TABLE) != 0) {
        (void)nft_ctx_get_error_buffer(nft->context);
        return NULL;
    }
    return strdup(nft_ctx_get_output_buffer(nft->context));
}

int gv_nft_build(struct gv_nft *nft, const struct gv_nft_options *options, struct gv_text *error)
{
    char ports[512] = "", *commands = NULL, *rules = NULL;
    size_t len = 0;
    int rc = GV_ERR_MEMORY;

    gv_assert(options->port_count > 0 && options->port_count * 7 < sizeof ports);
    for (size_t i = 0; i < options->port_count; i++)
        len += (size_t)snprintf(ports + len, sizeof ports - len, "%s%u", i ? ", " : "",
                                options->ports[i]);
    const char *end = options->reject ? "reject with tcp reset" : "drop";
    if (asprintf(&rules, body, end, end, end, end, ports) < 0)
        rules = NULL;
    if (!rules || asprintf(&commands, "%s%s", head, rules) < 0) {
        commands = NULL;
        gv_fail(error, rc, "out of memory");
        goto out;
    }
    rc = run(nft, commands, error);
    if (rc != GV_OK)
        goto out;
    free(nft->listing);
    nft->listing = list_table(nft);
    memset(nft->prints, 0, sizeof nft->prints);
    nft->generation = gv_netlink_generation(&nft->netlink);
    if (!nft->listing)
        rc = gv_fail(error, GV_ERR_IO, "nf_tables: the table is gone as soon as it is made");
out:
    free(rules);
    free(commands);
    return rc;
}

int gv_nft_remove(struct gv_nft *nft, struct gv_text *error)
{
    return run(nft, head, error);
}

bool gv_nft_is_whole(struct gv_nft *nft)
{
    char *now = list_table(nft);
    bool whole = now && nft->listing && strcmp(now, nft->listing) == 0;

    free(now);
    return whole;
}

bool gv_nft_stirred(struct gv_nft *nft)
{
    uint32_t generation = gv_netlink_generation(&nft->netlink);
    bool stirred = generation == 0 || generation != nft->generation;

    nft->generation = generation;
    return stirred;
}

/* ---- entries -------------------------------------------------------------------------------- */

static void put_entry(struct gv_batch *batch, uint16_t type, const struct gv_plan_entry *entry)
{
    uint8_t key[16] = {0};
    bool six = entry->subject.family == GV_FAMILY_IPV6;

    memcpy(key, entry->subject.bytes, six ? 8 : 4);
    /* What is on its way out must last until the end of the transaction. */
    gv_batch_element(batch, type, six ? REFUSED6 : REFUSED4, key, six ? 16 : 4,
                     entry->seconds ? entry->seconds : GV_FIREWALL_LEASE_S, false);
}

/* Before 6.12 the kernel keeps the old time of an element that is added again, and one that it has
 * just forgotten cannot be deleted, which would fail the whole: so what it has, or may have, is
 * added, deleted, and added with the new time, in one transaction. */
static void put_entries(struct gv_batch *batch, const struct gv_plan *plan)
{
    for (size_t i = 0; i < plan->entry_count; i++)
        if (plan->entries[i].known)
            put_entry(batch, NFT_MSG_NEWSETELEM, &plan->entries[i]);
    for (size_t i = 0; i < plan->entry_count; i++)
        if (plan->entries[i].known)
            put_entry(batch, NFT_MSG_DELSETELEM, &plan->entries[i]);
    for (size_t i = 0; i < plan->entry_count; i++)
        if (plan->entries[i].seconds > 0)
            put_entry(batch, NFT_MSG_NEWSETELEM, &plan->entries[i]);
}

static uint64_t print_of(const uint8_t key[16], size_t len, bool end)
{
    static const uint8_t zero[16];
    uint8_t bytes[18] = {(uint8_t)len, end};

    memcpy(bytes + 2, key, len);
    return gv_siphash(zero, bytes, sizeof bytes);
}

/* The first address behind the prefix. False: there is none. */
static bool behind(uint8_t out[16], const struct gv_prefix *prefix)
{
    memcpy(out, prefix->bytes, 16);
    for (unsigned bit = prefix->bits; bit-- > 0;) {
        uint8_t mask = (uint8_t)(0x80u >> bit % 8);
        out[bit / 8] ^= mask;
        if (out[bit / 8] & mask)
            return true;
    }
    return false;
}

/* Returns the sum of the prints of all elements that the sets then hold. */
static void put_ranges(struct gv_batch *batch, uint64_t prints[INTERVALS], int set,
                       const struct gv_plan_range *ranges, size_t count)
{
    uint8_t end[16];

    prints[set] = prints[set + 1] = 0;
    gv_batch_flush(batch, interval_names[set]);
    gv_batch_flush(batch, interval_names[set + 1]);
    for (size_t i = 0; i < count; i++) {
        const struct gv_prefix *prefix = &ranges[i].prefix;
        size_t len = prefix->family == GV_FAMILY_IPV4 ? 4 : 16;
        int which = set + (len == 16);
        const char *name = interval_names[which];
        prints[which] += print_of(prefix->bytes, len, false);
        gv_batch_element(batch, NFT_MSG_NEWSETELEM, name, prefix->bytes, len, ranges[i].seconds,
                         false);
        if (!behind(end, prefix))
            continue;
        prints[which] += print_of(end, len, true);
        gv_batch_element(batch, NFT_MSG_NEWSETELEM, name, end, len, 0, true);
    }
}

int gv_nft_apply(struct gv_nft *nft, const struct gv_plan *plan, struct gv_text *error)
{
    uint32_t before = gv_netlink_generation(&nft->netlink);
    uint64_t prints[INTERVALS];
    struct gv_batch batch;

    memcpy(prints, nft->prints, sizeof prints);
    gv_batch_begin(&batch, nft->netlink.sequence + 1);
    put_entries(&batch, plan);
    if (plan->with_ranges)
        put_ranges(&batch, prints, RANGES4, plan->ranges, plan->range_count);
    if (plan->with_allowed)
        put_ranges(&batch, prints, ALLOWED4, plan->allowed, plan->allowed_count);
    int rc = gv_batch_commit(&nft->netlink, &batch, error);
    if (rc != GV_OK)
        return rc;
    memcpy(nft->prints, prints, sizeof prints);
    /* One step is ours; any other, also one before it that nobody looked at yet, is somebody's. */
    uint32_t after = gv_netlink_generation(&nft->netlink);
    if (before == nft->generation && after == before + 1)
        nft->generation = after;
    return GV_OK;
}

static int add_print(void *context, const struct gv_element *element)
{
    uint64_t *sum = context;

    *sum += print_of(element->key, element->key_len, element->interval_end);
    return GV_OK;
}

bool gv_nft_has_ranges(struct gv_nft *nft)
{
    for (int i = 0; i < INTERVALS; i++) {
        uint64_t sum = 0;
        if (gv_netlink_each(&nft->netlink, interval_names[i], add_print, &sum) != GV_OK ||
            sum != nft->prints[i])
            return false;
    }
    return true;
}

struct search {
    gv_nft_found found;
    void *context;
};

static int on_single(void *context, const struct gv_element *element)
{
    const struct search *search = context;
    struct gv_subject subject = {.family = element->key_len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6};

    memcpy(subject.bytes, element->key, element->key_len == 4 ? 4 : 8);
    return search->found(search->context, &subject, (uint32_t)((element->left_ms + 999) / 1000));
}

int gv_nft_each(struct gv_nft *nft, gv_nft_found found, void *context)
{
    struct search search = {found, context};
    int rc = gv_netlink_each(&nft->netlink, REFUSED4, on_single, &search);

    return rc == GV_OK ? gv_netlink_each(&nft->netlink, REFUSED6, on_single, &search) : rc;
}
