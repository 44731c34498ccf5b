/* GET /api/v1/owners: whose word weighs what here, and what that is made of (SPEC 11.1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"
#include "node/serve/api_request.h"
#include "proto/limits.h"

struct roster {
    struct gv_instance_info *all; /* owned; by owner, and the oldest of each first */
    size_t count;
};

static int by_owner(const void *left, const void *right)
{
    const struct gv_instance_info *a = left, *b = right;
    int order = memcmp(a->owner, b->owner, GV_ID_LEN);

    if (order != 0)
        return order;
    if (a->since_min != b->since_min)
        return a->since_min < b->since_min ? -1 : 1;
    return memcmp(a->instance, b->instance, GV_ID_LEN);
}

static int read_roster(struct roster *out, const struct gv_core *core)
{
    struct gv_instance_info who;
    size_t cursor = 0, count = 0;

    out->count = 0;
    while (gv_core_next_instance(core, &cursor, &who))
        count++;
    out->all = calloc(count + 1, sizeof *out->all);
    if (!out->all)
        return GV_ERR_MEMORY;
    for (cursor = 0; out->count < count && gv_core_next_instance(core, &cursor, &who);)
        out->all[out->count++] = who;
    qsort(out->all, out->count, sizeof *out->all, by_owner);
    return GV_OK;
}

/* The minute from which a certificate of this age weighs something: age >= min(tenure, half of the
 * network's age). */
static uint32_t tenured_from(const struct gv_descriptor *d, uint32_t since)
{
    uint64_t old = (uint64_t)since + d->policy.tenure_min;
    /* A young network: the halves are rounded down. */
    uint64_t young = 2 * (uint64_t)since - d->genesis_min - (since > d->genesis_min);

    if (since < d->genesis_min)
        return GV_NEVER;
    return (uint32_t)(young < old ? young : old < GV_NEVER ? old : GV_NEVER - 1);
}

struct owner {
    uint32_t standing, since_min, fault_min, living;
    json_t *groups;
};

static void add_group(json_t *groups, uint64_t group)
{
    char text[GV_GROUP_TEXT];

    gv_group_text(text, group);
    for (size_t i = 0; i < json_array_size(groups); i++)
        if (strcmp(json_string_value(json_array_get(groups, i)), text) == 0)
            return;
    json_array_append_new(groups, json_string(text));
}

static void add(struct owner *owner, const struct gv_descriptor *d,
                const struct gv_instance_info *who, uint32_t now_min)
{
    uint32_t standing = gv_standing(&d->policy, d->genesis_min, who->since_min, now_min);

    if (who->fault_min != GV_NEVER &&
        (owner->fault_min == GV_NEVER || who->fault_min > owner->fault_min))
        owner->fault_min = who->fault_min;
    if (who->revoked_min <= now_min)
        return;
    owner->living++;
    add_group(owner->groups, who->group);
    if (who->since_min < owner->since_min)
        owner->since_min = who->since_min;
    if (standing > owner->standing)
        owner->standing = standing;
}

static json_t *owner_json(const struct gv_core *core, const struct gv_instance_info *all,
                          size_t count, uint32_t now_min)
{
    struct owner owner = {0, GV_NEVER, GV_NEVER, 0, json_array()};
    const struct gv_descriptor *d = gv_core_descriptor(core);
    uint32_t until = GV_NEVER;

    for (size_t i = 0; i < count; i++)
        add(&owner, d, &all[i], now_min);
    if (owner.fault_min != GV_NEVER && now_min < (uint64_t)owner.fault_min + d->policy.fault_min) {
        until = owner.fault_min + d->policy.fault_min;
        owner.standing = 0;
    }
    uint32_t tenured = owner.since_min == GV_NEVER ? GV_NEVER : tenured_from(d, owner.since_min);
    return json_pack("{s:o, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:b}", "owner",
                     gv_json_new_hex(all[0].owner, GV_ID_LEN), "standing", (int)owner.standing,
                     "instances", (int)count, "revoked", (int)(count - owner.living), "groups",
                     owner.groups, "since", gv_api_minute(owner.since_min), "tenured",
                     gv_api_minute(tenured), "fault_until", gv_api_minute(until), "distrusted",
                     (int)gv_core_is_silenced(core, all[0].owner));
}

/* A tag may be mistyped, or an owner come later: both are taken, and it is said. */
static bool is_known(const struct gv_core *core, const uint8_t owner[GV_ID_LEN])
{
    struct gv_instance_info who;
    size_t cursor = 0;

    while (gv_core_next_instance(core, &cursor, &who))
        if (memcmp(who.owner, owner, GV_ID_LEN) == 0)
            return true;
    return false;
}

static void edit(struct gv_http_request *request, struct gv_api *api, enum gv_command command,
                 const char *done)
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
    if (rc == GV_OK) {
        bool known = is_known(gv_driver_core(api->options.driver), event.command.owner);
        char message[120];
        snprintf(message, sizeof message, "%s%s", done,
                 known ? "" : "; nobody of this tag is known at the moment");
        gv_http_respond_json(request, 200, json_pack("{s:b, s:s}", "ok", 1, "message", message));
    } else if (rc == GV_ERR_DUPLICATE)
        gv_http_error(request, 409, "known", "this owner has no vote here already");
    else if (rc == GV_ERR_FORBIDDEN)
        gv_http_error(request, 409, "own", "this is the owner of this very node");
    else if (rc == GV_ERR_NOT_FOUND)
        gv_http_error(request, 404, "not-found", "this owner has his vote here anyway");
    else if (rc == GV_ERR_IO)
        gv_http_error(request, 507, "not-stored",
                      "it is in force, but would be forgotten by a restart: the store cannot be "
                      "written; see `grapevine status`");
    else
        gv_http_error(request, 507, "full", "no more than %u owners can be distrusted",
                      GV_TRUSTED_MAX);
    if (api->options.lists_changed)
        api->options.lists_changed(api->options.context);
}

void gv_api_post_distrust(struct gv_http_request *request, void *context)
{
    edit(request, context, GV_COMMAND_SILENCE, "has no vote here from now on");
}

void gv_api_post_undistrust(struct gv_http_request *request, void *context)
{
    edit(request, context, GV_COMMAND_HEAR, "has his vote here again");
}

void gv_api_get_owners(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_core *core = gv_driver_core(api->options.driver);
    const struct gv_descriptor *descriptor = gv_core_descriptor(core);
    uint32_t now_min = (uint32_t)(gv_unix_ms() / 60000);
    struct roster roster = {NULL, 0};
    json_t *list = json_array();

    if (!descriptor || read_roster(&roster, core) != GV_OK) {
        json_decref(list);
        gv_http_error(request, descriptor ? 500 : 409, descriptor ? "failed" : "no-network", "%s",
                      descriptor ? gv_strerror(GV_ERR_MEMORY) : "This node is in no network yet.");
        return;
    }
    for (size_t from = 0, to; from < roster.count; from = to) {
        for (to = from + 1; to < roster.count &&
                            memcmp(roster.all[from].owner, roster.all[to].owner, GV_ID_LEN) == 0;)
            to++;
        json_array_append_new(list, owner_json(core, roster.all + from, to - from, now_min));
    }
    free(roster.all);
    gv_http_respond_json(request, 200, json_pack("{s:o}", "owners", list));
}
