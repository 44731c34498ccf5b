#include "node/serve/dovecot.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/serve/dovecot_clients.h"
#include "proto/ip_address.h"

#define SWEEP_MS  250u
#define FIELD_MAX 1024u

/* A question that waits for another login's report. */
struct gv_dovecot_waiting {
    struct gv_dovecot *dovecot;
    struct gv_http_request *request;
    struct gv_dovecot_waiting *next;          /* of the same client, in order */
    struct gv_dovecot_waiting *newer, *older; /* of all, for the sweep */
    struct gv_subject subject;
    uint64_t token, since_ms;
    bool alike;
};

struct gv_dovecot {
    uv_loop_t *loop;
    uv_timer_t sweep;
    const struct gv_core *core;
    struct gv_dovecot_clients *clients;
    struct gv_dovecot_waiting *oldest, *newest;
    size_t waiting;
    uint8_t account_key[16], key[16];
    bool enforced;
    void *context;
    void (*observe)(void *context, const struct gv_observation *observation);
    struct gv_dovecot_counters counters;
};

/* What Dovecot says of a login. The names are hashes by now. */
struct login {
    struct gv_subject subject;
    uint64_t account, password, session; /* 0: not known */
    uint64_t token;                      /* of this login, in `allow` and `report` alike */
    bool alike;                          /* another guess at this name would have the same token */
    uint8_t service, kind;
    bool success, refused, fault;
};

