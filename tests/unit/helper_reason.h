/* A slow, obvious matcher of what Dovecot's login processes say in parentheses of how a visit
 * ended, from SPEC 10.2. */
#ifndef GV_TESTS_HELPER_REASON_H
#define GV_TESTS_HELPER_REASON_H

#include "node/ingest/parse.h"

struct reason {
    bool any; /* false: the line says nothing */
    enum gv_end end;
    enum gv_blame blame;
    unsigned kind;
    uint32_t attempts, good, all;
};

/* The first parentheses of a known meaning in a text. */
struct reason reason_of(const char *text);

/* The beginning of such parentheses, drawn (helper_differential.h). */
const char *reason_draw(void);

#endif
