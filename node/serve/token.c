#include "node/serve/token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/file.h"

_Static_assert(GV_TOKEN_TEXT == 65, "compared by crypto_verify_64");

int gv_token_open(struct gv_token *out, const char *folder, struct gv_text *error)
{
    uint8_t secret[GV_SECRET_LEN];
    bool fresh;

    if ((size_t)snprintf(out->path, sizeof out->path, "%s/api.token", folder) >= sizeof out->path)
        return gv_fail(error, GV_ERR_RANGE, "%.64s...: the path is too long", folder);
    int rc = gv_keyfile_ensure(secret, &fresh, out->path, error);
    if (rc == GV_OK)
        gv_hex(out->text, secret, sizeof secret);
    gv_wipe(secret, sizeof secret);
    return rc;
}

int gv_token_renew(struct gv_token *token, struct gv_text *error)
{
    uint8_t secret[GV_SECRET_LEN];
    char line[GV_TOKEN_TEXT + 1];

    randombytes_buf(secret, sizeof secret);
    gv_hex(line, secret, sizeof secret);
    line[GV_TOKEN_TEXT - 1] = '\n';
    int rc = gv_file_write(token->path, line, GV_TOKEN_TEXT, 0600, error);
    if (rc == GV_OK)
        gv_hex(token->text, secret, sizeof secret);
    gv_wipe(secret, sizeof secret);
    gv_wipe(line, sizeof line);
    return rc;
}

void gv_token_wipe(struct gv_token *token)
{
    gv_wipe(token->text, sizeof token->text);
}

bool gv_token_matches(const struct gv_token *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";

    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    return strlen(authorization) == GV_TOKEN_TEXT - 1 && token->text[0] &&
           crypto_verify_64((const uint8_t *)authorization, (const uint8_t *)token->text) == 0;
}
