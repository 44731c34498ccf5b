/* grapevine-registry limits: what is allowed, to all and to one owner or domain, and how much of it
 * is used. Works beside a running registry, which goes by it from its next request on. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/arguments.h"
#include "node/base/json.h"
#include "node/registry/commands.h"
#include "node/registry/desk.h"
#include "node/registry/enrolment.h"
#include "node/registry/registrar.h"

#define VALUE_MAX 1000000
#define UNSAID    (-2)
#define RESET     (-1)

struct limits {
    struct gv_desk_options at;
    int64_t instances, codes; /* UNSAID, RESET or what is allowed */
    bool json;

    struct gv_desk desk;
    struct gv_registry_settings settings;
    bool is_domain;
    char name[GV_EMAIL_MAX + 1]; /* normalised address, or domain */
    uint8_t tag[GV_ID_LEN];
    json_t *list;
};

enum { OPTION_INSTANCES = 256, OPTION_CODES, OPTION_RESET };

static const struct argp_option options[] = {
    GV_DESK_OPTIONS,
    {"instances", OPTION_INSTANCES, "N", 0, "Nodes that this EMAIL may enrol", 0},
    {"codes", OPTION_CODES, "N", 0, "Codes a day that the addresses of this DOMAIN may ask for", 0},
    {"reset", OPTION_RESET, NULL, 0, "As in registry.conf again", 0},
    {"json", 'j', NULL, 0, "As JSON", 0},
    {0}};

static int64_t number(const char *name, const char *text, int64_t max, struct argp_state *state)
{
    if (!*text || strlen(text) > 7 || text[strspn(text, "0123456789")] || atoll(text) > max)
        argp_error(state, "--%s %s: write 0 to %lld", name, text, (long long)max);
    return atoll(text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct limits *limits = state->input;

    switch (key) {
    case OPTION_INSTANCES:
        limits->instances = number("instances", arg, GV_INSTANCES_MAX, state);
        return 0;
    case OPTION_CODES:
        limits->codes = number("codes", arg, VALUE_MAX, state);
        return 0;
    case OPTION_RESET:
        limits->instances = limits->codes = RESET;
        return 0;
    case 'j':
        limits->json = true;
        return 0;
    case ARGP_KEY_END:
        if (!limits->at.word && (limits->instances != UNSAID || limits->codes != UNSAID))
            argp_error(state, "whose? EMAIL or DOMAIN is needed");
        return gv_desk_parse(&limits->at, key, arg, state);
    default:
        return gv_desk_parse(&limits->at, key, arg, state);
    }
}

static const struct argp argp = {options,
                                 parse,
                                 "[EMAIL|DOMAIN]",
                                 "Shows the limits of registry.conf and what is allowed to single "
                                 "owners and domains beside them; "
                                 "of an EMAIL or a DOMAIN also how much is used. With --instances "
                                 "or --codes it is changed for that "
                                 "one.",
                                 NULL,
                                 NULL,
                                 NULL};

/* ---- whose ---------------------------------------------------------------------------------- */

static int read_settings(struct limits *limits)
{
    char *path = limits->at.config ? strdup(limits->at.config)
                                   : gv_data_path(limits->at.folder, GV_FILE_CONFIG);
    struct gv_buf unused; /* said when the place was found */
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&unused);
    if (path)
        rc = access(path, F_OK) == 0 ? gv_registry_settings_load(&limits->settings, path, &unused)
                                     : gv_config_defaults(&gv_registry_table, &limits->settings);
    gv_buf_free(&unused);
    free(path);
    return rc;
}

static int find_whose(struct limits *limits, struct gv_text *why)
{
    const char *word = limits->at.word;
    char probe[GV_EMAIL_MAX + 3];

    if (!word)
        return GV_OK;
    limits->is_domain = !strchr(word, '@');
    /* A domain is what could stand behind the '@'. */
    snprintf(probe, sizeof probe, "%s%s", limits->is_domain ? "x@" : "", word);
    if (gv_email_normalise(limits->name, probe, strlen(probe)) != GV_OK)
        return gv_fail(why, GV_ERR_RANGE, "%s: neither an email address nor a domain", word);
    if (limits->is_domain) {
        memmove(limits->name, limits->name + 2, strlen(limits->name + 2) + 1);
        gv_domain_tag(limits->tag, limits->desk.owner_secret, limits->name);
    } else {
        gv_owner_tag(limits->tag, limits->desk.owner_secret, limits->name);
    }
    if (limits->is_domain ? limits->instances >= 0 : limits->codes >= 0)
        return gv_fail(why, GV_ERR_RANGE, "%s: --instances is for an EMAIL, --codes for a DOMAIN",
                       word);
    return GV_OK;
}

/* ---- changing and showing ------------------------------------------------------------------- */

static int change(struct limits *limits)
{
    int64_t value = limits->is_domain ? limits->codes : limits->instances;

    if (!limits->at.word || value == UNSAID)
        return GV_OK;
    return limits->is_domain ? gv_records_allow(limits->desk.records, GV_ALLOWANCE_CODES,
                                                limits->name, strlen(limits->name), value)
                             : gv_records_allow(limits->desk.records, GV_ALLOWANCE_INSTANCES,
                                                limits->tag, GV_ID_LEN, value);
}

