#include "node/registry/invitation.h"

#include <ctype.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"

#define DOMAIN "grapevine invitation 1"

int gv_invitation_hash(uint8_t out[GV_HASH_LEN], const uint8_t secret[GV_SECRET_LEN],
                       const char *text)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint8_t code[GV_CODE_LEN];
    size_t len = 0;

    for (; *text; text++) {
        char c = (char)toupper((unsigned char)*text);
        if (c == '-' || c == ' ')
            continue;
        c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
        if (len == GV_CODE_LEN || !strchr(letters, c))
            return GV_ERR_MALFORMED;
        code[len++] = (uint8_t)c;
    }
    if (len == GV_CODE_LEN)
        gv_hmac(out, secret, GV_SECRET_LEN, DOMAIN, code, sizeof code);
    gv_wipe(code, sizeof code);
    return len == GV_CODE_LEN ? GV_OK : GV_ERR_MALFORMED;
}

bool gv_invitation_admits(struct gv_registrar *registrar, struct gv_http_request *request,
                          const char *text, const uint8_t owner[GV_ID_LEN],
                          const uint8_t key[GV_KEY_LEN])
{
    uint8_t code[GV_HASH_LEN];
    int rc = GV_ERR_FORBIDDEN;

    if (registrar->settings->enrolment == GV_ENROLMENT_OPEN)
        return true;
    if (text && gv_invitation_hash(code, registrar->owner_secret, text) == GV_OK)
        rc =
            gv_records_claim(registrar->records, code, owner, key, gv_registrar_now_min(registrar));
    if (rc == GV_OK)
        return true;
    if (rc != GV_ERR_FORBIDDEN)
        gv_refuse_internal(request, rc);
    else if (!text)
        gv_http_error(request, 403, "invitation",
                      "this network admits the invited only; ask who runs its registry for an "
                      "invitation, and give it with --invitation CODE");
    else
        gv_http_error(request, 403, "invitation",
                      "that is no invitation for this node and email address, or it is used or "
                      "expired; ask who runs the registry for another");
    return false;
}
