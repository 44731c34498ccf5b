/* The inside of struct gv_core, for the files of proto/mesh and core*.c that move it. Nobody else
 * includes this. */
#ifndef GV_PROTO_MESH_STATE_H
#define GV_PROTO_MESH_STATE_H

#include "crypto/certificate.h"
#include "crypto/drbg.h"
#include "crypto/identity.h"
#include "proto/effect.h"
#include "proto/event.h"
#include "proto/mesh/common.h"
#include "proto/mesh/peers.h"
#include "proto/mesh/roster.h"
#include "proto/mesh/session.h"
#include "proto/mesh/set.h"
#include "proto/mesh/traffic.h"
#include "proto/settings.h"
#include "proto/trust/history.h"
#include "proto/trust/own_locks.h"
#include "proto/trust/policy.h"
#include "proto/trust/store.h"
#include "proto/wire/log_head.h"
#include "proto/wire/messages.h"

/* What a peer had of his budgets in this minute. */
struct gv_spent {
    uint64_t minute_ms; /* its start */
    uint32_t repeats;   /* of own statements that we hold already, acknowledged once more */
    uint32_t repairs, records, acks, offered, asks, follows, pings;
    uint32_t mismatches; /* short records that no certificate known here signed */
    uint64_t bytes;      /* that nobody had asked for, with headers */
};

/* What every step looks at on every link comes first, two lines of the cache: with all of it
 * scattered, looking took longer than anything else that a forged message costs but its signature.
 */
struct gv_link {
    uint32_t id;
    bool outbound, connected, member, closing;
    bool greeted;     /* their HELLO has come */
    bool feeler;      /* dialled to compare sets with somebody new, and no more yet */
    bool silent;      /* we close it because nothing comes from there any more */
    bool errand;      /* it carries whispers and questions alone (SPEC 9.10) */
    bool follows;     /* he asked us for our locks (SPEC 9.8): */
    bool follow_due;  /* those that stand already; he asked often in this minute */
    bool followed;    /* we asked him for his */
    uint8_t lazy;     /* trees in which nothing is pushed here (SPEC 9.3) */
    uint32_t version; /* that both speak; 1 until then */
    uint64_t opened_ms, member_ms, heard_ms, sent_ms;
    uint64_t flush_ms;       /* when the outbox goes out; UINT64_MAX: nothing in it */
    uint64_t repair_ms;      /* when to repair with this peer out of turn; UINT64_MAX: not */
    uint64_t offered;        /* recent records before this number: offered, or not needed */
    uint64_t offer_ms;       /* when it was last offered some */
    uint64_t flow_due_ms;    /* when to tell them of ours */
    uint64_t locks_ms;       /* those that are due, and not before */
    struct gv_buf locks_due; /* subjects to tell him of, one after the other */
    struct gv_spent spent;

    uint32_t fed_records; /* what it brought that was new */
    uint32_t goodbye;     /* the reason they gave; UINT32_MAX: none */
    struct gv_address remote;
    uint8_t instance[GV_ID_LEN];
    uint64_t news_ms;           /* when the frames that went out have had their gaps */
    struct gv_buf outbox;       /* whole messages, not sealed yet */
    enum gv_cause outbox_cause; /* of the first of them, which pays for the frame */
    uint64_t bytes_in, bytes_out;
    struct {
        uint64_t step; /* in which it came (0) or went (1): so much in one go */
        size_t bytes;
    } going[2];
    int64_t clock_offset_ms;
    uint64_t repair_delay_ms;        /* until a repair that did not fit goes on */
    uint8_t repair_first[GV_ID_LEN]; /* what it began with */
    uint64_t repaired_soon_ms;       /* not again out of turn before */
    bool repairing;                  /* the statements are to follow the roster */
    bool joined;                     /* the first repair of this session is done */
    bool fed;                        /* the present one brought something */
    uint64_t haul_ms;                /* until then the one that a haul led to goes on, whatever the
                                        bucket holds, */
    uint32_t haul_left;              /* as long as it costs no more bytes than this */
    uint64_t exchange_ms;            /* records that come before were asked for */
    uint64_t bytes_before;           /* bytes_in a minute ago */
    uint8_t spared[GV_SPREAD_TREES]; /* by tree: so many duplicates before it is pruned again */
    uint8_t prune;                   /* trees that this message showed to be needless */
    bool again, redial; /* he told us to come again, with a proof; as soon as this ended */
    uint8_t challenge[GV_CHALLENGE_LEN]; /* which this was */
    struct gv_flow flow; /* of their mail, as they told it; size 0: not yet (SPEC 9.11) */
    uint64_t flow_heard_ms;
    struct gv_session session;
};

