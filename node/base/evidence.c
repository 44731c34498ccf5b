#include "node/base/evidence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "proto/wire/record.h"

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *minute_json(uint32_t minute)
{
    return minute == GV_NEVER ? json_null() : json_integer(minute);
}

static json_t *number_json(uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number); /* JSON's own end at 2^53 elsewhere */
    return json_string(text);
}

static json_t *vote_json(const struct gv_vote *vote)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "signal",
                     gv_json_new_hex(vote->signal, GV_ID_LEN), "instance",
                     gv_json_new_hex(vote->instance, GV_ID_LEN), "owner",
                     gv_json_new_hex(vote->owner, GV_ID_LEN), "group", number_json(vote->group),
                     "sequence", number_json(vote->sequence), "time_min",
                     json_integer(vote->time_min), "since_min", json_integer(vote->since_min),
                     "standing", json_integer(vote->standing));
}

static json_t *verdict_json(const struct gv_verdict *verdict)
{
    json_t *votes = json_array();

    for (uint32_t i = 0; i < verdict->vote_count; i++)
        json_array_append_new(votes, vote_json(&verdict->votes[i]));
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "state",
                     gv_verdict_state_name(verdict->state), "published", (int)verdict->published,
                     "weight", json_integer(verdict->weight), "owners",
                     json_integer(verdict->owners), "groups", json_integer(verdict->groups),
                     "since_min", json_integer(verdict->since_min), "until_min",
                     minute_json(verdict->until_min), "votes", votes);
}

static json_t *records_json(const struct gv_buf *bytes)
{
    json_t *records = json_array();

    for (size_t at = 0; records && at < bytes->len;) {
        size_t len = (size_t)bytes->data[at] << 8 | bytes->data[at + 1];
        json_array_append_new(records, gv_json_new_hex(bytes->data + at + 2, len));
        at += 2 + len;
    }
    return records;
}

/* Judges as whoever verifies it will: owners whom this host's admin does not hear have their votes.
 */
static int judge(struct gv_verdict *out, const struct gv_buf *bytes, uint32_t minute,
                 const struct gv_subject *subject)
{
    struct gv_record_bytes *records = calloc(GV_EVIDENCE_RECORDS, sizeof *records);
    struct gv_descriptor *descriptor = malloc(sizeof *descriptor);
    struct gv_evidence evidence = {.subject = *subject, .minute = minute, .records = records};
    int rc = records && descriptor ? GV_OK : GV_ERR_MEMORY;
    size_t failed;

    for (size_t at = 0; rc == GV_OK && at < bytes->len;) {
        size_t len = (size_t)bytes->data[at] << 8 | bytes->data[at + 1];
        if (evidence.count == GV_EVIDENCE_RECORDS)
            rc = GV_ERR_FULL;
        else
            records[evidence.count++] = (struct gv_record_bytes){bytes->data + at + 2, len};
        at += 2 + len;
    }
    if (rc == GV_OK)
        rc = gv_evidence_judge(out, descriptor, &failed, &evidence);
    free(records);
    free(descriptor);
    return rc;
}

int gv_evidence_write(json_t **out, const struct gv_core *core, const struct gv_subject *subject)
{
    struct gv_verdict verdict;
    struct gv_buf bytes;
    char text[GV_SUBJECT_TEXT];
    uint32_t minute, left_out;

    gv_buf_init(&bytes);
    gv_subject_text(text, subject);
    int rc = gv_core_evidence(core, &bytes, &minute, &left_out, subject);
    if (rc == GV_OK)
        rc = judge(&verdict, &bytes, minute, subject);
    if (rc == GV_OK) {
        *out = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "format", GV_EVIDENCE_FORMAT,
                         "subject", text, "minute", json_integer(minute), "network",
                         gv_json_new_hex(gv_core_descriptor(core)->network_id, GV_KEY_LEN),
                         "verdict", verdict_json(&verdict), "left_out", json_integer(left_out),
                         "records", records_json(&bytes));
        rc = *out ? GV_OK : GV_ERR_MEMORY;
    }
    gv_buf_free(&bytes);
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_u32(uint32_t *out, const json_t *object, const char *key, struct gv_text *error)
{
    uint64_t value = 0;
    int rc = gv_json_u64(&value, object, key, UINT32_MAX, error);

    *out = (uint32_t)value;
    return rc;
}

