/* grapevine-registry invite: works on the records beside a running registry. */
#include <argp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/config.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/invitation.h"

#define LIFE_S     (7 * 86400)
#define LIFE_MAX_S (365 * 86400)

struct invite {
    struct gv_desk_options at;
    int64_t life_s;
};

static const struct argp_option options[] = {
    GV_DESK_OPTIONS,
    {"expires", 'e', "DURATION", 0, "How long it is good, such as 24h or 30d (default 7d)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct invite *invite = state->input;

    if (key != 'e')
        return gv_desk_parse(&invite->at, key, arg, state);
    if (gv_config_duration_parse(&invite->life_s, arg) != GV_OK || invite->life_s < 60 ||
        invite->life_s > LIFE_MAX_S)
        argp_error(state, "--expires %s: write 60s to 365d", arg);
    return 0;
}

static const struct argp argp = {
    options,
    parse,
    "[EMAIL]",
    "Makes an invitation and prints it: a code that lets one node in, once, where [registry] "
    "enrolment = invited. With EMAIL it is for that owner alone; nothing is mailed.",
    NULL,
    NULL,
    NULL};

static int store(const struct invite *invite, struct gv_desk *desk, const char *text,
                 struct gv_text *why)
{
    const char *given = invite->at.word;
    char email[GV_EMAIL_MAX + 1];
    uint8_t code[GV_HASH_LEN], owner[GV_ID_LEN];
    uint32_t now = gv_now_min();

    if (given) {
        if (gv_email_normalise(email, given, strlen(given)) != GV_OK)
            return gv_fail(why, GV_ERR_RANGE, "%s: write an address like name@example.org", given);
        gv_owner_tag(owner, desk->owner_secret, email);
    }
    int rc = gv_invitation_hash(code, desk->owner_secret, text);
    if (rc == GV_OK)
        rc = gv_records_invite(desk->records, code, given ? owner : NULL,
                               now + (uint32_t)(invite->life_s / 60), now);
    if (rc == GV_ERR_FULL)
        gv_fail(why, rc, "%d invitations are out and not used; they have to expire first",
                GV_INVITATIONS_MAX);
    else if (rc != GV_OK)
        gv_fail(why, rc, "the invitation could not be stored: %s", gv_strerror(rc));
    return rc;
}

int gv_command_invite(int argc, char **argv)
{
    struct invite invite = {.at = {.takes_word = true}, .life_s = LIFE_S};
    struct gv_text why = {"out of memory"};
    struct gv_desk desk;
    uint8_t random[GV_CODE_RANDOM];
    char text[GV_CODE_LEN + 2];

    gv_arguments(&argp, argc, argv, 0, &invite);
    int rc = gv_desk_open(&desk, &invite.at, &why);
    randombytes_buf(random, sizeof random);
    gv_code_text(text, random);
    if (rc == GV_OK)
        rc = store(&invite, &desk, text, &why);
    if (rc == GV_OK)
        printf("%s\n", text);
    gv_wipe(random, sizeof random);
    gv_wipe(text, sizeof text);
    return gv_desk_end(&desk, rc, &why);
}
