#include "node/serve/api_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/serve/why.h"

/* ---- small values --------------------------------------------------------------------------- */

json_t *gv_api_time(uint64_t unix_ms)
{
    char text[GV_RFC3339_TEXT];

    if (unix_ms == 0)
        return json_null();
    gv_rfc3339(text, unix_ms);
    return json_string(text);
}

json_t *gv_api_minute(uint32_t unix_minute)
{
    return unix_minute == GV_NEVER ? json_null() : gv_api_time(unix_minute * 60000ULL);
}

const char *gv_share_name(enum gv_share share)
{
    switch (share) {
    case GV_SHARE_NO:
        return "no";
    case GV_SHARE_PREVIEW:
        return "preview";
    case GV_SHARE_YES:
        return "yes";
    }
    return "unknown";
}

void gv_group_text(char out[GV_GROUP_TEXT], uint64_t group)
{
    struct gv_prefix prefix = {.family = GV_FAMILY_NONE};
    char text[GV_PREFIX_TEXT];
    unsigned octets = 0;

    switch (group >> 56) {
    case GV_GROUP_AS:
        snprintf(out, GV_GROUP_TEXT, "AS%" PRIu64, group & UINT64_C(0xffffffffffffff));
        return;
    case GV_GROUP_IPV4:
        prefix.family = GV_FAMILY_IPV4;
        octets = 2;
        break;
    case GV_GROUP_IPV6:
        prefix.family = GV_FAMILY_IPV6;
        octets = 4;
        break;
    default:
        snprintf(out, GV_GROUP_TEXT, "unknown");
        return;
    }
    prefix.bits = (uint8_t)(8 * octets);
    for (unsigned i = 0; i < octets; i++)
        prefix.bytes[i] = (uint8_t)(group >> (8 * (octets - 1 - i)));
    gv_prefix_text(text, &prefix);
    snprintf(out, GV_GROUP_TEXT, "%.47s", text);
}

static json_t *group_json(uint64_t group)
{
    char text[GV_GROUP_TEXT];

    gv_group_text(text, group);
    return json_string(text);
}

static json_t *address_json(const struct gv_address *address)
{
    char text[GV_ADDRESS_TEXT];

    if (address->family == GV_FAMILY_NONE)
        return json_null();
    gv_address_text(text, address);
    return json_string(text);
}

/* ---- one address ---------------------------------------------------------------------------- */

static json_t *reporters_json(const struct gv_verdict *verdict)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < verdict->vote_count && i < GV_VOTES_MAX; i++) {
        const struct gv_vote *vote = &verdict->votes[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:i, s:o}", "owner",
                                        gv_json_new_hex(vote->owner, GV_ID_LEN), "instance",
                                        gv_json_new_hex(vote->instance, GV_ID_LEN), "group",
                                        group_json(vote->group), "standing", (int)vote->standing,
                                        "time", gv_api_minute(vote->time_min)));
    }
    return list;
}

static json_t *local_json(const struct gv_history_summary *history,
                          const struct gv_action_facts *facts)
{
    return json_pack(
        "{s:i, s:i, s:i, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "failures",
        (int)history->failures_day, "points", (int)facts->points, "visits",
        (int)history->visits_week, "clean", (int)facts->clean, "clean_network",
        (int)facts->clean_network, "first_failure", gv_api_time(history->first_failure_ms),
        "last_failure", gv_api_time(history->last_failure_ms), "last_success",
        gv_api_time(history->last_success_ms), "locked_until",
        gv_api_time(history->locked_until_ms), "signalled", gv_api_time(history->signalled_ms));
}

/* What a session with another server of this admin has told; null: nothing. */
static json_t *own_lock_json(const struct gv_core *core, const struct gv_subject *subject)
{
    uint8_t instance[GV_ID_LEN];
    uint32_t seconds;

    if (!gv_core_own_lock(core, subject, &seconds, instance))
        return json_null();
    return json_pack("{s:o, s:I}", "instance", gv_json_new_hex(instance, GV_ID_LEN), "seconds",
                     (json_int_t)seconds);
}

