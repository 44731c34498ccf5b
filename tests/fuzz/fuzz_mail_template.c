/* The admin's own words for the mail: whatever is in the file, no value is left out, doubled or
 * cut, the subject stays one line, and the code is in it. */
#include <string.h>

#include "crypto/error.h"
#include "node/registry/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gv_mail_words words = {"<network>", "<code>", "<minutes>", "<instance>",
                                               "<link>"};
    struct gv_text why = {""};
    struct gv_buf out;
    size_t body_at;

    if (size > GV_TEMPLATE_MAX)
        return 0;
    gv_buf_init(&out);
    int rc = gv_template_fill_text(&out, &body_at, "words", (const char *)data, size, &words, &why);
    gv_assert(rc == GV_OK || rc == GV_ERR_MALFORMED);
    gv_assert((rc == GV_OK) == (why.text[0] == '\0'));
    if (rc == GV_OK) {
        const char *subject = (const char *)out.data, *body = subject + body_at;
        gv_assert(body_at > 0 && strlen(subject) + 1 == body_at);
        gv_assert(body_at + strlen(body) + 1 == out.len);
        gv_assert(!strpbrk(subject, "\r\n{"));
        gv_assert(strstr(subject, words.code) || strstr(body, words.code));
    }
    gv_buf_free(&out);
    return 0;
}
