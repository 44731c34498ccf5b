/* What surfaces of all kinds ask in a hurry, written without a JSON tree; and whose word on whom
 * this node holds. */
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

/* ---- one verdict, quickly ------------------------------------------------------------------- */

static char *put(char *at, const char *text)
{
    size_t len = strlen(text);

    memcpy(at, text, len);
    return at + len;
}

/* All of it is our own text: nothing to escape. */
size_t gv_api_verdict_text(char out[GV_API_VERDICT_TEXT], const struct gv_core *core,
                           const struct gv_subject *subject)
{
    struct gv_verdict verdict;
    char text[GV_SUBJECT_TEXT], *at = out;
    struct gv_decision decision = gv_core_decide(core, &verdict, NULL, subject);

    gv_subject_text(text, subject);
    at = put(put(at, "{\"subject\":\""), text);
    at = put(put(at, "\",\"verdict\":\""), gv_verdict_state_name(verdict.state));
    at = put(put(at, "\",\"action\":\""), gv_action_name(decision.action));
    at = put(put(at, "\",\"reason\":\""), gv_reason_text(decision.reason));
    at = put(at, "\"}");
    gv_assert(at < out + GV_API_VERDICT_TEXT);
    return (size_t)(at - out);
}

void gv_api_get_verdict(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    char text[GV_API_VERDICT_TEXT];
    struct gv_subject subject;
    struct gv_text error;

    if (gv_api_subject(&subject, gv_http_query(request, "addr"), &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    size_t len = gv_api_verdict_text(text, gv_driver_core(api->options.driver), &subject);
    gv_http_respond(request, 200, "application/json", text, len);
}

/* ---- signals received ----------------------------------------------------------------------- */

static void add_votes(json_t *list, const struct gv_subject *subject,
                      const struct gv_verdict *verdict)
{
    char text[GV_SUBJECT_TEXT], group[GV_GROUP_TEXT];

    gv_subject_text(text, subject);
    for (uint32_t i = 0; i < verdict->vote_count && i < GV_VOTES_MAX; i++) {
        const struct gv_vote *vote = &verdict->votes[i];
        gv_group_text(group, vote->group);
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:o, s:s, s:i, s:o}", "subject", text, "id",
                            gv_json_new_hex(vote->signal, GV_ID_LEN), "instance",
                            gv_json_new_hex(vote->instance, GV_ID_LEN), "owner",
                            gv_json_new_hex(vote->owner, GV_ID_LEN), "group", group, "standing",
                            (int)vote->standing, "time", gv_api_minute(vote->time_min)));
    }
}

/* The signals that count, subject by subject in the table's own order, `limit` subjects a page. */
void gv_api_get_received(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_core *core = gv_driver_core(api->options.driver);
    struct gv_subject subject;
    struct gv_verdict verdict;
    struct gv_text error;
    size_t limit, cursor, pages = 0;

    if (gv_api_limit(&limit, gv_http_query(request, "limit"), &error) != GV_OK ||
        gv_api_offset(&cursor, "cursor", gv_http_query(request, "cursor"), &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    if (limit > GV_API_RECEIVED_MAX)
        limit = GV_API_RECEIVED_MAX;
    json_t *list = json_array();
    for (; pages < limit && gv_core_next_subject(core, &cursor, &subject); pages++) {
        gv_core_verdict(core, &verdict, &subject);
        add_votes(list, &subject, &verdict);
    }
    gv_answer_json(request,
                   json_pack("{s:o, s:o}", "signals", list, "next",
                             pages == limit ? json_integer((json_int_t)cursor) : json_null()));
}

/* ---- the token ------------------------------------------------------------------------------ */

static void answer_token(struct gv_http_request *request, const struct gv_api *api)
{
    gv_http_respond_json(request, 200, json_pack("{s:s}", "token", api->token.text));
}

static bool no_token(struct gv_http_request *request, const struct gv_api *api)
{
    if (api->token.text[0])
        return false;
    gv_http_error(request, 404, "no-http",
                  "nothing listens for HTTP; set [http] listen = 127.0.0.1:4729 and restart "
                  "grapevined");
    return true;
}

void gv_api_get_token(struct gv_http_request *request, void *context)
{
    if (!no_token(request, context))
        answer_token(request, context);
}

void gv_api_post_token(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_text error = {""};

    if (no_token(request, api))
        return;
    if (gv_token_renew(&api->token, &error) != GV_OK)
        gv_http_error(request, 507, "not-stored", "the old token stays in force: %s", error.text);
    else {
        gv_api_dismiss(api);
        answer_token(request, api);
    }
}
