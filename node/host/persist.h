/* The store: the core's rows, what was sent (telemetry), and where the logs were left, in one
 * SQLite file. A journal for the restart and for the admin's history; nothing asks it on the path
 * of an answer.
 *
 * Every row carries a MAC under the identity's store key over table, key and value, checked when
 * it is read: who can write to the file but not read the key cannot put words into the node's
 * mouth, and a row that a bad disk changed is left out instead of believed.
 *
 * How safe is "committed"? In WAL mode SQLite survives a killed process either way; a power cut may
 * cost the last transactions unless the log is synced. A batch with this node's own word in it
 * (SELF, SENT) is therefore committed with synchronous=FULL: one fsync, at most 32 times an hour by
 * the rate limit (what is only previewed is no word). All other rows can be had again from the mesh
 * or are worth little, and go with synchronous=NORMAL: 40,000 rows a second need no fsync each. */
#ifndef GV_NODE_HOST_PERSIST_H
#define GV_NODE_HOST_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/identity.h"
#include "node/base/statistics.h"
#include "node/base/text.h"
#include "proto/effect.h"
#include "proto/event.h"

#define GV_PERSIST_MAC      16
#define GV_PERSIST_KEY_MAX  64
#define GV_PERSIST_NAME_MAX 1024   /* of what is kept beside the rows: a log's path fits */
#define GV_PERSIST_ACKS_MAX 64     /* named per statement; more are counted */
#define GV_JOURNAL_MAX      500000 /* signals that left the set; about 150 MB */

struct gv_persist;

/* Opens or creates the file and looks through all of it. A damaged one is mended: what can be read
 * goes into a new file, the damaged one is set aside as PATH.corrupt-STAMP, and the log says so.
 * On a full disk what can be read is read, and each commit tries to open it anew:
 * gv_persist_reading. `store_key` is copied. Returns GV_OK, GV_ERR_VERSION (made by a newer
 * program), GV_ERR_FORBIDDEN (a symbolic link), GV_ERR_IO, GV_ERR_MEMORY. */
int gv_persist_open(struct gv_persist **out, const char *path, const uint8_t store_key[GV_KEY_LEN],
                    struct gv_text *error);
void gv_persist_close(struct gv_persist *persist); /* NULL is allowed */
/* Nobody waits for an answer any more, the node stops: a lock that another program has is waited
 * for, for GV_DB_BUSY_MS. */
void gv_persist_patient(struct gv_persist *persist);
/* Whether it is open for reading alone, for want of room; why then tells the admin so. */
bool gv_persist_reading(const struct gv_persist *persist, struct gv_text *why);
/* The same while it is in use, after GV_ERR_MALFORMED. SELF rows are not among what is saved: the
 * core must be asked for them (GV_COMMAND_NUMBER_ANEW). After an error it may be tried again. */
int gv_persist_mend(struct gv_persist *persist, struct gv_text *error);

/* Whether its files are still the ones that lie under its name; otherwise all that is open is
 * written anew there, as the log says. A commit begins with it. GV_OK, GV_ERR_IO (off the mesh
 * until a commit succeeds), GV_ERR_BUSY (another program reads it; likewise), GV_ERR_MALFORMED, or
 * what opening it gives. */
int gv_persist_stay(struct gv_persist *persist, struct gv_text *error);

/* No number above this one was used by this key: from the file `number` in the store's folder,
 * which a commit raises before a number passes it. 0: not known. */
uint64_t gv_persist_ceiling(const struct gv_persist *persist);

/* From now on what stands in the log of writes goes into the file in a thread of its own
 * (checkpoint.h), and no commit waits for that; `done` is called in that thread after each run, and
 * may do no more than wake the loop. NULL: within the commits again; a run is waited for. */
void gv_persist_apart(struct gv_persist *persist, void (*done)(void *context), void *context);
/* For how long such a run has been under way, in milliseconds; -1: none is. */
int64_t gv_persist_copying(struct gv_persist *persist);

/* ---- writing: one transaction --------------------------------------------------------------- */

