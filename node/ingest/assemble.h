/* Several lines about one attempt make one observation. What decides is always the line of the
 * server that talked to the client: Postfix's SASL failure, its disconnect line's counts for what
 * no line told of, Dovecot's login line. The auth service's lines count nothing by themselves (one
 * passdb's "unknown user" may be followed by another's success); they say why. (SPEC 10.3) */
#ifndef GV_INGEST_ASSEMBLE_H
#define GV_INGEST_ASSEMBLE_H

#include "node/ingest/ingest.h"
#include "node/ingest/parse.h"

/* What is known of a parsed line beside its words; all names are hashes by now. */
struct gv_moment {
    uint64_t line;
    uint64_t ms;         /* the line's own time */
    uint64_t now_ms;     /* when it was read */
    uint64_t connection; /* which process on which host; Exim, Sendmail, Cyrus, Courier: and which
                          * client; Dovecot's lines stand alone: 0 */
    uint64_t twin;       /* Exim by syslog: the line's hash, as it may come twice; 0: it cannot */
    uint64_t account;
    uint64_t session;
    uint64_t origin;
    uint64_t cut;    /* Sendmail: which process and which beginning of a client that is too long for
                      * some lines; 0: it is not, or that is not known */
    uint64_t met;    /* Sendmail: which process, for one line and who was met by it; 0: not known */
    bool told_apart; /* Postfix, Exim, Sendmail: by pid or port, not by the address alone */
};

struct gv_assembler;
struct gv_hints; /* hints.h */

/* `hints`: what auth services say, when other logs share it; borrowed. NULL: this assembler's own.
 * `counters`: where it counts `torn` and `untold`; borrowed. Returns NULL when out of memory. */
struct gv_assembler *gv_assembler_new(struct gv_hints *hints, struct gv_reader_counters *counters);
void gv_assembler_free(struct gv_assembler *assembler);

/* Writes at most GV_READINGS_MAX readings; returns how many. *faults grows by the failures that are
 * the backend's. */
size_t gv_assemble(struct gv_assembler *assembler, struct gv_reading *out, uint64_t *faults,
                   const struct gv_parsed *parsed, const struct gv_moment *moment);

/* The failed attempts that wait under `cut` for a line at `ms` that names their client. */
uint64_t gv_assembler_unnamed(const struct gv_assembler *assembler, uint64_t cut, uint64_t ms);

/* The client that this process has met (GV_SAID_MET) and that `left`, the hash of what a line
 * leaves of a client, is of; NULL: none. Borrowed until the next line. */
const struct gv_ip_address *gv_assembler_met(const struct gv_assembler *assembler, uint64_t met,
                                             uint64_t left, uint64_t ms);

/* The connection will be asked for in a moment: its memory is fetched. */
void gv_assembler_expect(const struct gv_assembler *assembler, uint64_t connection);

/* Whether anything is known that a session id could be looked up for. */
bool gv_assembler_has_hints(const struct gv_assembler *assembler);

/* A connection begins, at `ms`. */
size_t gv_assemble_connect(struct gv_assembler *assembler, struct gv_reading *out,
                           const struct gv_parsed *parsed, uint64_t connection, uint64_t ms);

/* Settles drops that were read at least `wait_ms` ago, or after `now_ms` (the clock was put back).
 * Call until 0. */
size_t gv_assemble_settle(struct gv_assembler *assembler, struct gv_reading *out, uint64_t now_ms,
                          uint64_t wait_ms);

/* Whether gv_assemble_release has anything to do. */
bool gv_assembler_holds(const struct gv_assembler *assembler);

/* A line came at `ms`: settles what was held for a line that did not come. At most four readings.
 */
size_t gv_assemble_release(struct gv_assembler *assembler, struct gv_reading *out, uint64_t ms);

/* Settles drops that no disconnect line followed, and what a next line could have taken back. Call
 * until 0. */
size_t gv_assemble_flush(struct gv_assembler *assembler, struct gv_reading *out);

/* See gv_reader_memory. */
#define GV_ASSEMBLER_AREAS 5
size_t gv_assembler_memory(struct gv_assembler *assembler,
                           struct gv_memory_area out[GV_ASSEMBLER_AREAS]);
void gv_assembler_recall(struct gv_assembler *assembler, uint64_t now_ms);

/* See gv_reader_erase. */
void gv_assembler_erase(struct gv_assembler *assembler, const struct gv_subject *subject);

#endif
