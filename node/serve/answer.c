#include "node/serve/answer.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "node/base/text.h"

bool gv_answer_has(const struct gv_http_request *request, const char *etag)
{
    const char *at = gv_http_header(request, "If-None-Match");
    size_t len = strlen(etag);

    while (at && *at) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (strncmp(at, etag, len) == 0)
            return true;
        if (*at != '"')
            return false;
        at = strchr(at + 1, '"');
        if (at)
            at++;
    }
    return false;
}

bool gv_answer_unchanged(struct gv_http_request *request, const char *etag)
{
    gv_http_add_header(request, "ETag", etag);
    gv_http_add_header(request, "Cache-Control", "no-cache");
    if (!gv_answer_has(request, etag))
        return false;
    gv_http_respond(request, 304, NULL, NULL, 0);
    return true;
}

void gv_answer_etag(char out[GV_ETAG_TEXT], const void *data, size_t len)
{
    uint8_t id[GV_ID_LEN];

    gv_hash_id(id, "grapevine etag", data, len);
    out[0] = '"';
    gv_hex(out + 1, id, sizeof id);
    strcat(out, "\"");
}

void gv_answer_json(struct gv_http_request *request, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL, etag[GV_ETAG_TEXT];
    size_t len = text ? strlen(text) : 0;

    json_decref(json);
    if (!text) {
        gv_http_respond_json(request, 500, NULL);
        return;
    }
    gv_answer_etag(etag, text, len);
    if (!gv_answer_unchanged(request, etag))
        gv_http_respond(request, 200, "application/json", text, len);
    free(text);
}