static int read_number(uint64_t *out, const json_t *object, const char *key, struct gv_text *error)
{
    const char *text;
    char *end;
    int rc = gv_json_string(&text, object, key, 20, error);

    if (rc != GV_OK)
        return rc;
    *out = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return gv_fail(error, GV_ERR_MALFORMED, "\"%s\" must be a number's digits", key);
    return GV_OK;
}

static int read_vote(struct gv_vote *out, const json_t *json, struct gv_text *error)
{
    int rc = gv_json_hex(out->signal, GV_ID_LEN, json, "signal", error);

    if (rc == GV_OK)
        rc = gv_json_hex(out->instance, GV_ID_LEN, json, "instance", error);
    if (rc == GV_OK)
        rc = gv_json_hex(out->owner, GV_ID_LEN, json, "owner", error);
    if (rc == GV_OK)
        rc = read_number(&out->group, json, "group", error);
    if (rc == GV_OK)
        rc = read_number(&out->sequence, json, "sequence", error);
    if (rc == GV_OK)
        rc = read_u32(&out->time_min, json, "time_min", error);
    if (rc == GV_OK)
        rc = read_u32(&out->since_min, json, "since_min", error);
    if (rc == GV_OK)
        rc = read_u32(&out->standing, json, "standing", error);
    return rc;
}

static int read_state(enum gv_verdict_state *out, const json_t *json, struct gv_text *error)
{
    const char *text;
    int rc = gv_json_string(&text, json, "state", 16, error);

    if (rc != GV_OK)
        return rc;
    for (*out = GV_VERDICT_UNKNOWN; *out <= GV_VERDICT_UNTRUSTED; ++*out)
        if (strcmp(text, gv_verdict_state_name(*out)) == 0)
            return GV_OK;
    return gv_fail(error, GV_ERR_MALFORMED, "\"state\" is no verdict");
}

static int read_verdict(struct gv_verdict *out, const json_t *json, struct gv_text *error)
{
    const json_t *votes = json_object_get(json, "votes");
    size_t count = json_array_size(votes);

    memset(out, 0, sizeof *out);
    if (!json_is_object(json))
        return gv_fail(error, GV_ERR_MALFORMED, "\"verdict\" must be an object");
    if (!json_is_array(votes) || count > GV_VOTES_MAX)
        return gv_fail(error, GV_ERR_MALFORMED, "\"votes\" must be a list of at most %d",
                       GV_VOTES_MAX);
    int rc = read_state(&out->state, json, error);
    if (rc == GV_OK)
        rc = gv_json_bool(&out->published, json, "published", error);
    if (rc == GV_OK)
        rc = read_u32(&out->weight, json, "weight", error);
    if (rc == GV_OK)
        rc = read_u32(&out->owners, json, "owners", error);
    if (rc == GV_OK)
        rc = read_u32(&out->groups, json, "groups", error);
    if (rc == GV_OK)
        rc = read_u32(&out->since_min, json, "since_min", error);
    out->until_min = GV_NEVER;
    if (rc == GV_OK && !json_is_null(json_object_get(json, "until_min")))
        rc = read_u32(&out->until_min, json, "until_min", error);
    for (size_t i = 0; rc == GV_OK && i < count; i++)
        rc = read_vote(&out->votes[i], json_array_get(votes, i), error);
    out->vote_count = (uint32_t)count;
    return rc;
}

static int read_records(struct gv_evidence_file *out, const json_t *list, struct gv_text *error)
{
    size_t count = json_array_size(list), used = 0, all = 0;

    if (!json_is_array(list) || count == 0 || count > GV_EVIDENCE_RECORDS)
        return gv_fail(error, GV_ERR_MALFORMED, "\"records\" must be a list of 1 to %u",
                       GV_EVIDENCE_RECORDS);
    for (size_t i = 0; i < count; i++)
        all += json_string_length(json_array_get(list, i)) / 2;
    out->records = calloc(count, sizeof *out->records);
    out->bytes = malloc(all + 1);
    if (!out->records || !out->bytes)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *text = json_array_get(list, i);
        size_t digits = json_string_length(text), len = digits / 2;
        if (!json_is_string(text) || digits % 2 != 0 || len == 0 || len > GV_RECORD_MAX ||
            gv_unhex(out->bytes + used, len, json_string_value(text)) != GV_OK)
            return gv_fail(error, GV_ERR_MALFORMED, "record %zu is not in hex digits", i + 1);
        out->records[i] = (struct gv_record_bytes){out->bytes + used, len};
        used += len;
    }
    out->evidence.records = out->records;
    out->evidence.count = count;
    return GV_OK;
}

