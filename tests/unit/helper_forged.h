/* Names that try to be the client's address: 203.0.113.9 is never the client, FORGED_CLIENT always
 * is. */
#ifndef GV_TESTS_HELPER_FORGED_H
#define GV_TESTS_HELPER_FORGED_H

#include <stddef.h>

#define FORGED_CLIENT "198.51.100.7"

/* What a client may call itself: each a part of a line that one of the servers could have logged.
 */
#define FORGED_NAMES 25
/* Of them, such as hold a time stamp: that could be the next line behind one that was torn off. */
#define FORGED_STAMPED 1
extern const char *const forged[FORGED_NAMES];

/* The line alone gives exactly this (as helper_reader.h describes it), and nobody else. */
void expect(const char *line, const char *expected);

/* Whatever the name between the two: one failure of FORGED_CLIENT at this server ("cyrus"), or
 * nobody. At least `least` of the names must still count, so that a lexer that reads nothing does
 * not pass. */
void expect_true_client(const char *server, const char *before, const char *after, size_t least);

#endif