/* All PERSIST and FORGET effects of the list, in order, and what gv_persist_keep took since the
 * last commit. Statements that a PREVIEWED note names are marked as never sent. All or nothing:
 * after an error nothing of it is in the file and it may be tried again. GV_OK, GV_ERR_BUSY (locked
 * by another program), GV_ERR_MALFORMED (file damaged: gv_persist_mend), GV_ERR_IO (disk full),
 * GV_ERR_MEMORY. */
int gv_persist_commit(struct gv_persist *persist, const struct gv_effects *effects,
                      uint64_t unix_ms, struct gv_text *error);

/* A small value under a name (the position in a log), to be stored with the next commit.
 * GV_ERR_MEMORY, GV_ERR_RANGE (name or value too long). */
int gv_persist_keep(struct gv_persist *persist, const char *name, const void *data, size_t len);
bool gv_persist_dirty(const struct gv_persist *persist); /* something is kept and not stored yet */
/* GV_OK, or GV_ERR_NOT_FOUND: no such name, another length, or a bad MAC. */
int gv_persist_kept(struct gv_persist *persist, const char *name, void *out, size_t len);
/* As gv_persist_keep, but stored now, in a transaction of its own. GV_OK, GV_ERR_BUSY, GV_ERR_IO.
 */
int gv_persist_put(struct gv_persist *persist, const char *name, const void *data, size_t len);
/* The same of what is to be stored with the next commit, where there is something. */
int gv_persist_latest(struct gv_persist *persist, const char *name, void *out, size_t len);

/* Deletes telemetry made before one moment, and signals that left the set before the other. A
 * journal above GV_JOURNAL_MAX loses its oldest as well. */
int gv_persist_expire(struct gv_persist *persist, uint64_t sent_before_ms,
                      uint64_t journal_before_ms, struct gv_text *error);

/* ---- the flow of mail (SPEC 10.8) ------------------------------------------------------------ */

/* A change of the minute that begins at minute * 60 s, to be stored with the next commit: in its
 * row, unless that is older than 48 h or ahead by more than a day, and in that of its hour. Peaks
 * go to the hour alone. GV_OK, GV_ERR_MEMORY. */
int gv_persist_statistics(struct gv_persist *persist, uint64_t minute,
                          const struct gv_statistics *change);
/* The same of one count. */
int gv_persist_count(struct gv_persist *persist, unsigned count, int64_t delta, uint64_t unix_ms);
/* Rows that begin in [from, to), minutes since 1970, in order. */
typedef void (*gv_persist_each_statistics)(void *context, uint64_t minute,
                                           const struct gv_statistics *row);
int gv_persist_read_statistics(struct gv_persist *persist, enum gv_statistics_step step,
                               uint64_t from, uint64_t to, gv_persist_each_statistics each,
                               void *context);

#define GV_ALERTS_MAX 1000 /* kept; the oldest goes first */
/* Stores an alert, at once; number 0: a new one, which gets the next number. */
int gv_persist_alert(struct gv_persist *persist, struct gv_alert *alert);
typedef void (*gv_persist_each_alert)(void *context, const struct gv_alert *alert);
/* The latest `limit` with a number above `after`, newest first. */
int gv_persist_alerts(struct gv_persist *persist, uint64_t after, size_t limit,
                      gv_persist_each_alert each, void *context);

/* Deletes minutes older than 48 h, and hours and alerts from before that moment; and what lies more
 * than a day ahead: the clock was wrong. */
int gv_persist_expire_statistics(struct gv_persist *persist, uint64_t unix_ms, uint64_t before_ms);

/* ---- reading -------------------------------------------------------------------------------- */

/* Hands out the rows of a core that starts, in the order that proto/event.h asks for: SELF;
 * records of kind descriptor, certificate, revocation, fault, then all others; HISTORY, LIST, PEER.
 * Rows with a bad MAC are left out and counted in *bad. */
typedef void (*gv_persist_row)(void *context, enum gv_row row, const uint8_t *key, size_t key_len,
                               const uint8_t *value, size_t value_len);
int gv_persist_load(struct gv_persist *persist, gv_persist_row each, void *context, size_t *bad,
                    struct gv_text *error);

