/* grapevine-registry invite: works on the records beside a running registry. */
#include <argp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/config.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"
#include "node/registry/invitation.h"
#include "node/registry/place.h"
#include "node/registry/registrar.h"

#define LIFE_S     (7 * 86400)
#define LIFE_MAX_S (365 * 86400)

struct invite {
    const char *folder, *config, *email;
    int64_t life_s;
};

static const struct argp_option options[] = {
    {"data", 'd', "DIR", 0, "The registry's folder", 0},
    {"config", 'c', "FILE", 0, "Or its config file", 0},
    {"expires", 'e', "DURATION", 0, "How long it is good, such as 24h or 30d (default 7d)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct invite *invite = state->input;

    switch (key) {
    case 'd':
        invite->folder = arg;
        return 0;
    case 'c':
        invite->config = arg;
        return 0;
    case 'e':
        if (gv_config_duration_parse(&invite->life_s, arg) != GV_OK || invite->life_s < 60 ||
            invite->life_s > LIFE_MAX_S)
            argp_error(state, "--expires %s: write 60s to 365d", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (invite->email)
            argp_error(state, "%s: one address only", arg);
        invite->email = arg;
        return 0;
    case ARGP_KEY_END:
        if (!invite->folder == !invite->config)
            argp_error(state, "--data or --config is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
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

static int store(const struct invite *invite, struct gv_records *records,
                 const uint8_t secret[GV_SECRET_LEN], const char *text, struct gv_text *why)
{
    char email[GV_EMAIL_MAX + 1];
    uint8_t code[GV_HASH_LEN], owner[GV_ID_LEN];
    uint32_t now = gv_now_min();

    if (invite->email) {
        if (gv_email_normalise(email, invite->email, strlen(invite->email)) != GV_OK)
            return gv_fail(why, GV_ERR_RANGE, "%s: write an address like name@example.org",
                           invite->email);
        gv_owner_tag(owner, secret, email);
    }
    int rc = gv_invitation_hash(code, secret, text);
    if (rc == GV_OK)
        rc = gv_records_invite(records, code, invite->email ? owner : NULL,
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
    struct invite invite = {.life_s = LIFE_S};
    struct gv_records *records = NULL;
    struct gv_place place = {0};
    struct gv_text why = {"out of memory"};
    uint8_t secret[GV_SECRET_LEN] = {0}, random[GV_CODE_RANDOM];
    char text[GV_CODE_LEN + 2], *path = NULL;

    gv_arguments(&argp, argc, argv, 0, &invite);
    int rc = gv_place_find(&place, invite.folder, invite.config);
    if (rc == GV_ERR_CONFIG)
        return EX_CONFIG; /* said */
    if (rc == GV_OK)
        rc = (path = gv_data_path(place.folder, GV_FILE_OWNER_KEY)) ? GV_OK : GV_ERR_MEMORY;
    if (rc == GV_OK)
        rc = gv_keyfile_read(secret, path, &why);
    if (rc == GV_OK)
        rc = gv_place_open(&records, &place, &why);
    randombytes_buf(random, sizeof random);
    gv_code_text(text, random);
    if (rc == GV_OK)
        rc = store(&invite, records, secret, text, &why);
    if (rc == GV_OK)
        printf("%s\n", text);
    gv_wipe(secret, sizeof secret);
    gv_wipe(random, sizeof random);
    gv_wipe(text, sizeof text);
    gv_records_close(records);
    gv_place_free(&place);
    free(path);
    return rc == GV_OK ? EX_OK : gv_complain(rc, &why);
}
