/* What a fast lexer and a slow, obvious matcher may say of a text. */
#ifndef GV_TESTS_HELPER_SAID_H
#define GV_TESTS_HELPER_SAID_H

#include "helper_differential.h"

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

bool starts_with(const char *text, const char *word);

/* Fails where the lexer does not say of the text what the reference said. */
void differential_compare(const char *text, differential_lexer *lexer, struct said reference);

/* How many texts both said the same of, and not nothing. A test that never matches would pass for
 * ever. */
extern unsigned differential_agreed;

#endif
