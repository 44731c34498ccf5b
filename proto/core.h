/* The core: the whole protocol as one machine without clock, sockets, files or dice. It is moved
 * by gv_core_step alone and answers questions from memory. node/host/driver.c runs it against the
 * world, sim/ against a simulated one. (SPEC 1.3) */
#ifndef GV_PROTO_CORE_H
#define GV_PROTO_CORE_H

#include "crypto/certificate.h"
#include "crypto/drbg.h"
#include "crypto/identity.h"
#include "proto/effect.h"
#include "proto/event.h"
#include "proto/mesh/traffic.h"
#include "proto/settings.h"
#include "proto/trust/action.h"
#include "proto/trust/history.h"
#include "proto/trust/verdict.h"
#include "proto/wire/descriptor.h"
#include "proto/wire/log_head.h"

struct gv_core;
/* What several cores of one process hold together (mesh/common.h): bytes that each of them has, and
 * that never change. */
struct gv_common;
struct gv_common *gv_common_new(void);         /* NULL without memory */
void gv_common_free(struct gv_common *common); /* after the cores that were given it */

struct gv_core_options {
    const struct gv_identity *identity; /* copied */
    const uint8_t *descriptor;          /* signed wire; NULL: none yet, the mesh waits for NEWS */
    size_t descriptor_len;
    const uint8_t *certificate;  /* own, GV_CERTIFICATE_LEN bytes; NULL: not enrolled yet */
    uint8_t seed[GV_SEED_LEN];   /* all randomness of the core comes from here */
    struct gv_verifier verifier; /* zero: libsodium */
    struct gv_settings settings;
    size_t statements_max;    /* signals and retractions held; 0: GV_STATEMENTS_MAX */
    size_t history_max;       /* subjects with local history; 0: GV_HISTORY_MAX */
    bool clock_doubtful;      /* as in GV_EVENT_CLOCK */
    bool public_only;         /* every word goes to everybody, as in a small mesh */
    uint64_t bytes_per_hour;  /* cap of traffic, in and out; 0: GV_TRAFFIC_CAP */
    struct gv_common *common; /* NULL: it shares nothing */
    bool known; /* to begin with the roster that the common has, as if its rows had been loaded */
};

/* Returns GV_OK, GV_ERR_MEMORY, or why the descriptor or the certificate is not valid. now_ms: a
 * clock that only goes forward, from any origin, the same for every call; unix_ms: the wall clock
 * at that moment. */
int gv_core_new(struct gv_core **out, const struct gv_core_options *options, uint64_t now_ms,
                uint64_t unix_ms);
void gv_core_free(struct gv_core *core);
/* Whether it began `known`: else the rows are to be loaded. */
bool gv_core_began_known(const struct gv_core *core);
/* Grows with each observation and command: while it is the same, what this host knows by itself of
 * any subject changes with the time alone. */
uint64_t gv_core_observed(const struct gv_core *core);

/* The one door. Appends to *effects (the caller clears it). now_ms never goes back. Returns GV_OK,
 * or an error of the event itself: a command that is not valid, news that is not, a row that is
 * not; the core is unharmed by any of them. */
int gv_core_step(struct gv_core *core, uint64_t now_ms, const struct gv_event *event,
                 struct gv_effects *effects);
/* When the core next wants a TIMER event, on the same clock; never later than a minute off. */
uint64_t gv_core_deadline(const struct gv_core *core);

/* ---- questions: const, from memory ---------------------------------------------------------- */

void gv_core_verdict(const struct gv_core *core, struct gv_verdict *out,
                     const struct gv_subject *subject);
/* The action, and all it was derived from; verdict and facts may be NULL. */
struct gv_decision gv_core_decide(const struct gv_core *core, struct gv_verdict *verdict,
                                  struct gv_action_facts *facts, const struct gv_subject *subject);
/* Whether the admin's lists refuse it: the first line of the action, without the others. */
bool gv_core_is_denied(const struct gv_core *core, const struct gv_subject *subject);
int gv_core_history(const struct gv_core *core, struct gv_history_summary *out,
                    const struct gv_subject *subject);
/* Subjects on which the set holds a signal, in no particular order: *cursor starts at 0. */
bool gv_core_next_subject(const struct gv_core *core, size_t *cursor, struct gv_subject *out);
/* Subjects with local history. */
bool gv_core_next_local(const struct gv_core *core, size_t *cursor, struct gv_subject *out);
/* The admin's own list entries (commands, not configuration). */
bool gv_core_next_listed(const struct gv_core *core, size_t *cursor, struct gv_prefix *out,
                         bool *deny);

