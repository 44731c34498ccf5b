/* grapevine-registry list and revoke: they work on the records beside a running registry. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/base/json.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/registrar.h"

struct options {
    struct gv_desk_options at;
    bool json;
    const char *reason;
};

static const struct argp_option list_options[] = {
    GV_DESK_OPTIONS, {"json", 'j', NULL, 0, "One JSON object a line", 0}, {0}};
static const struct argp_option revoke_options[] = {
    GV_DESK_OPTIONS,
    {"reason", 'r', "REASON", 0, "unspecified, by-owner, compromised or abuse", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'j':
        options->json = true;
        return 0;
    case 'r':
        options->reason = arg;
        return 0;
    default:
        return gv_desk_parse(&options->at, key, arg, state);
    }
}

static const struct argp list_argp = {
    list_options,
    parse,
    NULL,
    "Prints every enrolled instance with its owner's email address, and on standard error when the "
    "last of the registry's keys is to end.",
    NULL,
    NULL,
    NULL};
static const struct argp revoke_argp = {
    revoke_options,
    parse,
    "INSTANCE",
    "Revokes an instance for good. Nodes learn it from the registry and from each other.",
    NULL,
    NULL,
    NULL};

/* ---- list ----------------------------------------------------------------------------------- */

static void day(char out[16], uint32_t minute)
{
    time_t t = (time_t)minute * 60;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 16, "%Y-%m-%d", &tm);
}

static const char *state_of(const struct gv_instance *instance)
{
    if (instance->revoked)
        return "revoked";
    return instance->certificate.expires_min <= gv_now_min() ? "ended" : "valid";
}

static int print_instance(void *context, const struct gv_instance *instance, const char *email)
{
    char id[2 * GV_ID_LEN + 1], since[16], expires[16];
    size_t *count = context;

    gv_hex(id, instance->certificate.instance, GV_ID_LEN);
    day(since, instance->certificate.since_min);
    day(expires, instance->certificate.expires_min);
    printf("%s  since %s  until %s  terms %-10s  %-8s  %s\n", id, since, expires, instance->terms,
           state_of(instance), *email ? email : "(erased)");
    ++*count;
    return GV_OK;
}

static int print_json(void *context, const struct gv_instance *instance, const char *email)
{
    const struct gv_certificate *c = &instance->certificate;
    size_t *count = context;
    json_t *json = json_pack(
        "{s:o, s:o, s:I, s:I, s:s, s:b, s:o}", "instance", gv_json_new_hex(c->instance, GV_ID_LEN),
        "owner", gv_json_new_hex(c->owner, GV_ID_LEN), "since_minute", (json_int_t)c->since_min,
        "expires_minute", (json_int_t)c->expires_min, "terms", instance->terms, "revoked",
        (int)instance->revoked, "email", *email ? json_string(email) : json_null());
    int rc = json && json_dumpf(json, stdout, JSON_COMPACT) == 0 ? GV_OK : GV_ERR_IO;

    putchar('\n');
    json_decref(json);
    ++*count;
    return rc;
}

int gv_command_list(int argc, char **argv)
{
    struct options options = {0};
    struct gv_text why = {"out of memory"};
    struct gv_desk desk;
    size_t count = 0;

    gv_arguments(&list_argp, argc, argv, 0, &options);
    int rc = gv_desk_open(&desk, &options.at, &why);
    if (rc == GV_OK)
        rc = gv_desk_database(
            gv_records_each(desk.records, options.json ? print_json : print_instance, &count),
            &why);
    if (rc == GV_OK && count == 0)
        fprintf(stderr, "nobody is enrolled yet\n");
    if (rc == GV_OK)
        gv_signers_warn(desk.place.folder, gv_now_min());
    return gv_desk_end(&desk, rc, &why);
}

/* ---- revoke --------------------------------------------------------------------------------- */

static int reason_of(const char *text)
{
    for (int i = 0; i < GV_REVOKED_REASONS; i++)
        if (!text || strcmp(text, gv_revocation_reason_name((unsigned)i)) == 0)
            return i;
    return -1;
}

int gv_sign_revocation(struct gv_buf *wire, const struct gv_revocation *revocation,
                       const char *folder, struct gv_text *why)
{
    struct gv_descriptor *descriptor = calloc(1, sizeof *descriptor);
    struct gv_signers signers = {.count = 0};
    struct gv_buf unused;
    char *path = gv_data_path(folder, GV_FILE_DESCRIPTOR);
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&unused);
    if (!descriptor || !path)
        goto out;
    rc = gv_descriptor_read(descriptor, &unused, path, why);
    if (rc == GV_OK)
        rc = gv_signers_read(&signers, folder, why);
    if (rc != GV_OK)
        goto out;
    const struct gv_identity *signer = gv_signers_at(&signers, descriptor, revocation->revoked_min);
    rc = signer ? gv_revocation_issue(wire, revocation, signer->sign_secret, descriptor->network_id)
                : gv_fail(why, GV_ERR_SIGNER,
                          "%s: names none of this registry's keys for today; run: "
                          "grapevine-registry descriptor",
                          path);
out:
    gv_signers_wipe(&signers);
    gv_buf_free(&unused);
    free(path);
    free(descriptor);
    return rc;
}

static int revoke_instance(const struct gv_desk *desk, const struct gv_revocation *revocation,
                           const char *text, struct gv_text *why)
{
    struct gv_instance instance;
    struct gv_buf wire;

    gv_buf_init(&wire);
    int rc = gv_records_instance(desk->records, &instance, revocation->instance);
    if (rc == GV_ERR_NOT_FOUND)
        gv_fail(why, rc, "%s: no such instance; grapevine-registry list shows them", text);
    if (rc == GV_OK)
        rc = gv_sign_revocation(&wire, revocation, desk->place.folder, why);
    if (rc == GV_OK) {
        rc = gv_records_revoke(desk->records, revocation, wire.data, wire.len);
        if (rc != GV_OK)
            gv_fail(why, rc, "%s: %s", text,
                    rc == GV_ERR_DUPLICATE ? "is revoked already" : gv_strerror(rc));
    }
    gv_buf_free(&wire);
    return rc;
}

int gv_command_revoke(int argc, char **argv)
{
    struct options options = {
        .at = {.takes_word = true,
               .needs = "which INSTANCE? (grapevine-registry list shows them)"}};
    struct gv_revocation revocation = {.revoked_min = gv_now_min()};
    struct gv_text why = {"out of memory"};
    struct gv_desk desk;

    gv_arguments(&revoke_argp, argc, argv, 0, &options);
    const char *id = options.at.word;
    int reason = reason_of(options.reason);
    if (reason < 0) {
        fprintf(stderr,
                "grapevine-registry: --reason %s: write unspecified, by-owner, "
                "compromised or abuse\n",
                options.reason);
        return EX_USAGE;
    }
    revocation.reason = (uint8_t)reason;
    if (gv_unhex(revocation.instance, GV_ID_LEN, id) != GV_OK) {
        fprintf(stderr, "grapevine-registry: %s: an instance id is %d hex digits\n", id,
                2 * GV_ID_LEN);
        return EX_USAGE;
    }
    int rc = gv_desk_open(&desk, &options.at, &why);
    if (rc == GV_OK)
        rc = revoke_instance(&desk, &revocation, id, &why);
    if (rc == GV_OK)
        printf("revoked %s (%s)\n", id, gv_revocation_reason_name((unsigned)reason));
    return gv_desk_end(&desk, rc, &why);
}
