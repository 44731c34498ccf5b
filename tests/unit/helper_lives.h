/* The real grapevined in a scratch folder, enrolled in a lab network of the test's own whose only
 * other member is a recorder; started, fed with log lines, killed and started again. */
#ifndef GV_TESTS_HELPER_LIVES_H
#define GV_TESTS_HELPER_LIVES_H

#include <sys/types.h>

#include "helper_recorder.h"
#include "proto/buf.h"

#define LIVES_PER_NODE 20 /* signals an hour of the log, at most; the quota is 32 */

struct lives {
    char folder[64], data[96], conf[96], log[96], said[96], socket[128];
    struct gv_identity root, registry, node;
    struct gv_descriptor descriptor;
    struct recorder recorder;
    pid_t pid; /* 0: not running */
    unsigned fed;
};

/* Makes folder, keys, certificates, configuration; starts the recorder. `number`: other keys. */
void lives_make(struct lives *lives, unsigned number);
void lives_remove(struct lives *lives);

/* `environment`: "NAME=value" strings, ends with NULL, added to the daemon's; may be NULL. The disk
 * shim is preloaded when it is not, unless the first of them is another LD_PRELOAD. What the daemon
 * says goes to lives->said, emptied first. */
void lives_start(struct lives *lives, char *const *environment);
/* Waits until it has a session with the recorder; false when it ended, or after a minute. */
bool lives_await_session(struct lives *lives, unsigned before);
/* Waits for the end, a minute at most. Gives waitpid's status. */
int lives_wait(struct lives *lives);
/* Ended by itself or by a signal: *status, pid is 0 then. */
bool lives_ended(struct lives *lives, int *status);
void lives_kill(struct lives *lives, int signal);

/* Three failures of a new subject in the log; gives the subject. */
struct gv_subject lives_feed(struct lives *lives);
/* Waits until the recorder has it, or so long. */
bool lives_await(struct lives *lives, const struct gv_subject *subject, unsigned ms);
/* Whether the control socket answers `path` with this status; the body to out (may be NULL). */
bool lives_ask(struct lives *lives, const char *path, unsigned status, struct gv_buf *out);

/* What the daemon said in this life, terminated; free it. */
char *lives_said(const struct lives *lives);
/* Fails the test when the daemon said that anything is wrong with the store, or crashed. */
void lives_check_said(const struct lives *lives);

/* None of these words, which end with NULL; this one. */
void lives_said_lacks(const struct lives *lives, const char *const *wrong);
void lives_said_has(const struct lives *lives, const char *text);
/* lives_start, until it has a session with the recorder. */
void lives_start_up(struct lives *lives, char *const *environment);
void lives_stop(struct lives *lives); /* SIGTERM, and its end without an error */
/* Whether it says that it is ready, and lives; a minute. */
bool lives_await_ready(struct lives *lives);

/* With the daemon stopped: every statement that the recorder acknowledged is in the store, and no
 * sequence number has two statements, in the store and the recorder's memory together. Gives the
 * number of statements in the store. */
size_t lives_check_store(struct lives *lives);

#endif
