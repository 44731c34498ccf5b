/* The loop of grapevine-firewall: one client on a Unix socket, one table in the kernel. */
#ifndef GV_NODE_FIREWALL_SERVER_H
#define GV_NODE_FIREWALL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "node/base/text.h"
#include "node/firewall/nft.h"

#define GV_FIREWALL_USERS 3

struct gv_firewall_server {
    int listener, signals;          /* a listening socket, a signalfd of SIGHUP, SIGINT, SIGTERM */
    uid_t users[GV_FIREWALL_USERS]; /* who may connect */
    size_t user_count;
    const char *folder; /* and its owner, as which the daemon runs; borrowed */
    struct gv_nft *nft;
    struct gv_nft_table *table;
    struct gv_nft_options rules;   /* ports: borrowed */
    const struct gv_prefix *allow; /* the admin's; borrowed */
    size_t allow_count;
    /* SIGHUP: sets rules and allow anew, or leaves them. */
    void (*reload)(struct gv_firewall_server *server, void *context);
    void *context;

    /* its own */
    int client; /* -1: none */
    bool greeted, unbuilt;
    uint8_t *in; /* owned; a record may come in pieces */
    size_t in_len;
    uint32_t not_taken;
    uint64_t interfaces_s;
};

/* Takes over what a former run left in the kernel, and runs until SIGTERM. The table stays when it
 * returns. Returns GV_OK, GV_ERR_MEMORY, or why the table could not be made at first. */
int gv_firewall_serve(struct gv_firewall_server *server, struct gv_text *error);

#endif
