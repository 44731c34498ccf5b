/* Access and erasure: what this node holds, and what of one address (SPEC 15.1). */
#include <stdio.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/serve/answer.h"
#include "node/serve/api_internal.h"
#include "node/serve/api_json.h"
#include "node/serve/api_request.h"

#define EARLIER_MAX 10000
#define ERASED_MS   (48 * 3600000ULL) /* by then all that was in the set has left it */

/* ---- report --------------------------------------------------------------------------------- */

static void item(json_t *list, const char *what, const char *where, const char *until, size_t count)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "what", what, "where", where,
                                          "until", until, "count", (json_int_t)count));
}

static const char *days(char out[64], const char *from, uint64_t ms)
{
    if (ms % 86400000 == 0)
        snprintf(out, 64, "%llu days after %s", (unsigned long long)(ms / 86400000), from);
    else
        snprintf(out, 64, "%llu hours after %s", (unsigned long long)(ms / 3600000), from);
    return out;
}

void gv_api_get_privacy(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    const struct gv_core *core = gv_driver_core(api->options.driver);
    struct gv_persist_held held;
    struct gv_driver_retention kept;
    struct gv_core_status status;
    struct gv_looks_status looks;
    char until[64];

    (void)gv_looks_read(api->looks);
    gv_looks_status(api->looks, &looks);

    gv_driver_retention(api->options.driver, &kept);
    gv_core_status(core, &status);
    size_t aside = 0;
    int rc = gv_persist_held(gv_driver_persist(api->options.driver), &held);
    if (rc == GV_OK)
        rc = gv_persist_aside(gv_driver_persist(api->options.driver), 0, &aside, NULL);
    if (rc != GV_OK) {
        gv_http_error(request, 503, "store", "the store cannot be read: %s", gv_strerror(rc));
        return;
    }
    json_t *list = json_array();
    item(
        list,
        "signals that count: address, coarse times, bucketed count, kinds; of this node and others",
        "memory, store.db: record", "24 hours after a signal's last minute, or its retraction",
        status.statements);
    item(list, "certificates, revocations and addresses of nodes", "memory, store.db: record",
         "the network needs them no more",
         held.records > status.statements ? held.records - status.statements : 0);
    item(list, "signals that have ceased to count (grapevine ip)", "store.db: journal",
         days(until, "they have left", kept.journal_ms), held.journal);
    item(list, "what this node has sent (grapevine telemetry)", "store.db: sent",
         days(until, "it was made", kept.telemetry_ms), held.sent);
    item(list, "who acknowledged it", "store.db: ack",
         days(until, "it was made", kept.telemetry_ms), held.acks);
    item(list, "local history of addresses: failures; who logged in, and accounts, as keyed hashes",
         "memory, store.db: history", "7 days after the last failure, 30 days after the last login",
         status.local_subjects);
    struct gv_changes_counters changes = {0};
    if (api->changes)
        gv_changes_counters(api->changes, &changes);
    item(list, "latest changes of who is untrusted or refused: address, when", "memory",
         "4,096 more have come, or the node stops", changes.kept);
    item(list, "your allow and deny list, owners trusted", "store.db: list", "you take it off",
         held.lists);
    item(list, "addresses of other nodes", "store.db: peer", "they are replaced", held.peers);
    item(list, "mail flow by the minute: sums alone", "store.db: statistic", "48 hours after it",
         held.minutes);
    item(list, "mail flow by the hour: sums alone", "store.db: statistic",
         days(until, "it", kept.statistics_ms), held.hours);
    item(list, "alerts about it", "store.db: statistic", days(until, "it", kept.statistics_ms),
         held.alerts);
    item(list, "rows about open connections to the mail server: addresses, sealed",
         "memory, store.db: kept", "others overwrite them", held.visits);
    item(list, "rows about messages under way: keyed hash of the queue id, size, when; sealed",
         "memory, store.db: kept", "the message is removed, and others overwrite it",
         held.under_way);
    item(list, "copies of the store that were set aside: damaged, by a restore, or replaced",
         "store.db.corrupt-*, store.db.before-restore-*, store.db.replaced-*",
         days(until, "they were", GV_ASIDE_DAYS * 86400000ULL), aside);
    item(list, "addresses that were erased, as keyed hashes", "store.db: kept",
         "48 hours after the erasure", held.marks);
    item(list, "who looked closer, when and why (grapevine transparency)", "transparency.log",
         "it has no end", looks.entries);
    json_array_append_new(
        list,
        json_pack("{s:s, s:s, s:s, s:n}", "what",
                  "the daemon's own log: addresses that were locked, signalled or judged", "where",
                  "the system's log (journal, syslog)", "until", "the system deletes it", "count"));
    gv_answer_json(request, json_pack("{s:s, s:I, s:o}", "share",
                                      gv_share_name(gv_core_settings(core)->share), "bytes",
                                      (json_int_t)held.bytes, "held", list));
}

static json_t *mark_json(const struct gv_looks_mark *mark)
{
    return mark->entry
               ? json_pack("{s:I, s:s}", "entry", (json_int_t)mark->entry, "hash", mark->hash)
               : json_null();
}

