/* What the policy server knows of the addresses that are logging in right now: a table of fixed
 * size, in which the address that was quiet longest gives way. */
#ifndef GV_NODE_SERVE_DOVECOT_CLIENTS_H
#define GV_NODE_SERVE_DOVECOT_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/serve/dovecot.h"

struct gv_dovecot_waiting; /* dovecot.c's */

struct gv_dovecot_flight {
    uint64_t token; /* of the login: name, password, session; 0: free */
    uint64_t at_ms;
    bool again; /* Dovecot asked of it a second time */
};

struct gv_dovecot_client {
    struct gv_subject subject; /* family GV_FAMILY_NONE: free */
    uint64_t seen_ms;
    struct gv_dovecot_flight flights[GV_DOVECOT_GUESSES];
    uint32_t failures, successes; /* reported, and not yet told of by the log */
    uint64_t reported_ms;
    uint64_t overtaken_ms; /* when one last went although another was under way; 0: never */
    struct gv_dovecot_waiting *waiting; /* the first of a list */
};

struct gv_dovecot_clients;

struct gv_dovecot_clients *gv_dovecot_clients_new(const uint8_t key[16]);
void gv_dovecot_clients_free(struct gv_dovecot_clients *clients);

/* NULL when it is not known, and `make` is false or all in its place have questions waiting. */
struct gv_dovecot_client *gv_dovecot_client(struct gv_dovecot_clients *clients,
                                            const struct gv_subject *subject, uint64_t now_ms,
                                            bool make);

/* Flights of which no report came are over. Returns how many are under way. */
size_t gv_dovecot_flying(struct gv_dovecot_client *client, uint64_t now_ms);
/* NULL when it is not under way. */
struct gv_dovecot_flight *gv_dovecot_flight(struct gv_dovecot_client *client, uint64_t token);
void gv_dovecot_take_off(struct gv_dovecot_client *client, uint64_t token, uint64_t now_ms);
void gv_dovecot_land(struct gv_dovecot_client *client, uint64_t token);

/* Whether this value was marked within `life_ms`; marks it. For passwords and sessions. */
bool gv_dovecot_mark(struct gv_dovecot_clients *clients, uint64_t value, uint64_t now_ms,
                     uint64_t life_ms);

#endif
