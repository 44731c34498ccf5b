/* What of a configuration takes effect only at the next start. */
#include <string.h>

#include "node/base/options.h"
#include "node/base/options_enforce.h"

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool same_strings(const struct gv_config_strings *a, const struct gv_config_strings *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return a->count == b->count;
}

static bool same_addresses(const struct gv_address *a, size_t a_count, const struct gv_address *b,
                           size_t b_count)
{
    for (size_t i = 0; i < a_count && a_count == b_count; i++)
        if (!gv_address_equal(&a[i], &b[i]))
            return false;
    return a_count == b_count;
}

const char *gv_options_fixed_change(const struct gv_options *now, const struct gv_options *next)
{
    if (!same_text(now->data, next->data))
        return "[node] data";
    if (!same_addresses(now->listen_at, now->listen.count, next->listen_at, next->listen.count))
        return "[node] listen";
    if (!same_addresses(now->bind_to, now->bind.count, next->bind_to, next->bind.count))
        return "[node] bind";
    if (!same_text(now->control_path, next->control_path))
        return "[node] control";
    if (!same_text(now->control_group, next->control_group))
        return "[node] control_group";
    if (!same_text(now->registry, next->registry))
        return "[network] registry";
    if (!same_text(now->registry_ca, next->registry_ca))
        return "[network] registry_ca";
    if (!same_text(now->descriptor, next->descriptor))
        return "[network] descriptor";
    if (!same_text(now->id, next->id))
        return "[network] id";
    if (!same_text(now->timezone, next->timezone))
        return "[log] timezone";
    if (!same_addresses(now->dnsbl_at, now->dnsbl_listen.count, next->dnsbl_at,
                        next->dnsbl_listen.count))
        return "[dnsbl] listen";
    if (now->dnsbl_clients.count != next->dnsbl_clients.count ||
        memcmp(now->dnsbl_client_ranges, next->dnsbl_client_ranges,
               now->dnsbl_clients.count * sizeof *now->dnsbl_client_ranges) != 0)
        return "[dnsbl] clients";
    if (now->http_listen.count != next->http_listen.count ||
        (now->http_listen.count &&
         (strcmp(now->http_listen.items[0].host, next->http_listen.items[0].host) != 0 ||
          now->http_listen.items[0].port != next->http_listen.items[0].port)))
        return "[http] listen";
    if (now->http_clients.count != next->http_clients.count ||
        (now->http_clients.count &&
         memcmp(now->http_clients.items, next->http_clients.items,
                now->http_clients.count * sizeof *now->http_clients.items) != 0))
        return "[http] clients";
    if (!same_strings(&now->http_names, &next->http_names))
        return "[http] names";
    if (now->statements != next->statements)
        return "[limits] statements";
    if (now->traffic_kb != next->traffic_kb)
        return "[limits] traffic";
    if (now->history != next->history)
        return "[limits] history";
    if (now->telemetry_s != next->telemetry_s)
        return "[limits] telemetry";
    if (now->journal_s != next->journal_s)
        return "[limits] journal";
    if (gv_options_enforce_fixed_change(now, next))
        return gv_options_enforce_fixed_change(now, next);
    if (now->statistics_s != next->statistics_s)
        return "[limits] statistics";
    if (!same_text(now->user, next->user))
        return "[node] user";
    if (!same_strings(&now->groups, &next->groups))
        return "[node] groups";
    return NULL;
}
