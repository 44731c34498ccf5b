/* grapevine-registry descriptor and show-descriptor: the signed file that is the network. */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/arguments.h"
#include "node/base/config.h"
#include "node/base/file.h"
#include "node/base/json.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/registrar.h"

#define YEAR_MIN 525600u

uint32_t gv_now_min(void)
{
    return (uint32_t)(time(NULL) / 60);
}

/* ---- parts ---------------------------------------------------------------------------------- */

bool gv_set_seed(struct gv_descriptor *descriptor, const char *text)
{
    struct gv_config_host host;

    if (descriptor->seed_count == GV_DESCRIPTOR_SEEDS || strlen(text) > GV_HOST_MAX ||
        gv_config_host_parse(&host, text, false) != GV_OK)
        return false;
    snprintf(descriptor->seeds[descriptor->seed_count++], GV_HOST_MAX + 1, "%s", text);
    return true;
}

bool gv_set_url(struct gv_descriptor *descriptor, const char *text)
{
    const char *host = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : "";

    /* The rest is checked when it is signed; this catches a path or a missing scheme. */
    if (!*host || strlen(text) > GV_HOST_MAX || strpbrk(host, "/?#@ \t"))
        return false;
    snprintf(descriptor->registry_url, sizeof descriptor->registry_url, "%s", text);
    return true;
}

int gv_set_registry_key(struct gv_descriptor *descriptor, const uint8_t key[GV_KEY_LEN],
                        uint32_t now_min)
{
    size_t i = 0;

    while (i < descriptor->key_count && memcmp(descriptor->keys[i].key, key, GV_KEY_LEN) != 0)
        i++;
    if (i == GV_DESCRIPTOR_KEYS)
        return GV_ERR_FULL;
    if (i == descriptor->key_count) {
        for (size_t j = 0; j < i; j++) /* it takes over at once */
            if (descriptor->keys[j].from_min <= now_min &&
                descriptor->keys[j].until_min > now_min + GV_OVERLAP_MIN)
                descriptor->keys[j].until_min = now_min + GV_OVERLAP_MIN;
        memcpy(descriptor->keys[i].key, key, GV_KEY_LEN);
        descriptor->keys[i].from_min = now_min;
        descriptor->keys[i].until_min = now_min;
        descriptor->key_count++;
    }
    if (descriptor->keys[i].until_min < now_min + YEAR_MIN)
        descriptor->keys[i].until_min = now_min + 3 * YEAR_MIN;
    return GV_OK;
}

/* A year after the last certificate that it may have signed has ended. */
void gv_drop_old_keys(struct gv_descriptor *descriptor, uint32_t now_min)
{
    for (size_t i = descriptor->key_count; i > 0; i--)
        if ((uint64_t)descriptor->keys[i - 1].until_min + 3 * YEAR_MIN < now_min)
            gv_drop_key(descriptor, i - 1);
}

void gv_drop_key(struct gv_descriptor *descriptor, size_t at)
{
    memmove(&descriptor->keys[at], &descriptor->keys[at + 1],
            (descriptor->key_count - at - 1) * sizeof *descriptor->keys);
    descriptor->key_count--;
}

/* Two keys at once are two logs to watch, so they are for a change, and not for good. What is past
 * when the descriptor comes into force cannot be changed any more, and is no reason to sign none.
 */
int gv_check_overlap(const struct gv_descriptor *descriptor, struct gv_text *why)
{
    uint32_t now = descriptor->activation_min;

    for (size_t i = 0; i < descriptor->key_count; i++)
        for (size_t j = 0; j < descriptor->key_count; j++) {
            const struct gv_registry_key *a = &descriptor->keys[i], *b = &descriptor->keys[j];
            bool follows = a->from_min < b->from_min || (a->from_min == b->from_min && i < j);
            uint64_t begins = b->from_min > now ? b->from_min : now;
            if (follows && begins + GV_OVERLAP_MAX_MIN < a->until_min)
                return gv_fail(why, GV_ERR_FORBIDDEN,
                               "the descriptor would have the registry keys %08x and %08x sign "
                               "beside each other for more than %u days: change a key with "
                               "grapevine-registry keys --rotate",
                               gv_certificate_signer(a->key), gv_certificate_signer(b->key),
                               GV_OVERLAP_MAX_MIN / 1440);
        }
    return GV_OK;
}

