/* What the two halves of the DNS server share: dnsbl.c (UDP, start and stop), dnsbl_tcp.c. */
#ifndef GV_NODE_SERVE_DNSBL_INTERNAL_H
#define GV_NODE_SERVE_DNSBL_INTERNAL_H

#include "node/serve/dnsbl.h"

struct gv_dnsbl_connection;

struct gv_dnsbl_server {
    struct gv_dnsbl *dnsbl;
    uv_loop_t *loop;
    struct gv_dns_source source;
    uint32_t (*serial)(void *context);
    void (*soon)(void *context, const struct gv_subject *subject);
    struct gv_dnsbl_connection *connections; /* a list, until the last of their handles is closed */
    size_t open;                             /* of them, not closing */
    uint64_t tcp_turns;                      /* connections and answers so far */
    struct gv_dnsbl_counters counters;
};

bool gv_dnsbl_welcome(const struct gv_dnsbl_server *server, const struct sockaddr *from);
/* Answers and counts; as gv_dns_write. */
size_t gv_dnsbl_answer(struct gv_dnsbl_server *server, uint8_t out[GV_DNS_ANSWER_MAX],
                       const uint8_t *query, const struct gv_dns_question *question, bool welcome);

/* Takes over the connection `fd`. */
void gv_dnsbl_accept(struct gv_dnsbl_server *server, int fd);
void gv_dnsbl_close_connections(struct gv_dnsbl_server *server);
/* Told by dnsbl_tcp.c after a connection left the list. */
void gv_dnsbl_connection_gone(struct gv_dnsbl_server *server);

#endif