/* Strangers' handshakes by source, for the limits of SPEC 5.4. */
#define GV_SOURCES 256
struct gv_source {
    struct gv_subject subject;
    uint64_t minute_ms;
    uint32_t tries;
};

/* A connection whose first message is not there yet (SPEC 5.4). */
struct gv_caller {
    uint32_t id;
    uint16_t len;
    uint64_t number, since_ms;
    struct gv_address remote;
    uint8_t frame[2 + GV_KEY_LEN + GV_ADMISSION_LEN];
};

/* What may be begun, as of `ms`. */
#define GV_GROUP_BUCKETS 256
struct gv_bucket {
    uint64_t ms;
    uint64_t tokens; /* thousandths */
};

/* Addresses that a member spoke from: they keep some places when strangers press (SPEC 5.4). */
#define GV_KNOWN 256
struct gv_known {
    struct gv_subject subject;
    uint64_t until_ms; /* 0: empty */
};

/* Members that left: whoever comes back goes on with what he had spent. */
#define GV_LEFT 256
struct gv_left {
    uint8_t instance[GV_ID_LEN];
    struct gv_spent spent;
};

/* Instances that sent something invalid: not dialled and not let in for a while. */
struct gv_ban {
    uint8_t instance[GV_ID_LEN];
    uint64_t until_ms;
};

/* A record that came in this step and is to go on to the others. */
struct gv_fresh {
    uint8_t id[GV_ID_LEN];
    uint32_t from; /* link; 0: our own */
    bool calm;     /* it changes no verdict: it may wait for company */
    bool haul;     /* it came with many others: it is offered, not pushed */
    bool lead;     /* its mark stands for those that came with it */
};

/* One that was passed on a moment ago, and is still to be offered. */
struct gv_recent {
    uint8_t mark[GV_MARK_LEN];
    uint32_t from;
    uint64_t at_ms;
};

/* A mark that somebody was asked for. */
struct gv_asked {
    uint8_t mark[GV_MARK_LEN];
    uint64_t until_ms;
};

/* A word of our own on its way to its keepers. */
struct gv_errand {
    uint8_t id[GV_ID_LEN];
    uint64_t next_ms;
    uint32_t attempts, acked_count;
    uint8_t acked[GV_ERRAND_ACKS][GV_ID_LEN];
};

/* The nearest to a subject of all instances, whether they may keep it or not: who does is told of
 * these, without looking through the roster again for each step of an errand. */
#define GV_NEAREST       32u
#define GV_NEAREST_LISTS 4u
struct gv_nearest {
    struct gv_subject subject;
    uint64_t moves; /* of the roster, plus one: good while it is the same; 0: empty */
    size_t count;
    const struct gv_instance *instances[GV_NEAREST]; /* by rank */
};

/* Instances of the own owner, likewise. */
#define GV_KIN_LISTED 16u
struct gv_kin {
    uint8_t owner[GV_ID_LEN];
    uint64_t moves;
    size_t count; /* more than GV_KIN_LISTED: not all of them are listed */
    const struct gv_instance *instances[GV_KIN_LISTED];
};

/* A case that is to be published unless somebody else does. */
struct gv_pending {
    struct gv_subject subject;
    uint64_t due_ms;
};

struct gv_core {
    uint64_t now_ms, unix_ms;
    bool clock_doubtful;
    uint32_t now_min;
    struct gv_effects *effects; /* only during a step */
    struct gv_common *common;   /* borrowed; NULL: none */
    bool began_known;

