/* grapevine-registry export and forget: what is held of the owner of an email address, and its end
 * (SPEC 14.8). They work on the records beside a running registry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/json.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/registrar.h"

/* ---- whose ---------------------------------------------------------------------------------- */

struct owner {
    struct gv_desk desk;
    char email[GV_EMAIL_MAX + 1]; /* normalised */
    uint8_t tag[GV_ID_LEN];
    json_t *instances, *codes, *links, *invitations; /* of export */
    int64_t limit;                                   /* what the admin allows him; < 0: as all */
    size_t held;                                     /* beside address and instances */
    uint8_t (*ids)[GV_ID_LEN];                       /* of forget: not revoked yet; owned */
    size_t id_count;
};

static int open_owner(struct owner *owner, const struct gv_desk_options *given, struct gv_text *why)
{
    memset(owner, 0, sizeof *owner);
    owner->limit = -1;
    if (gv_email_normalise(owner->email, given->word, strlen(given->word)) != GV_OK)
        return gv_fail(why, GV_ERR_RANGE, "%s: not an email address", given->word);
    int rc = gv_desk_open(&owner->desk, given, why);
    if (rc == GV_OK)
        gv_owner_tag(owner->tag, owner->desk.owner_secret, owner->email);
    return rc;
}

static int end(struct owner *owner, int rc, const struct gv_text *why)
{
    json_decref(owner->instances);
    json_decref(owner->codes);
    json_decref(owner->links);
    json_decref(owner->invitations);
    free(owner->ids);
    gv_wipe(owner->email, sizeof owner->email);
    return gv_desk_end(&owner->desk, rc, why);
}

/* ---- export --------------------------------------------------------------------------------- */

static int add_instance(void *context, const struct gv_instance *instance, const char *email)
{
    struct owner *owner = context;
    const struct gv_certificate *c = &instance->certificate;

    (void)email;
    if (memcmp(c->owner, owner->tag, GV_ID_LEN) != 0)
        return GV_OK;
    json_t *json = json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:o, s:s, s:I, s:b, s:o}", "instance",
        gv_json_new_hex(c->instance, GV_ID_LEN), "key", gv_json_new_hex(c->key, GV_KEY_LEN),
        "since_minute", (json_int_t)c->since_min, "issued_minute", (json_int_t)c->issued_min,
        "expires_minute", (json_int_t)c->expires_min, "network_group",
        json_sprintf("%016llx", (unsigned long long)c->group), "terms", instance->terms,
        "terms_accepted_minute", (json_int_t)instance->accepted_min, "revoked",
        (int)instance->revoked, "certificate",
        gv_json_new_base64(instance->wire, sizeof instance->wire));
    return json_array_append_new(owner->instances, json) == 0 ? GV_OK : GV_ERR_MEMORY;
}

static int add_held(void *context, const struct gv_held *held)
{
    struct owner *owner = context;
    json_t *list = held->kind == GV_HELD_CODE   ? owner->codes
                   : held->kind == GV_HELD_LINK ? owner->links
                                                : owner->invitations;

    owner->held++;
    if (held->kind == GV_HELD_LIMIT) {
        owner->limit = held->number;
        return GV_OK;
    }
    if (!list) /* it is counted, and not shown */
        return GV_OK;
    json_t *json = json_pack("{s:I, s:o}", "expires_minute", (json_int_t)held->number, "key",
                             held->has_key ? gv_json_new_hex(held->key, GV_KEY_LEN) : json_null());
    return json_array_append_new(list, json) == 0 ? GV_OK : GV_ERR_MEMORY;
}

static int print_export(const struct owner *owner, bool stored)
{
    json_t *json = json_pack(
        "{s:s, s:b, s:o, s:O, s:O, s:O, s:O, s:o, s:s}", "email", owner->email, "email_stored",
        (int)stored, "owner", gv_json_new_hex(owner->tag, GV_ID_LEN), "instances", owner->instances,
        "codes_out", owner->codes, "links_to_leave", owner->links, "invitations",
        owner->invitations, "instances_allowed",
        owner->limit < 0 ? json_null() : json_integer((json_int_t)owner->limit), "log",
        "keys, the owner tag and certificate ids stand in the public log of certificates, for "
        "good");
    int rc = !json || json_dumpf(json, stdout, JSON_INDENT(2)) != 0 ? GV_ERR_IO : GV_OK;

    putchar('\n');
    json_decref(json);
    return rc;
}

