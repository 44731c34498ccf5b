/* The log of issued certificates over HTTP (SPEC 14.7). */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/registry/enrolment.h"
#include "node/registry/registrar.h"

/* A whole number in the query; `fallback` when it is not there. false: answered. */
static bool read_number(uint64_t *out, struct gv_http_request *request, const char *name,
                        uint64_t fallback)
{
    const char *text = gv_http_query(request, name);
    uint64_t value = 0;
    bool good = !text || *text;

    for (const char *at = text; at && *at && good; at++) {
        good = *at >= '0' && *at <= '9' && value <= GV_LOG_SIZE_MAX;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *out = text ? value : fallback;
    if (good && *out <= GV_LOG_SIZE_MAX)
        return true;
    gv_http_error(request, 400, "request", "\"%s\" must be a whole number", name);
    return false;
}

/* The log that the query names by its key's first 4 bytes, or our own; false: answered. Only keys
 * of the descriptor have one. */
static bool find_log(struct gv_log **out, struct gv_registrar *registrar,
                     struct gv_http_request *request)
{
    const char *text = gv_http_query(request, "log");
    uint32_t signer = gv_certificate_signer(registrar->signer->sign_public);
    uint8_t key[GV_KEY_LEN] = {0}; /* its first 4 bytes */

    if (text && gv_unhex(key, 4, text) != GV_OK) {
        gv_http_error(request, 400, "request", "\"log\" must be 8 hex digits");
        return false;
    }
    if (text)
        signer = gv_certificate_signer(key);
    bool named = false;
    for (size_t i = 0; i < registrar->descriptor.key_count; i++)
        named = named || gv_certificate_signer(registrar->descriptor.keys[i].key) == signer;
    if (!named) {
        gv_http_error(request, 404, "unknown", "the descriptor names no such registry key");
        return false;
    }
    int rc = gv_logs_get(&registrar->logs, out, registrar->records, signer);
    if (rc != GV_OK)
        gv_refuse_internal(request, rc);
    return rc == GV_OK;
}

/* Of each key that this process has it signs one when it is due; of another, the last that was
 * signed. That the log of a key is empty and has no head is an answer by itself: whoever has seen a
 * certificate of it knows what to think. */
void gv_log_head_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    const struct gv_log *shown = NULL;
    const struct gv_identity *held;
    struct gv_log *log;
    int rc;

    if (!find_log(&log, registrar, request))
        return;
    held = gv_signers_find(&registrar->signers, log->signer);
    if (held)
        rc = gv_logs_sign(&registrar->logs, &shown, registrar->records, &registrar->descriptor,
                          held, gv_registrar_now_min(registrar));
    else
        rc = gv_logs_last(&registrar->logs, &shown, registrar->records, &registrar->descriptor,
                          log->signer);
    if (rc == GV_ERR_SIGNER) /* a key that is not in force yet, during a rotation's lead */
        rc = log->tree.size == 0 ? GV_ERR_NOT_FOUND : GV_ERR_STATE;
    if (rc == GV_OK) {
        gv_http_respond(request, 200, "application/octet-stream", shown->head_wire.data,
                        shown->head_wire.len);
    } else if (rc == GV_ERR_NOT_FOUND) {
        gv_http_error(request, 404, "unknown", "nothing was signed here with the key %08x",
                      log->signer);
    } else if (rc == GV_ERR_STATE ||
               rc == GV_ERR_BUSY) { /* said where it was found, or no trouble */
        gv_http_add_header(request, "Retry-After", "600");
        gv_http_error(request, 503, "unavailable", "no head of the log of %08x can be signed here",
                      log->signer);
    } else {
        gv_refuse_internal(request, rc);
    }
}

static int add_entry(void *context, const uint8_t entry[GV_LOG_ENTRY_LEN])
{
    struct gv_buf *out = context;

    gv_buf_append(out, entry, GV_LOG_ENTRY_LEN);
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}

void gv_log_entries_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    struct gv_log *log;
    struct gv_buf entries;
    uint64_t from = 0;

    gv_buf_init(&entries);
    if (!read_number(&from, request, "from", 0) || !find_log(&log, registrar, request))
        goto out;
    int rc = gv_records_log_each(registrar->records, log->signer, from, GV_LOG_PAGE, add_entry,
                                 &entries);
    if (rc == GV_OK)
        gv_http_respond(request, 200, "application/octet-stream",
                        entries.data ? entries.data : (const uint8_t *)"", entries.len);
    else
        gv_refuse_internal(request, rc);
out:
    gv_buf_free(&entries);
}

static void answer_proof(struct gv_http_request *request, const struct gv_merkle_proof *proof,
                         json_t *answer)
{
    json_t *path = json_array();

    for (size_t i = 0; path && i < proof->count; i++)
        json_array_append_new(path, gv_json_new_base64(proof->hashes[i], GV_HASH_LEN));
    json_object_set_new(answer, "path", path);
    gv_http_respond_json(request, 200, answer);
}

void gv_log_inclusion_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    const char *text = gv_http_query(request, "certificate");
    uint8_t certificate[GV_ID_LEN];
    struct gv_log *log;
    struct gv_merkle_proof proof;
    uint64_t place, size;
    uint32_t signer;

    if (!text || gv_unhex(certificate, sizeof certificate, text) != GV_OK) {
        gv_http_error(request, 400, "request", "\"certificate\" must be its id, 32 hex digits");
        return;
    }
    int rc = gv_records_log_find(registrar->records, certificate, &signer, &place);
    if (rc == GV_OK)
        rc = gv_logs_get(&registrar->logs, &log, registrar->records, signer);
    if (rc != GV_OK && rc != GV_ERR_NOT_FOUND) {
        gv_refuse_internal(request, rc);
        return;
    }
    if (!read_number(&size, request, "size", rc == GV_OK ? log->tree.size : 0))
        return;
    if (rc != GV_OK || place >= size || size > log->tree.size) {
        gv_http_error(request, 404, "unknown", "a log of that size does not hold this certificate");
        return;
    }
    gv_merkle_inclusion(&proof, &log->tree, place, size);
    answer_proof(request, &proof,
                 json_pack("{s:I,s:I}", "index", (json_int_t)place, "size", (json_int_t)size));
}

void gv_log_consistency_handle(struct gv_registrar *registrar, struct gv_http_request *request)
{
    struct gv_log *log;
    struct gv_merkle_proof proof;
    uint64_t first, second;

    if (!find_log(&log, registrar, request) || !read_number(&first, request, "first", 0) ||
        !read_number(&second, request, "second", log->tree.size))
        return;
    if (first == 0 || first > second || second > log->tree.size) {
        gv_http_error(request, 404, "unknown",
                      "write sizes that the log has had: 0 < first <= second <= %llu",
                      (unsigned long long)log->tree.size);
        return;
    }
    gv_merkle_consistency(&proof, &log->tree, first, second);
    answer_proof(request, &proof,
                 json_pack("{s:I,s:I}", "first", (json_int_t)first, "second", (json_int_t)second));
}
