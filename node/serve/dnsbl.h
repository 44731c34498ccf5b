/* The DNS server of the two lists, on UDP and TCP, inside the loop: a socket each per address, no
 * thread. Who asks from another host is told REFUSED unless `clients` has his address. (SPEC 18.2)
 */
#ifndef GV_NODE_SERVE_DNSBL_H
#define GV_NODE_SERVE_DNSBL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/text.h"
#include "node/serve/dns_message.h"
#include "proto/address.h"
#include "proto/settings.h"

/* Connections at once; then the one that says nothing for longest goes. */
#define GV_DNSBL_TCP_MAX     64
#define GV_DNSBL_TCP_IDLE_MS 10000 /* without a whole query; also for an answer nobody takes */

struct gv_dnsbl;

struct gv_dnsbl_options {
    uv_loop_t *loop;
    const struct gv_address *listen; /* port 0: any free one, the same for UDP and TCP */
    size_t listen_count;
    const struct gv_prefix *clients; /* who may ask beside this host; copied */
    size_t client_count;
    struct gv_dns_source source; /* copied; its serial is taken from `serial` at each query */
    uint32_t (*serial)(void *context);
    /* The subject is asked for in a moment; may be NULL. Context as of the source. */
    void (*soon)(void *context, const struct gv_subject *subject);
};

struct gv_dnsbl_counters {
    uint64_t queries, listed; /* answered; of them with an A or TXT */
    uint64_t refused;         /* from elsewhere, or about another zone */
    uint64_t malformed;
    uint64_t tcp_connections, tcp_closed; /* closed: too many, too slow or malformed */
};

/* Returns GV_OK; GV_ERR_BUSY (the port is in use), GV_ERR_FORBIDDEN, GV_ERR_IO, GV_ERR_MEMORY. */
int gv_dnsbl_start(struct gv_dnsbl **out, const struct gv_dnsbl_options *options,
                   struct gv_text *error);
/* The loop must run on until its handles are closed; it frees itself then. NULL is allowed. */
void gv_dnsbl_stop(struct gv_dnsbl *dnsbl);

void gv_dnsbl_counters(const struct gv_dnsbl *dnsbl, struct gv_dnsbl_counters *out);
uint16_t gv_dnsbl_port(const struct gv_dnsbl *dnsbl); /* of the first address */

#endif
