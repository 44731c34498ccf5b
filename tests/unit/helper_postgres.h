/* A PostgreSQL server of the test's own: made by initdb in a scratch folder, under an unprivileged
 * user, reached through a socket in that folder alone. */
#ifndef GV_TESTS_HELPER_POSTGRES_H
#define GV_TESTS_HELPER_POSTGRES_H

#include <stdbool.h>
#include <sys/types.h>

struct postgres {
    char folder[64], bin[128], url[160];
    pid_t pid; /* 0: does not run */
};

/* false, with a loud line, when this host has no PostgreSQL. Fails the test when it does not start.
 */
bool postgres_make(struct postgres *p);
void postgres_start(struct postgres *p);
void postgres_stop(struct postgres *p); /* at once: connections are cut */
void postgres_remove(struct postgres *p);
/* An empty database of this name; the URL for it. */
void postgres_database(struct postgres *p, const char *name, char url[224]);
/* One statement in that database; the first value of its first row, or "". */
void postgres_query(const char *url, const char *sql, char out[128]);

#endif
