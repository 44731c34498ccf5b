#include "node/registry/template.h"

#include <jansson.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"

static const char built_in[] =
    "Subject: Your code for the mesh {network}\n"
    "\n"
    "Somebody, probably you, asked to enrol a mail server in the mesh\n"
    "\"{network}\" with this email address.\n\n"
    "The code is:\n\n    {code}\n\n"
    "Enter it on that server within {minutes} minutes:\n\n"
    "    grapevine confirm {code}\n\n"
    "Or open this page and press its button. The server's instance must be\n"
    "{instance}, as `grapevine status` shows it there:\n\n"
    "    {link}\n\n"
    "If you did not ask for this, do nothing. Without the code nothing\n"
    "happens, and this address is forgotten.\n";

static const char built_in_leave[] =
    "Subject: Leaving the mesh {network}\n"
    "\n"
    "Somebody, probably you, asked to end what is registered in the mesh\n"
    "\"{network}\" with this email address. Open this page within {minutes}\n"
    "minutes and press its button:\n\n"
    "    {link}\n\n"
    "or without a browser: curl -X POST {link}\n\n"
    "Then every mail server that was enrolled with this address is out of the\n"
    "mesh for good, and the address is erased.\n\n"
    "If you did not ask for this, do nothing. Nothing happens then.\n";

#define SUBJECT_MAX 200 /* before it is filled in */

static const char subject_mark[] = "Subject: ";

static const char *value_of(const struct gv_mail_words *words, const char *name, size_t len)
{
    const struct gv_template_word all[] = {{"network", words->network},
                                           {"code", words->code},
                                           {"minutes", words->minutes},
                                           {"instance", words->instance},
                                           {"link", words->link}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i].name) == len && memcmp(all[i].name, name, len) == 0)
            return all[i].value;
    return NULL;
}

struct filling {
    const char *path; /* for sentences */
    unsigned line;
    bool has_needed;
};

/* Text up to `len`, with its words filled in. */
static int fill(struct gv_buf *out, struct filling *filling, const char *text, size_t len,
                const struct gv_mail_words *words, struct gv_text *error)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            filling->line++;
        if (text[i] != '{') {
            gv_buf_append(out, text + i, 1);
            continue;
        }
        const char *end = memchr(text + i, '}', len - i);
        size_t word = end ? (size_t)(end - text) - i - 1 : 0;
        const char *value = end ? value_of(words, text + i + 1, word) : NULL;
        if (!value)
            return gv_fail(error, GV_ERR_MALFORMED,
                           "%s:%u: after '{' write one of: network}, minutes}, %slink}",
                           filling->path, filling->line, words->code ? "code}, instance}, " : "");
        filling->has_needed =
            filling->has_needed || value == (words->code ? words->code : words->link);
        gv_buf_append(out, value, strlen(value));
        i += word + 1;
    }
    gv_buf_append(out, "", 1);
    return out->failed ? gv_fail(error, GV_ERR_MEMORY, "out of memory") : GV_OK;
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return true;
    return false;
}

static bool is_text(const char *text, size_t len)
{
    json_t *string = json_stringn(text, len); /* UTF-8? */
    bool good = string && memchr(text, '\0', len) == NULL && memchr(text, '\r', len) == NULL;

    json_decref(string);
    return good;
}

int gv_template_fill_text(struct gv_buf *out, size_t *body_at, const char *path, const char *text,
                          size_t len, const struct gv_mail_words *words, struct gv_text *error)
{
    struct filling filling = {.path = path, .line = 1};
    size_t mark = sizeof subject_mark - 1;
    const char *end = memchr(text, '\n', len);

    if (!is_text(text, len))
        return gv_fail(error, GV_ERR_MALFORMED, "%s: write UTF-8, with LF at the end of lines",
                       path);
    if (!end || (size_t)(end - text) < mark || memcmp(text, subject_mark, mark) != 0 ||
        (size_t)(end - text) + 1 >= len || end[1] != '\n')
        return gv_fail(error, GV_ERR_MALFORMED,
                       "%s:1: write \"Subject: ...\" here, then an empty line, then the text",
                       path);
    if ((size_t)(end - text) > SUBJECT_MAX || has_control(text, (size_t)(end - text)))
        return gv_fail(error, GV_ERR_MALFORMED,
                       "%s:1: a subject has at most %d bytes, and no control characters", path,
                       SUBJECT_MAX);
    int rc = fill(out, &filling, text + mark, (size_t)(end - text) - mark, words, error);
    *body_at = out->len;
    filling.line = 3;
    if (rc == GV_OK)
        rc = fill(out, &filling, end + 2, len - (size_t)(end + 2 - text), words, error);
    if (rc == GV_OK && !filling.has_needed)
        rc = gv_fail(error, GV_ERR_MALFORMED, "%s: {%s} must be in it", path,
                     words->code ? "code" : "link");
    return rc;
}

int gv_template_fill(struct gv_buf *out, size_t *body_at, const char *path,
                     const struct gv_mail_words *words, struct gv_text *error)
{
    struct gv_buf file;

    *body_at = 0;
    if ((!path || !*path) && words->code)
        return gv_template_fill_text(out, body_at, "the built-in mail", built_in,
                                     sizeof built_in - 1, words, error);
    if (!path || !*path)
        return gv_template_fill_text(out, body_at, "the built-in mail", built_in_leave,
                                     sizeof built_in_leave - 1, words, error);
    gv_buf_init(&file);
    int rc = gv_file_read(&file, path, GV_TEMPLATE_MAX, error);
    if (rc == GV_OK)
        rc = gv_template_fill_text(out, body_at, path, file.data ? (const char *)file.data : "",
                                   file.len, words, error);
    gv_buf_free(&file);
    return rc;
}