    struct gv_identity identity;
    uint8_t certificate_wire[GV_CERTIFICATE_LEN];
    struct gv_certificate certificate;
    bool has_certificate, self_revoked, has_descriptor, stopping;
    bool certificate_stored;         /* as a row: what was said under it outlives its renewal */
    struct gv_descriptor descriptor; /* in force */
    struct gv_descriptor opened_descriptor; /* scratch: too large for the stack */
    /* Held: the one in force, and those of higher versions that are not in force yet. */
    struct gv_held_descriptor {
        struct gv_item *item;
        uint32_t version;
    } descriptors[GV_DESCRIPTORS_MAX];
    size_t descriptor_count;
    bool
        unsigned_left; /* certificates of a key that is named no more, and no memory to drop them */
    bool blame_due;    /* likewise an owner at fault who is not marked yet */
    struct gv_held_head { /* of the registry's log (SPEC 14.7) */
        struct gv_item *item;
        struct gv_log_head head;
        bool contradicted; /* by another one that is or was held */
    } * log_heads;         /* owned */
    size_t log_head_count, log_head_cap;
    struct gv_verifier verifier;
    struct gv_drbg drbg;
    uint8_t hash_key[16];
    uint64_t sequence;       /* last used */
    uint64_t sequence_ahead; /* numbers are so far ahead of the clock, since the last was lost */
    uint32_t address_min;    /* minute of our last address record; 0: none */
    struct gv_address address_said; /* what it said */

    struct gv_settings settings; /* its arrays are not used: they are in `policy` and `book` */
    struct gv_policy_lists policy;
    struct gv_set set;
    struct gv_roster roster;
    struct gv_store store;
    struct gv_history *history;
    struct gv_own_locks own_locks;              /* told by other hosts of this admin */
    uint8_t trusted[GV_TRUSTED_MAX][GV_ID_LEN]; /* owners whom he named */
    size_t trusted_count;
    uint8_t silenced[GV_TRUSTED_MAX][GV_ID_LEN]; /* owners whom he does not want to hear */
    size_t silenced_count;
    struct gv_book book;
    struct gv_flow flow; /* of this host's mail; size 0: nothing is told (SPEC 9.11) */

    struct gv_link **links; /* owned, link_count of them */
    size_t link_count, link_cap;
    uint32_t next_link;
    struct gv_source sources[GV_SOURCES];
    uint64_t strangers_ms, strangers_bytes; /* a minute's start; what all of them cost in it */
    struct gv_known known[GV_KNOWN];
    struct gv_left left[GV_LEFT];
    struct gv_bucket door;                          /* handshakes of strangers, */
    struct gv_bucket door_keys;                     /* keys of pairs, */
    struct gv_bucket door_papers;                   /* certificates that are not in the roster, */
    struct gv_bucket door_groups[GV_GROUP_BUCKETS]; /* and of them those of one network group */
    struct gv_table pairs;                          /* of struct pair (mesh/admission.c), owned */
    struct gv_caller callers[GV_CALLERS_MAX];       /* caller_count of them, in any order */
    size_t caller_count;
    uint64_t caller_number;
    struct gv_ban bans[GV_BANS_MAX]; /* a ring: all last as long */
    size_t ban_next;
    uint64_t banned_ms; /* the last of them ends */

    struct gv_fresh *fresh; /* owned */
    size_t fresh_count, fresh_cap;
    struct gv_recent recent[GV_RECENT];
    struct gv_asked asked[GV_ASKED];             /* by the first bytes of the mark */
    uint32_t firsts[GV_SPREAD_TREES][GV_FIRSTS]; /* links that brought the last of each tree */
    uint64_t recent_next;                        /* number of the next: recent[n % GV_RECENT] */
    uint64_t offer_ms;         /* when the offers that were made have had their pauses */
    struct gv_errand *errands; /* owned */
    size_t errand_count, errand_cap;
    struct gv_pending pending[GV_PENDING_MAX];
    size_t pending_count;
    struct gv_nearest nearest[GV_NEAREST_LISTS];
    size_t nearest_next;
    struct gv_kin kin;
    struct gv_question {
        struct gv_subject subject;
        uint64_t until_ms; /* 0: none */
    } questions[GV_QUESTIONS_MAX];
    bool public_only; /* no keepers: for comparing */
    struct gv_traffic traffic;
    uint64_t step;             /* counts them */
    bool busy;                 /* gv_traffic_is_busy, in this step */
    bool deaf;                 /* out of all trees until the bucket has filled again */
    bool answering;            /* what is posted now was asked for */
    struct gv_message message; /* scratch: too large for the stack */
    struct gv_buf plain, wire, scratch, whole;
    struct gv_vote *votes; /* owned scratch */
    size_t votes_cap;