int gv_write_descriptor(struct gv_descriptor *descriptor, const char *folder,
                        const uint8_t root_secret[64], struct gv_text *why)
{
    struct gv_buf wire;
    char *path = gv_data_path(folder, GV_FILE_DESCRIPTOR);
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&wire);
    if (!path)
        goto out;
    rc = gv_check_overlap(descriptor, why);
    if (rc != GV_OK)
        goto out;
    rc = gv_descriptor_issue(&wire, descriptor, root_secret);
    if (rc == GV_ERR_RANGE)
        gv_fail(why, rc,
                "the descriptor would not be valid: check name, url, seeds, terms and "
                "parameters (SPEC 4.1 has their ranges)");
    if (rc == GV_OK)
        rc = gv_file_write(path, wire.data, wire.len, 0644, why);
out:
    gv_buf_free(&wire);
    free(path);
    return rc;
}

/* ---- descriptor ----------------------------------------------------------------------------- */

struct change {
    struct gv_root_options at;
    const char *terms, *url;
    bool seeds_given, bump;
    struct gv_descriptor seeds; /* only its seeds */
    struct {
        uint32_t value;
        size_t field; /* of parameters[] */
    } set[GV_POLICY_FIELDS];
    size_t set_count;
};

/* The rule's parameters, by the names that show-descriptor and SPEC 4.1 give them. */
static const struct {
    const char *name;
    size_t offset;
} parameters[GV_POLICY_FIELDS] = {
    {"tenure_min", offsetof(struct gv_policy, tenure_min)},
    {"full_min", offsetof(struct gv_policy, full_min)},
    {"alive_min", offsetof(struct gv_policy, alive_min)},
    {"untrusted_weight", offsetof(struct gv_policy, untrusted_weight)},
    {"consensus_weight", offsetof(struct gv_policy, consensus_weight)},
    {"consensus_groups", offsetof(struct gv_policy, consensus_groups)},
    {"signals_per_hour", offsetof(struct gv_policy, signals_per_hour)},
    {"votes_max", offsetof(struct gv_policy, votes_max)},
    {"fault_min", offsetof(struct gv_policy, fault_min)},
    {"grace_min", offsetof(struct gv_policy, grace_min)}};

/* "untrusted_weight=3000"; ranges are the descriptor's own to judge. */
static bool take_parameter(struct change *change, const char *text)
{
    size_t len = strcspn(text, "=");
    const char *digits = text + len + 1;

    for (size_t i = 0; i < GV_POLICY_FIELDS && change->set_count < GV_POLICY_FIELDS; i++) {
        if (strlen(parameters[i].name) != len || strncmp(parameters[i].name, text, len) != 0)
            continue;
        if (!text[len] || !*digits || strlen(digits) > 9 || digits[strspn(digits, "0123456789")])
            return false;
        change->set[change->set_count].field = i;
        change->set[change->set_count++].value = (uint32_t)strtoul(digits, NULL, 10);
        return true;
    }
    return false;
}

enum { OPTION_SEED = 256, OPTION_NO_SEEDS, OPTION_URL, OPTION_TERMS, OPTION_BUMP, OPTION_SET };

