#include "node/host/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "node/host/net.h"

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct gv_prefix));
}

size_t gv_interfaces_read(struct gv_prefix out[GV_INTERFACES_MAX])
{
    struct ifaddrs *all = NULL;
    struct gv_address address;
    size_t count = 0, kept = 0;

    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *at = all; at && count < GV_INTERFACES_MAX; at = at->ifa_next) {
        if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) ||
            !gv_net_from_sockaddr(&address, at->ifa_addr))
            continue;
        struct gv_prefix *prefix = &out[count++];
        memset(prefix, 0, sizeof *prefix);
        prefix->family = address.family;
        prefix->bits = address.family == GV_FAMILY_IPV4 ? 32 : 128;
        memcpy(prefix->bytes, address.bytes, sizeof prefix->bytes);
    }
    freeifaddrs(all);
    qsort(out, count, sizeof *out, compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare(&out[kept - 1], &out[i]) != 0)
            out[kept++] = out[i];
    return kept;
}