    uint64_t minute_ms;  /* next minute's work */
    uint64_t feeler_ms;  /* next look beyond the peers (SPEC 9.4) */
    uint64_t repair_ms;  /* next repair with a random peer */
    uint64_t haul_ms;    /* until then repair is worth as much as news, */
    unsigned haul_tries; /* so many comparisons are begun all the same */
    uint32_t haul_left;  /* for so many bytes at most */
    uint64_t
        haul_next_ms[2]; /* and from then on what is offered, and what comes, makes it so again */
    uint64_t last_repair_ms, clock_noted_ms, full_noted_ms;
    uint64_t bytes_in, bytes_out;
    uint64_t
        observed; /* events from this host itself: the local history is as it was while it is */
    uint64_t signals_made, signals_accepted, signals_refused, records_duplicate;
};

struct gv_session_self gv_core_self(const struct gv_core *core);
/* The median of the peers' clocks minus ours, ms. */
int64_t gv_core_clock_offset(const struct gv_core *core);
/* now + delay, never wrapping. */
uint64_t gv_core_after(const struct gv_core *core, uint64_t delay_ms);

/* ---- mesh/admit.c: what enters the set ------------------------------------------------------ */
enum gv_source_kind {
    GV_FROM_PEER,
    GV_FROM_REGISTRY,
    GV_FROM_SELF,
    GV_FROM_STORE, /* verified when it was stored; not verified, persisted or passed on again */
    GV_FROM_STORE_KEPT, /* the same of what is not public */
    GV_FROM_WHISPER     /* a peer's, and not public */
};
/* Takes a record if it belongs into the set. Returns GV_OK, GV_ERR_DUPLICATE, or why not;
 * gv_error_is_guilt tells whether its sender should have known. from: link number, 0: none. */
int gv_admit(struct gv_core *core, const uint8_t *record, size_t len, enum gv_source_kind source,
             uint32_t from);
/* Begins a new hour's budgets when it is one. */
void gv_author_budget(struct gv_instance *author, uint32_t now_min);
/* Whether an instance may put another address record or proof in the place of one this hour; what
 * is refused now comes back with repair. */
bool gv_may_replace(struct gv_core *core, const struct gv_instance *author);
/* The minute to which a certificate is held: what it signed may count so long (SPEC 8). */
uint64_t gv_certificate_held_until(const struct gv_descriptor *descriptor, uint32_t expires_min);
bool gv_error_is_guilt(int error);
/* For what was verified when it came. */
struct gv_verifier gv_verifier_yes(void);

/* mesh/admit_statement.c, mesh/admit_roster.c: one kind of record each; the id is known to be new.
 */
struct gv_incoming {
    const uint8_t *record, *wire; /* wire = record + 1 */
    size_t len, wire_len;
    uint8_t id[GV_ID_LEN];
    enum gv_source_kind source;
    uint32_t from;
    struct gv_verifier verifier; /* one that says yes for GV_FROM_STORE */
};
int gv_admit_statement(struct gv_core *core, const struct gv_incoming *in);
int gv_admit_fault(struct gv_core *core, const struct gv_incoming *in);
int gv_admit_revocation(struct gv_core *core, const struct gv_incoming *in);
int gv_admit_certificate(struct gv_core *core, const struct gv_incoming *in);
/* Own, and in the roster that the core began with. */
int gv_take_known_certificate(struct gv_core *core, const uint8_t wire[GV_CERTIFICATE_LEN]);
int gv_admit_address(struct gv_core *core, const struct gv_incoming *in);
int gv_admit_descriptor(struct gv_core *core, const struct gv_incoming *in);
int gv_admit_log_head(struct gv_core *core, const struct gv_incoming *in); /* mesh/log_heads.c */
/* Lets go of heads that are too old, dated after `latest`, or of a key that is not named any more.
 */
void gv_log_heads_expire(struct gv_core *core, uint32_t latest);
/* Puts it into the set, persists it and passes it on, as the source asks. NULL without memory. */
struct gv_item *gv_admit_enter(struct gv_core *core, const struct gv_incoming *in,
                               enum gv_tree tree, uint32_t minute);
bool gv_is_stored(enum gv_source_kind source);
/* Pushing others out of the quota costs everybody a message, so it has a quota of its own. */
bool gv_may_displace(struct gv_core *core, const struct gv_instance *author);
/* Takes an item out of the set and the store of rows. */
void gv_admit_leave(struct gv_core *core, struct gv_item *item);
/* The descriptor in force may have changed: takes the newest held that is active. */
void gv_activate_descriptor(struct gv_core *core);