struct gv_persist_ack {
    uint8_t instance[GV_ID_LEN];
    uint64_t acked_ms;
};
/* One own statement. Pointers borrow until the callback returns. */
struct gv_persist_sent {
    uint64_t number; /* rises with every new statement */
    uint8_t id[GV_ID_LEN];
    const uint8_t *value; /* kind byte || wire */
    size_t value_len;
    uint64_t created_ms, sent_ms; /* sent: the first acknowledgement; 0: none yet */
    bool preview;
    size_t ack_count; /* all; the first GV_PERSIST_ACKS_MAX are in acks */
    const struct gv_persist_ack *acks;
};
typedef void (*gv_persist_each_sent)(void *context, const struct gv_persist_sent *sent);
/* The newest `limit` statements made at since_ms or later, oldest first. */
int gv_persist_telemetry(struct gv_persist *persist, uint64_t since_ms, size_t limit,
                         gv_persist_each_sent each, void *context);
/* The same of those with a number below `before`: a page of them after the other. */
int gv_persist_telemetry_before(struct gv_persist *persist, uint64_t since_ms, uint64_t before,
                                size_t limit, gv_persist_each_sent each, void *context);
/* That one: GV_OK, GV_ERR_NOT_FOUND. */
int gv_persist_one_sent(struct gv_persist *persist, const uint8_t id[GV_ID_LEN],
                        gv_persist_each_sent each, void *context);

/* Signals and retractions on a subject that have left the set, the latest `limit`, newest first:
 * kind byte || wire, and when they left. */
typedef void (*gv_persist_each_left)(void *context, const uint8_t *record, size_t len,
                                     uint64_t left_ms);
int gv_persist_journal(struct gv_persist *persist, const struct gv_subject *subject, size_t limit,
                       gv_persist_each_left each, void *context);

/* ---- what is held of one subject (SPEC 15.1) ------------------------------------------------- */

struct gv_persist_erased {
    size_t sent, acks, journal; /* rows deleted */
};
/* Deletes what is stored of a subject beside the core's own rows: own statements, who acknowledged
 * them, signals that have left the set. Until `until_ms` none that leaves the set is kept either;
 * what remembers that is a keyed hash of the subject. GV_OK; GV_ERR_BUSY: also where it is deleted
 * and a reader keeps its bytes on the disk; GV_ERR_IO, ... */
int gv_persist_erase(struct gv_persist *persist, const struct gv_subject *subject,
                     uint64_t until_ms, struct gv_persist_erased *out, struct gv_text *error);
/* The log of writes holds what rows said before, and the file what was deleted since, until this
 * empties it; nobody is waited for. GV_OK, GV_ERR_BUSY (a reader is in the way), GV_ERR_IO. */
int gv_persist_empty_log(struct gv_persist *persist, struct gv_text *error);
bool gv_persist_log_left(const struct gv_persist *persist); /* the last time it was not emptied */
/* Since it was, a row of local history has moved from its subject's name to a keyed hash (SPEC
 * 12.1): the log still has the name. */
bool gv_persist_log_names(const struct gv_persist *persist);
/* Copies of the file that were set aside beside it (PATH.corrupt-STAMP, PATH.before-restore-STAMP,
 * PATH.replaced-STAMP, and their logs), or were begun (PATH.new). before_ms 0: *count is how many
 * files there are; else those that were set aside before then are deleted, and *count is how many.
 * GV_OK, GV_ERR_IO. */
int gv_persist_aside(const struct gv_persist *persist, uint64_t before_ms, size_t *count,
                     struct gv_text *error);
/* Deletes the marks of erasures that have ended. */
int gv_persist_expire_marks(struct gv_persist *persist, uint64_t unix_ms);
/* The newest `limit` own statements on a subject, oldest first. */
int gv_persist_sent_about(struct gv_persist *persist, const struct gv_subject *subject,
                          size_t limit, gv_persist_each_sent each, void *context);

/* How much there is. */
struct gv_persist_held {
    size_t records, history, lists, peers, sent, acks, journal, minutes, hours, alerts;
    size_t visits, under_way; /* rows of open connections, of messages under way; sealed */
    size_t marks;             /* of erasures */
    uint64_t bytes;           /* of the file */
};
int gv_persist_held(struct gv_persist *persist, struct gv_persist_held *out);

#endif