json_t *gv_api_ip_json(const struct gv_core *core, const struct gv_subject *subject)
{
    const struct gv_descriptor *descriptor = gv_core_descriptor(core);
    struct gv_verdict verdict;
    struct gv_action_facts facts;
    struct gv_history_summary history;
    struct gv_text why;
    char text[GV_SUBJECT_TEXT];
    bool lab = descriptor && descriptor->lab;

    struct gv_decision decision = gv_core_decide(core, &verdict, &facts, subject);
    if (gv_core_history(core, &history, subject) != GV_OK)
        memset(&history, 0, sizeof history);
    gv_why_text(&why, &(struct gv_why){.subject = subject,
                                       .lab = lab,
                                       .verdict = &verdict,
                                       .unheard = gv_core_unheard(core, subject),
                                       .facts = &facts,
                                       .decision = decision,
                                       .history = &history,
                                       .policy = descriptor ? &descriptor->policy : NULL});
    gv_subject_text(text, subject);
    bool known = verdict.state != GV_VERDICT_UNKNOWN;
    json_t *json = json_pack(
        "{s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:o, s:s, s:i, s:i, s:i, s:b, s:b, s:b}", "subject",
        text, "verdict", gv_verdict_state_name(verdict.state), "weight", (int)verdict.weight,
        "action", gv_action_name(decision.action), "since",
        known ? gv_api_minute(verdict.since_min) : json_null(), "until",
        known ? gv_api_minute(verdict.until_min) : json_null(), "reporters",
        reporters_json(&verdict), "local", local_json(&history, &facts), "why", why.text, "needed",
        descriptor ? (int)descriptor->policy.untrusted_weight : 0, "owners", (int)verdict.owners,
        "groups", (int)verdict.groups, "shareable", (int)gv_subject_shareable(subject, lab),
        "allow_listed", (int)facts.allow_listed, "deny_listed", (int)facts.deny_listed);
    json_object_set_new(json, "own_lock", own_lock_json(core, subject));
    return json;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static json_t *prefixes_json(const struct gv_prefix *prefixes, size_t count)
{
    json_t *list = json_array();
    char text[GV_PREFIX_TEXT];

    for (size_t i = 0; i < count; i++) {
        gv_prefix_text(text, &prefixes[i]);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

json_t *gv_api_lists_json(const struct gv_core *core)
{
    const struct gv_settings *settings = gv_core_settings(core);
    json_t *allow = json_array(), *deny = json_array();
    struct gv_prefix prefix;
    char text[GV_PREFIX_TEXT];
    size_t cursor = 0;
    bool denied;

    while (gv_core_next_listed(core, &cursor, &prefix, &denied)) {
        gv_prefix_text(text, &prefix);
        json_array_append_new(denied ? deny : allow, json_string(text));
    }
    return json_pack("{s:o, s:o, s:{s:o, s:o}}", "allow", allow, "deny", deny, "configured",
                     "allow", prefixes_json(settings->allow, settings->allow_count), "deny",
                     prefixes_json(settings->deny, settings->deny_count));
}

json_t *gv_api_peers_json(const struct gv_core *core, uint64_t now_ms, uint64_t unix_ms)
{
    json_t *list = json_array();
    struct gv_peer_info peer;
    size_t cursor = 0;

    while (gv_core_next_peer(core, &cursor, &peer)) {
        uint64_t age = now_ms > peer.since_ms ? now_ms - peer.since_ms : 0;
        json_t *one =
            json_pack("{s:o, s:s, s:b, s:o, s:I, s:I}", "address", address_json(&peer.remote),
                      "direction", peer.outbound ? "out" : "in", "member", (int)peer.member,
                      "since", gv_api_time(unix_ms - age), "bytes_in", (json_int_t)peer.bytes_in,
                      "bytes_out", (json_int_t)peer.bytes_out);
        json_object_set_new(one, "own", json_boolean(peer.own));
        json_object_set_new(one, "instance",
                            peer.member ? gv_json_new_hex(peer.instance, GV_ID_LEN) : json_null());
        json_object_set_new(one, "owner",
                            peer.member ? gv_json_new_hex(peer.owner, GV_ID_LEN) : json_null());
        json_object_set_new(one, "group", peer.member ? group_json(peer.group) : json_null());
        json_object_set_new(one, "clock_offset_ms",
                            peer.member ? json_integer(peer.clock_offset_ms) : json_null());
        json_array_append_new(list, one);
    }
    return json_pack("{s:o}", "peers", list);
}

json_t *gv_api_roster_json(const struct gv_core *core)
{
    json_t *list = json_array();
    struct gv_instance_info who;
    size_t cursor = 0;

    while (gv_core_next_instance(core, &cursor, &who))
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "instance",
                            gv_json_new_hex(who.instance, GV_ID_LEN), "owner",
                            gv_json_new_hex(who.owner, GV_ID_LEN), "group", group_json(who.group),
                            "since", gv_api_minute(who.since_min), "expires",
                            gv_api_minute(who.expires_min), "revoked",
                            gv_api_minute(who.revoked_min), "fault", gv_api_minute(who.fault_min),
                            "address", address_json(&who.address)));
    return json_pack("{s:o}", "instances", list);
}

/* ---- the network ---------------------------------------------------------------------------- */

static json_t *policy_json(const struct gv_policy *p)
{
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "tenure_min", (int)p->tenure_min,
        "full_min", (int)p->full_min, "alive_min", (int)p->alive_min, "untrusted_weight",
        (int)p->untrusted_weight, "consensus_weight", (int)p->consensus_weight, "consensus_groups",
        (int)p->consensus_groups, "signals_per_hour", (int)p->signals_per_hour, "votes_max",
        (int)p->votes_max, "fault_min", (int)p->fault_min, "grace_min", (int)p->grace_min);
}