/* ---- trust in the core: mesh/judge.c -------------------------------------------------------- */
/* Room for so many votes, until the next call; NULL without memory. */
struct gv_vote *gv_scratch_votes(struct gv_core *core, size_t count);
enum gv_verdict_state gv_state_of(const struct gv_core *core, const struct gv_subject *subject);
/* Judges anew after a change and notes a verdict that is not the one before. While rows are loaded
 * it does nothing: gv_core_step judges all of them once, at the first event after the last row. */
void gv_rejudge(struct gv_core *core, const struct gv_subject *subject,
                enum gv_verdict_state before);
void gv_rejudge_all(struct gv_core *core);
/* The clock was set back: what is dated further ahead than is allowed leaves. */
void gv_forget_ahead(struct gv_core *core);
/* Lets go of a statement: set, store and row; judges its subject anew. */
void gv_drop_statement(struct gv_core *core, struct gv_held *held);
/* Drops every statement of the author at or after this minute. */
void gv_drop_author(struct gv_core *core, const struct gv_instance *author, uint32_t from_min);
/* Lets go of a certificate; with the last one, of what else is held of its instance. */
void gv_drop_certificate(struct gv_core *core, const struct gv_certificate_row *row);
/* A row that may be changed (roster.h); NULL without memory, which is noted. */
struct gv_instance *gv_own_row(struct gv_core *core, const struct gv_instance *instance);
/* Who is at fault has changed; rows of owners were copied. */
void gv_blame(struct gv_core *core);
void gv_owners_moved(struct gv_core *core);
/* The minute's work: what expired leaves, what lapsed is judged anew. */
void gv_expire(struct gv_core *core);

/* ---- what this node says itself: mesh/speak.c ------------------------------------------------ */
void gv_persist_history(struct gv_core *core, const struct gv_subject *subject);
void gv_speak_observation(struct gv_core *core, const struct gv_observation *observation);
int gv_speak_retract(struct gv_core *core, const struct gv_subject *subject);
void gv_speak_address(struct gv_core *core);
void gv_speak_number_anew(struct gv_core *core, bool lost, uint64_t ceiling);
/* The mesh or the store holds a statement of ours with this number. */
void gv_speak_learn(struct gv_core *core, uint64_t sequence, bool persist);
/* SPEC 12.3. The signal of this id was loaded, and nobody has acknowledged it. */
void gv_speak_unheard(struct gv_core *core, const uint8_t *id, size_t len);
/* Sharing is off: own signals that nobody has acknowledged leave the set, and are previews. */
void gv_speak_withdraw(struct gv_core *core);
/* An own signal that was not held has come from a peer: it was sent, whatever is known of that. */
void gv_speak_came_back(struct gv_core *core, const uint8_t id[GV_ID_LEN], uint32_t link);

/* ---- mesh/own.c: servers of one admin (SPEC 9.8) --------------------------------------------- */
/* This node's own owner, or one that its admin trusts. */
bool gv_own_is(const struct gv_core *core, const uint8_t owner[GV_ID_LEN]);
bool gv_own_link(const struct gv_core *core, const struct gv_link *link);
/* Adds what own hosts hold against the subject: points and locked_by_own. */
void gv_own_evidence(const struct gv_core *core, struct gv_action_facts *facts,
                     const struct gv_subject *subject);
/* A lock of this host has news for those that follow; called before it is taken back, too. */
void gv_own_tell(struct gv_core *core, const struct gv_subject *subject);
void gv_own_tell_range(struct gv_core *core, const struct gv_prefix *prefix);
/* Messages: HELLO, FOLLOW, LOCKS. */
void gv_own_greeted(struct gv_core *core, struct gv_link *link);
void gv_own_followed(struct gv_core *core, struct gv_link *link);
void gv_own_take_locks(struct gv_core *core, struct gv_link *link);
/* GV_ERR_DUPLICATE, GV_ERR_FULL, GV_ERR_NOT_FOUND. */
int gv_own_trust(struct gv_core *core, const uint8_t owner[GV_ID_LEN]);
int gv_own_distrust(struct gv_core *core, const uint8_t owner[GV_ID_LEN]);
/* ---- owners without a vote here: mesh/silence.c ---- */
bool gv_is_silenced(const struct gv_core *core, const uint8_t owner[GV_ID_LEN]);
/* GV_OK, GV_ERR_DUPLICATE, GV_ERR_FULL, GV_ERR_FORBIDDEN (this node's own). */
int gv_silence(struct gv_core *core, const uint8_t owner[GV_ID_LEN]);
int gv_hear_again(struct gv_core *core, const uint8_t owner[GV_ID_LEN]); /* or GV_ERR_NOT_FOUND */
/* What this instance told is worth nothing any more. */
void gv_own_forget(struct gv_core *core, const uint8_t instance[GV_ID_LEN]);
void gv_own_tick(struct gv_core *core);
void gv_own_expire(struct gv_core *core);