static int read_all(struct gv_evidence_file *out, const json_t *json, struct gv_text *error)
{
    const char *text;
    int rc = gv_json_string(&text, json, "format", 64, error);

    if (rc != GV_OK)
        return rc;
    if (strcmp(text, GV_EVIDENCE_FORMAT) != 0)
        return gv_fail(error, GV_ERR_VERSION, "\"format\" must be \"%s\"", GV_EVIDENCE_FORMAT);
    rc = gv_json_string(&text, json, "subject", GV_SUBJECT_TEXT, error);
    if (rc == GV_OK && gv_subject_parse(&out->evidence.subject, text, strlen(text)) != GV_OK)
        rc = gv_fail(error, GV_ERR_MALFORMED, "\"subject\" is no address");
    if (rc == GV_OK)
        rc = read_u32(&out->evidence.minute, json, "minute", error);
    if (rc == GV_OK)
        rc = gv_json_hex(out->network, GV_KEY_LEN, json, "network", error);
    if (rc == GV_OK)
        rc = read_verdict(&out->claimed, json_object_get(json, "verdict"), error);
    if (rc == GV_OK && json_object_get(json, "left_out"))
        rc = read_u32(&out->left_out, json, "left_out", error);
    if (rc == GV_OK)
        rc = read_records(out, json_object_get(json, "records"), error);
    return rc;
}

int gv_evidence_open(struct gv_evidence_file *out, const void *data, size_t len,
                     struct gv_text *error)
{
    json_t *json;
    int rc = gv_json_parse(&json, data, len, GV_EVIDENCE_FILE_MAX, error);

    memset(out, 0, sizeof *out);
    if (rc != GV_OK)
        return rc;
    rc = read_all(out, json, error);
    json_decref(json);
    if (rc != GV_OK)
        gv_evidence_close(out);
    /* A member that is missing is a file that is malformed. */
    return rc == GV_ERR_NOT_FOUND ? GV_ERR_MALFORMED : rc;
}

void gv_evidence_close(struct gv_evidence_file *file)
{
    free(file->records);
    free(file->bytes);
    memset(file, 0, sizeof *file);
}

/* What of two verdicts that are not equal differs. */
static const char *difference(const struct gv_verdict *a, const struct gv_verdict *b)
{
    const struct {
        const char *name;
        bool differs;
    } members[] = {
        {"state", a->state != b->state},
        {"published", a->published != b->published},
        {"weight", a->weight != b->weight},
        {"owners", a->owners != b->owners},
        {"groups", a->groups != b->groups},
        {"since_min", a->since_min != b->since_min},
        {"until_min", a->until_min != b->until_min},
    };

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (members[i].differs)
            return members[i].name;
    return "votes";
}

int gv_evidence_verify(struct gv_verdict *verdict, struct gv_descriptor *descriptor,
                       const struct gv_evidence_file *file, struct gv_text *error)
{
    size_t failed;
    int rc = gv_evidence_judge(verdict, descriptor, &failed, &file->evidence);

    if (rc != GV_OK)
        return gv_fail(error, rc, "record %zu: %s", failed + 1, gv_strerror(rc));
    if (!gv_verdict_equal(verdict, &file->claimed))
        return gv_fail(error, GV_ERR_PROTOCOL,
                       "these records give another verdict: %s with weight %" PRIu32
                       ", not %s with %" PRIu32 " (\"%s\" differs)",
                       gv_verdict_state_name(verdict->state), verdict->weight,
                       gv_verdict_state_name(file->claimed.state), file->claimed.weight,
                       difference(verdict, &file->claimed));
    if (memcmp(file->network, descriptor->network_id, GV_KEY_LEN) != 0)
        return gv_fail(error, GV_ERR_NETWORK, "its records are not of the network that it names");
    return GV_OK;
}
