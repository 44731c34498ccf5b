#include "node/base/config_value.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "proto/ip.h"
#include "proto/settings.h"
#include "proto/subject.h"

/* ---- single values -------------------------------------------------------------------------- */

static int parse_int(int64_t *out, const char *text)
{
    bool negative = *text == '-';
    int64_t value = 0;
    size_t n = 0;

    for (text += negative; *text; text++, n++) {
        if (*text < '0' || *text > '9' || n == 18)
            return GV_ERR_MALFORMED;
        value = value * 10 + (*text - '0');
    }
    *out = negative ? -value : value;
    return n ? GV_OK : GV_ERR_MALFORMED;
}

static const struct {
    char letter;
    int64_t seconds;
} units[] = {{'w', 604800}, {'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
#define UNITS (sizeof units / sizeof *units)

int gv_config_duration_parse(int64_t *seconds, const char *text)
{
    char number[16];
    size_t len = strlen(text);
    int64_t value;

    if (strcmp(text, "0") == 0) {
        *seconds = 0;
        return GV_OK;
    }
    if (len < 2 || len > 10 || text[0] == '-')
        return GV_ERR_MALFORMED;
    memcpy(number, text, len - 1);
    number[len - 1] = '\0';
    if (parse_int(&value, number) != GV_OK)
        return GV_ERR_MALFORMED;
    for (size_t i = 0; i < UNITS; i++) {
        if (text[len - 1] != units[i].letter)
            continue;
        *seconds = value * units[i].seconds;
        return GV_OK;
    }
    return GV_ERR_MALFORMED;
}

void gv_config_duration_text(char out[32], int64_t seconds)
{
    size_t i = 1; /* weeks are read, not written: "30d" beats "4w" and two days */

    while (i < UNITS - 1 && (seconds % units[i].seconds != 0 || seconds == 0))
        i++;
    snprintf(out, 32, "%lld%c", (long long)(seconds / units[i].seconds), units[i].letter);
}

/* Clears the bits past the prefix. */
static void mask(uint8_t *bytes, size_t len, unsigned prefix)
{
    for (size_t i = 0; i < len; i++) {
        unsigned bits = prefix > 8 * i ? prefix - 8 * (unsigned)i : 0;
        uint8_t keep = (uint8_t)(bits >= 8 ? 0xffU : 0xff00U >> bits);
        bytes[i] = (uint8_t)(bytes[i] & keep);
    }
}

/* As below, but bits beyond the prefix are cleared: *out says what would be right. */
static int parse_masked(struct gv_config_address *out, bool *masked, const char *text)
{
    const char *slash = strchr(text, '/');
    int64_t prefix;

    memset(out, 0, sizeof *out);
    if (gv_ip_parse(&out->family, out->bytes, text,
                    slash ? (size_t)(slash - text) : strlen(text)) != GV_OK)
        return GV_ERR_MALFORMED;
    size_t bytes = out->family == GV_FAMILY_IPV4 ? 4 : 16;
    prefix = (int64_t)bytes * 8;
    if (slash &&
        (parse_int(&prefix, slash + 1) != GV_OK || slash[1] == '-' || prefix > (int64_t)bytes * 8))
        return GV_ERR_MALFORMED;
    struct gv_config_address whole = *out;
    out->prefix = (uint8_t)prefix;
    mask(out->bytes, bytes, (unsigned)prefix);
    *masked = memcmp(whole.bytes, out->bytes, sizeof whole.bytes) != 0;
    return GV_OK;
}

int gv_config_address_parse(struct gv_config_address *out, const char *text)
{
    bool masked;
    int rc = parse_masked(out, &masked, text);

    return rc == GV_OK && masked ? GV_ERR_MALFORMED : rc;
}

bool gv_config_address_contains(const struct gv_config_address *network, const uint8_t *address,
                                size_t len)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t copy[16];

    if (len == 16 && memcmp(address, mapped, sizeof mapped) == 0) {
        address += 12;
        len = 4;
    }
    if (len != (network->family == GV_FAMILY_IPV4 ? 4U : 16U))
        return false;
    memcpy(copy, address, len);
    mask(copy, len, network->prefix);
    return memcmp(copy, network->bytes, len) == 0;
}

static bool host_character(char c, bool bracket)
{
    if ((c >= '0' && c <= '9') || c == '.')
        return true;
    if (bracket)
        return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

int gv_config_host_parse(struct gv_config_host *out, const char *text, bool port_zero)
{
    bool bracket = *text == '[';
    const char *host = text + bracket;
    size_t len = 0;
    int64_t port;

    memset(out, 0, sizeof *out);
    while (host_character(host[len], bracket))
        len++;
    const char *end = host + len;
    if (len == 0 || len >= sizeof out->host || (bracket && *end++ != ']') || *end++ != ':')
        return GV_ERR_MALFORMED;
    if (parse_int(&port, end) != GV_OK || *end == '-' || port > 65535 || (port == 0 && !port_zero))
        return GV_ERR_MALFORMED;
    memcpy(out->host, host, len);
    out->port = (uint16_t)port;
    return GV_OK;
}

bool gv_config_url_valid(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    struct gv_config_host host;
    char text[320];
    size_t len = strlen(url);

    if (scheme == 0 || len - scheme > 300)
        return false;
    snprintf(text, sizeof text, "%s", url + scheme);
    len -= scheme;
    if (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
    const char *bracket = strrchr(text, ']');
    if (!strchr(bracket ? bracket : text, ':'))
        snprintf(text + len, sizeof text - len, ":443");
    return gv_config_host_parse(&host, text, false) == GV_OK;
}

/* ---- fields --------------------------------------------------------------------------------- */

static void *field(const struct gv_config_key *key, void *out)
{
    return (char *)out + key->offset;
}

bool gv_config_is_list(enum gv_config_type type)
{
    return type == GV_CONFIG_STRINGS || type == GV_CONFIG_PATHS || type == GV_CONFIG_ADDRESSES ||
           type == GV_CONFIG_HOSTS;
}

void gv_config_clear(const struct gv_config_key *key, void *out)
{
    void *at = field(key, out);

    switch (key->type) {
    case GV_CONFIG_STRING:
    case GV_CONFIG_PATH:
        free(*(char **)at);
        *(char **)at = NULL;
        break;
    case GV_CONFIG_BOOL:
        *(bool *)at = false;
        break;
    case GV_CONFIG_INT:
    case GV_CONFIG_DURATION:
        *(int64_t *)at = 0;
        break;
    case GV_CONFIG_ENUM:
        *(int *)at = 0;
        break;
    case GV_CONFIG_STRINGS:
    case GV_CONFIG_PATHS: {
        struct gv_config_strings *list = at;
        for (size_t i = 0; i < list->count; i++)
            free(list->items[i]);
        free(list->items);
        *list = (struct gv_config_strings){0};
        break;
    }
    case GV_CONFIG_ADDRESSES:
        free(((struct gv_config_addresses *)at)->items);
        *(struct gv_config_addresses *)at = (struct gv_config_addresses){0};
        break;
    case GV_CONFIG_HOSTS:
        free(((struct gv_config_hosts *)at)->items);
        *(struct gv_config_hosts *)at = (struct gv_config_hosts){0};
        break;
    }
}

/* The text as it may be shown in an error line. */
static const char *shown(char out[96], const char *text)
{
    size_t len = strlen(text);

    gv_log_safe(out, 96, text, len);
    return out;
}

static int wrong(struct gv_text *error, const struct gv_config_key *key, const char *text)
{
    struct gv_text wanted;
    char safe[96];

    gv_config_describe(&wanted, key);
    return gv_fail(error, GV_ERR_CONFIG, "'%s' will not do, write %s", shown(safe, text),
                   wanted.text);
}

static int set_text(const struct gv_config_key *key, char **out, const char *text,
                    const char *folder, struct gv_text *error)
{
    size_t len = strlen(text);
    size_t max = key->max ? (size_t)key->max : 1024;

    if (len == 0 && key->fallback && !*key->fallback)
        return GV_OK;
    if (len == 0)
        return gv_fail(error, GV_ERR_CONFIG, "is empty, give a value");
    if (key->type == GV_CONFIG_PATH || key->type == GV_CONFIG_PATHS)
        max = 1024;
    else if (key->type == GV_CONFIG_STRING && len < (size_t)key->min)
        return wrong(error, key, text);
    if (len > max)
        return gv_fail(error, GV_ERR_CONFIG, "is %zu bytes long, at most %zu are allowed", len,
                       max);
    bool relative = (key->type == GV_CONFIG_PATH || key->type == GV_CONFIG_PATHS) && *text != '/';
    size_t size = len + strlen(folder) + 2;
    *out = malloc(size);
    if (!*out)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    if (relative && *folder)
        snprintf(*out, size, "%s/%s", folder, text);
    else
        snprintf(*out, size, "%s", text);
    return GV_OK;
}

static int set_number(const struct gv_config_key *key, int64_t *out, const char *text,
                      struct gv_text *error)
{
    bool bounded = key->min != 0 || key->max != 0;
    int rc =
        key->type == GV_CONFIG_INT ? parse_int(out, text) : gv_config_duration_parse(out, text);

    if (rc != GV_OK || (bounded && (*out < key->min || *out > key->max))) {
        *out = 0;
        return wrong(error, key, text);
    }
    return GV_OK;
}

static int set_choice(const struct gv_config_key *key, void *out, const char *text,
                      struct gv_text *error)
{
    static const char *const yes_no[] = {"no", "yes", NULL};
    const char *const *choices = key->type == GV_CONFIG_BOOL ? yes_no : key->choices;

    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], text) != 0)
            continue;
        if (key->type == GV_CONFIG_BOOL)
            *(bool *)out = i == 1;
        else
            *(int *)out = i;
        return GV_OK;
    }
    return wrong(error, key, text);
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* The next item of a list, cut out of *at in place; NULL at the end. */
static char *next_item(char **at)
{
    char *start = *at + strspn(*at, ", \t\n");

    if (!*start)
        return NULL;
    char *end = start + strcspn(start, ", \t\n");
    *at = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

static int set_address(const struct gv_config_key *key, struct gv_config_address *address,
                       const char *item, struct gv_text *error)
{
    struct gv_prefix right = {.family = GV_FAMILY_NONE};
    char safe[96], text[GV_PREFIX_TEXT];
    bool masked;

    if (parse_masked(address, &masked, item) != GV_OK)
        return wrong(error, key, item);
    if (!masked)
        return GV_OK;
    right.family = address->family;
    right.bits = address->prefix;
    memcpy(right.bytes, address->bytes, address->family == GV_FAMILY_IPV4 ? 4 : 16);
    gv_prefix_text(text, &right);
    return gv_fail(error, GV_ERR_CONFIG, "'%s' has bits beyond its prefix, write %s",
                   shown(safe, item), text);
}

static int set_item(const struct gv_config_key *key, void *items, size_t i, const char *item,
                    const char *folder, struct gv_text *error)
{
    if (key->type == GV_CONFIG_ADDRESSES) {
        struct gv_config_address *address = (struct gv_config_address *)items + i;
        return set_address(key, address, item, error);
    }
    if (key->type == GV_CONFIG_HOSTS) {
        struct gv_config_host *host = (struct gv_config_host *)items + i;
        return gv_config_host_parse(host, item, false) == GV_OK ? GV_OK : wrong(error, key, item);
    }
    struct gv_config_key one = *key;
    one.max = 0; /* the bounds of a list are those of its count */
    return set_text(&one, (char **)items + i, item, folder, error);
}

static size_t item_size(enum gv_config_type type)
{
    return type == GV_CONFIG_ADDRESSES ? sizeof(struct gv_config_address)
           : type == GV_CONFIG_HOSTS   ? sizeof(struct gv_config_host)
                                       : sizeof(char *);
}

/* The three list structs agree in layout: a count, then a pointer. */
static void store_list(const struct gv_config_key *key, void *at, size_t count, void *items)
{
    if (key->type == GV_CONFIG_ADDRESSES)
        *(struct gv_config_addresses *)at = (struct gv_config_addresses){count, items};
    else if (key->type == GV_CONFIG_HOSTS)
        *(struct gv_config_hosts *)at = (struct gv_config_hosts){count, items};
    else
        *(struct gv_config_strings *)at = (struct gv_config_strings){count, items};
}

static int set_list(const struct gv_config_key *key, void *out, const char *text,
                    const char *folder, struct gv_text *error)
{
    size_t max = key->max ? (size_t)key->max : GV_CONFIG_ITEMS_MAX, count = 0, wanted = 0;
    char *copy = strdup(text), *at = copy, *item;
    void *items = NULL;
    int rc = GV_OK;

    if (!copy)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    while (next_item(&at))
        wanted++;
    if (wanted < (size_t)key->min || wanted > max) {
        rc = gv_fail(error, GV_ERR_CONFIG, "has %zu entries, give %lld to %zu", wanted,
                     (long long)key->min, max);
        goto out;
    }
    if (wanted == 0)
        goto out;
    items = calloc(wanted, item_size(key->type));
    if (!items) {
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
        goto out;
    }
    memcpy(copy, text, strlen(text));
    for (at = copy; rc == GV_OK && (item = next_item(&at)); count++)
        rc = set_item(key, items, count, item, folder, error);
    store_list(key, field(key, out), count, items); /* a failed last item is an empty one */
    if (rc != GV_OK)
        gv_config_clear(key, out);
out:
    free(copy);
    return rc;
}

int gv_config_set(const struct gv_config_key *key, void *out, const char *text, const char *folder,
                  struct gv_text *error)
{
    gv_config_clear(key, out);
    switch (key->type) {
    case GV_CONFIG_STRING:
    case GV_CONFIG_PATH:
        return set_text(key, field(key, out), text, folder, error);
    case GV_CONFIG_INT:
    case GV_CONFIG_DURATION:
        return set_number(key, field(key, out), text, error);
    case GV_CONFIG_BOOL:
    case GV_CONFIG_ENUM:
        return set_choice(key, field(key, out), text, error);
    default:
        return set_list(key, out, text, folder, error);
    }
}

/* ---- what may stand there ------------------------------------------------------------------- */

static void describe_choices(struct gv_text *out, const char *const *choices)
{
    size_t at = (size_t)snprintf(out->text, sizeof out->text, "one of:");

    for (; *choices && at + strlen(*choices) + 3 < sizeof out->text; choices++)
        at += (size_t)snprintf(out->text + at, sizeof out->text - at, " %s%s", *choices,
                               choices[1] ? "," : "");
}

static void describe_range(struct gv_text *out, const struct gv_config_key *key)
{
    char min[32], max[32];
    bool time = key->type == GV_CONFIG_DURATION;
    const char *what = time ? "a time with a unit (s, m, h, d, w)" : "a whole number";

    if (key->min == 0 && key->max == 0) {
        snprintf(out->text, sizeof out->text, "%s", what);
        return;
    }
    snprintf(min, sizeof min, "%lld", (long long)key->min);
    snprintf(max, sizeof max, "%lld", (long long)key->max);
    if (time) {
        gv_config_duration_text(min, key->min);
        gv_config_duration_text(max, key->max);
    }
    snprintf(out->text, sizeof out->text, "%s from %s to %s", what, min, max);
}

void gv_config_describe(struct gv_text *out, const struct gv_config_key *key)
{
    const char *text = "";

    switch (key->type) {
    case GV_CONFIG_INT:
    case GV_CONFIG_DURATION:
        describe_range(out, key);
        return;
    case GV_CONFIG_ENUM:
        describe_choices(out, key->choices);
        return;
    case GV_CONFIG_STRING:
        snprintf(out->text, sizeof out->text, "a text of %lld to %lld bytes", (long long)key->min,
                 (long long)(key->max ? key->max : 1024));
        return;
    case GV_CONFIG_BOOL:
        text = "yes or no";
        break;
    case GV_CONFIG_PATH:
        text = "a path";
        break;
    case GV_CONFIG_PATHS:
        text = "a list of paths";
        break;
    case GV_CONFIG_STRINGS:
        text = "a list of words";
        break;
    case GV_CONFIG_ADDRESSES:
        text = "addresses or networks, e.g. 192.0.2.7 or 2001:db8::/32";
        break;
    case GV_CONFIG_HOSTS:
        text = "HOST:PORT, e.g. mail.example.org:4727 or [2001:db8::1]:4727";
        break;
    }
    snprintf(out->text, sizeof out->text, "%s", text);
}
