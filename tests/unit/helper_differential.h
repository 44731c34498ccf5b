/* A fast lexer against a slow, obvious matcher: what both may say, random lines, and mutations. */
#ifndef GV_TESTS_HELPER_DIFFERENTIAL_H
#define GV_TESTS_HELPER_DIFFERENTIAL_H

#include "node/ingest/parse.h"

/* What a matcher says of a text. */
struct said {
    bool any;
    enum gv_said what;
    enum gv_blame blame;
    unsigned kind;
    uint32_t attempts, good, all;
    unsigned service, port; /* of lexers that tell them */
    struct gv_ip_address address;
    const char *account;
    size_t account_len;
};

typedef bool differential_lexer(struct gv_parsed *out, const struct gv_line *line, bool half);

/* Takes the seed from GV_SEED, if it is set, and prints it. */
void differential_seed(void);

/* 0 to bound - 1. */
uint32_t draw(uint32_t bound);
#define PICK(list) ((list)[draw(sizeof(list) / sizeof *(list))])

bool starts_with(const char *text, const char *word);

/* Drops, doubles, swaps or changes some bytes, or cuts the end off. The text has room for two more
 * bytes. */
void mutate(char *text);

/* Fails where the lexer does not say of the text what the reference said. */
void differential_compare(const char *text, differential_lexer *lexer, struct said reference);

/* How many texts both said the same of, and not nothing. A test that never matches would pass for
 * ever. */
extern unsigned differential_agreed;

#endif
