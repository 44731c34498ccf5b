/* What syslogd makes of equal messages that follow each other: it writes the first, and later how
 * often it came again. Both forms begin where no client's text can stand. (SPEC 10.1) */
#ifndef GV_INGEST_REPEATED_H
#define GV_INGEST_REPEATED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/ingest/line.h"

/* rsyslog, of the same program: "NAME[PID]: message repeated N times: [ TEXT]". Then *times is N
 * and the line's text is TEXT. */
bool gv_repeated_message(struct gv_line *line, uint32_t *times);

/* The BSDs' syslogd and sysklogd, of the same host: "STAMP HOST last message repeated N times",
 * right behind `before`, the line that it is about. Then *times is N. */
bool gv_repeated_last(uint32_t *times, const char *line, size_t len, const char *before,
                      size_t before_len);

#endif