static int add(void *context, enum gv_allowance kind, const void *who, size_t len, int64_t value)
{
    struct limits *limits = context;
    bool owner = kind == GV_ALLOWANCE_INSTANCES && len == GV_ID_LEN;
    json_t *name = owner ? gv_json_new_hex(who, len) : json_stringn(who, len);

    return json_array_append_new(limits->list,
                                 json_pack("{s:s,s:o,s:I}", "limit", owner ? "instances" : "codes",
                                           owner ? "owner" : "domain", name, "value",
                                           (json_int_t)value)) == 0
               ? GV_OK
               : GV_ERR_MEMORY;
}

/* The admin knows owners by their address. */
static int name_owner(void *context, const struct gv_instance *instance, const char *email)
{
    struct limits *limits = context;
    char tag[2 * GV_ID_LEN + 1];
    json_t *item;
    size_t i;

    gv_hex(tag, instance->certificate.owner, GV_ID_LEN);
    json_array_foreach(limits->list, i, item)
    {
        const char *owner = json_string_value(json_object_get(item, "owner"));
        if (owner && *email && strcmp(owner, tag) == 0)
            json_object_set_new(item, "email", json_string(email));
    }
    return GV_OK;
}

static json_t *general(const struct gv_registry_settings *s)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "instances_per_owner",
                     (json_int_t)s->instances_per_owner, "enroll_per_email_hour",
                     (json_int_t)s->enroll_per_email_hour, "enroll_per_domain_day",
                     (json_int_t)s->enroll_per_domain_day, "requests_per_client_minute",
                     (json_int_t)s->requests_per_client_minute, "enroll_per_client_hour",
                     (json_int_t)s->enroll_per_client_hour, "confirm_per_client_hour",
                     (json_int_t)s->confirm_per_client_hour);
}

static int show_all(struct limits *limits)
{
    json_t *all = general(&limits->settings), *value, *item;
    const char *name;
    size_t i;

    limits->list = json_array();
    int rc = all && limits->list ? gv_records_each_allowance(limits->desk.records, add, limits)
                                 : GV_ERR_MEMORY;
    if (rc == GV_OK && json_array_size(limits->list) > 0)
        rc = gv_records_each(limits->desk.records, name_owner, limits);
    if (rc == GV_OK && limits->json) {
        json_object_set(all, "allowed", limits->list);
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (rc == GV_OK) {
        json_object_foreach(all, name, value)
            printf("%-28s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
        json_array_foreach(limits->list, i, item)
        {
            const char *of = json_string_value(json_object_get(item, "email"));
            of = of ? of : json_string_value(json_object_get(item, "owner"));
            of = of ? of : json_string_value(json_object_get(item, "domain"));
            printf("%-28s %" JSON_INTEGER_FORMAT "  %s\n",
                   json_string_value(json_object_get(item, "limit")),
                   json_integer_value(json_object_get(item, "value")), of ? of : "?");
        }
    }
    json_decref(all);
    json_decref(limits->list);
    return rc;
}

struct wanted {
    const struct limits *limits;
    int64_t value;
};

static int match(void *context, enum gv_allowance kind, const void *who, size_t len, int64_t value)
{
    struct wanted *wanted = context;
    const struct limits *limits = wanted->limits;
    const void *name = limits->is_domain ? (const void *)limits->name : limits->tag;
    size_t name_len = limits->is_domain ? strlen(limits->name) : GV_ID_LEN;

    if (kind == (limits->is_domain ? GV_ALLOWANCE_CODES : GV_ALLOWANCE_INSTANCES) &&
        len == name_len && memcmp(who, name, len) == 0)
        wanted->value = value;
    return GV_OK;
}

static int show_one(struct limits *limits)
{
    static const uint8_t nobody[GV_ID_LEN];
    struct wanted wanted = {limits, -1};
    uint32_t used = 0;
    int64_t usual = limits->is_domain ? limits->settings.enroll_per_domain_day
                                      : limits->settings.instances_per_owner;
    const char *what = limits->is_domain ? "codes today" : "instances";
    int rc = gv_records_each_allowance(limits->desk.records, match, &wanted);

    if (rc == GV_OK)
        rc = limits->is_domain
                 ? gv_records_domain_codes(limits->desk.records, &used, limits->tag, gv_now_min())
                 : gv_records_count(limits->desk.records, &used, limits->tag, nobody);
    if (rc != GV_OK)
        return rc;
    int64_t limit = wanted.value >= 0 ? wanted.value : usual;
    if (limits->json)
        printf("{\"%s\": \"%s\", \"used\": %u, \"limit\": %lld, \"changed\": %s}\n",
               limits->is_domain ? "domain" : "email", limits->name, used, (long long)limit,
               wanted.value >= 0 ? "true" : "false");
    else
        printf("%s: %u of %lld %s%s\n", limits->name, used, (long long)limit, what,
               wanted.value >= 0 ? "" : " (as in registry.conf)");
    return GV_OK;
}

int gv_command_limits(int argc, char **argv)
{
    struct limits limits = {.at = {.takes_word = true}, .instances = UNSAID, .codes = UNSAID};
    struct gv_text why = {"out of memory"};
    bool loaded = false;

    gv_arguments(&argp, argc, argv, 0, &limits);
    int rc = gv_desk_open(&limits.desk, &limits.at, &why);
    if (rc == GV_OK)
        rc = find_whose(&limits, &why);
    if (rc == GV_OK) {
        rc = read_settings(&limits);
        loaded = rc == GV_OK;
    }
    if (loaded) {
        rc = change(&limits);
        if (rc == GV_OK)
            rc = limits.at.word ? show_one(&limits) : show_all(&limits);
        rc = gv_desk_database(rc, &why);
        gv_config_free(&gv_registry_table, &limits.settings);
    }
    return gv_desk_end(&limits.desk, rc, &why);
}