static const struct argp_option options[] = {
    GV_ROOT_OPTIONS("The registry's folder (needed)"),
    {"seed", OPTION_SEED, "HOST:PORT", 0, "Replaces the seeds; may be given several times", 0},
    {"no-seeds", OPTION_NO_SEEDS, NULL, 0, "Removes all seeds", 0},
    {"url", OPTION_URL, "URL", 0, "New address of the registry", 0},
    {"terms", OPTION_TERMS, "VERSION", 0, "New version of terms.txt", 0},
    {"set", OPTION_SET, "PARAMETER=N", 0,
     "Sets a parameter of the rule, as show-descriptor names them; may be given several times", 0},
    {"version-bump", OPTION_BUMP, NULL, 0, "Sign a new version even without a change", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct change *change = state->input;

    switch (key) {
    case OPTION_SEED:
        change->seeds_given = true;
        if (!gv_set_seed(&change->seeds, arg))
            argp_error(state, "--seed %s: write HOST:PORT, at most %d of them", arg,
                       GV_DESCRIPTOR_SEEDS);
        return 0;
    case OPTION_NO_SEEDS:
        change->seeds_given = true;
        return 0;
    case OPTION_URL:
        if (!gv_set_url(&change->seeds, arg))
            argp_error(state, "--url %s: write http://HOST[:PORT] or https://HOST[:PORT]", arg);
        change->url = arg;
        return 0;
    case OPTION_TERMS:
        if (strlen(arg) > GV_TERMS_MAX)
            argp_error(state, "--terms %s: at most %d characters", arg, GV_TERMS_MAX);
        change->terms = arg;
        return 0;
    case OPTION_SET:
        if (!take_parameter(change, arg))
            argp_error(state, "--set %s: write NAME=NUMBER, with a name that show-descriptor has",
                       arg);
        return 0;
    case OPTION_BUMP:
        change->bump = true;
        return 0;
    case ARGP_KEY_END:
        if (!change->at.folder)
            argp_error(state, "--data is needed");
        return 0;
    default:
        return gv_root_parse(&change->at, key, arg);
    }
}

static const struct argp argp = {
    options,
    parse,
    NULL,
    "Signs a new version of the network descriptor with the given changes. A running registry "
    "picks it up by itself, and the nodes from it.",
    NULL,
    NULL,
    NULL};

static void apply(struct gv_descriptor *descriptor, const struct change *change)
{
    if (change->seeds_given) {
        memcpy(descriptor->seeds, change->seeds.seeds, sizeof descriptor->seeds);
        descriptor->seed_count = change->seeds.seed_count;
    }
    if (change->url)
        memcpy(descriptor->registry_url, change->seeds.registry_url,
               sizeof descriptor->registry_url);
    if (change->terms)
        snprintf(descriptor->terms, sizeof descriptor->terms, "%s", change->terms);
    for (size_t i = 0; i < change->set_count; i++)
        memcpy((char *)&descriptor->policy + parameters[change->set[i].field].offset,
               &change->set[i].value, sizeof change->set[i].value);
}

int gv_read_root(struct gv_identity *out, const struct gv_descriptor *descriptor,
                 const char *folder, const char *path, struct gv_text *why)
{
    uint8_t secret[GV_SECRET_LEN];
    char *usual = gv_data_path(folder, GV_FILE_ROOT_KEY);
    int rc = usual ? gv_keyfile_read(secret, path ? path : usual, why) : GV_ERR_MEMORY;

    memset(out, 0, sizeof *out);
    if (rc == GV_OK)
        gv_identity_from_secret(out, secret);
    if (rc == GV_OK && memcmp(out->sign_public, descriptor->root_key, GV_KEY_LEN) != 0)
        rc = gv_fail(why, GV_ERR_NETWORK, "the root key is of another network than the descriptor");
    gv_wipe(secret, sizeof secret);
    free(usual);
    return rc;
}

static int sign_again(struct gv_descriptor *descriptor, const struct change *change,
                      struct gv_text *why)
{
    struct gv_signers signers = {.count = 0};
    struct gv_identity root;
    uint32_t now = gv_now_min();
    int rc = gv_read_root(&root, descriptor, change->at.folder, change->at.root_key, why);

    if (rc == GV_OK)
        rc = gv_signers_read(&signers, change->at.folder, why);
    if (rc == GV_OK) {
        const struct gv_identity *last = gv_signers_last(&signers, descriptor);
        apply(descriptor, change);
        descriptor->version++;
        descriptor->activation_min = now;
        gv_drop_old_keys(descriptor, now);
        rc = gv_set_registry_key(descriptor, (last ? last : &signers.items[0])->sign_public, now);
    }
    if (rc == GV_OK)
        rc = gv_write_descriptor(descriptor, change->at.folder, root.sign_secret, why);
    gv_identity_wipe(&root);
    gv_signers_wipe(&signers);
    return rc;
}

int gv_command_descriptor(int argc, char **argv)
{
    struct change *change = calloc(1, sizeof *change);
    struct gv_descriptor *descriptor = calloc(1, sizeof *descriptor);
    struct gv_text why = {"out of memory"};
    struct gv_buf wire;
    char *path = NULL;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&wire);
    if (!change || !descriptor)
        goto out;
    gv_arguments(&argp, argc, argv, 0, change);
    path = gv_data_path(change->at.folder, GV_FILE_DESCRIPTOR);
    if (!path)
        goto out;
    rc = gv_descriptor_read(descriptor, &wire, path, &why);
    if (rc != GV_OK)
        goto out;
    if (!change->seeds_given && !change->url && !change->terms && !change->bump &&
        change->set_count == 0) {
        rc = gv_fail(&why, GV_ERR_RANGE, "nothing to change; --version-bump signs all the same");
        goto out;
    }
    rc = sign_again(descriptor, change, &why);
    if (rc == GV_OK)
        printf("version %u %s\n", descriptor->version, path);
out:
    gv_buf_free(&wire);
    free(path);
    free(descriptor);
    free(change);
    return rc == GV_OK ? EX_OK : gv_complain(rc, &why);
}