int gv_command_export(int argc, char **argv)
{
    struct gv_desk_options given = {.needs = "whose? EMAIL is needed"};
    struct gv_text why = {"out of memory"};
    struct owner owner;
    bool stored = false;

    gv_desk_arguments(&given, argc, argv, "EMAIL",
                      "Prints, as JSON, all that is held of the owner of this address: for one who "
                      "asks what is stored of him.");
    int rc = open_owner(&owner, &given, &why);
    if (rc != GV_OK)
        return end(&owner, rc, &why);
    owner.instances = json_array();
    owner.codes = json_array();
    owner.links = json_array();
    owner.invitations = json_array();
    rc = owner.instances && owner.codes && owner.links && owner.invitations
             ? gv_records_each(owner.desk.records, add_instance, &owner)
             : GV_ERR_MEMORY;
    if (rc == GV_OK)
        rc = gv_records_each_held(owner.desk.records, owner.tag, add_held, &owner);
    if (rc == GV_OK)
        rc = gv_records_knows_owner(owner.desk.records, &stored, owner.tag);
    if (rc == GV_OK)
        rc = print_export(&owner, stored);
    rc = gv_desk_database(rc, &why);
    return end(&owner, rc, &why);
}

/* ---- forget --------------------------------------------------------------------------------- */

static int add_id(void *context, const struct gv_instance *instance, const char *email)
{
    struct owner *owner = context;

    (void)email;
    if (memcmp(instance->certificate.owner, owner->tag, GV_ID_LEN) != 0 || instance->revoked)
        return GV_OK;
    uint8_t(*ids)[GV_ID_LEN] = realloc(owner->ids, (owner->id_count + 1) * sizeof *ids);
    if (!ids)
        return GV_ERR_MEMORY;
    owner->ids = ids;
    memcpy(ids[owner->id_count++], instance->certificate.instance, GV_ID_LEN);
    return GV_OK;
}

static int revoke_all(struct owner *owner, struct gv_text *why)
{
    struct gv_revocation revocation = {.revoked_min = gv_now_min(), .reason = GV_REVOKED_BY_OWNER};
    struct gv_buf wire;
    int rc = GV_OK;

    for (size_t i = 0; rc == GV_OK && i < owner->id_count; i++) {
        gv_buf_init(&wire);
        memcpy(revocation.instance, owner->ids[i], GV_ID_LEN);
        rc = gv_sign_revocation(&wire, &revocation, owner->desk.place.folder, why);
        if (rc == GV_OK) {
            rc = gv_records_revoke(owner->desk.records, &revocation, wire.data, wire.len);
            if (rc == GV_ERR_DUPLICATE) /* in the meantime */
                rc = GV_OK;
            rc = gv_desk_database(rc, why);
        }
        gv_buf_free(&wire);
    }
    return rc;
}

int gv_command_forget(int argc, char **argv)
{
    struct gv_desk_options given = {.needs = "whose? EMAIL is needed"};
    struct gv_text why = {"out of memory"};
    struct owner owner;
    bool stored = false;

    gv_desk_arguments(&given, argc, argv, "EMAIL",
                      "Ends the registration of this address: its instances are revoked (by-owner) "
                      "and the address is erased.");
    int rc = open_owner(&owner, &given, &why);
    if (rc != GV_OK)
        return end(&owner, rc, &why);
    rc = gv_records_each(owner.desk.records, add_id, &owner);
    if (rc == GV_OK)
        rc = gv_records_each_held(owner.desk.records, owner.tag, add_held, &owner);
    if (rc == GV_OK)
        rc = gv_records_knows_owner(owner.desk.records, &stored, owner.tag);
    rc = gv_desk_database(rc, &why);
    if (rc == GV_OK && owner.id_count == 0 && owner.held == 0 && !stored)
        rc = gv_fail(&why, GV_ERR_NOT_FOUND, "%s: nothing is held of this address", owner.email);
    if (rc == GV_OK)
        rc = revoke_all(&owner, &why);
    if (rc == GV_OK)
        rc = gv_desk_database(gv_records_forget(owner.desk.records, owner.tag), &why);
    if (rc == GV_OK)
        printf("revoked %zu instance%s, erased %s\n", owner.id_count,
               owner.id_count == 1 ? "" : "s", owner.email);
    return end(&owner, rc, &why);
}
