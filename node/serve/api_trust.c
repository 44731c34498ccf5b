/* Owners whose servers count as this admin's own (SPEC 9.8). */
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"
#include "proto/limits.h"

struct known {
    int instances, connected;
};

static struct known look(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    struct known known = {0, 0};
    struct gv_instance_info who;
    struct gv_peer_info peer;
    size_t cursor = 0;

    while (gv_core_next_instance(core, &cursor, &who))
        known.instances += memcmp(who.owner, owner, GV_ID_LEN) == 0;
    for (cursor = 0; gv_core_next_peer(core, &cursor, &peer);)
        known.connected += peer.member && memcmp(peer.owner, owner, GV_ID_LEN) == 0;
    return known;
}

static json_t *owner_json(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    struct known known = look(core, owner);

    return json_pack("{s:o, s:i, s:i}", "owner", gv_json_new_hex(owner, GV_ID_LEN), "instances",
                     known.instances, "connected", known.connected);
}

/* This node's own, from its entry in the roster; null: not enrolled. */
static json_t *self_json(const struct gv_core *core)
{
    struct gv_core_status status;
    struct gv_instance_info who;
    size_t cursor = 0;

    gv_core_status(core, &status);
    while (status.has_certificate && gv_core_next_instance(core, &cursor, &who))
        if (memcmp(who.instance, status.instance, GV_ID_LEN) == 0)
            return owner_json(core, who.owner);
    return json_null();
}

void gv_api_get_trust(struct gv_http_request *request, void *context)
{
    const struct gv_api *api = context;
    const struct gv_core *core = gv_driver_core(api->options.driver);
    json_t *list = json_array();
    uint8_t owner[GV_ID_LEN];
    size_t cursor = 0;

    while (gv_core_next_trusted(core, &cursor, owner))
        json_array_append_new(list, owner_json(core, owner));
    gv_http_respond_json(request, 200,
                         json_pack("{s:o, s:o}", "own", self_json(core), "trusted", list));
}

/* A tag may be mistyped, or an owner come later: both are taken, and it is said. */
static void answer_done(struct gv_http_request *request, const struct gv_core *core,
                        const uint8_t owner[GV_ID_LEN], const char *done)
{
    struct gv_instance_info who;
    size_t cursor = 0;
    char message[160];
    bool known = false;

    while (!known && gv_core_next_instance(core, &cursor, &who))
        known = memcmp(who.owner, owner, GV_ID_LEN) == 0;
    snprintf(message, sizeof message, "%s%s", done,
             known ? "" : "; nobody of this tag is known at the moment");
    gv_http_respond_json(request, 200, json_pack("{s:b, s:s}", "ok", 1, "message", message));
}

void gv_api_edit_owner(struct gv_http_request *request, struct gv_api *api, enum gv_command command,
                       const struct gv_api_owner_words *words)
{
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = command}};
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_owner_body(event.command.owner, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    int rc = gv_driver_command(api->options.driver, &event);
    switch (rc) {
    case GV_OK:
        answer_done(request, gv_driver_core(api->options.driver), event.command.owner, words->done);
        break;
    case GV_ERR_IO:
        gv_http_error(request, 507, "not-stored",
                      "it is in force, but would be forgotten by a restart: the store cannot be "
                      "written; see `grapevine status`");
        break;
    case GV_ERR_DUPLICATE:
        gv_http_error(request, 409, "known", "%s", words->known);
        break;
    case GV_ERR_FORBIDDEN:
        gv_http_error(request, 409, "own", "this is the owner of this very node");
        break;
    case GV_ERR_NOT_FOUND:
        gv_http_error(request, 404, "not-found", "%s", words->unknown);
        break;
    default:
        gv_http_error(request, 507, "full", "no more than %u owners %s", GV_TRUSTED_MAX,
                      words->full);
        break;
    }
    if (api->options.lists_changed)
        api->options.lists_changed(api->options.context, NULL);
}

static const struct gv_api_owner_words trusted = {
    .done = "what its servers lock is refused here from now on, and their signals are own evidence",
    .known = "this owner is trusted already, or is this node's own",
    .unknown = "",
    .full = "can be trusted",
};
static const struct gv_api_owner_words untrusted = {
    .done = "trusted no more than anybody else",
    .known = "",
    .unknown = "this owner is not on the list; `grapevine trust` shows it",
    .full = "can be trusted",
};

void gv_api_post_trust(struct gv_http_request *request, void *context)
{
    gv_api_edit_owner(request, context, GV_COMMAND_TRUST, &trusted);
}

void gv_api_post_untrust(struct gv_http_request *request, void *context)
{
    gv_api_edit_owner(request, context, GV_COMMAND_DISTRUST, &untrusted);
}
