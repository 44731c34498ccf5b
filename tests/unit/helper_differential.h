/* What a lexer and its slow reference say of a text, and lines that are a little wrong. */
#ifndef GV_TESTS_HELPER_DIFFERENTIAL_H
#define GV_TESTS_HELPER_DIFFERENTIAL_H

#include <regex.h>

#include "node/ingest/parse.h"

/* Compiled by the test's setup. */
#define GROUPS 13
struct pattern {
    const char *source;
    regex_t compiled;
};
void patterns_compile(struct pattern *patterns, size_t n);
void patterns_free(struct pattern *patterns, size_t n);
bool pattern_match(const struct pattern *pattern, const char *text, regmatch_t groups[GROUPS]);
/* The address in a group; false when it is none. */
bool group_address(struct gv_ip_address *out, const char *text, const regmatch_t *group);
struct gv_span group_span(const char *text, const regmatch_t *group);

/* GV_SEED or a fixed seed, which is printed. */
void draw_init(void);
uint32_t draw(uint32_t bound);
#define PICK(list) ((list)[draw(sizeof(list) / sizeof *(list))])

/* Drops, doubles, swaps or changes some bytes, or cuts the end off. Needs room for three more. */
void mutate(char *text);

/* Fails unless both say the same of `text`: nothing, or the same in every member that the kind of
 * line sets. NULL says nothing. */
void must_agree(const char *text, const struct gv_parsed *fast, const struct gv_parsed *slow);

#endif
