/* The parts of `grapevine setup`. Until gv_setup_apply everything is a question, and nothing is
 * changed; after it each step can be run again, and setup goes on where it was left. */
#ifndef GV_NODE_CLI_SETUP_H
#define GV_NODE_CLI_SETUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "node/base/options.h"
#include "node/cli/command.h"
#include "node/cli/find_log.h"
#include "node/cli/own_hosts.h"
#include "proto/wire/descriptor.h"

#define GV_SETUP_EDITS_MAX 64
#define GV_SETUP_CHANGED   (-2) /* of gv_setup_ask: never an exit status */

enum gv_setup_hook { GV_HOOK_DOVECOT = 1, GV_HOOK_DNS = 2, GV_HOOK_NFTABLES = 4 };

struct gv_setup_answers { /* of the command line; NULL or negative: asked, or the default */
    const char *registry, *descriptor, *email, *code, *invitation, *advertise;
    const char *logs[GV_FOUND_LOGS_MAX];
    size_t log_count;
    const char *allow; /* "found", "no", or a list */
    int share;         /* enum gv_share, -1 */
    const char *hooks; /* "found", "no", or some of dovecot, dns, nftables */
    bool accept, no_import, dry_run, non_interactive;
    unsigned wait_s;
};

struct gv_setup {
    struct gv_cli *cli;
    struct gv_setup_answers answers;
    FILE *out;    /* for people: standard error with --json */
    bool applied; /* something was changed */
    /* the configuration */
    const char *path;
    struct gv_options options; /* as it stands; valid from gv_setup_read_config on */
    bool loaded, exists;
    struct gv_buf text, next; /* as it stands, as it shall be */
    /* the host */
    char logs[GV_FOUND_LOGS_MAX][PATH_MAX];
    size_t log_count;
    struct gv_own_hosts own;
    unsigned hooks; /* bits of enum gv_setup_hook: those that are wanted */
    /* the network */
    json_t *status; /* what the daemon said at the start; NULL: it does not run */
    struct gv_descriptor descriptor;
    bool known, joined, enrolled; /* a descriptor is there; the daemon has it; and a certificate */
    char email[256];
    json_t *result; /* for --json */
};

/* ---- setup_ask.c: talking --------------------------------------------------------------------
 * Questions go to the terminal. Ctrl-C or the end of input at one of them ends the program, and
 * says whether anything was changed. */

/* `fallback`: taken for an empty answer, may be NULL (then one is needed). */
void gv_setup_ask(struct gv_setup *setup, char *out, size_t cap, const char *question,
                  const char *fallback);
bool gv_setup_ask_yes(struct gv_setup *setup, const char *question, bool fallback);
void gv_setup_say(struct gv_setup *setup, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gv_setup_heading(struct gv_setup *setup, const char *text);
/* Without an answer and nobody to ask: EX_USAGE, and the option is named. */
int gv_setup_missing(const char *option);
/* Waits a fifth of a second at a time for something, answers.wait_s at most. */
bool gv_setup_wait(struct gv_setup *setup, bool (*is_there)(struct gv_setup *setup));

/* ---- the steps; each returns 0 or an exit status -------------------------------------------- */

int gv_setup_read_config(struct gv_setup *setup);  /* setup_config.c */
int gv_setup_plan_config(struct gv_setup *setup);  /* what was answered, into `next` */
int gv_setup_show_changes(struct gv_setup *setup); /* and asks; GV_SETUP_CHANGED: go on */
int gv_setup_apply(struct gv_setup *setup);        /* the file, and the daemon that reads it */
int gv_setup_choose_logs(struct gv_setup *setup);  /* setup_log.c */
int gv_setup_look(struct gv_setup *setup);         /* at the last day */
int gv_setup_import(struct gv_setup *setup);
int gv_setup_choose_own(struct gv_setup *setup); /* setup_host.c */
int gv_setup_choose_hooks(struct gv_setup *setup);
int gv_setup_show_hooks(struct gv_setup *setup);
int gv_setup_choose_network(struct gv_setup *setup); /* setup_network.c */
int gv_setup_consent(struct gv_setup *setup);
int gv_setup_enroll(struct gv_setup *setup);
int gv_setup_first_peers(struct gv_setup *setup);

/* Edits `next`. */
int gv_setup_edit(struct gv_setup *setup, const char *section, const char *key, const char *value,
                  bool add);
/* The daemon's status, silently; NULL when it does not answer. To be released. */
json_t *gv_setup_status(struct gv_setup *setup);

#endif