/* ---- mesh/flow.c: the flow of mail at peers (SPEC 9.11) -------------------------------------- */
void gv_flow_heard(struct gv_core *core, struct gv_link *link);
void gv_flow_tick(struct gv_core *core);
uint64_t gv_flow_deadline(const struct gv_core *core, const struct gv_link *link);
bool gv_flow_counts(const struct gv_core *core, const struct gv_link *link); /* what they told */

/* ---- mesh/links.c --------------------------------------------------------------------------- */
struct gv_link *gv_link_find(const struct gv_core *core, uint32_t id);
/* A member that takes part in spread and repair, now. */
bool gv_link_is_peer(const struct gv_link *link);
/* To this instance, a peer's rather than an errand's; NULL: none is open. */
struct gv_link *gv_link_of(const struct gv_core *core, const uint8_t instance[GV_ID_LEN]);
/* Opens an outgoing one; gives its number, or 0 when there is no room. */
uint32_t gv_link_dial(struct gv_core *core, const struct gv_address *address, const char *host);
void gv_link_connected(struct gv_core *core, uint32_t id, const struct gv_address *remote);
/* An incoming connection that the door lets begin; it is counted by the caller. NULL: no memory. */
struct gv_link *gv_link_accept(struct gv_core *core, uint32_t id, const struct gv_address *remote);
void gv_link_disconnected(struct gv_core *core, uint32_t id);
void gv_link_bytes(struct gv_core *core, uint32_t id, const uint8_t *data, size_t len);
/* Posts what is in `message` (whole messages) to a member. */
void gv_link_post(struct gv_core *core, struct gv_link *link, const struct gv_buf *message,
                  bool urgent);
/* Says goodbye where it can and closes. */
void gv_link_close(struct gv_core *core, struct gv_link *link, enum gv_goodbye reason);
/* It is too loud, but broke no rule: closed with "no room", and not let in for a while. */
void gv_link_send_away(struct gv_core *core, struct gv_link *link);
/* The peer sent something that it should have known to be invalid. */
void gv_link_punish(struct gv_core *core, struct gv_link *link, int error);
/* What was posted waits for the gap between two frames of news, and no longer. */
void gv_link_hurry(struct gv_core *core, struct gv_link *link);
/* What was posted is in less of a hurry. */
void gv_link_stroll(struct gv_core *core, struct gv_link *link);
void gv_links_tick(struct gv_core *core);
void gv_links_make_room(struct gv_core *core); /* once a minute */
void gv_links_flush(struct gv_core *core);
uint64_t gv_links_deadline(const struct gv_core *core);

/* ---- mesh/account.c: what it costs (SPEC 9.9, 13.2) ----------------------------------------- */
/* A message of this number that is posted to, or came from, this link. */
enum gv_cause gv_account_cause(const struct gv_core *core, const struct gv_link *link,
                               uint8_t message, bool out);
void gv_account_connection(struct gv_core *core, struct gv_link *link);
/* Of somebody who has no link yet; he said so many bytes, and was told so many. */
void gv_account_call(struct gv_core *core);
void gv_account_challenge(struct gv_core *core, size_t in, size_t out);
void gv_account_handshake(struct gv_core *core, struct gv_link *link, bool out, size_t bytes);
/* A frame: its messages are counted apart. */
void gv_account_frame(struct gv_core *core, struct gv_link *link, enum gv_cause cause, bool out,
                      size_t plain);
void gv_account_message(struct gv_core *core, struct gv_link *link, enum gv_cause cause, bool out,
                        size_t bytes);
/* What came or goes on this link from now on was asked for. */
void gv_account_exchange(struct gv_core *core, struct gv_link *link);
/* The minute's work: while others send more than may be moved, and nobody in particular, the trees
 * are left. */
void gv_account_minute(struct gv_core *core);
/* At the end of a link's minute: did it send so much that it has to go? */
bool gv_account_is_flooding(const struct gv_core *core, const struct gv_link *link);