/* ---- show-descriptor ------------------------------------------------------------------------ */

struct show {
    const char *file;
    bool json;
};

static const struct argp_option show_options[] = {{"json", 'j', NULL, 0, "As JSON", 0}, {0}};

static error_t parse_show(int key, char *arg, struct argp_state *state)
{
    struct show *show = state->input;

    switch (key) {
    case 'j':
        show->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (show->file)
            argp_error(state, "one FILE only");
        show->file = arg;
        return 0;
    case ARGP_KEY_END:
        if (!show->file)
            argp_error(state, "which FILE?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp show_argp = {
    show_options, parse_show, "FILE", "Verifies a network descriptor and prints what it says.",
    NULL,         NULL,       NULL};

static json_t *policy_json(const struct gv_policy *policy)
{
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "tenure_min", (json_int_t)policy->tenure_min,
        "full_min", (json_int_t)policy->full_min, "alive_min", (json_int_t)policy->alive_min,
        "untrusted_weight", (json_int_t)policy->untrusted_weight, "consensus_weight",
        (json_int_t)policy->consensus_weight, "consensus_groups",
        (json_int_t)policy->consensus_groups, "signals_per_hour",
        (json_int_t)policy->signals_per_hour, "votes_max", (json_int_t)policy->votes_max,
        "fault_min", (json_int_t)policy->fault_min, "grace_min", (json_int_t)policy->grace_min);
}

static json_t *descriptor_json(const struct gv_descriptor *descriptor)
{
    json_t *keys = json_array(), *seeds = json_array();

    for (size_t i = 0; i < descriptor->key_count; i++)
        json_array_append_new(keys,
                              json_pack("{s:o,s:I,s:I}", "key",
                                        gv_json_new_hex(descriptor->keys[i].key, GV_KEY_LEN),
                                        "from_minute", (json_int_t)descriptor->keys[i].from_min,
                                        "until_minute", (json_int_t)descriptor->keys[i].until_min));
    for (size_t i = 0; i < descriptor->seed_count; i++)
        json_array_append_new(seeds, json_string(descriptor->seeds[i]));
    return json_pack("{s:s,s:o,s:I,s:I,s:I,s:b,s:o,s:s,s:o,s:o,s:o,s:s}", "name", descriptor->name,
                     "network", gv_json_new_hex(descriptor->network_id, GV_KEY_LEN), "version",
                     (json_int_t)descriptor->version, "activation_minute",
                     (json_int_t)descriptor->activation_min, "genesis_minute",
                     (json_int_t)descriptor->genesis_min, "lab", descriptor->lab, "root_key",
                     gv_json_new_hex(descriptor->root_key, GV_KEY_LEN), "registry",
                     descriptor->registry_url, "registry_keys", keys, "seeds", seeds, "policy",
                     policy_json(&descriptor->policy), "terms", descriptor->terms);
}

static void print_value(const char *name, const json_t *value)
{
    char *text = json_is_string(value) ? strdup(json_string_value(value))
                                       : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    printf("%-18s %s\n", name, text ? text : "");
    free(text);
}

static void print_text(json_t *json)
{
    const char *name, *inner;
    json_t *value, *part;
    size_t i;

    json_object_foreach(json, name, value)
    {
        if (json_is_array(value))
            json_array_foreach(value, i, part) print_value(name, part);
        else if (json_is_object(value))
            json_object_foreach(value, inner, part) print_value(inner, part);
        else
            print_value(name, value);
    }
}

int gv_command_show(int argc, char **argv)
{
    struct show show = {0};
    struct gv_descriptor *descriptor = calloc(1, sizeof *descriptor);
    struct gv_text why = {"out of memory"};
    struct gv_buf wire;
    json_t *json = NULL;
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&wire);
    if (!descriptor)
        goto out;
    gv_arguments(&show_argp, argc, argv, 0, &show);
    rc = gv_descriptor_read(descriptor, &wire, show.file, &why);
    if (rc != GV_OK)
        goto out;
    rc = GV_ERR_MEMORY;
    json = descriptor_json(descriptor);
    if (!json)
        goto out;
    if (show.json) {
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_text(json);
    }
    rc = GV_OK;
out:
    json_decref(json);
    gv_buf_free(&wire);
    free(descriptor);
    return rc == GV_OK ? EX_OK : gv_complain(rc, &why);
}
