/* How the node is doing. */
#include "node/serve/api_json.h"

#include "node/base/json.h"

static json_t *counters_json(const struct gv_core_status *core, const struct gv_driver_status *host)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "signals_made",
        (json_int_t)core->signals_made, "signals_accepted", (json_int_t)core->signals_accepted,
        "signals_refused", (json_int_t)core->signals_refused, "records_duplicate",
        (json_int_t)core->records_duplicate, "bytes_in", (json_int_t)core->bytes_in, "bytes_out",
        (json_int_t)core->bytes_out, "connections_accepted", (json_int_t)host->net.accepted,
        "connections_turned_away", (json_int_t)host->net.turned_away, "readers_too_slow",
        (json_int_t)host->net.slow, "strangers_silent", (json_int_t)host->net.silent,
        "transactions", (json_int_t)host->turns, "rows", (json_int_t)host->rows, "rows_bad",
        (json_int_t)host->rows_bad);
}

static json_t *notes_json(const struct gv_driver_status *host)
{
    json_t *notes = json_object();

    for (int i = 0; i < GV_NOTE_COUNT; i++)
        if (host->notes[i])
            json_object_set_new(notes, gv_note_text((enum gv_note)i),
                                json_integer((json_int_t)host->notes[i]));
    return notes;
}

static json_t *store_json(const struct gv_driver_status *host)
{
    return json_pack("{s:b, s:o, s:I}", "ok", (int)!host->store_failing, "error",
                     host->store_failing ? json_string(host->store_error.text) : json_null(),
                     "backlog_bytes", (json_int_t)host->backlog);
}

static json_t *network_json(const struct gv_core *core)
{
    const struct gv_descriptor *d = gv_core_descriptor(core);

    if (!d)
        return json_null();
    return json_pack("{s:s, s:o, s:i, s:b, s:s}", "name", d->name, "id",
                     gv_json_new_hex(d->network_id, GV_KEY_LEN), "version", (int)d->version, "lab",
                     (int)d->lab, "registry", d->registry_url);
}

static json_t *mesh_json(const struct gv_core_status *s, uint64_t now_ms, uint64_t unix_ms)
{
    uint64_t repair = s->last_repair_ms ? unix_ms - (now_ms - s->last_repair_ms) : 0;

    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:I}",
                     "own_hosts", (int)s->own_hosts, "own_locks", (int)s->own_locks, "peers",
                     (int)s->peers, "peers_outbound", (int)s->peers_outbound, "links",
                     (int)s->links, "known_addresses", (int)s->known_addresses, "instances",
                     (int)s->instances, "statements", (int)s->statements, "subjects",
                     (int)s->subjects, "reported", (int)s->reported, "untrusted", (int)s->untrusted,
                     "local_subjects", (int)s->local_subjects, "last_repair", gv_api_time(repair),
                     "set_fingerprint", gv_json_new_hex(s->set_fingerprint, GV_ID_LEN),
                     "clock_offset_ms", (json_int_t)s->clock_offset_ms);
}

json_t *gv_api_status_json(const struct gv_core *core, const struct gv_driver_status *host,
                           uint64_t now_ms, uint64_t unix_ms)
{
    const struct gv_settings *settings = gv_core_settings(core);
    struct gv_core_status s;

    gv_core_status(core, &s);
    return json_pack("{s:s, s:o, s:o, s:I, s:o, s:b, s:o, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:i}",
                     "version", GV_VERSION, "instance", gv_json_new_hex(s.instance, GV_ID_LEN),
                     "time", gv_api_time(unix_ms), "uptime_s",
                     (json_int_t)((now_ms - host->started_ms) / 1000), "network",
                     network_json(core), "enrolled", (int)s.has_certificate, "certificate_expires",
                     s.has_certificate ? gv_api_minute(s.certificate_expires_min) : json_null(),
                     "revoked", (int)s.self_revoked, "share", gv_share_name(settings->share),
                     "refuse_on", settings->refuse_on_consensus ? "consensus" : "own", "mesh",
                     mesh_json(&s, now_ms, unix_ms), "counters", counters_json(&s, host), "notes",
                     notes_json(host), "store", store_json(host), "port", (int)host->port);
}