/* ---- mesh/door.c: who may come in (SPEC 5.3, 5.4) ------------------------------------------- */
void gv_door_open(struct gv_core *core);
/* May a connection from there begin a handshake? GV_OK, or why not, before any cryptography;
 * GV_ERR_NOT_FOUND: nobody knows the address, and it depends on what he says first. */
int gv_door_knock(struct gv_core *core, const struct gv_address *remote);
/* He has said it, and has proven that he is a member, or has not. */
int gv_door_admit(struct gv_core *core, const struct gv_address *remote, bool proven);
/* One of so many a second, twice as many at once. */
bool gv_bucket_take(const struct gv_core *core, struct gv_bucket *bucket, unsigned per_second);
/* The peer has shown a certificate and is let in. */
void gv_door_enter(struct gv_core *core, struct gv_link *link);
/* A member's link is at its end. */
void gv_door_leave(struct gv_core *core, const struct gv_link *link);
void gv_door_ban(struct gv_core *core, const uint8_t instance[GV_ID_LEN]);
bool gv_is_banned(const struct gv_core *core, const uint8_t instance[GV_ID_LEN]);

/* ---- mesh/callers.c, mesh/admission.c (SPEC 5.4, 5.6) ---------------------------------------- */
void gv_caller_new(struct gv_core *core, uint32_t id, const struct gv_address *remote);
/* False: he is none. */
bool gv_caller_bytes(struct gv_core *core, uint32_t id, const uint8_t *data, size_t len);
bool gv_caller_gone(struct gv_core *core, uint32_t id);
void gv_callers_tick(struct gv_core *core);
uint64_t gv_callers_deadline(const struct gv_core *core);
/* The cookie of this address and of so many periods ago. */
void gv_door_cookie(const struct gv_core *core, uint8_t out[GV_COOKIE_LEN],
                    const struct gv_address *remote, uint64_t periods_ago);
/* Does the payload of this first message show that its sender is a member? */
bool gv_door_proves(struct gv_core *core, const struct gv_address *remote,
                    const uint8_t ephemeral[GV_KEY_LEN], const uint8_t admission[GV_ADMISSION_LEN]);
void gv_door_forget_pairs(struct gv_core *core);

/* ---- mesh/keepers.c, mesh/errands.c (SPEC 9.10) ---------------------------------------------- */
/* False in a mesh of up to seven nodes that can be reached: there every word is public. */
bool gv_keepers_in_force(const struct gv_core *core);
/* The keepers of a subject by rank, first those seven, then those that stand in; how many. */
size_t gv_keepers_of(struct gv_core *core, const struct gv_instance *out[GV_KEEPERS_RANKED],
                     const struct gv_subject *subject);
/* The lowest is the first. */
uint64_t gv_keeper_score(const uint8_t key[GV_ID_LEN], uint64_t placement);
/* Something came or went on the subject: is it to be published, and when? */
void gv_keep_look(struct gv_core *core, const struct gv_subject *subject);
void gv_keep_look_all(struct gv_core *core);
/* Does what is public on the subject give every verdict there is, or in a busy hour the one that
 * most act on? Then more votes may wait where they are. */
bool gv_keep_is_enough(struct gv_core *core, const struct gv_subject *subject);
/* Makes a kept statement public and passes it on. GV_OK, GV_ERR_EARLY,
 * GV_ERR_EXPIRED, GV_ERR_RATE or GV_ERR_MEMORY. */
int gv_keep_publish(struct gv_core *core, struct gv_held *held, uint32_t from);
void gv_keep_tick(struct gv_core *core);
uint64_t gv_keep_deadline(const struct gv_core *core);
void gv_keep_asked(struct gv_core *core, struct gv_link *link); /* ASK came */
/* Takes a kept statement of our own to its keepers. */
void gv_errand_begin(struct gv_core *core, const struct gv_held *held, uint64_t delay_ms);
void gv_errands_resume(struct gv_core *core); /* all that were loaded */
void gv_errands_tick(struct gv_core *core);
uint64_t gv_errands_deadline(const struct gv_core *core);
void gv_errands_serve(struct gv_core *core, struct gv_link *link); /* it is open */
/* Asks the first keepers; their answers are kept as they come. GV_OK, GV_ERR_SUBJECT, GV_ERR_STATE
 * (no descriptor or certificate), GV_ERR_DUPLICATE (there are no keepers: all is public) or
 * GV_ERR_BUSY. */
