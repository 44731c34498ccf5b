/* Answers that a client need not fetch twice: with an ETag, and 304 when it has them already. */
#ifndef GV_NODE_SERVE_ANSWER_H
#define GV_NODE_SERVE_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "node/base/http.h"

#define GV_ETAG_TEXT 64 /* with its quotes */

/* Takes over the reference (NULL: 500). The ETag is a hash of the text. */
void gv_answer_json(struct gv_http_request *request, json_t *json);

/* A hash of the bytes, quoted. */
void gv_answer_etag(char out[GV_ETAG_TEXT], const void *data, size_t len);

/* Does If-None-Match name it (a list, weak ones too, or "*")? */
bool gv_answer_has(const struct gv_http_request *request, const char *etag);
/* Adds ETag and Cache-Control; answers 304 and says true when the client has it. */
bool gv_answer_unchanged(struct gv_http_request *request, const char *etag);

#endif
