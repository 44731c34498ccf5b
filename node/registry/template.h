/* The mails to an owner, with his code and with the link by which he leaves: each a text with
 * {words} in braces, the admin's own or the built-in one. The first line is "Subject: ...", then an
 * empty line, then the body; UTF-8. */
#ifndef GV_NODE_REGISTRY_TEMPLATE_H
#define GV_NODE_REGISTRY_TEMPLATE_H

#include <stddef.h>

#include "node/base/text.h"
#include "proto/buf.h"

#define GV_TEMPLATE_MAX 16384 /* bytes of a file */

struct gv_template_word {
    const char *name, *value;
};

/* What a mail is made of: {network} {code} {minutes} {instance} {link}, and {code} must be in it.
 * In the one for leaving code and instance are NULL, cannot be written, and {link} must be in it.
 */
struct gv_mail_words {
    const char *network, *code, *minutes, *instance, *link;
};

/* Appends subject and body, each terminated by a zero, of the file (NULL or "": the built-in one).
 * *body_at is where the body begins. Returns GV_OK, GV_ERR_MALFORMED (the sentence names file, line
 * and what would be right), GV_ERR_NOT_FOUND, GV_ERR_RANGE, GV_ERR_IO, GV_ERR_MEMORY. */
int gv_template_fill(struct gv_buf *out, size_t *body_at, const char *path,
                     const struct gv_mail_words *words, struct gv_text *error);
/* The same of a text in memory; `path` is for sentences. */
int gv_template_fill_text(struct gv_buf *out, size_t *body_at, const char *path, const char *text,
                          size_t len, const struct gv_mail_words *words, struct gv_text *error);

#endif