json_t *gv_api_transparency_json(const struct gv_api *api)
{
    struct gv_looks_status looks;

    gv_looks_status(api->looks, &looks);
    json_t *lost = mark_json(&looks.lost);
    if (looks.lost_ms > 0)
        json_object_set_new(lost, "noticed", gv_api_time(looks.lost_ms));
    return json_pack("{s:I, s:b, s:o, s:o}", "entries", (json_int_t)looks.entries, "read",
                     looks.read, "head", mark_json(&looks.head), "lost", lost);
}

/* What the store knows of the log of closer looks: `grapevine transparency verify` holds it against
 * the file. */
void gv_api_get_transparency(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;

    (void)gv_looks_read(api->looks);
    gv_answer_json(request, gv_api_transparency_json(api));
}

/* ---- one address ---------------------------------------------------------------------------- */

static void add_left(void *context, const uint8_t *record, size_t len, uint64_t left_ms)
{
    json_array_append_new(context, gv_api_left_json(record, len, left_ms));
}

static void add_sent(void *context, const struct gv_persist_sent *sent)
{
    json_array_append_new(context, gv_api_sent_json(sent));
}

void gv_api_get_privacy_export(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_persist *persist = gv_driver_persist(api->options.driver);
    struct gv_subject subject;
    struct gv_text error;

    if (gv_api_subject(&subject, gv_http_query(request, "addr"), &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    json_t *now = gv_api_ip_json(gv_driver_core(api->options.driver), &subject);
    json_t *earlier = json_array(), *sent = json_array();
    int rc = gv_persist_journal(persist, &subject, EARLIER_MAX, add_left, earlier);
    if (rc == GV_OK)
        rc = gv_persist_sent_about(persist, &subject, INT32_MAX, add_sent, sent);
    if (rc == GV_OK && now) {
        gv_answer_json(request, json_pack("{s:o, s:o, s:o, s:o}", "made", gv_api_time(gv_unix_ms()),
                                          "now", now, "earlier", earlier, "sent", sent));
        return;
    }
    json_decref(now);
    json_decref(earlier);
    json_decref(sent);
    gv_http_error(request, 503, "store", "the store cannot be read: %s", gv_strerror(rc));
}

/* Takes back, forgets, deletes. Each may be there or not; what fails is said. */
void gv_api_post_privacy_erase(struct gv_http_request *request, void *context)
{
    struct gv_api *api = context;
    struct gv_event event = {.kind = GV_EVENT_COMMAND, .command = {.command = GV_COMMAND_RETRACT}};
    struct gv_persist_erased erased;
    struct gv_text error = {""};
    size_t len;
    const uint8_t *body = gv_http_body(request, &len);

    if (gv_api_subject_body(&event.command.subject, body, len, &error) != GV_OK) {
        gv_http_error(request, 400, "bad-request", "%s", error.text);
        return;
    }
    if (api->options.erase) /* first: the commands store it */
        api->options.erase(api->options.logs_context, &event.command.subject);
    gv_driver_unname(api->options.driver, &event.command.subject);
    int retracted = gv_driver_command(api->options.driver, &event);
    event.command.command = GV_COMMAND_FORGET;
    int forgotten = gv_driver_command(api->options.driver, &event);
    uint64_t until_ms = gv_unix_ms() + ERASED_MS;
    gv_driver_unname(api->options.driver, NULL);
    struct gv_persist *persist = gv_driver_persist(api->options.driver);
    size_t aside = 0;
    int rc = gv_persist_erase(persist, &event.command.subject, until_ms, &erased, &error);
    int dropped = gv_persist_aside(persist, UINT64_MAX, &aside, rc == GV_OK ? &error : NULL);
    rc = rc == GV_OK ? dropped : rc;
    struct gv_prefix erased_prefix = gv_prefix_of_subject(&event.command.subject);
    if (api->options.lists_changed)
        api->options.lists_changed(api->options.context, &erased_prefix);
    if (api->changes) /* behind what was unlisted just now */
        gv_changes_forget(api->changes, &event.command.subject);
    bool unstored = forgotten == GV_ERR_IO || retracted == GV_ERR_IO;
    /* A reader is in the way, and that is all: what is left goes by itself. */
    bool leaves = rc == GV_ERR_BUSY && gv_persist_log_left(persist) && !unstored;
    if (rc != GV_OK || unstored) {
        gv_http_error(request, 507, "not-stored",
                      "not all of it could be deleted from the disk%s%s",
                      leaves ? " yet: " : "; do it again: ",
                      rc != GV_OK ? error.text : "the store cannot be written");
        return;
    }
    gv_log(GV_LOG_NOTICE, "privacy: what this node held of one address was erased");
    const char *word = retracted == GV_OK                   ? "retracted"
                       : retracted == GV_ERR_NOT_FOUND      ? "nothing to retract"
                       : retracted == GV_ERR_NO_CERTIFICATE ? "nothing to retract"
                                                            : gv_strerror(retracted);
    gv_http_respond_json(request, 200,
                         json_pack("{s:b, s:s, s:b, s:I, s:I, s:I, s:I, s:o}", "ok", 1, "signals",
                                   word, "history", (int)(forgotten == GV_OK), "telemetry",
                                   (json_int_t)erased.sent, "acknowledgements",
                                   (json_int_t)erased.acks, "journal", (json_int_t)erased.journal,
                                   "aside", (json_int_t)aside, "quiet_until",
                                   gv_api_time(until_ms)));
}
