/* A store in a folder of its own: opened, filled, spoilt and counted. */
#ifndef GV_TESTS_HELPER_STORE_H
#define GV_TESTS_HELPER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node/base/store.h"
#include "node/host/persist.h"

#define NOW 1795320000000ULL
#define DAY 86400000ULL

struct store {
    char folder[64], path[96];
    struct gv_identity identity;
    struct gv_persist *persist; /* NULL: closed */
    struct gv_effects effects;  /* of the next commit */
};

/* Rows by their kind. */
struct counts {
    size_t of[16];
};

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
int store_setup(void **state);
int store_teardown(void **state);

/* Closes it first if it is open. */
int store_try(struct store *s, struct gv_text *error);
void store_open(struct store *s);
void store_close(struct store *s);
void store_commit(struct store *s, uint64_t unix_ms);
struct counts store_load(struct store *s, size_t *bad);

/* 2,000 rows or so many, a list entry, a sequence number, a place in a log. */
void store_fill(struct store *s);
void store_fill_with(struct store *s, unsigned rows);
/* Rows of history, first to count - 1, or 0 to count - 1; nothing is committed. */
void store_rows(struct store *s, unsigned first, unsigned count, bool forget);
void store_some_rows(struct store *s, unsigned count, bool forget);

/* By SQLite alone, past our own code. */
void store_sql(struct store *s, const char *text);
long long store_number(struct store *s, const char *text);

/* The files: those set aside with the word in their name; their bytes. The names are suffixes. */
size_t store_count_aside(const struct store *s, const char *word);
void store_overwrite(const struct store *s, off_t at, size_t len);
off_t store_size(const struct store *s);
void store_copy(const struct store *s, const char *from, const char *to);

#endif
