/* Another program's word: what it prints, and nothing else of it. */
#ifndef GV_NODE_CLI_RUN_H
#define GV_NODE_CLI_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

#define GV_RUN_SECONDS 5

/* Runs argv[0] (found by PATH) without input, in the C locale, for GV_RUN_SECONDS at most; its
 * standard output, at most `max` bytes, is appended to *out. Returns its exit status, or -1 when it
 * is not there, does not end by itself, or was cut. */
int gv_cli_run(struct gv_buf *out, size_t max, const char *const argv[]);

/* The same with the terminal's own output: nothing is caught, and it may take a minute. */
int gv_cli_run_shown(const char *const argv[]);

/* Is there such a program in PATH? */
bool gv_cli_has_program(const char *name);

#endif
