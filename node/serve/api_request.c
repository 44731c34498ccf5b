#include "node/serve/api_request.h"

#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/config.h"
#include "node/base/json.h"
#include "node/base/log.h"

/* Foreign text in a sentence: cut and made safe. */
struct shown {
    char text[100];
};
static const char *show(struct shown *shown, const char *text)
{
    gv_log_safe(shown->text, sizeof shown->text, text, strnlen(text, 80));
    return shown->text;
}

/* ---- queries -------------------------------------------------------------------------------- */

int gv_api_subject(struct gv_subject *out, const char *address, struct gv_text *error)
{
    struct shown shown;

    if (!address || !*address)
        return gv_fail(error, GV_ERR_MALFORMED, "an address is missing: addr=192.0.2.1");
    if (gv_subject_parse(out, address, strlen(address)) != GV_OK)
        return gv_fail(error, GV_ERR_MALFORMED,
                       "\"%s\" is not an address; give an IPv4 or IPv6 address such as 192.0.2.1 "
                       "or 2001:db8::1",
                       show(&shown, address));
    return GV_OK;
}

int gv_api_limit(size_t *out, const char *limit, struct gv_text *error)
{
    size_t value = 0;

    *out = GV_API_LIMIT_DEFAULT;
    if (!limit)
        return GV_OK;
    size_t len = strlen(limit);
    for (size_t i = 0; i < len && i < 6; i++)
        value = limit[i] >= '0' && limit[i] <= '9' ? 10 * value + (size_t)(limit[i] - '0') : 0;
    if (len == 0 || len > 5 || strspn(limit, "0123456789") != len || value < 1 ||
        value > GV_API_LIMIT_MAX)
        return gv_fail(error, GV_ERR_MALFORMED, "the limit must be a number from 1 to %d",
                       GV_API_LIMIT_MAX);
    *out = value;
    return GV_OK;
}

int gv_api_offset(size_t *out, const char *name, const char *text, struct gv_text *error)
{
    size_t len = text ? strlen(text) : 0;

    *out = 0;
    if (!text)
        return GV_OK;
    if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
        return gv_fail(error, GV_ERR_MALFORMED, "%s must be a number from 0 to %d", name,
                       GV_API_OFFSET_MAX);
    for (size_t i = 0; i < len; i++)
        *out = 10 * *out + (size_t)(text[i] - '0');
    if (*out > GV_API_OFFSET_MAX)
        return gv_fail(error, GV_ERR_MALFORMED, "%s must be a number from 0 to %d", name,
                       GV_API_OFFSET_MAX);
    return GV_OK;
}

int gv_api_list_query(struct gv_api_list_query *out, const char *verdict, const char *action,
                      const char *limit, struct gv_text *error)
{
    struct shown shown;

    memset(out, 0, sizeof *out);
    for (int i = GV_VERDICT_UNKNOWN; verdict && i <= GV_VERDICT_UNTRUSTED && !out->by_verdict;
         i++) {
        out->verdict = (enum gv_verdict_state)i;
        out->by_verdict = strcmp(verdict, gv_verdict_state_name(out->verdict)) == 0;
    }
    for (int i = GV_ACTION_ALLOW; action && i <= GV_ACTION_REFUSE && !out->by_action; i++) {
        out->action = (enum gv_action)i;
        out->by_action = strcmp(action, gv_action_name(out->action)) == 0;
    }
    if (verdict && !out->by_verdict)
        return gv_fail(error, GV_ERR_MALFORMED,
                       "\"%s\" is not a verdict; there are unknown, reported and untrusted",
                       show(&shown, verdict));
    if (action && !out->by_action)
        return gv_fail(error, GV_ERR_MALFORMED,
                       "\"%s\" is not an action; there are allow, one-strike and refuse",
                       show(&shown, action));
    return gv_api_limit(&out->limit, limit, error);
}

int gv_api_telemetry_query(struct gv_api_telemetry_query *out, uint64_t now_ms, const char *since,
                           const char *limit, const char *follow, struct gv_text *error)
{
    int64_t ago_s;
    struct shown shown;

    memset(out, 0, sizeof *out);
    if (since && gv_rfc3339_parse(&out->since_ms, since) != GV_OK) {
        if (gv_config_duration_parse(&ago_s, since) != GV_OK || ago_s < 0)
            return gv_fail(error, GV_ERR_MALFORMED,
                           "\"%s\" is not a time; give 2026-11-22T04:37:00Z, or 90s, 15m, 24h, 30d "
                           "ago",
                           show(&shown, since));
        out->since_ms = (uint64_t)ago_s < now_ms / 1000 ? now_ms - (uint64_t)ago_s * 1000 : 0;
    }
    if (follow && strcmp(follow, "1") != 0 && strcmp(follow, "0") != 0)
        return gv_fail(error, GV_ERR_MALFORMED, "follow must be 0 or 1");
    out->follow = follow && *follow == '1';
    return gv_api_limit(&out->limit, limit, error);
}

/* ---- bodies --------------------------------------------------------------------------------- */

