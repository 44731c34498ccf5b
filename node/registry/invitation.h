/* Invitations: codes that whoever runs the registry gives out, each good for one node. Kept as an
 * HMAC under the registry's owner secret, so that a copy of the database invites nobody.
 * (SPEC 14.4) */
#ifndef GV_NODE_REGISTRY_INVITATION_H
#define GV_NODE_REGISTRY_INVITATION_H

#include "node/registry/enrolment.h"

#define GV_INVITATION_TEXT_MAX 32

/* What is stored of it. As typed: either case, with or without '-' and blanks; O counts as 0, I and
 * L as 1. GV_OK or GV_ERR_MALFORMED. */
int gv_invitation_hash(uint8_t out[GV_HASH_LEN], const uint8_t secret[GV_SECRET_LEN],
                       const char *text);

/* Whether this enrolment may go on: enrolment is open, or `text` (may be NULL) is an invitation for
 * this owner and key, who has it from now on. Otherwise answers and returns false. */
bool gv_invitation_admits(struct gv_registrar *registrar, struct gv_http_request *request,
                          const char *text, const uint8_t owner[GV_ID_LEN],
                          const uint8_t key[GV_KEY_LEN]);

#endif
