/* INI files (libinih), read by a table. A program declares its keys once; reading, defaults,
 * checks, error lines, and the documentation all come from that table.
 *
 * Every problem of the file is reported, one line each:
 *   FILE:LINE: [section] key: what is wrong, what would be right
 * A program that cannot use its config exits with EX_CONFIG (78).
 *
 * Syntax: "[section]", "key = value", comments by ';' or '#' at the start of a line or " ;" after
 * a value. A list is separated by commas or blanks, and goes on in indented lines. */
#ifndef GV_NODE_BASE_CONFIG_H
#define GV_NODE_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/buf.h"

enum gv_config_type {                   /* field of the program's struct at `offset` */
                      GV_CONFIG_STRING, /* char *; min..max: length in bytes (max 0: 1024) */
                      GV_CONFIG_PATH,   /* char *; absolute, or relative to the config file's folder
                                           (made so) */
                      GV_CONFIG_BOOL,   /* bool; yes | no */
                      GV_CONFIG_INT,    /* int64_t; min..max */
                      GV_CONFIG_DURATION,  /* int64_t, seconds; "90s", "15m", "24h", "30d"; min..max
                                              in seconds */
                      GV_CONFIG_ENUM,      /* int: index into `choices` */
                      GV_CONFIG_STRINGS,   /* struct gv_config_strings; min..max: count */
                      GV_CONFIG_PATHS,     /* struct gv_config_strings; min..max: count */
                      GV_CONFIG_ADDRESSES, /* struct gv_config_addresses; ADDR or ADDR/PREFIX;
                                              min..max: count */
                      GV_CONFIG_HOSTS      /* struct gv_config_hosts; HOST:PORT; min..max: count */
};

struct gv_config_strings {
    size_t count;
    char **items; /* each and the array owned */
};
struct gv_config_address {
    uint8_t family;    /* 4 or 6 (enum gv_family) */
    uint8_t prefix;    /* 0..32 or 0..128; a plain address has the full length */
    uint8_t bytes[16]; /* network order; the first 4 for IPv4; bits beyond the prefix are zero */
};
struct gv_config_addresses {
    size_t count;
    struct gv_config_address *items;
};
struct gv_config_host {
    char host[254]; /* a name or an address, without brackets */
    uint16_t
        port; /* 1..65535; 0 only where min of the port is left open, see gv_config_host_parse */
};
struct gv_config_hosts {
    size_t count;
    struct gv_config_host *items;
};

struct gv_config_key {
    const char *section, *key;
    enum gv_config_type type;
    size_t offset;
    const char
        *fallback;    /* as one would write it; NULL: must be given; "": empty (NULL, or none) */
    int64_t min, max; /* both 0: no bound beyond the type's own */
    const char *const *choices; /* GV_CONFIG_ENUM: ends with NULL */
    bool repeat;     /* a list that may be given in several "key =" lines, which add up */
    const char *doc; /* one or two sentences */
};

struct gv_config_table {
    const char *title;                /* of the documentation, e.g. "grapevined.conf" */
    const struct gv_config_key *keys; /* those of a section side by side */
    size_t count;
};

#define GV_CONFIG_FILE_MAX  (1 << 20)
#define GV_CONFIG_ITEMS_MAX 10000 /* entries of one list */

/* Fills the whole struct `out` (its size is not needed: every field the table names is written)
 * from the file. Error lines, each with its newline, are appended to `errors` (may not be NULL).
 * Returns GV_OK, GV_ERR_CONFIG (see errors; out holds nothing then), GV_ERR_IO (not readable: also
 * one line in errors) or GV_ERR_MEMORY. On GV_OK free with gv_config_free. */
int gv_config_load(const struct gv_config_table *table, void *out, const char *path,
                   struct gv_buf *errors);
/* What the file said of each key of the table, in its order: to be shown. */
struct gv_config_said {
    unsigned line; /* the first that gives it; 0: none */
    char *text;    /* as written there, a list's lines joined by newlines; owned; NULL: not given */
};
/* gv_config_load, and on GV_OK *said receives table->count entries; gv_config_said_free. */
int gv_config_load_said(const struct gv_config_table *table, void *out,
                        struct gv_config_said **said, const char *path, struct gv_buf *errors);
void gv_config_said_free(const struct gv_config_table *table, struct gv_config_said *said);
/* The same from memory; `name` stands for the file's in errors and for relative paths. */
int gv_config_parse(const struct gv_config_table *table, void *out, const char *name,
                    const char *text, size_t len, struct gv_buf *errors);
/* Only the defaults; required keys stay empty. */
int gv_config_defaults(const struct gv_config_table *table, void *out);
/* Frees and empties the fields. */
void gv_config_free(const struct gv_config_table *table, void *out);

/* The table as documentation: every section and key with type, range, default and meaning. */
void gv_config_print(const struct gv_config_table *table, FILE *out);

/* The values of single types, for command lines. Return GV_OK or GV_ERR_MALFORMED. "[::1]:80",
 * "name:80", "192.0.2.1:80"; port_zero also takes port 0 (any free port, for tests). */
int gv_config_host_parse(struct gv_config_host *out, const char *text, bool port_zero);
/* Bits beyond the prefix are an error: 192.0.2.1/24 may be meant as either. */
int gv_config_address_parse(struct gv_config_address *out, const char *text);
/* "https://HOST" or "http://HOST", with or without ":PORT" and "/"; no path. */
bool gv_config_url_valid(const char *url);
int gv_config_duration_parse(int64_t *seconds, const char *text);
/* Is a 4- or 16-byte address within it? IPv4-mapped IPv6 counts as IPv4. */
bool gv_config_address_contains(const struct gv_config_address *network, const uint8_t *address,
                                size_t len);

#endif
