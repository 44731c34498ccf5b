/* What the commands of `grapevine` share: where the daemon is, how to ask it, how to print. Every
 * command returns an exit status of sysexits.h. */
#ifndef GV_NODE_CLI_COMMAND_H
#define GV_NODE_CLI_COMMAND_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct gv_cli {
    const char *config_path; /* NULL: the default one */
    const char *socket;      /* NULL: from the configuration */
    char *socket_owned;
    bool json;
    bool colour; /* standard output is a terminal that wants it */
    bool quiet;  /* a daemon that does not answer is no news */
};

struct gv_cli_command {
    const char *name, *arguments, *doc; /* "ip", "ADDR", one line */
    int (*run)(struct gv_cli *cli, int argc, char **argv);
};
extern const struct gv_cli_command gv_cli_commands[];
extern const size_t gv_cli_command_count;

int gv_cli_status(struct gv_cli *cli, int argc, char **argv);
int gv_cli_peers(struct gv_cli *cli, int argc, char **argv);
int gv_cli_traffic(struct gv_cli *cli, int argc, char **argv);
int gv_cli_ip(struct gv_cli *cli, int argc, char **argv);
int gv_cli_distrust(struct gv_cli *cli, int argc, char **argv);
int gv_cli_owners(struct gv_cli *cli, int argc, char **argv);
int gv_cli_verify(struct gv_cli *cli, int argc, char **argv);
int gv_cli_list(struct gv_cli *cli, int argc, char **argv);
int gv_cli_telemetry(struct gv_cli *cli, int argc, char **argv);
int gv_cli_stats(struct gv_cli *cli, int argc, char **argv);
int gv_cli_alerts(struct gv_cli *cli, int argc, char **argv);
int gv_cli_privacy(struct gv_cli *cli, int argc, char **argv);
int gv_cli_investigate(struct gv_cli *cli, int argc, char **argv);
int gv_cli_transparency(struct gv_cli *cli, int argc, char **argv);
int gv_cli_enroll(struct gv_cli *cli, int argc, char **argv);
int gv_cli_leave(struct gv_cli *cli, int argc, char **argv);
int gv_cli_confirm(struct gv_cli *cli, int argc, char **argv);
int gv_cli_allow(struct gv_cli *cli, int argc, char **argv);
int gv_cli_deny(struct gv_cli *cli, int argc, char **argv);
int gv_cli_unlist(struct gv_cli *cli, int argc, char **argv);
int gv_cli_retract(struct gv_cli *cli, int argc, char **argv);
int gv_cli_trust(struct gv_cli *cli, int argc, char **argv);
int gv_cli_untrust(struct gv_cli *cli, int argc, char **argv);
int gv_cli_network(struct gv_cli *cli, int argc, char **argv);
int gv_cli_import(struct gv_cli *cli, int argc, char **argv);
int gv_cli_reload(struct gv_cli *cli, int argc, char **argv);
int gv_cli_token(struct gv_cli *cli, int argc, char **argv);
int gv_cli_bouncers(struct gv_cli *cli, int argc, char **argv);
int gv_cli_snippet(struct gv_cli *cli, int argc, char **argv);
int gv_cli_setup(struct gv_cli *cli, int argc, char **argv);
int gv_cli_doctor(struct gv_cli *cli, int argc, char **argv);
int gv_cli_backup(struct gv_cli *cli, int argc, char **argv);
int gv_cli_restore(struct gv_cli *cli, int argc, char **argv);

/* ---- the command line ----------------------------------------------------------------------- */

/* Parses the command's own options with argp; adds --json. `options` ends with {0}. `parse` (may
 * be NULL) takes what is not known here; `input` is its state->input. Positional arguments:
 * at least `least`, at most `most`, into words[most]. Returns how many there were; exits with
 * EX_USAGE when it is wrong. */
struct gv_cli_spec {
    const struct argp_option *options;
    const char *arguments, *doc;
    argp_parser_t parse;
    void *input;
    unsigned least, most;
};
unsigned gv_cli_parse(struct gv_cli *cli, const struct gv_cli_spec *spec, int argc, char **argv,
                      const char **words);

/* ---- the daemon ----------------------------------------------------------------------------- */

/* Asks. On success *out is the answer (json_decref it) and 0 is returned; otherwise one line went
 * to standard error and the exit status is returned. `body` may be NULL (GET); it is not taken. */
int gv_cli_ask(struct gv_cli *cli, json_t **out, const char *path, const json_t *body);
/* The same with the answer's error word in `word` and nothing printed when it begins with `expect`;
 * -1 is returned then. */
int gv_cli_ask_expecting(struct gv_cli *cli, json_t **out, const char *path, const json_t *body,
                         const char *expect);
/* Posts an owner to `path` ("trust") and prints what the daemon says. The exit status. */
int gv_cli_post_owner(struct gv_cli *cli, const char *path, const char *owner);
/* Lines of a stream, until it ends or the reader returns non-zero. */
int gv_cli_follow(struct gv_cli *cli, const char *path,
                  int (*line)(void *context, const json_t *json), void *context);
/* Appends name=value to a path, escaped; the first with '?'. Cuts at cap. */
void gv_cli_query(char *path, size_t cap, const char *name, const char *value);

/* What is asked of a list that may go on: --follow ('f'), --since ('t') and --limit ('n'), as far
 * as the command offers them, in the path. For gv_cli_spec: the parser, and its input. */
struct gv_cli_stream {
    bool follow;
    char path[512];
};
error_t gv_cli_parse_stream(int key, char *value, struct argp_state *state);

/* Says so; EX_OSERR. */
int gv_cli_no_memory(void);

/* ---- printing ------------------------------------------------------------------------------- */

/* The answer as it came, with --json. ASCII only, so that nothing in it moves a terminal. */
void gv_cli_print_json(const json_t *json);

/* Text of a member, made safe for a terminal; "-" when absent or null. The buffer is one of eight
 * that take turns. `path` may name members of members: "mesh.peers". */
const char *gv_cli_text(const json_t *object, const char *path);
const json_t *gv_cli_member(const json_t *object, const char *path);
bool gv_cli_true(const json_t *object, const char *path);
int64_t gv_cli_number(const json_t *object, const char *path);

/* Text of others in full, line by line, each made safe for a terminal. NULL: nothing. */
void gv_cli_print_foreign(FILE *out, const char *text);
/* What joining `network` (its "name", "lab", "registry", "terms") means. */
void gv_cli_print_consequences(FILE *out, const json_t *network);
/* The paragraph for the admin's own privacy policy (privacy.c). */
struct gv_options;
void gv_cli_print_notice(FILE *out, const struct gv_options *options);

/* The colour that goes with a verdict, an action or a state, or NULL; a name of libsmartcols. */
const char *gv_cli_colour_of(const char *word);
/* Prints `word` in its colour, where colours are wanted. */
void gv_cli_print_word(const struct gv_cli *cli, const char *word);
void gv_cli_print_heading(const struct gv_cli *cli, const char *text);
/* "  name     value\n" */
void gv_cli_print_pair(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct gv_cli_column {
    const char *title;
    const char *member; /* of each element of the list */
    bool right;         /* numbers */
    bool coloured;
};
/* A table of the objects of `list`. 0, or EX_OSERR. */
int gv_cli_table(const struct gv_cli *cli, const json_t *list, const struct gv_cli_column *columns,
                 size_t count);

#endif
