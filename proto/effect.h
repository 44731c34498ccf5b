/* What a core wants done, in this order: nothing after a PERSIST or FORGET may be carried out
 * before the row is safe (SPEC 9.6), so that a crash never makes a node take back its word. */
#ifndef GV_PROTO_EFFECT_H
#define GV_PROTO_EFFECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"
#include "proto/address.h"
#include "proto/buf.h"
#include "proto/event.h"
#include "proto/trust/verdict.h"

enum gv_effect_kind {
    GV_EFFECT_PERSIST,  /* row, key, data = value */
    GV_EFFECT_FORGET,   /* row, key */
    GV_EFFECT_CONNECT,  /* link; address, or data = "host:port" (not terminated) when it has none */
    GV_EFFECT_SEND,     /* link, data */
    GV_EFFECT_CLOSE,    /* link: flush what was sent, then close. DISCONNECTED follows */
    GV_EFFECT_NOTE,     /* something the admin may want to know: note */
    GV_EFFECT_TURN_AWAY /* link, data: these last bytes to a stranger, who is owed no more patience;
                           it depends on nothing before it. The link is forgotten already, and no
                           DISCONNECTED need follow */
};

#define GV_NOTE_MAP(X)                                                                             \
    X(GV_NOTE_PEER_UP, "peer connected")                                                           \
    X(GV_NOTE_PEER_DOWN, "peer disconnected")                                                      \
    X(GV_NOTE_HANDSHAKE_FAILED, "handshake failed")                                                \
    X(GV_NOTE_PEER_REFUSED, "peer cut off")                                                        \
    X(GV_NOTE_CONNECT_FAILED, "could not connect")                                                 \
    X(GV_NOTE_OBSERVED, "failure observed")                                                        \
    X(GV_NOTE_LOCKED, "locked here")                                                               \
    X(GV_NOTE_OWN_LOCK, "locked by another server of this admin")                                  \
    X(GV_NOTE_BROKEN_LOGIN, "login backend looks broken, nothing is signalled")                    \
    X(GV_NOTE_SIGNALLED, "signal made")                                                            \
    X(GV_NOTE_PREVIEWED, "signal would have been sent")                                            \
    X(GV_NOTE_SIGNAL_HELD, "signal held back")                                                     \
    X(GV_NOTE_ACKNOWLEDGED, "signal acknowledged")                                                 \
    X(GV_NOTE_RETRACTED, "retraction made")                                                        \
    X(GV_NOTE_VERDICT, "verdict changed")                                                          \
    X(GV_NOTE_EVIDENCE, "evidence changed, the verdict did not")                                   \
    X(GV_NOTE_FAULT, "an instance contradicted itself")                                            \
    X(GV_NOTE_CLOCK_OFF, "this host's clock differs from its peers'")                              \
    X(GV_NOTE_CERTIFICATE, "own certificate accepted")                                             \
    X(GV_NOTE_SELF_REVOKED, "own certificate is revoked")                                          \
    X(GV_NOTE_SELF_ELSEWHERE, "another machine uses this node's key")                              \
    X(GV_NOTE_DESCRIPTOR, "network descriptor accepted")                                           \
    X(GV_NOTE_SET_FULL, "the set of signals is full")                                              \
    X(GV_NOTE_MEMORY, "out of memory, something was left undone")                                  \
    X(GV_NOTE_NEWS_REFUSED, "what the registry sent is not valid")                                 \
    X(GV_NOTE_TWO_FACES,                                                                           \
      "the registry shows two faces: two heads of its log contradict each other")                  \
    X(GV_NOTE_ROW_REFUSED, "a stored row is not valid and was ignored")

enum gv_note {
#define GV_NOTE_ENUM(name, text) name,
    GV_NOTE_MAP(GV_NOTE_ENUM)
#undef GV_NOTE_ENUM
};

struct gv_effect {
    enum gv_effect_kind kind;
    enum gv_row row;
    uint32_t link;
    struct gv_address address; /* CONNECT; NOTE about a peer */
    size_t key_at, key_len;    /* into gv_effects.bytes */
    size_t data_at, data_len;
    /* NOTE: */
    enum gv_note note;
    int error; /* enum gv_error: why */
    struct gv_subject subject;
    uint8_t id[GV_ID_LEN];          /* record id */
    uint8_t instance[GV_ID_LEN];    /* of the peer or author */
    enum gv_verdict_state from, to; /* VERDICT */
    int64_t number; /* weight; clock offset in ms; count; seconds: as the note has it */
};

struct gv_effects {
    struct gv_effect *list; /* owned */
    size_t count, cap;
    struct gv_buf bytes;
    bool failed; /* out of memory: an effect is missing. The shell must stop the node. */
};

void gv_effects_init(struct gv_effects *effects);
void gv_effects_clear(struct gv_effects *effects); /* keeps the memory */
void gv_effects_free(struct gv_effects *effects);
const uint8_t *gv_effect_key(const struct gv_effects *effects, const struct gv_effect *effect);
const uint8_t *gv_effect_data(const struct gv_effects *effects, const struct gv_effect *effect);
/* Whether it stores or removes a row. */
bool gv_effect_is_row(const struct gv_effect *effect);
/* Whether that row is the node's own word (its number, a statement it made, an entry of the admin's
 * lists): to be synced to disk before anything goes out (SPEC 9.7), since nobody else has a copy. A
 * statement that is only shown to the admin is none. */
bool gv_effect_is_own_word(const struct gv_effects *effects, const struct gv_effect *effect);
/* SPEC 8.6: what the file `number` must hold, safely, before these rows are stored, where it holds
 * `ceiling`: that itself unless one of them numbers a statement beyond it, and then a day more than
 * the highest does. Both shells keep it. */
uint64_t gv_effects_ceiling(const struct gv_effects *effects, uint64_t ceiling);
/* Whether it stores a statement that is only shown to the admin, as sharing is not switched on: in
 * the first byte of its value, the record's kind, this bit is set. Nothing limits how many. */
#define GV_SENT_PREVIEW 0x80u
bool gv_effect_is_preview(const struct gv_effects *effects, const struct gv_effect *effect);
const char *gv_note_text(enum gv_note note);

/* For the core: each appends one effect. */
void gv_effect_persist(struct gv_effects *effects, enum gv_row row, const void *key, size_t key_len,
                       const void *value, size_t value_len);
void gv_effect_forget(struct gv_effects *effects, enum gv_row row, const void *key, size_t key_len);
void gv_effect_connect(struct gv_effects *effects, uint32_t link, const struct gv_address *address,
                       const char *host, size_t host_len);
void gv_effect_send(struct gv_effects *effects, uint32_t link, const void *data, size_t len);
void gv_effect_turn_away(struct gv_effects *effects, uint32_t link, const void *data, size_t len);
void gv_effect_close(struct gv_effects *effects, uint32_t link);
/* Returns the note to fill in (zeroed but for kind and note); a scratch one when out of memory. */
struct gv_effect *gv_effect_note(struct gv_effects *effects, enum gv_note note);

#endif