int gv_errand_ask(struct gv_core *core, const struct gv_subject *subject);
void gv_errand_acked(struct gv_core *core, const uint8_t id[GV_ID_LEN],
                     const uint8_t instance[GV_ID_LEN]);

/* ---- mesh/spread.c, mesh/repair.c ----------------------------------------------------------- */
void gv_spread_message(struct gv_core *core, struct gv_link *link);
/* Remembers that this record is to go on. */
void gv_spread_fresh(struct gv_core *core, const uint8_t id[GV_ID_LEN], uint32_t from);
/* The last of them is in no hurry. */
void gv_spread_calm(struct gv_core *core);
/* Posts all that is fresh to every member but the one it came from. */
void gv_spread_flush(struct gv_core *core);
/* Posts items of the set, batched. */
void gv_spread_items(struct gv_core *core, struct gv_link *link, struct gv_item *const *items,
                     size_t count, bool urgent);
void gv_spread_want(struct gv_core *core, struct gv_link *link, const uint8_t *ids, size_t count);

/* ---- mesh/brief.c: short records (SPEC 8.7) -------------------------------------------------- */
/* Adds it to a message that was begun, in the shortest form that the peer reads. */
void gv_brief_put(const struct gv_core *core, const struct gv_link *link, struct gv_buf *message,
                  const struct gv_item *item);
/* gv_admit of a short record; the whole one is in core->whole when that says GV_OK or
 * GV_ERR_DUPLICATE. GV_ERR_NO_CERTIFICATE: it names none that is known here and signed it. */
int gv_brief_take(struct gv_core *core, struct gv_link *link, const uint8_t *data, size_t len,
                  enum gv_source_kind source);

/* ---- mesh/tree.c ---------------------------------------------------------------------------- */
/* The number of the tree along which it spreads: what is said of one subject goes one way. */
unsigned gv_tree_of(const struct gv_item *item);
unsigned gv_tree_of_subject(const struct gv_subject *subject);
/* Something of this tree was pushed by this link, and was new, or was not. */
void gv_tree_first(struct gv_core *core, struct gv_link *link, unsigned tree);
void gv_tree_duplicate(const struct gv_core *core, struct gv_link *link, unsigned tree);
void gv_tree_prune(struct gv_core *core, struct gv_link *link); /* after its message */
/* A link that is in no tree, and in all of them. */
void gv_tree_leave(struct gv_core *core, struct gv_link *link);
void gv_tree_enter(struct gv_core *core, struct gv_link *link);
void gv_tree_lost(struct gv_core *core, const struct gv_link *gone);
/* The mesh moves more than this node may: it is pushed nothing until its bucket has filled. */
void gv_tree_deafen(struct gv_core *core);
void gv_tree_remember(struct gv_core *core, const struct gv_item *item, uint32_t from);
/* Posts that so many marks are to be had here. */
void gv_tree_offer(struct gv_core *core, struct gv_link *link, const uint8_t *marks, size_t count,
                   bool urgent);
/* A frame goes out on this link: what is to be offered there goes along. */
void gv_tree_board(struct gv_core *core, struct gv_link *link);
void gv_tree_tick(struct gv_core *core);
uint64_t gv_tree_deadline(const struct gv_core *core);
/* PRUNE, OFFER, GRAFT came. */
void gv_tree_pruned(struct gv_core *core, struct gv_link *link);
void gv_tree_offered(struct gv_core *core, struct gv_link *link);
void gv_tree_grafted(struct gv_core *core, struct gv_link *link);

void gv_repair_soon(struct gv_core *core, struct gv_link *link);
/* Much came at once, or was only offered: within 10 to 20 s it is asked whether that was all. What
 * came has a turn of its own; an offer is only somebody's word (SPEC 9.3). */
void gv_repair_haul(struct gv_core *core, bool came);
/* May sets be compared now? */
bool gv_repair_allows(struct gv_core *core);
/* The roster, and when that is done, the statements: what a new link needs. */
void gv_repair_join(struct gv_core *core, struct gv_link *link);
/* One tree. */
void gv_repair_begin(struct gv_core *core, struct gv_link *link, enum gv_tree tree);
void gv_repair_answer(struct gv_core *core, struct gv_link *link);
void gv_repair_tick(struct gv_core *core);

#endif
