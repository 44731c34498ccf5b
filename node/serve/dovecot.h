/* Dovecot's auth policy server (SPEC 18.3): asked before each login, told after it. Knows each
 * failure at once and better than the log does; what the log says of the same attempts later is
 * absorbed here.
 *
 * Guesses from one address do not overtake each other: while as many logins are under way as it has
 * wrong guesses left, the next question waits for the first of them to be reported. So a hundred
 * parallel guesses get one answer, and a client with the right password waits for nothing but
 * itself. */
#ifndef GV_NODE_SERVE_DOVECOT_H
#define GV_NODE_SERVE_DOVECOT_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "node/base/http.h"
#include "proto/core.h"

#define GV_DOVECOT_GUESSES 5u /* under way at once from an address without failures */
/* For a report; then one question of an address is decided as it stands, and from a one-strike
 * address no other. */
#define GV_DOVECOT_WAIT_MS 5000u
/* What may be another guess or a second question waits so long for a report; below the 2 s that
 * Dovecot waits by itself. */
#define GV_DOVECOT_AGAIN_MS  1500u
#define GV_DOVECOT_FLIGHT_MS 60000u  /* a login that was never reported is forgotten */
#define GV_DOVECOT_WAITING   1024u   /* questions that wait, of all addresses */
#define GV_DOVECOT_ABSORB_MS 900000u /* so long the log may come late */
/* An old password that a client repeats counts once a day. */
#define GV_DOVECOT_REPEAT_MS 86400000u
#define GV_DOVECOT_REFUSAL   "Refused by grapevine" /* known to the log reader (SPEC 10.2) */

struct gv_dovecot;

struct gv_dovecot_options {
    uv_loop_t *loop;
    const struct gv_core *core; /* borrowed until gv_dovecot_stop */
    const uint8_t *account_key; /* 16 bytes, copied: the same as the log reader's */
    bool enforced;              /* false: nobody is refused, it is only counted */
    void *context;
    void (*observe)(void *context, const struct gv_observation *observation);
};

struct gv_dovecot_counters {
    uint64_t asked, refused;     /* refused: told -1 */
    uint64_t would_refuse;       /* if it were enforced */
    uint64_t waited;             /* for another login of the same address */
    uint64_t crowded;            /* of those refused: one-strike, and behind another for too long */
    uint64_t reported, repeated; /* repeated: failures with a password that had failed before */
    uint64_t absorbed;           /* attempts that the log told of again */
    uint64_t malformed;
};

/* About 4 MB, fixed. Returns GV_OK or GV_ERR_MEMORY. */
int gv_dovecot_start(struct gv_dovecot **out, const struct gv_dovecot_options *options);
/* The loop must run on until its handle is closed; it frees itself then. NULL is allowed. Stop the
 * HTTP server first: it ends the requests that wait. */
void gv_dovecot_stop(struct gv_dovecot *dovecot);
void gv_dovecot_enforce(struct gv_dovecot *dovecot, bool enforced);

/* POST ?command=allow and ?command=report. */
void gv_dovecot_handle(struct gv_dovecot *dovecot, struct gv_http_request *request);

/* Takes from a log's observation what was reported already. False: nothing is left of it. */
bool gv_dovecot_absorb(struct gv_dovecot *dovecot, struct gv_observation *observation,
                       uint64_t now_ms);

void gv_dovecot_counters(const struct gv_dovecot *dovecot, struct gv_dovecot_counters *out);

#endif
