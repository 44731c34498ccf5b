/* What happens to a core. The shell (or the simulator) translates the world into these and never
 * decides anything itself. Pointers borrow: the core copies what it keeps. */
#ifndef GV_PROTO_EVENT_H
#define GV_PROTO_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/address.h"
#include "proto/flow.h"
#include "proto/observation.h"
#include "proto/settings.h"

/* A link is one TCP connection. Links that the core opens (GV_EFFECT_CONNECT) carry the number it
 * chose, which has the top bit clear; the shell numbers incoming ones with the top bit set. A
 * number is not used again while the core lives. */
#define GV_LINK_INCOMING 0x80000000u

/* Rows of the local store, by table; the bytes are opaque to the shell. */
enum gv_row {
    GV_ROW_RECORD = 1, /* key: record id (16). value: kind byte || wire */
    GV_ROW_HISTORY,    /* key: gv_history_key (9) */
    GV_ROW_LIST, /* key: 1 byte list || prefix (18): the admin's allow and deny entries; or 2 ||
                    owner tag (16): whom he trusts;
                    3 || owner tag: whom he does not hear */
    GV_ROW_SELF, /* key: 1 byte. 1: last own sequence number (8), how far the numbers are
                    ahead of the clock, ms (8; absent: 0) */
    GV_ROW_PEER, /* key: address (6 or 18): address book, reached before */
    GV_ROW_SENT, /* key: record id (16). value: kind byte || wire: own statement, telemetry;
                    0x80 is set in the kind of one that was only previewed */
    GV_ROW_ACK   /* key: record id (16) || instance id (16): who acknowledged it. value: empty */
};

enum gv_event_kind {
    GV_EVENT_TIMER,     /* nothing but time passed */
    GV_EVENT_CLOCK,     /* the wall clock was set: at the start, and when it jumps by 1 s or more */
    GV_EVENT_CONNECTED, /* a link is up */
    GV_EVENT_DISCONNECTED, /* a link is gone, or could not be opened; after GV_EFFECT_CLOSE too */
    GV_EVENT_BYTES,        /* bytes arrived on a link */
    GV_EVENT_OBSERVATION,  /* the log said something */
    GV_EVENT_LOADED, /* a row of the store, at the start: SELF and RECORD rows first, and among
                        the records those of kind descriptor, certificate, revocation, fault */
    GV_EVENT_NEWS,   /* a signed record from the registry: kind byte || wire */
    GV_EVENT_COMMAND /* the admin wants something */
};

enum gv_command {
    GV_COMMAND_CONFIGURE, /* settings changed (reload) */
    GV_COMMAND_ALLOW,     /* add to the allow list; removes it from the deny list */
    GV_COMMAND_DENY,
    GV_COMMAND_UNLIST,      /* remove from both */
    GV_COMMAND_TRUST,       /* an owner's word is own evidence (SPEC 9.8) */
    GV_COMMAND_DISTRUST,    /* not any more */
    GV_COMMAND_SILENCE,     /* an owner has no vote here (SPEC 11.5) */
    GV_COMMAND_HEAR,        /* he has it again */
    GV_COMMAND_RETRACT,     /* retract own signals on a subject */
    GV_COMMAND_FORGET,      /* forget this host's own history of a subject (SPEC 15.1) */
    GV_COMMAND_ASK,         /* ask its keepers what they hold of a subject (SPEC 9.10) */
    GV_COMMAND_NUMBER_ANEW, /* no row holds the last sequence number: after loading, before all else
                             */
    GV_COMMAND_FLOW, /* what to tell direct peers of this host's mail, from now on (SPEC 9.11) */
    GV_COMMAND_DISCONNECT /* close every link with a goodbye: the node stops */
};

struct gv_event {
    enum gv_event_kind kind;
    union {
        struct {
            uint64_t unix_ms;
            bool doubtful; /* it may be wrong: local history does not end by it */
        } clock;
        struct {
            uint32_t link;
            struct gv_address remote;
        } connected;
        struct {
            uint32_t link;
        } disconnected;
        struct {
            uint32_t link;
            const uint8_t *data;
            size_t len;
        } bytes;
        struct gv_observation observation;
        struct {
            enum gv_row row;
            const uint8_t *key, *value;
            size_t key_len, value_len;
        } loaded;
        struct {
            const uint8_t *record;
            size_t len;
        } news;
        struct {
            enum gv_command command;
            const struct gv_settings *settings; /* CONFIGURE */
            struct gv_prefix prefix;            /* ALLOW, DENY, UNLIST */
            struct gv_subject subject;          /* RETRACT, FORGET, ASK */
            uint8_t owner[GV_ID_LEN];           /* TRUST, DISTRUST, SILENCE, HEAR */
            struct gv_flow flow;                /* FLOW; size 0: nothing */
            bool lost; /* NUMBER_ANEW: this key may have signed; false: it was made just now */
            uint64_t ceiling; /* NUMBER_ANEW: it has used none above this; 0: not known */
        } command;
    };
};

#endif
