/* The systemd journal as a log: entries of mail programs become lines as a syslog daemon would have
 * written them. Who wrote an entry, when and on which host is the journal's own word; only the text
 * is the writer's, and it cannot make a second line or another prefix. (SPEC 10.5) */
#ifndef GV_INGEST_JOURNAL_H
#define GV_INGEST_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/ingest.h"

/* ---- one entry ------------------------------------------------------------------------------ */

struct gv_journal_field {
    const char *at; /* NULL: the entry has no such field */
    size_t len;
};

struct gv_journal_entry {
    uint64_t realtime_us;                    /* __REALTIME_TIMESTAMP */
    struct gv_journal_field host, name, pid; /* _HOSTNAME, SYSLOG_IDENTIFIER, _PID */
    struct gv_journal_field uid, text;       /* _UID, MESSAGE */
};

/* "2026-11-22T02:36:17.123456+00:00 HOST NAME[PID]: TEXT". Control characters of the text become
 * '?', as a newline could make a second line. Returns the length; 0: not a line of a mail program
 * (no text, a name that could be taken for something else, an ordinary user's); SIZE_MAX: too
 * long. */
#define GV_JOURNAL_LINE (GV_LINE_MAX + 1)
size_t gv_journal_line(char out[GV_JOURNAL_LINE], const struct gv_journal_entry *entry);

/* ---- the journal ---------------------------------------------------------------------------- */

struct gv_journal {
    struct sd_journal *journal; /* NULL: not open */
    const char *folder;         /* borrowed; NULL: this host's system journal */
    char cursor[GV_CURSOR_MAX]; /* of the last entry that was given out; "": none */
    bool from_start;
    uint64_t since_us; /* of from_start: not before then; 0: from the first entry */
    bool awaited;      /* there was none: all that comes is new */
    enum gv_source_state state;
    int error;
    uint64_t looked_ms; /* when it was last looked for */
    uint64_t foreign;   /* entries left out: an ordinary user's, or no line */
};

/* Opens nothing yet. `cursor`: where it was left, or "". */
void gv_journal_init(struct gv_journal *journal, const char *folder, const char *cursor,
                     bool from_start);
void gv_journal_close(struct gv_journal *journal);

/* Reads at most GV_JOURNAL_BUDGET entries. `now_ms`: any steady clock, from 1 on. Returns true when
 * more is waiting already. */
#define GV_JOURNAL_BUDGET 1000
bool gv_journal_poll(struct gv_journal *journal, uint64_t now_ms, gv_line_taker *on_line,
                     void *context);

#endif
