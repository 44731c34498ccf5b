/* A DNS message from anybody. If there is an answer it fits, has the query's id, is an answer, and
 * has as many records as it says, in whole. */
#include <string.h>

#include "crypto/error.h"
#include "node/serve/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool listed(void *context, enum gv_dns_zone zone, const struct gv_subject *subject)
{
    (void)context;
    gv_assert(zone == GV_DNS_REFUSE || zone == GV_DNS_UNTRUSTED);
    gv_assert(subject->family == GV_FAMILY_IPV4 || subject->family == GV_FAMILY_IPV6);
    return subject->bytes[0] & 1;
}

static void reason(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject)
{
    (void)context;
    (void)zone;
    memset(out, 'x', GV_DNS_TEXT_MAX);
    out[subject->bytes[1] % (GV_DNS_TEXT_MAX + 1)] = 0;
}

static size_t name_end(const uint8_t *message, size_t len, size_t at)
{
    while (at < len && message[at] != 0 && message[at] < 64)
        at += message[at] + 1u;
    gv_assert(at < len);
    return message[at] >= 0xc0 ? at + 2 : at + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gv_dns_source source = {NULL, listed, reason, 7};
    uint8_t out[GV_DNS_ANSWER_MAX];

    for (int welcome = 0; welcome < 2; welcome++) {
        size_t len = gv_dns_answer(out, data, size, &source, welcome);
        if (len == 0)
            continue;
        gv_assert(len >= 12 && len <= sizeof out && memcmp(out, data, 2) == 0 && out[2] & 0x80);
        unsigned records = (unsigned)out[7] + out[9] + out[11];
        size_t at = out[5] ? name_end(out, len, 12) + 4 : 12;
        for (; records > 0; records--) {
            at = name_end(out, len, at) + 10;
            gv_assert(at <= len);
            at += (size_t)(out[at - 2] << 8 | out[at - 1]);
        }
        gv_assert(at == len);
        gv_assert(welcome || (out[7] == 0 && out[9] == 0));
    }
    return 0;
}
