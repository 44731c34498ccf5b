/* The token of the HTTP API: 32 random bytes in DATA/api.token (0600), as 64 hex digits. Whoever
 * has it may read all that `grapevine` shows, and do what a click in the dashboard does. */
#ifndef GV_NODE_SERVE_TOKEN_H
#define GV_NODE_SERVE_TOKEN_H

#include <stdbool.h>

#include "node/base/keyfile.h"
#include "node/base/text.h"

#define GV_TOKEN_TEXT (2 * GV_SECRET_LEN + 1)

struct gv_token {
    char path[4096];
    char text[GV_TOKEN_TEXT]; /* secret */
};

/* Reads it, or makes it when absent. Errors as gv_keyfile_ensure. */
int gv_token_open(struct gv_token *out, const char *folder, struct gv_text *error);
/* A new one, stored and in force from now on; the old one is worth nothing any more. On an error
 * the old one stays. */
int gv_token_renew(struct gv_token *token, struct gv_text *error);
void gv_token_wipe(struct gv_token *token);

/* Is this the value of an Authorization header that has it ("Bearer TOKEN")? NULL is not. Takes as
 * long for every wrong token. */
bool gv_token_matches(const struct gv_token *token, const char *authorization);

#endif