static int open_body(json_t **out, const void *body, size_t len, struct gv_text *error)
{
    struct gv_text why = {""};

    if (gv_json_parse(out, body, len, GV_API_BODY_MAX, &why) != GV_OK)
        return gv_fail(error, GV_ERR_MALFORMED, "the body is not JSON: %s", why.text);
    if (json_is_object(*out))
        return GV_OK;
    json_decref(*out);
    return gv_fail(error, GV_ERR_MALFORMED, "the body must be a JSON object");
}

/* Copies a member of at most cap - 1 bytes. An optional one that is absent is "". */
static int take(char *out, size_t cap, const json_t *body, const char *key, bool optional,
                struct gv_text *error)
{
    const char *text = "";
    int rc = gv_json_string(&text, body, key, cap - 1, error);

    if (rc == GV_ERR_NOT_FOUND && optional)
        rc = GV_OK;
    if (rc != GV_OK)
        return GV_ERR_MALFORMED;
    if (!*text && !optional)
        return gv_fail(error, GV_ERR_MALFORMED, "\"%s\" is empty", key);
    snprintf(out, cap, "%s", text);
    return GV_OK;
}

/* The one member that a body needs. */
static int take_only(char *out, size_t cap, const void *body, size_t len, const char *key,
                     struct gv_text *error)
{
    json_t *json = NULL;
    int rc = open_body(&json, body, len, error);

    if (rc != GV_OK)
        return rc;
    rc = take(out, cap, json, key, false, error);
    json_decref(json);
    return rc;
}

int gv_api_prefix_body(struct gv_prefix *out, const void *body, size_t len, struct gv_text *error)
{
    char text[GV_API_TEXT_MAX + 1];
    struct shown shown;
    int rc = take_only(text, sizeof text, body, len, "addr", error);

    if (rc == GV_OK && gv_prefix_parse(out, text, strlen(text)) != GV_OK)
        rc = gv_fail(error, GV_ERR_MALFORMED,
                     "\"%s\" is not an address or range; give 192.0.2.1, 192.0.2.0/24, 2001:db8::1 "
                     "or 2001:db8::/32, without bits beyond the prefix",
                     show(&shown, text));
    return rc;
}

int gv_api_subject_body(struct gv_subject *out, const void *body, size_t len, struct gv_text *error)
{
    char text[GV_API_TEXT_MAX + 1];
    int rc = take_only(text, sizeof text, body, len, "addr", error);

    if (rc == GV_OK)
        rc = gv_api_subject(out, text, error);
    return rc;
}

int gv_api_owner_body(uint8_t out[GV_ID_LEN], const void *body, size_t len, struct gv_text *error)
{
    char text[GV_API_TEXT_MAX + 1];
    struct shown shown;
    int rc = take_only(text, sizeof text, body, len, "owner", error);

    if (rc == GV_OK && gv_unhex(out, GV_ID_LEN, text) != GV_OK)
        rc = gv_fail(error, GV_ERR_MALFORMED,
                     "\"%s\" is not an owner's tag; give its 32 hex digits, as `grapevine "
                     "owners` shows them",
                     show(&shown, text));
    return rc;
}

int gv_api_join_body(struct gv_api_join *out, const void *body, size_t len, struct gv_text *error)
{
    char id[GV_API_TEXT_MAX + 1];
    json_t *json = NULL;
    int rc = open_body(&json, body, len, error);

    if (rc != GV_OK)
        return rc;
    rc = take(out->registry, sizeof out->registry, json, "registry", true, error);
    if (rc == GV_OK)
        rc = take(id, sizeof id, json, "id", true, error);
    json_decref(json);
    out->has_id = rc == GV_OK && id[0];
    if (out->has_id && gv_unhex(out->id, sizeof out->id, id) != GV_OK)
        return gv_fail(error, GV_ERR_MALFORMED, "\"id\" must be a network's id, 64 hex digits");
    if (rc == GV_OK && out->registry[0] && !gv_config_url_valid(out->registry))
        rc = gv_fail(error, GV_ERR_MALFORMED,
                     "the registry's address must be https://HOST or https://HOST:PORT (or "
                     "http://), without a path");
    return rc;
}

int gv_api_enroll_body(struct gv_api_enroll *out, const void *body, size_t len,
                       struct gv_text *error)
{
    json_t *json = NULL;
    int rc = open_body(&json, body, len, error);

    if (rc != GV_OK)
        return rc;
    rc = take(out->email, sizeof out->email, json, "email", false, error);
    if (rc == GV_OK)
        rc = take(out->terms, sizeof out->terms, json, "terms", false, error);
    if (rc == GV_OK)
        rc = take(out->invitation, sizeof out->invitation, json, "invitation", true, error);
    json_decref(json);
    return rc;
}

int gv_api_confirm_body(struct gv_api_confirm *out, const void *body, size_t len,
                        struct gv_text *error)
{
    return take_only(out->code, sizeof out->code, body, len, "code", error);
}

int gv_api_leave_body(uint8_t out[GV_ID_LEN], const void *body, size_t len, struct gv_text *error)
{
    json_t *json = NULL;
    int rc = open_body(&json, body, len, error);

    if (rc != GV_OK)
        return rc;
    rc = gv_json_hex(out, GV_ID_LEN, json, "instance", error);
    json_decref(json);
    return rc;
}