/* ---- reading a request ---------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && strlen(text) <= FIELD_MAX ? text : "";
}

/* As the log reader does it (SPEC 10): lower case, 256 bytes, keyed. */
static uint64_t hash_account(const struct gv_dovecot *d, const char *name)
{
    char lower[256];
    size_t len = strlen(name);

    if (len > sizeof lower)
        len = sizeof lower;
    for (size_t i = 0; i < len; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    uint64_t value = len ? gv_siphash(d->account_key, lower, len) : 0;
    gv_wipe(lower, sizeof lower);
    return len && value == 0 ? 1 : value;
}

static uint64_t hash_text(const struct gv_dovecot *d, const char *text)
{
    uint64_t value = *text ? gv_siphash(d->key, text, strlen(text)) : 0;

    return *text && value == 0 ? 1 : value;
}

static uint8_t service_of(const char *protocol)
{
    static const struct {
        const char *name;
        uint8_t service;
    } names[] = {{"imap", GV_SERVICE_IMAP},       {"pop3", GV_SERVICE_POP3},
                 {"sieve", GV_SERVICE_SIEVE},     {"submission", GV_SERVICE_SUBMISSION},
                 {"smtp", GV_SERVICE_SUBMISSION}, {"managesieve", GV_SERVICE_SIEVE}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(protocol, names[i].name) == 0)
            return names[i].service;
    return GV_SERVICE_UNKNOWN;
}

/* Dovecot's fail_type; a server that does not send it leaves it open. */
static void read_failure(struct login *out, const char *type)
{
    out->kind = GV_KIND_UNSPECIFIED;
    if (strcmp(type, "credentials") == 0)
        out->kind = GV_KIND_WRONG_PASSWORD;
    else if (strcmp(type, "account") == 0)
        out->kind = GV_KIND_UNKNOWN_ACCOUNT;
    else if (strcmp(type, "policy") == 0)
        out->refused = true;
    else if (strcmp(type, "internal") == 0 || strcmp(type, "expired") == 0 ||
             strcmp(type, "disabled") == 0)
        out->fault = true; /* the server's business: the password may be right */
}

/* The hash says something of the password only where the server saw one: with a challenge it is the
 * same for every guess. */
static bool sees_password(const char *mechanism)
{
    return strcasecmp(mechanism, "PLAIN") == 0 || strcasecmp(mechanism, "LOGIN") == 0;
}

static bool read_login(const struct gv_dovecot *d, struct login *out, const json_t *json)
{
    const char *remote = text_of(json, "remote"), *pwhash = text_of(json, "pwhash");
    struct gv_ip_address address;

    memset(out, 0, sizeof *out);
    if (gv_ip_address_parse(&address, remote, strlen(remote)) != GV_OK)
        return false;
    out->subject = gv_ip_address_subject(&address);
    out->account = hash_account(d, text_of(json, "login"));
    out->session = hash_text(d, text_of(json, "session_id"));
    uint64_t password = hash_text(d, pwhash);
    if (sees_password(text_of(json, "mech")))
        out->password = password;
    const uint64_t all[3] = {out->account, password, out->session};
    out->token = gv_siphash(d->key, all, sizeof all);
    out->token += out->token == 0;
    out->alike = out->password == 0 && *text_of(json, "session_id") == '\0';
    out->service = service_of(text_of(json, "protocol"));
    out->success = json_is_true(json_object_get(json, "success"));
    read_failure(out, text_of(json, "fail_type"));
    out->refused |= json_is_true(json_object_get(json, "policy_reject"));
    return true;
}

/* ---- allow ---------------------------------------------------------------------------------- */

static void respond(struct gv_http_request *request, bool allow)
{
    static const char yes[] = "{\"status\":0,\"msg\":\"\"}";
    static const char no[] = "{\"status\":-1,\"msg\":\"" GV_DOVECOT_REFUSAL "\"}";

    gv_http_respond(request, 200, "application/json", allow ? yes : no,
                    allow ? sizeof yes - 1 : sizeof no - 1);
}

static void answer(struct gv_dovecot *d, struct gv_http_request *request,
                   struct gv_decision decision)
{
    bool refuse = decision.action == GV_ACTION_REFUSE;

    d->counters.refused += refuse && d->enforced;
    d->counters.would_refuse += refuse && !d->enforced;
    respond(request, !refuse || !d->enforced);
}

/* How many guesses may be under way at once. Who is trusted here is never made to wait. */
static size_t guesses(const struct gv_dovecot *d, struct gv_decision decision,
                      const struct gv_action_facts *facts)
{
    if (decision.action == GV_ACTION_REFUSE || !d->enforced || facts->clean || facts->allow_listed)
        return SIZE_MAX;
    return decision.action == GV_ACTION_ONE_STRIKE || facts->points > 0 ? 1 : GV_DOVECOT_GUESSES;
}

/* Of those that have waited long enough behind a login of which no report came (a slow login
 * backend, a lost report) one may go; were it all of them, a hundred guesses would only have to
 * wait. */
static bool may_overtake(struct gv_dovecot_client *client, uint64_t now)
{
    if (client->overtaken_ms != 0 && now - client->overtaken_ms < GV_DOVECOT_WAIT_MS)
        return false;
    client->overtaken_ms = now;
    return true;
}

/* Dovecot asks again after a right password: that is the login that flies already. Where guesses
 * are alike (a challenge, by way of Postfix, which names no session) that can be so once in a
 * flight, and another guess looks the same. Where it matters, the report tells which it was: of a
 * wrong password it comes at once, before a right one's second question is answered never. So such
 * a question waits for GV_DOVECOT_AGAIN_MS; if there is a report by then, it was a guess, and takes
 * its turn. */
static struct gv_dovecot_flight *asked_before(struct gv_dovecot_client *client, uint64_t token,
                                              bool alike)
{
    struct gv_dovecot_flight *flight = gv_dovecot_flight(client, token);

    return flight && (!alike || !flight->again) ? flight : NULL;
}

/* Whether the question can be answered now; then it is. Not patient: it is. */
static bool decide(struct gv_dovecot *d, struct gv_dovecot_client *client,
                   struct gv_http_request *request, const struct gv_subject *subject,
                   uint64_t token, bool alike, bool patient)
{
    struct gv_action_facts facts;
    struct gv_decision decision = gv_core_decide(d->core, NULL, &facts, subject);
    uint64_t now = uv_now(d->loop);
    size_t limit = guesses(d, decision, &facts);

    struct gv_dovecot_flight *before = client ? asked_before(client, token, alike) : NULL;

    if (before) {
        if (alike && patient && limit != SIZE_MAX && gv_dovecot_flying(client, now) >= limit)
            return false;
        before->again = true;
    } else if (client && limit != SIZE_MAX) {
        bool crowded = gv_dovecot_flying(client, now) >= limit;
        if (crowded && patient)
            return false;
        if (crowded && decision.action == GV_ACTION_ONE_STRIKE && !may_overtake(client, now)) {
            d->counters.crowded++;
            decision.action = GV_ACTION_REFUSE;
        } else {
            gv_dovecot_take_off(client, token, now);
        }
    }
    answer(d, request, decision);
    return true;
}

static void forget_waiting(struct gv_dovecot_waiting *w)
{
    struct gv_dovecot *d = w->dovecot;
    struct gv_dovecot_client *client =
        gv_dovecot_client(d->clients, &w->subject, uv_now(d->loop), false);

    for (struct gv_dovecot_waiting **at = client ? &client->waiting : NULL; at && *at;
         at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    *(w->older ? &w->older->newer : &d->oldest) = w->newer;
    *(w->newer ? &w->newer->older : &d->newest) = w->older;
    d->waiting--;
    free(w);
}

static void on_gone(void *context)
{
    forget_waiting(context);
}

static void on_sweep(uv_timer_t *timer);

/* Returns false when it cannot wait: it is decided at once then, as without this rule. */
static bool wait(struct gv_dovecot *d, struct gv_dovecot_client *client,
                 struct gv_http_request *request, const struct login *login)
{
    struct gv_dovecot_waiting *w = d->waiting < GV_DOVECOT_WAITING ? calloc(1, sizeof *w) : NULL;

    if (!w)
        return false;
    *w = (struct gv_dovecot_waiting){.dovecot = d,
                                     .request = request,
                                     .older = d->newest,
                                     .subject = login->subject,
                                     .token = login->token,
                                     .alike = login->alike,
                                     .since_ms = uv_now(d->loop)};
    *(d->newest ? &d->newest->newer : &d->oldest) = w;
    d->newest = w;
    if (!uv_is_active((uv_handle_t *)&d->sweep))
        uv_timer_start(&d->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    struct gv_dovecot_waiting **at = &client->waiting;
    while (*at)
        at = &(*at)->next;
    *at = w;
    d->waiting++;
    d->counters.waited++;
    gv_http_on_closed(request, on_gone, w);
    return true;
}

static void allow(struct gv_dovecot *d, struct gv_http_request *request, const struct login *login)
{
    struct gv_dovecot_client *client =
        gv_dovecot_client(d->clients, &login->subject, uv_now(d->loop), true);

    d->counters.asked++;
    /* Behind those that wait already, so that nobody overtakes. */
    bool queue = client && client->waiting && !asked_before(client, login->token, login->alike);
    if (!queue && decide(d, client, request, &login->subject, login->token, login->alike, true))
        return;
    if (!wait(d, client, request, login))
        (void)decide(d, client, request, &login->subject, login->token, login->alike, false);
}

/* The first that wait, as many as may fly now. */
static void release(struct gv_dovecot *d, struct gv_dovecot_client *client)
{
    while (client->waiting) {
        struct gv_dovecot_waiting *w = client->waiting;
        if (!decide(d, client, w->request, &w->subject, w->token, w->alike, true))
            return;
        forget_waiting(w);
    }
}

/* No report has come of the login that they are like: the first of each is its second question. */
static void answer_again(struct gv_dovecot *d, uint64_t now)
{
    struct gv_dovecot_waiting *newer;

    for (struct gv_dovecot_waiting *w = d->oldest; w; w = newer) {
        newer = w->newer;
        if (now - w->since_ms < GV_DOVECOT_AGAIN_MS)
            return;
        struct gv_dovecot_client *client = gv_dovecot_client(d->clients, &w->subject, now, false);
        if (!w->alike || !client || !asked_before(client, w->token, true))
            continue;
        (void)decide(d, client, w->request, &w->subject, w->token, true, false);
        forget_waiting(w);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct gv_dovecot *d = timer->data;
    uint64_t now = uv_now(d->loop);

    answer_again(d, now);
    while (d->oldest && now - d->oldest->since_ms >= GV_DOVECOT_WAIT_MS) {
        struct gv_dovecot_waiting *w = d->oldest;
        struct gv_dovecot_client *client = gv_dovecot_client(d->clients, &w->subject, now, false);
        (void)decide(d, client, w->request, &w->subject, w->token, w->alike, false);
        forget_waiting(w);
    }
    if (!d->oldest)
        uv_timer_stop(timer);
}

/* ---- report --------------------------------------------------------------------------------- */

/* A client that keeps trying one outdated password has made one mistake, not a hundred. */
static bool is_repeated(struct gv_dovecot *d, const struct login *login)
{
    const uint64_t guess[3] = {login->account, login->password, 1};
    uint8_t bytes[sizeof guess + sizeof login->subject];

    if (login->password == 0 || login->account == 0)
        return false;
    memcpy(bytes, guess, sizeof guess);
    memcpy(bytes + sizeof guess, &login->subject, sizeof login->subject);
    return gv_dovecot_mark(d->clients, gv_siphash(d->key, bytes, sizeof bytes), uv_now(d->loop),
                           GV_DOVECOT_REPEAT_MS);
}

static bool is_new_visit(struct gv_dovecot *d, const struct login *login)
{
    const uint64_t visit[2] = {login->session, 2};

    return login->session == 0 ||
           !gv_dovecot_mark(d->clients, gv_siphash(d->key, visit, sizeof visit), uv_now(d->loop),
                            GV_DOVECOT_REPEAT_MS);
}

static void report(struct gv_dovecot *d, const struct login *login, uint64_t unix_ms)
{
    struct gv_dovecot_client *client =
        gv_dovecot_client(d->clients, &login->subject, uv_now(d->loop), true);
    struct gv_observation observation = {
        .subject = login->subject,
        .unix_ms = unix_ms,
        .account = login->account,
        .password = login->success ? 0 : login->password,
        .attempts = login->success ? 0 : 1,
        .service = login->service,
        .kind = login->success ? GV_KIND_UNSPECIFIED : login->kind,
        .success = login->success,
        .refused = login->refused,
    };

    d->counters.reported++;
    if (client) {
        gv_dovecot_land(client, login->token);
        client->failures += !login->success && !login->refused && !login->fault;
        client->successes += login->success;
        client->reported_ms = uv_now(d->loop);
    }
    bool repeated = !login->success && !login->refused && !login->fault && is_repeated(d, login);
    d->counters.repeated += repeated;
    if (!repeated && !login->fault) {
        observation.new_visit = is_new_visit(d, login);
        d->observe(d->context, &observation);
    }
    if (client)
        release(d, client);
}

bool gv_dovecot_absorb(struct gv_dovecot *dovecot, struct gv_observation *observation,
                       uint64_t now_ms)
{
    struct gv_dovecot_client *client =
        gv_dovecot_client(dovecot->clients, &observation->subject, now_ms, false);

    if (!client || now_ms - client->reported_ms >= GV_DOVECOT_ABSORB_MS || observation->refused)
        return true;
    if (observation->success) {
        bool known = client->successes > 0;
        client->successes -= known;
        return !known;
    }
    uint32_t told =
        observation->attempts < client->failures ? observation->attempts : client->failures;
    client->failures -= told;
    observation->attempts -= told;
    dovecot->counters.absorbed += told;
    return observation->attempts > 0;
}

/* A login that came over no network: Dovecot has no address for it (doveadm auth test). */
static bool from_nowhere(const json_t *json)
{
    const char *remote = json_string_value(json_object_get(json, "remote"));

    return remote && *remote == '\0';
}

/* ---- the door ------------------------------------------------------------------------------- */

void gv_dovecot_handle(struct gv_dovecot *dovecot, struct gv_http_request *request)
{
    const char *command = gv_http_query(request, "command");
    struct login login;
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);
    json_t *json = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, NULL);
    bool ask = command && strcmp(command, "allow") == 0;

    if (!command || (!ask && strcmp(command, "report") != 0)) {
        dovecot->counters.malformed++;
        gv_http_error(request, 400, "command", "say ?command=allow or ?command=report");
    } else if (from_nowhere(json)) {
        respond(request, true);
    } else if (!json || !json_is_object(json) || !read_login(dovecot, &login, json)) {
        dovecot->counters.malformed++;
        gv_http_error(request, 400, "malformed",
                      "a JSON object with an address in \"remote\" is needed; set "
                      "auth_policy_request_attributes as `grapevine snippet dovecot` prints it");
    } else if (ask) {
        allow(dovecot, request, &login);
    } else {
        respond(request, true);
        uv_timeval64_t now;
        uv_gettimeofday(&now);
        report(dovecot, &login, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000);
    }
    json_decref(json);
}

int gv_dovecot_start(struct gv_dovecot **out, const struct gv_dovecot_options *options)
{
    struct gv_dovecot *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d)
        return GV_ERR_MEMORY;
    randombytes_buf(d->key, sizeof d->key);
    memcpy(d->account_key, options->account_key, sizeof d->account_key);
    d->clients = gv_dovecot_clients_new(d->key);
    if (!d->clients) {
        free(d);
        return GV_ERR_MEMORY;
    }
    d->loop = options->loop;
    d->core = options->core;
    d->enforced = options->enforced;
    d->context = options->context;
    d->observe = options->observe;
    uv_timer_init(d->loop, &d->sweep);
    d->sweep.data = d;
    uv_unref((uv_handle_t *)&d->sweep);
    *out = d;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_dovecot *d = handle->data;

    gv_assert(!d->oldest);
    gv_dovecot_clients_free(d->clients);
    gv_wipe(d->account_key, sizeof d->account_key);
    free(d);
}

void gv_dovecot_stop(struct gv_dovecot *dovecot)
{
    if (dovecot)
        uv_close((uv_handle_t *)&dovecot->sweep, on_closed);
}

void gv_dovecot_enforce(struct gv_dovecot *dovecot, bool enforced)
{
    dovecot->enforced = enforced;
}

void gv_dovecot_counters(const struct gv_dovecot *dovecot, struct gv_dovecot_counters *out)
{
    *out = dovecot->counters;
}
