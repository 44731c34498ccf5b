#include "proto/ip_address.h"

#include <string.h>

#include "crypto/error.h"
#include "proto/ip.h"

_Static_assert(GV_IP_ADDRESS_TEXT >= GV_IP_TEXT, "the longest must fit");

int gv_ip_address_parse(struct gv_ip_address *out, const char *text, size_t len)
{
    struct gv_ip_address a = {.family = GV_FAMILY_IPV4};

    if (gv_ip4_parse(a.bytes, text, len)) { /* nearly all of them */
        *out = a;
        return GV_OK;
    }
    /* Brackets are the log line's, so they are the caller's to take off. */
    if (len == 0 || text[0] == '[')
        return GV_ERR_MALFORMED;
    if (gv_ip_parse(&a.family, a.bytes, text, len) != GV_OK)
        return GV_ERR_MALFORMED;
    *out = a;
    return GV_OK;
}

size_t gv_ip_address_text(char out[GV_IP_ADDRESS_TEXT], const struct gv_ip_address *address)
{
    return gv_ip_text(out, address->family, address->bytes);
}

struct gv_subject gv_ip_address_subject(const struct gv_ip_address *address)
{
    struct gv_subject subject = {.family = address->family};
    size_t used = address->family == GV_FAMILY_IPV4 ? 4 : address->family == GV_FAMILY_IPV6 ? 8 : 0;

    memcpy(subject.bytes, address->bytes, used);
    return subject;
}

bool gv_ip_address_of(const struct gv_ip_address *address, const struct gv_subject *subject)
{
    struct gv_subject of = gv_ip_address_subject(address);

    return memcmp(&of, subject, sizeof of) == 0;
}

bool gv_ip_address_equal(const struct gv_ip_address *a, const struct gv_ip_address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