json_t *gv_api_network_json(const struct gv_descriptor *d)
{
    json_t *keys = json_array(), *seeds = json_array();

    for (size_t i = 0; i < d->key_count; i++)
        json_array_append_new(keys, json_pack("{s:o, s:o, s:o}", "key",
                                              gv_json_new_hex(d->keys[i].key, GV_KEY_LEN), "from",
                                              gv_api_minute(d->keys[i].from_min), "until",
                                              gv_api_minute(d->keys[i].until_min)));
    for (size_t i = 0; i < d->seed_count; i++)
        json_array_append_new(seeds, json_string(d->seeds[i]));
    return json_pack("{s:s, s:o, s:i, s:o, s:o, s:b, s:o, s:s, s:s, s:o, s:o, s:o}", "name",
                     d->name, "id", gv_json_new_hex(d->network_id, GV_KEY_LEN), "version",
                     (int)d->version, "activation", gv_api_minute(d->activation_min), "genesis",
                     gv_api_minute(d->genesis_min), "lab", (int)d->lab, "root_key",
                     gv_json_new_hex(d->root_key, GV_KEY_LEN), "registry", d->registry_url, "terms",
                     d->terms, "registry_keys", keys, "seeds", seeds, "policy",
                     policy_json(&d->policy));
}

/* ---- telemetry ------------------------------------------------------------------------------ */

static json_t *bits_json(unsigned bits, unsigned all, const char *(*name)(unsigned))
{
    json_t *list = json_array();

    for (unsigned bit = 1; bit <= all; bit <<= 1)
        if (bits & bit)
            json_array_append_new(list, json_string(name(bit)));
    return list;
}

static json_t *statement_json(const struct gv_statement *s)
{
    char subject[GV_SUBJECT_TEXT];

    gv_subject_text(subject, &s->subject);
    if (s->kind == GV_STATEMENT_RETRACT)
        return json_pack("{s:s, s:o, s:I, s:s, s:o}", "kind", "retract", "certificate",
                         gv_json_new_hex(s->certificate, GV_ID_LEN), "sequence",
                         (json_int_t)s->sequence, "subject", subject, "time",
                         gv_api_minute(s->last_min));
    return json_pack(
        "{s:s, s:o, s:I, s:s, s:o, s:o, s:i, s:o, s:o}", "kind", "signal", "certificate",
        gv_json_new_hex(s->certificate, GV_ID_LEN), "sequence", (json_int_t)s->sequence, "subject",
        subject, "first", gv_api_minute(s->first_min), "last", gv_api_minute(s->last_min), "count",
        (int)s->count, "services", bits_json(s->services, GV_SERVICE_ALL, gv_service_name), "kinds",
        bits_json(s->kinds, GV_KIND_ALL, gv_kind_name));
}

json_t *gv_api_left_json(const uint8_t *record, size_t len, uint64_t left_ms)
{
    struct gv_statement statement;

    if (len < 2 || gv_statement_parse(&statement, record + 1, len - 1) != GV_OK)
        return NULL;
    json_t *json = statement_json(&statement);
    json_object_set_new(json, "left", gv_api_time(left_ms));
    return json;
}

/* The record as it goes, or would go, over the wire: without the mark that a preview carries in the
 * store, the top bit of its kind byte. */
static json_t *raw_json(const struct gv_persist_sent *sent)
{
    uint8_t record[1 + GV_SIGNAL_WIRE_MAX];

    if (sent->value_len == 0 || sent->value_len > sizeof record)
        return json_null();
    memcpy(record, sent->value, sent->value_len);
    record[0] &= 0x7f;
    return gv_json_new_hex(record, sent->value_len);
}

json_t *gv_api_sent_json(const struct gv_persist_sent *sent)
{
    const char *state = sent->sent_ms ? "sent" : sent->preview ? "preview" : "queued";
    struct gv_statement statement;
    json_t *acks = json_array(), *decoded = json_null();

    for (size_t i = 0; i < sent->ack_count && i < GV_PERSIST_ACKS_MAX; i++)
        json_array_append_new(acks, json_pack("{s:o, s:o}", "instance",
                                              gv_json_new_hex(sent->acks[i].instance, GV_ID_LEN),
                                              "time", gv_api_time(sent->acks[i].acked_ms)));
    if (sent->value_len > 1 &&
        gv_statement_parse(&statement, sent->value + 1, sent->value_len - 1) == GV_OK)
        decoded = statement_json(&statement);
    return json_pack("{s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:i, s:o}", "number",
                     (json_int_t)sent->number, "id", gv_json_new_hex(sent->id, GV_ID_LEN), "state",
                     state, "created", gv_api_time(sent->created_ms), "sent",
                     gv_api_time(sent->sent_ms), "statement", decoded, "acknowledged", acks,
                     "acknowledged_count", (int)sent->ack_count, "raw", raw_json(sent));
}
