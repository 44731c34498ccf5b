/* A stage for tests of the bouncers' API: a real core with a clock of its own, the feed, the API on
 * a real socket, and a client with a key. */
#ifndef GV_TESTS_HELPER_BOUNCER_H
#define GV_TESTS_HELPER_BOUNCER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helper_puppet.h"
#include "node/serve/bouncer_keys.h"

int bouncer_set_up(void **state); /* enforced, feed = refuse */
int bouncer_tear_down(void **state);
/* As when the daemon restarts: the core stays, what the API knew is gone. */
void bouncer_stop(void);
void bouncer_start(size_t lifted_max);
void bouncer_configure(bool enforced, bool untrusted);
uint16_t bouncer_port(void);

/* ---- what happens to an address ------------------------------------------------------------- */
void bouncer_lock(const char *address);   /* five wrong passwords */
void bouncer_guess(const char *address);  /* the same at several accounts */
void bouncer_logins(const char *address); /* of two accounts: clean history */
void bouncer_command(enum gv_command command, const char *prefix);
/* Two owners report subject_of(number), or take it back. */
void bouncer_mesh_says(unsigned number, char address[GV_SUBJECT_TEXT]);
void bouncer_mesh_retracts(unsigned number);
void bouncer_run(unsigned seconds); /* of the core's clock; everything is decided anew then */
void bouncer_settle(void);          /* the API's own timer has come round */
bool bouncer_refused(const char *address); /* by the core */
void bouncer_fill(unsigned count);         /* so many bans more, whatever the core says */

/* ---- the client ----------------------------------------------------------------------------- */
extern char bouncer_key[GV_BOUNCER_KEY_TEXT];
extern const char *bouncer_from;  /* its address; NULL: 127.0.0.1 */
extern const char *bouncer_agent; /* its User-Agent */
extern char *bouncer_body;        /* of the last answer, terminated */
extern char bouncer_type[64];     /* its Content-Type */
extern size_t bouncer_body_len;
extern json_t *bouncer_json; /* the same, where it is JSON */

/* The status. key and body may be NULL. */
unsigned bouncer_ask(const char *method, const char *path, const char *key, const char *body);
const char *asked(const char *path); /* GET with the key; the body of a 200 */
/* The list of GET /v1/decisions?query, and "new" or another of the stream's. Lent. */
const json_t *bouncer_list(const char *query);
const json_t *bouncer_stream(const char *which, const char *query);
const json_t *bouncer_new(const char *query);
/* Their values, with a blank between. */
const char *bouncer_list_values(const char *query);
const char *bouncer_values(const char *which, const char *query);
const char *bouncer_last_values(const char *which); /* of the answer before */
bool bouncer_has(const json_t *list, const char *value);
bool bouncer_told(const char *which, const char *query, const char *value);
const char *bouncer_text(const json_t *object, const char *member);
/* Asks, reads so many bytes and resets the connection. Returns how many it read. */
size_t bouncer_hang_up(const char *path, size_t bytes);

void bouncer_add_key(const char *name, char key[GV_BOUNCER_KEY_TEXT]);
void bouncer_delete_key(const char *name);
int64_t bouncer_counter(const char *name);

#endif
