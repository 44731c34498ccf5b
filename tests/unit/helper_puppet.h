/* A puppet: a peer whose session is real and whose behaviour is the test's. It has its own identity
 * and certificate, shakes hands with a host's core, says what it is told to and keeps what it
 * hears. (helper_host.h has the other end.) */
#ifndef GV_TESTS_HELPER_PUPPET_H
#define GV_TESTS_HELPER_PUPPET_H

#include "helper_host.h"
#include "proto/mesh/session.h"
#include "proto/trust/short.h"
#include "proto/trust/signal.h"
#include "proto/wire/messages.h"
#include "proto/wire/record.h"
#include "proto/wire/revocation.h"

#define PUPPET_NOBODY UINT32_MAX

struct puppet {
    const struct network *network;
    struct gv_identity identity;
    struct gv_certificate facts;
    uint8_t certificate[GV_CERTIFICATE_LEN];
    uint8_t certificate_id[GV_ID_LEN];
    uint64_t sequence; /* last used */
    uint32_t version;  /* that it speaks; 1: whole records, no marks */
    struct gv_session session;
    struct gv_drbg drbg;
    struct host *host;
    uint32_t link;
    struct gv_buf arrived;               /* bytes from the core, not worked on yet */
    struct gv_buf heard;                 /* plaintext of all messages heard, one after the other */
    bool open;                           /* the handshake is done, seen from here */
    bool closed;                         /* the core closed the link */
    int error;                           /* why the session here gave up; GV_ERR_BUSY: there is */
    uint8_t challenge[GV_CHALLENGE_LEN]; /* this, to come again with */
    unsigned count[GV_MESSAGE_LAST + 1]; /* messages heard, by kind */
    uint32_t goodbye;                    /* the reason heard; PUPPET_NOBODY: none */
    unsigned records[GV_RECORD_LOG_HEAD + 1]; /* records heard, by kind */
    unsigned whispered;                       /* records heard that are not public */
    uint64_t pong;
};

/* Keys and certificate of this number, as make_identity and make_facts have them. */
void puppet_make(struct puppet *puppet, const struct network *network, unsigned number);
/* Signs puppet->facts anew, after the test changed them. */
void puppet_certify(struct puppet *puppet);
void puppet_free(struct puppet *puppet);

/* Connects to the host, from make_address(number of the puppet) or a given address, and shakes
 * hands as far as the core lets it. Returns whether both sides say that the session is open. No
 * HELLO yet. */
bool puppet_connect(struct puppet *puppet, struct host *host);
bool puppet_connect_from(struct puppet *puppet, struct host *host,
                         const struct gv_address *address);
/* Once more with the challenge heard last; spoil: a byte of the frame that is changed (0: none). */
bool puppet_come_again(struct puppet *puppet, struct host *host, const struct gv_address *address,
                       size_t spoil);
/* Only the connection: the core has the link, no byte was sent. */
void puppet_knock(struct puppet *puppet, struct host *host, const struct gv_address *address);
/* Answers the first connection that the host wants to open. */
bool puppet_answer(struct puppet *puppet, struct host *host);
/* puppet_connect and HELLO. */
bool puppet_join(struct puppet *puppet, struct host *host);
/* A handshake as initiator whose last message carries this payload. Returns whether the core took
 * it for a member. */
bool puppet_force(struct puppet *puppet, struct host *host, const uint8_t *payload, size_t len);
/* Works on what arrived; called by all that send. */
void puppet_work(struct puppet *puppet);
/* Hangs up. */
void puppet_leave(struct puppet *puppet);

void puppet_bytes(struct puppet *puppet, const void *data, size_t len);
/* One frame with this plaintext. */
void puppet_say(struct puppet *puppet, const void *plain, size_t len);
void puppet_say_buf(struct puppet *puppet, struct gv_buf *message); /* and frees it */
void puppet_hello(struct puppet *puppet);
void puppet_give(struct puppet *puppet, const struct gv_buf *record); /* RECORDS of one */
void puppet_hand(struct puppet *puppet, struct gv_buf record);        /* the same, and frees it */
/* RECONCILE of one fingerprint over everything of a tree: the core tells what it has. */
void puppet_ask(struct puppet *puppet, enum gv_tree tree);

/* The records heard so far, decoded again: calls `each` with every one of them, short as they
 * came. */
void puppet_each_record(const struct puppet *puppet,
                        void (*each)(void *context, const uint8_t *record, size_t len),
                        void *context);
bool puppet_heard_record(const struct puppet *puppet, const struct gv_buf *record);
/* Forgets what was heard. */
void puppet_forget(struct puppet *puppet);

/* ---- records: kind byte || wire. The caller frees them. -------------------------------------- */

struct gv_subject subject_of(unsigned number); /* public, one address each */
/* A signal as an honest host would make it, and a retraction. */
struct gv_statement puppet_signal(struct puppet *puppet, const struct gv_subject *subject,
                                  uint32_t minute);
struct gv_statement puppet_retraction(struct puppet *puppet, const struct gv_subject *subject,
                                      uint32_t minute);
/* The record of such a signal or retraction, on subject_of(number). */
struct gv_buf puppet_signal_on(struct puppet *puppet, unsigned number, uint32_t minute);
struct gv_buf puppet_retraction_on(struct puppet *puppet, unsigned number, uint32_t minute);
struct gv_buf sign_statement(const struct puppet *puppet, const struct gv_statement *statement);
/* Without any check of the fields. */
struct gv_buf sign_raw(const struct puppet *puppet, const struct gv_statement *statement,
                       const uint8_t *subject, size_t subject_len);
struct gv_buf certificate_record(const struct puppet *puppet);
struct gv_buf address_record(const struct puppet *puppet, const struct gv_address *address,
                             uint32_t minute);
struct gv_buf revocation_record(const struct network *network, const uint8_t instance[GV_ID_LEN],
                                uint32_t minute);
struct gv_buf descriptor_record(const struct network *network);
struct gv_buf fault_record(const struct gv_buf *a, const struct gv_buf *b);
void record_id(uint8_t out[GV_ID_LEN], const struct gv_buf *record);
/* Of a signal or retraction: the tree it goes along, and what offers name it by. */
unsigned record_tree(const struct gv_buf *record);
void record_mark(uint8_t out[GV_MARK_LEN], const struct gv_buf *record);
/* The short form of a record; its length, 0: it has none. */
size_t short_of(uint8_t out[GV_SHORT_MAX], const struct network *network,
                const struct gv_buf *record);

#endif