/* An owner who has no vote here, by the admin's word (SPEC 11.5). */
bool gv_core_is_silenced(const struct gv_core *core, const uint8_t owner[GV_ID_LEN]);
/* How many such owners report this subject now. */
uint32_t gv_core_unheard(const struct gv_core *core, const struct gv_subject *subject);
/* Owners whom the admin trusts (SPEC 9.8). */
bool gv_core_next_trusted(const struct gv_core *core, size_t *cursor, uint8_t owner[GV_ID_LEN]);
/* Whether a session with another server of this admin has told that it has locked the subject: for
 * how long more, and which. */
bool gv_core_own_lock(const struct gv_core *core, const struct gv_subject *subject,
                      uint32_t *seconds, uint8_t instance[GV_ID_LEN]);
/* Subjects that are so locked now: *cursor starts at 0. */
bool gv_core_next_own_lock(const struct gv_core *core, size_t *cursor, struct gv_subject *out);

struct gv_peer_info {
    uint32_t link;
    bool outbound;
    bool member; /* the handshake is done; what follows is only valid then */
    bool own;    /* of this admin, or trusted: SPEC 9.8 */
    struct gv_address remote;
    uint8_t instance[GV_ID_LEN], owner[GV_ID_LEN];
    uint64_t group;
    uint64_t since_ms;            /* of the step clock */
    uint64_t bytes_in, bytes_out; /* payload of TCP */
    int64_t clock_offset_ms;      /* peer's clock minus ours, at hello */
};
/* Links, in table order: *cursor starts at 0. */
bool gv_core_next_peer(const struct gv_core *core, size_t *cursor, struct gv_peer_info *out);

/* What direct peers told of their mail in the last three hours, one for each owner; *mine is what
 * this node tells, size 0: nothing. Returns how many, at most `cap`. (SPEC 9.11) */
size_t gv_core_flows(const struct gv_core *core, struct gv_flow *mine, struct gv_flow *out,
                     size_t cap);

struct gv_instance_info {
    uint8_t instance[GV_ID_LEN], owner[GV_ID_LEN];
    uint64_t group;
    uint32_t since_min, expires_min;
    uint32_t revoked_min, fault_min; /* GV_NEVER */
    struct gv_address address;       /* GV_FAMILY_NONE: outbound only, or not told */
};
/* The roster: every certified instance known here. */
bool gv_core_next_instance(const struct gv_core *core, size_t *cursor,
                           struct gv_instance_info *out);

struct gv_core_status {
    bool has_descriptor, has_certificate, self_revoked;
    uint8_t instance[GV_ID_LEN];
    uint32_t certificate_expires_min;
    size_t peers, peers_outbound, links; /* members connected; of them dialled; all links */
    size_t known_addresses;
    size_t instances;            /* in the roster */
    size_t statements, subjects; /* public ones in the set; all that are spoken of here */
    size_t kept, errands;        /* held and not public; own words not at their keepers */
    size_t reported, untrusted;  /* subjects by verdict */
    size_t local_subjects;
    size_t own_hosts, own_locks;  /* connected; told by them */
    uint64_t bytes_in, bytes_out; /* all links since the start */
    uint64_t signals_made, signals_accepted, signals_refused, records_duplicate;
    uint64_t last_repair_ms;               /* step clock; 0: none yet */
    uint8_t set_fingerprint[GV_ID_LEN];    /* of the statements: equal on nodes with equal sets */
    uint8_t kept_fingerprint[GV_ID_LEN];   /* of what is not public */
    uint8_t roster_fingerprint[GV_ID_LEN]; /* of the other records */
    int64_t clock_offset_ms;               /* median of the peers' clocks minus ours */
};
void gv_core_status(const struct gv_core *core, struct gv_core_status *out);
/* What this node moved and why: counted with headers (SPEC 9.9). */
const struct gv_traffic *gv_core_traffic(const struct gv_core *core);
/* Heads of the registry's log that are held (SPEC 14.7), with their wire form (borrowed), in no
 * particular order; whether another contradicts it. *cursor starts at 0. */
bool gv_core_next_log_head(const struct gv_core *core, size_t *cursor, struct gv_log_head *out,
                           bool *contradicted, const uint8_t **wire, size_t *wire_len);
/* Every certificate held, instances may have several. */
bool gv_core_next_certificate(const struct gv_core *core, size_t *cursor,
                              struct gv_certificate *out);
/* The descriptor in force, or NULL. */
const struct gv_descriptor *gv_core_descriptor(const struct gv_core *core);
/* The settings in force: share mode and so on. */
const struct gv_settings *gv_core_settings(const struct gv_core *core);

#endif
