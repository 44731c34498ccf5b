/* What syslogd makes of equal messages that follow each other: it writes the first, and later how
 * often it came again. Both forms begin where no client's text can stand. (SPEC 10.1) */
#ifndef GV_INGEST_REPEATED_H
#define GV_INGEST_REPEATED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/line.h"
#include "node/ingest/parse.h"

/* rsyslog, of the same program: "NAME[PID]: message repeated N times: [ TEXT]". Then *times is N
 * and the line's text is TEXT. */
bool gv_repeated_message(struct gv_line *line, uint32_t *times);

/* The BSDs' syslogd and sysklogd: "STAMP HOST last message repeated N times", about the line right
 * before it, which must be of the same host. Then *times is N. */
bool gv_repeated_last(uint32_t *times, struct gv_span *host, const char *line, size_t len);

/* The word behind `stamp` in the line that ends at `end`: its host, where it has one. */
bool gv_repeated_host(struct gv_span *host, const struct gv_stamp *stamp, const char *end);

#endif
