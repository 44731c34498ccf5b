/* Reading mail logs: from lines to observations (SPEC 10).
 *
 * Two layers. A reader is pure: a line in, at most a few observations out; no files, no clock, and
 * no account name survives it. Sources feed readers from files and standard input through libuv,
 * and know where they stopped. */
#ifndef GV_INGEST_H
#define GV_INGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/log_source.h"
#include "node/ingest/memory.h"
#include "proto/ip_address.h"
#include "proto/observation.h"

struct gv_mail_flow; /* mail_flow.h */
struct gv_hints;     /* hints.h */

/* --- The reader: one log, line by line ------------------------------------------------------- */

/* 8 KiB: rsyslog's default message limit. Longer lines are skipped and counted. */
#define GV_LINE_MAX        8192
#define GV_ACCOUNT_KEY_LEN 16
/* One line settles at most what an earlier connection left open, a success, failures of three
 * sorts, and four failures that waited for the second to be over: nine; and twice what four lines
 * said that were doubted, two each. */
#define GV_READINGS_MAX 28

enum gv_mta {
    GV_MTA_NONE = 0,
    GV_MTA_POSTFIX,
    GV_MTA_DOVECOT,
    GV_MTA_EXIM,
    GV_MTA_SENDMAIL,
    GV_MTA_CYRUS,
    GV_MTA_COURIER
};

/* "postfix", "dovecot", "exim", "sendmail", "cyrus", "courier"; "unknown" otherwise. */
const char *gv_mta_name(unsigned mta);

/* An observation, and what does not leave this host: the whole address and the line's number. */
struct gv_reading {
    struct gv_observation observation;
    struct gv_ip_address address;
    uint64_t line; /* the line that settled it; the first that the reader is given is 1 */
    uint8_t mta;   /* enum gv_mta */
};

struct gv_reader_config {
    uint8_t key[GV_ACCOUNT_KEY_LEN]; /* for the account hashes (SipHash-2-4); a secret */
    /* How far after `now` a stamp without a year may lie before it is taken for last year's; for
     * clocks of other hosts that run ahead. Stamps without a zone are read in the process's TZ. */
    uint64_t ahead_ms;
    bool never_cut;  /* the log has every line as it was written: no syslogd was in between */
    bool never_torn; /* nor a file: each line is whole, and none begins in another */
    struct gv_mail_flow *flow; /* counts the flow of mail too; borrowed; may be NULL */
    /* For several logs of one host, whose lines explain each other's. What auth services said, for
     * all their readers; borrowed; NULL: this one's own. */
    struct gv_hints *hints;
    /* Called before a failure at `ms` (the line's own time) is settled whose why another log may
     * tell: lets the other readers read what is there by now. Must not give this reader a line. May
     * be NULL. */
    void (*look)(void *context, uint64_t ms);
    void *look_context;
};

struct gv_reader_counters {
    uint64_t lines;     /* all that were given */
    uint64_t matched;   /* of them, lines about an authentication or a connection */
    uint64_t skipped;   /* too long, or cut off where that could change the meaning */
    uint64_t failures;  /* observations of failed attempts that came out */
    uint64_t attempts;  /* the attempts in them */
    uint64_t successes; /* observations of successful logins */
    uint64_t refused;   /* observations of attempts that our own policy refused */
    uint64_t faults;    /* failures left out: the login backend's fault */
    uint64_t
        unnamed;   /* failed attempts whose client no line has named; such a line takes off again */
    uint64_t torn; /* lines of failures in which another line may begin, and that count nothing */
    uint64_t untold; /* failed visits of Dovecot's, while its auth service has told of none */
};

struct gv_reader;

/* Returns NULL when out of memory. About 0.5 MB, fixed. */
struct gv_reader *gv_reader_new(const struct gv_reader_config *config);
void gv_reader_free(struct gv_reader *reader);

/* Takes one line without its newline and writes what it settles; returns how many. `now_ms`: wall
 * clock, unix milliseconds, the latest that a stamp without a year can mean. Any bytes are allowed.
 */
size_t gv_reader_line(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX],
                      const char *line, size_t len, uint64_t now_ms);

/* The same for a last line that no newline ends: it may be the first half of something else, so it
 * counts only where the missing half could not change who it is about. Never use it on a log that
 * is still being written: wait for the newline. */
size_t gv_reader_half_line(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX],
                           const char *line, size_t len, uint64_t now_ms);

/* Settles drops whose disconnect line has not come for GV_DROP_WAIT_MS (Postfix writes both at
 * once, so it was lost). `now_ms`: the clock that gv_reader_line was given. Call until 0, now and
 * then. */
#define GV_DROP_WAIT_MS 60000u
size_t gv_reader_settle(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX],
                        uint64_t now_ms);

/* Settles what a drop without its disconnect line left open, at the end of a log. Call until 0. */
size_t gv_reader_flush(struct gv_reader *reader, struct gv_reading out[GV_READINGS_MAX]);

/* What comes next is of another log: whose log the last one was says nothing of it. */
void gv_reader_next_log(struct gv_reader *reader);

/* Counts a line that the caller had to skip because it was longer than GV_LINE_MAX. */
void gv_reader_skip(struct gv_reader *reader);

const struct gv_reader_counters *gv_reader_counters(const struct gv_reader *reader);

/* The time of the last line of interest, unix milliseconds; 0: none yet. */
uint64_t gv_reader_time(const struct gv_reader *reader);

/* What it knows of lines that it was given and that a later one may be put together with, as flat
 * memory (memory.h); of names only the keyed hashes. Returns how many areas: `hints` of the
 * configuration are not among them. */
