/* Times as programs and people read them: "2026-11-22T04:37:00Z", in UTC, to the second. */
#ifndef GV_NODE_BASE_RFC3339_H
#define GV_NODE_BASE_RFC3339_H

#include <stdint.h>

#define GV_RFC3339_TEXT 24

/* Unix milliseconds as text; what lies behind the year 9999 becomes its end. */
void gv_rfc3339(char out[GV_RFC3339_TEXT], uint64_t unix_ms);

/* This form alone. Returns GV_OK or GV_ERR_MALFORMED. */
int gv_rfc3339_parse(uint64_t *unix_ms, const char *text);

#endif
