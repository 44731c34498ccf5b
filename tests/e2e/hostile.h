/* The hostile peers of hostile.sh: one program that attacks a real node over real sockets, and
 * measures what an honest member notices of it. Its members have certificates that it signs itself,
 * with the key of the lab's registry. */
#ifndef GV_TESTS_E2E_HOSTILE_H
#define GV_TESTS_E2E_HOSTILE_H

#include <netinet/in.h>

#include "helper_puppet.h"

/* For an answer that a machine with nothing else to do gives within milliseconds. */
#define PATIENCE_US 20000000u

struct lab {
    struct network network; /* of the registry's folder; root_secret is not known */
    struct sockaddr_in target;
};
/* Reads descriptor and key out of the registry's folder; the target is the caller's. Ends the
 * program with a message when it cannot. */
void lab_open(struct lab *lab, const char *folder);

void die(const char *what) __attribute__((noreturn));
uint64_t now_us(void); /* steady */
uint32_t now_min(void);
/* A loopback address of its own for each number: 127.net.x.y. */
struct sockaddr_in source_of_number(unsigned net, unsigned number);

/* ---- members: blocking, one at a time ------------------------------------------------------- */

struct member {
    struct puppet puppet; /* keys, certificate, session */
    int fd;               /* -1: closed */
    bool cut;             /* the node has ended it */
    bool challenged;      /* it told him to come again, with a proof */
    bool proved;          /* and that let him in */
    uint32_t goodbye;     /* PUPPET_NOBODY: none heard */
    unsigned heard[GV_MESSAGE_LAST + 1];
};

/* A fresh identity of an owner of its own. */
void member_make(struct member *member, const struct lab *lab);
/* Connects, shakes hands, twice if he is told to, says HELLO (of version 1, if puppet.version names
 * no other). receive_buffer: of the kernel; 0: as it comes. */
bool member_join(struct member *member, const struct lab *lab, const struct sockaddr_in *source,
                 int receive_buffer);
bool member_say(struct member *member, const struct gv_buf *plain);
bool member_hand(struct member *member, struct gv_buf record); /* and frees it */
/* Bytes as they are. False when the node has ended the session. */
bool member_write(struct member *member, const void *data, size_t len);
/* Works on what comes until `until_us`, or until `each` (may be NULL) says true to a message. */
bool member_hear(struct member *member, uint64_t until_us,
                 bool (*each)(void *context, const struct gv_message *message), void *context);
void member_leave(struct member *member);

/* ---- what the program can do: each prints one line ------------------------------------------ */

/* passing: another member must have it from the node, too. */
int run_probe(const struct lab *lab, unsigned samples, unsigned pace_ms, bool passing);
/* So many members, each from an address that nobody knows, who cannot be dialled: all must be let
 * in and heard. */
int run_newcomers(const struct lab *lab, unsigned members);
/* SIEGE_HANDSHAKE: they begin one, and hang up when they are answered; SIEGE_STAY: they do not.
 * SIEGE_KNOCK: so many at a time, each once, and then the next. SIEGE_PROOFS: they stay, too; or
 * come again, as they are told, and bring what proves nothing. */
enum siege { SIEGE_SILENT, SIEGE_SLOW, SIEGE_HANDSHAKE, SIEGE_STAY, SIEGE_KNOCK, SIEGE_PROOFS };
int run_siege(const struct lab *lab, enum siege kind, unsigned strangers, unsigned seconds);
int run_forged(const struct lab *lab, unsigned messages);
int run_flood(const struct lab *lab, unsigned seconds);
int run_greedy(const struct lab *lab);
int run_churn(const struct lab *lab, unsigned seconds);

#endif
