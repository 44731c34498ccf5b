/* What the fuzz targets of the lexers have in common. An input is a log of lines; or, when its
 * first byte names a frame, what a client may choose inside that genuine line of 198.51.100.7,
 * which must then be about him or about nobody. */
#ifndef GV_TESTS_FUZZ_LEXER_H
#define GV_TESTS_FUZZ_LEXER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/ingest/ingest.h"

#define NOW_MS 1795348800000u

enum fuzz_tells { ANYTHING, ONE_AT_MOST, NOTHING }; /* of observations */

struct fuzz_frame {
    const char *before, *after;
    const char *refused; /* bytes that the server never lets through here; NULL: none */
    size_t most;         /* what the server cuts it to; 0: longer ones are not tried (2,000) */
    size_t cut; /* of the text behind the program's name, by a buffer on the way; 0: none */
    enum fuzz_tells tells;
    bool failure; /* the line tells of no login */
};

struct fuzz_lexer {
    const struct fuzz_frame *frames;
    size_t frame_count;
    char first, last;    /* the bytes that choose a frame */
    char instead;        /* what stands for a byte that the server does not let through */
    bool controls;       /* control characters are written as they are, but for newline and zero */
    bool other_services; /* some of its servers are none that we have a name for */
    size_t stamp;        /* bytes of the prefix before the program's name, for `cut` */
    enum gv_mta mta;     /* that its lines are of; GV_MTA_NONE: of several */
    void (*behind)(struct gv_reader *reader); /* after each frame: the next client; or NULL */
};

void fuzz_must(bool condition);
/* Each line in an allocation of its own, so that a read past it is seen. */
void fuzz_lines(const char *text, size_t size,
                void (*each)(void *context, const char *line, size_t len), void *context);
int fuzz_lexer(const struct fuzz_lexer *lexer, const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
