/* What the admin asks of the registry: each request waits for the registry's answer, without
 * holding up anything else. */
#include <string.h>

#include "crypto/error.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"

/* ---- waiting -------------------------------------------------------------------------------- */

static void client_gone(void *context)
{
    struct gv_api_asking *asking = context;

    asking->request = NULL;
}

static struct gv_api_asking *begin(struct gv_api *api, struct gv_http_request *request)
{
    for (size_t i = 0; i < GV_API_ASKING_MAX; i++) {
        struct gv_api_asking *asking = &api->asking[i];
        if (asking->busy)
            continue;
        asking->api = api;
        asking->request = request;
        asking->busy = true;
        return asking;
    }
    gv_http_error(request, 503, "busy", "too many questions to the registry at once; try again");
    return NULL;
}

static void say_no(struct gv_http_request *request, const struct gv_enroll_answer *answer)
{
    unsigned status = answer->error == GV_ERR_FORBIDDEN ? 403
                      : answer->error == GV_ERR_BUSY    ? 429
                                                        : 502;
    const char *why = answer->text.text[0] ? answer->text.text : gv_strerror(answer->error);

    gv_http_error(request, status, answer->word[0] ? answer->word : "registry", "%s", why);
}

static void on_answer(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_api_asking *asking = context;

    asking->busy = false;
    if (!asking->request)
        return;
    struct gv_http_request *request = asking->request;
    if (answer->error != GV_OK)
        say_no(request, answer);
    else
        asking->answer(asking, answer);
    asking->request = NULL;
}

/* The call to the membership did not even start a request. */
static void started(struct gv_api_asking *asking, int rc)
{
    struct gv_http_request *request = asking->request;

    if (rc == GV_OK) {
        gv_http_on_closed(request, client_gone, asking);
        return;
    }
    asking->busy = false;
    asking->request = NULL;
    if (rc == GV_ERR_BUSY)
        gv_http_error(request, 503, "busy", "the registry is being asked already; try again");
    else if (rc == GV_ERR_NO_CERTIFICATE)
        gv_http_error(request, 409, "not-enrolled", "this node is not enrolled: nothing to leave");
    else if (rc == GV_ERR_STATE)
        gv_http_error(request, 409, "no-network",
                      "the network's descriptor is not known yet: name a registry, with [network] "
                      "registry in the configuration or with `grapevine enroll --registry URL`");
    else
        gv_http_error(request, 400, "bad-request", "that cannot be right: %s", gv_strerror(rc));
}

/* ---- the five questions --------------------------------------------------------------------- */

static void answer_terms(struct gv_api_asking *asking, const struct gv_enroll_answer *answer)
{
    const struct gv_descriptor *d = gv_core_descriptor(gv_driver_core(asking->api->options.driver));
    json_t *text = json_stringn((const char *)answer->wire, answer->wire_len);

    if (!text)
        text = json_string("(the registry's text is not valid UTF-8)");
    gv_http_respond_json(asking->request, 200,
                         json_pack("{s:s, s:o}", "terms", d ? d->terms : "", "text", text));
}

void gv_api_get_terms(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_api_asking *asking = begin(api, request);

    if (!asking)
        return;
    asking->answer = answer_terms;
    started(asking, gv_membership_terms(api->options.membership, on_answer, asking));
}

static void answer_joined(struct gv_api_asking *asking, const struct gv_enroll_answer *answer)
{
    struct gv_descriptor descriptor;

    if (gv_descriptor_open(&descriptor, NULL, answer->wire, answer->wire_len) == GV_OK)
        gv_http_respond_json(asking->request, 200, gv_api_network_json(&descriptor));
    else
        gv_http_error(asking->request, 502, "registry", "the descriptor is not valid");
}

/* Already in a network: the answer is that network, unless another registry was named. */
static void answer_known(struct gv_http_request *request, const struct gv_descriptor *known,
                         const struct gv_api_join *wanted)
{
    if ((*wanted->registry && strcmp(wanted->registry, known->registry_url) != 0) ||
        (wanted->has_id && memcmp(wanted->id, known->network_id, GV_KEY_LEN) != 0))
        gv_http_error(
            request, 409, "in-a-network",
            "this node is in the network \"%s\" of %s already: leave --registry out to enrol "
            "there; another network takes another data folder",
            known->name, known->registry_url);
    else
        gv_http_respond_json(request, 200, gv_api_network_json(known));
}

