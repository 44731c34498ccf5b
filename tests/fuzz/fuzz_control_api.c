/* What a request to the control socket may hold: the first byte picks the question, the rest is its
 * argument or body; arguments of a query are separated by newlines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/api_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_queries(uint8_t which, const char *a, const char *b, const char *c)
{
    struct gv_text error = {""};
    struct gv_api_list_query list;
    struct gv_api_telemetry_query telemetry;
    struct gv_subject subject;
    char text[GV_SUBJECT_TEXT];

    switch (which) {
    case 0:
        if (gv_api_subject(&subject, a, &error) == GV_OK) {
            struct gv_subject again;
            gv_subject_text(text, &subject);
            gv_assert(gv_api_subject(&again, text, &error) == GV_OK);
            gv_assert(gv_subject_equal(&subject, &again));
        }
        break;
    case 9: {
        size_t offset = 0;
        if (gv_api_offset(&offset, "offset", a, &error) == GV_OK)
            gv_assert(offset <= GV_API_OFFSET_MAX && (a || offset == 0));
        else
            gv_assert(error.text[0]);
        break;
    }
    case 1:
        if (gv_api_list_query(&list, a, b, c, &error) == GV_OK)
            gv_assert(list.limit >= 1 && list.limit <= GV_API_LIMIT_MAX);
        break;
    default:
        if (gv_api_telemetry_query(&telemetry, 1795320000000ULL, a, b, c, &error) == GV_OK)
            gv_assert(telemetry.limit >= 1 && telemetry.limit <= GV_API_LIMIT_MAX);
        break;
    }
}

static void check_bodies(uint8_t which, const uint8_t *body, size_t len)
{
    struct gv_text error = {""};
    struct gv_prefix prefix;
    struct gv_subject subject;
    struct gv_api_join join;
    struct gv_api_enroll enroll;
    struct gv_api_confirm confirm;
    uint8_t owner[GV_ID_LEN];

    switch (which) {
    case 3:
        (void)gv_api_prefix_body(&prefix, body, len, &error);
        break;
    case 4:
        (void)gv_api_subject_body(&subject, body, len, &error);
        break;
    case 5:
        if (gv_api_join_body(&join, body, len, &error) == GV_OK)
            gv_assert(memchr(join.registry, 0, sizeof join.registry));
        break;
    case 8:
        if (gv_api_owner_body(owner, body, len, &error) != GV_OK)
            gv_assert(error.text[0]);
        break;
    case 6:
        if (gv_api_enroll_body(&enroll, body, len, &error) == GV_OK)
            gv_assert(enroll.email[0] && memchr(enroll.email, 0, sizeof enroll.email));
        break;
    default:
        if (gv_api_confirm_body(&confirm, body, len, &error) == GV_OK)
            gv_assert(confirm.code[0] && memchr(confirm.code, 0, sizeof confirm.code));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[3] = {NULL, NULL, NULL};

    if (size == 0)
        return 0;
    uint8_t which = (uint8_t)(data[0] - '0') % 10;
    if (which >= 3 && which != 9) {
        check_bodies(which, data + 1, size - 1);
        return 0;
    }
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    char *rest = text;
    for (int i = 0; i < 3 && rest; i++)
        words[i] = strsep(&rest, "\n");
    check_queries(which, words[0], words[1], words[2]);
    free(text);
    return 0;
}