#define GV_READER_AREAS 10
size_t gv_reader_memory(struct gv_reader *reader, struct gv_memory_area out[GV_READER_AREAS]);
/* The layout of all that. */
#define GV_READER_FORM 6u
/* After they were filled with what another reader had in them: checks it. `now_ms`: the clock; what
 * waits for its time waits from now on. */
void gv_reader_recall(struct gv_reader *reader, uint64_t now_ms);

/* Forgets what it knows of a subject: nothing of it is in the memory any more. What it settles
 * later it settles without. */
void gv_reader_erase(struct gv_reader *reader, const struct gv_subject *subject);

/* --- Sources: files, the journal, syslog sockets, standard input ------------------------------ */

/* Where a followed file was left. The host keeps it over a restart; all zero means "not known". */
struct gv_position {
    uint64_t device;
    uint64_t inode;
    uint64_t offset;   /* the first byte that was not read as part of a whole line */
    uint64_t checksum; /* of the file's first line, to tell a re-used inode; 0: none yet */
    /* The last line with a time stamp that was read of this log, to find the place again in a file
     * that was changed: its sum (0: none), its length, and where it ends in this file (0: it was in
     * another). anchor.h */
    uint64_t anchor, anchor_len, anchor_end;
    uint64_t newest_ms; /* the newest stamp that was read of this log; 0: none */
    uint64_t pass_ms;   /* lines are passed over until one is younger than this; 0: none is */
};
/* What was stored of a position until schema 4: its first four numbers. */
#define GV_POSITION_OLD (4 * sizeof(uint64_t))
/* The checksum of a position without an inode: the file was not there when it was looked for, so
 * all that it holds once it comes is new. */
#define GV_POSITION_AWAITED 1u

/* Where a journal was left: libsystemd's words for it, or "". */
#define GV_CURSOR_MAX 240

/* Takes a line without its newline; len == SIZE_MAX stands for one that was passed over. */
typedef void gv_line_taker(void *context, const char *line, size_t len);

enum gv_source_state {
    GV_SOURCE_WAITING = 0, /* not there yet */
    GV_SOURCE_READING,
    GV_SOURCE_DENIED,     /* no permission */
    GV_SOURCE_NOT_A_FILE, /* a directory, a device */
    GV_SOURCE_FAILED,     /* another error, see `error` */
    GV_SOURCE_ENDED,      /* standard input is over */
    GV_SOURCE_IN_USE      /* somebody else listens there */
};

/* "waiting for the file", "reading", "permission denied", ... */
const char *gv_source_state_text(enum gv_source_state state);

struct gv_source_status {
    const char *path; /* borrowed from the sources: as it was named, "-" is standard input */
    enum gv_log_source_kind kind;
    enum gv_source_state state;
    int error;                   /* errno of the last failure, 0 otherwise */
    struct gv_position position; /* of a file */
    const char *cursor;          /* borrowed, of a journal; "" otherwise */
    struct gv_reader_counters counters;
    uint64_t rotations; /* renamed or truncated and taken up again */
    uint64_t damages;   /* compressed generations of which only the beginning could be read */
    uint64_t refused;   /* datagrams and journal entries of somebody who may not, or no message */
};

struct gv_sources_config {
    const char *const *paths; /* copied; as node/base/log_source.h has them */
    size_t path_count;
    const struct gv_syslog_access *syslog; /* copied; NULL: this host alone, mode 0660 */
    /* One per path, each GV_CURSOR_MAX long, or NULL: where a journal was left. */
    const char (*cursors)[GV_CURSOR_MAX];
    /* One per path, or NULL. A path without a position is read from its end (`from_start` false),
     * because what is long past is not news, or from its start. */
    const struct gv_position *positions;
    bool from_start;
    struct gv_reader_config reader; /* `hints` and `look` are the sources' own */
    /* Called from the loop for each reading, in the log's order. Must not free the sources. */
    void (*on_reading)(void *context, const struct gv_reading *reading, size_t source);
    /* Called after a batch of lines and on a change of state: a good moment to keep positions.
     * May be NULL. */
    void (*on_progress)(void *context, size_t source);
    void *context;
};

struct gv_sources;
struct uv_loop_s;

/* Returns GV_OK, GV_ERR_MEMORY, GV_ERR_RANGE (no path, or more than GV_SOURCES_MAX) or
 * GV_ERR_CONFIG (a path that names no source). Nothing is opened before gv_sources_start. */
#define GV_SOURCES_MAX 16
int gv_sources_new(struct gv_sources **out, struct uv_loop_s *loop,
                   const struct gv_sources_config *config);

/* Opens and follows. A file that is not there is waited for. Returns GV_OK or GV_ERR_IO. */
int gv_sources_start(struct gv_sources *sources);

/* Stops reading; positions stay readable. The loop must run once more before gv_sources_free. */
void gv_sources_stop(struct gv_sources *sources);
void gv_sources_free(struct gv_sources *sources);

/* What the reader of a source knows between two lines, for a source below gv_sources_count, and
 * what they share, for that itself: as gv_reader_memory and gv_reader_recall. Before the start. */
size_t gv_sources_memory(struct gv_sources *sources, struct gv_memory_area out[GV_READER_AREAS],
                         size_t source);
void gv_sources_recall(struct gv_sources *sources, size_t source);

/* As gv_reader_erase, of all of them. */
void gv_sources_erase(struct gv_sources *sources, const struct gv_subject *subject);

size_t gv_sources_count(const struct gv_sources *sources);
void gv_sources_status(const struct gv_sources *sources, struct gv_source_status *out,
                       size_t source);

#endif