void gv_api_post_network(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_descriptor *known = gv_core_descriptor(gv_driver_core(api->options.driver));
    struct gv_api_join join;
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_join_body(&join, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    if (known) {
        answer_known(request, known, &join);
        return;
    }
    struct gv_api_asking *asking = begin(api, request);
    if (!asking)
        return;
    asking->answer = answer_joined;
    started(asking, gv_membership_join(api->options.membership, join.registry,
                                       join.has_id ? join.id : NULL, on_answer, asking));
}

static void answer_enroll(struct gv_api_asking *asking, const struct gv_enroll_answer *answer)
{
    gv_http_respond_json(asking->request, 200,
                         json_pack("{s:b, s:i, s:s}", "ok", 1, "expires_s", (int)answer->expires_s,
                                   "message",
                                   "a code is on its way by mail; hand it in with `grapevine "
                                   "confirm CODE`"));
}

void gv_api_post_enroll(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_descriptor *known = gv_core_descriptor(gv_driver_core(api->options.driver));
    struct gv_api_enroll enroll;
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_enroll_body(&enroll, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    if (known && strcmp(known->terms, enroll.terms) != 0) {
        gv_http_error(request, 409, "terms", "the terms in force are version %s; accept those",
                      known->terms);
        return;
    }
    struct gv_api_asking *asking = begin(api, request);
    if (!asking)
        return;
    asking->answer = answer_enroll;
    started(asking, gv_membership_request(api->options.membership, enroll.email, enroll.terms,
                                          enroll.invitation, on_answer, asking));
}

static void answer_confirm(struct gv_api_asking *asking, const struct gv_enroll_answer *answer)
{
    struct gv_certificate certificate;

    if (gv_certificate_parse(&certificate, answer->wire, answer->wire_len) != GV_OK) {
        gv_http_error(asking->request, 502, "registry", "the certificate is not valid");
        return;
    }
    char group[GV_GROUP_TEXT], owner[2 * GV_ID_LEN + 1];
    gv_group_text(group, certificate.group);
    gv_hex(owner, certificate.owner, GV_ID_LEN);
    gv_http_respond_json(asking->request, 200,
                         json_pack("{s:b, s:s, s:s, s:o, s:o}", "ok", 1, "owner", owner, "group",
                                   group, "since", gv_api_minute(certificate.since_min), "expires",
                                   gv_api_minute(certificate.expires_min)));
}

void gv_api_post_confirm(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_api_confirm confirm;
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_confirm_body(&confirm, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    struct gv_api_asking *asking = begin(api, request);
    if (!asking)
        return;
    asking->answer = answer_confirm;
    started(asking,
            gv_membership_confirm(api->options.membership, confirm.code, on_answer, asking));
}

static void answer_left(struct gv_api_asking *asking, const struct gv_enroll_answer *answer)
{
    (void)answer;
    gv_http_respond_json(asking->request, 200,
                         json_pack("{s:b, s:s}", "ok", 1, "message",
                                   "this instance is revoked for good; to enrol again, stop the "
                                   "daemon, move its key file away, start it, enrol anew"));
}

/* It names the instance, so that nothing leaves by mistake. */
void gv_api_post_leave(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    uint8_t instance[GV_ID_LEN];
    struct gv_core_status status;
    struct gv_text error;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_leave_body(instance, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    gv_core_status(gv_driver_core(api->options.driver), &status);
    if (memcmp(instance, status.instance, GV_ID_LEN) != 0) {
        gv_http_error(request, 409, "another-instance", "that is not the instance of this node");
        return;
    }
    struct gv_api_asking *asking = begin(api, request);
    if (!asking)
        return;
    asking->answer = answer_left;
    started(asking, gv_membership_leave(api->options.membership, on_answer, asking));
}
