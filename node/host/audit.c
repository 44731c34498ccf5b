#include "node/host/audit.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/json.h"
#include "node/base/log.h"
#include "node/host/audit_state.h"
#include "node/host/driver.h"

#define RARELY_MIN 1440 /* between two looks at the log of a key whose end is so long ago */
#define LATE_MIN   2880
#define PROOF_MAX  4096 /* bytes: a hash in base64 takes 47, and there are 34 at most */

uint64_t gv_audit_now_ms(const struct gv_audit *audit)
{
    return audit->options.unix_ms ? audit->options.unix_ms() : gv_unix_ms();
}

uint32_t gv_audit_now_min(const struct gv_audit *audit)
{
    return (uint32_t)(gv_audit_now_ms(audit) / 60000);
}

static const struct gv_descriptor *descriptor_of(const struct gv_audit *audit)
{
    const struct gv_core *core = audit->options.core(audit->options.context);

    return core ? gv_core_descriptor(core) : NULL;
}

/* ---- the keys ------------------------------------------------------------------------------- */

static bool in_force(const struct gv_audit *audit, const struct gv_watched *watched)
{
    uint32_t now = gv_audit_now_min(audit);

    return watched->key.from_min <= now && now < watched->key.until_min;
}

/* Which of them signs: of those in force, and that have a log, the one that came last. */
static const struct gv_watched *present(const struct gv_audit *audit)
{
    const struct gv_watched *last = NULL;

    for (size_t i = 0; i < GV_DESCRIPTOR_KEYS; i++) {
        const struct gv_watched *watched = &audit->watched[i];
        if (!watched->used || !in_force(audit, watched))
            continue;
        if (!last || watched->mirror.has_head > last->mirror.has_head ||
            (watched->mirror.has_head == last->mirror.has_head &&
             watched->key.from_min >= last->key.from_min))
            last = watched;
    }
    return last;
}

static void let_go(struct gv_watched *watched)
{
    gv_mirror_close(&watched->mirror);
    memset(watched, 0, sizeof *watched);
}

/* Its place, or one that is free: there are as many as a descriptor can name. */
static struct gv_watched *place_of(struct gv_audit *audit, const uint8_t key[GV_KEY_LEN])
{
    struct gv_watched *unused = NULL;

    for (size_t i = 0; i < GV_DESCRIPTOR_KEYS; i++) {
        if (!audit->watched[i].used)
            unused = &audit->watched[i];
        else if (memcmp(audit->watched[i].key.key, key, GV_KEY_LEN) == 0)
            return &audit->watched[i];
    }
    gv_assert(unused);
    return unused;
}

static bool names(const struct gv_descriptor *descriptor, const uint8_t key[GV_KEY_LEN])
{
    for (size_t i = 0; i < descriptor->key_count; i++)
        if (memcmp(descriptor->keys[i].key, key, GV_KEY_LEN) == 0)
            return true;
    return false;
}

static void note_trouble(struct gv_audit *audit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A copy for each key that the descriptor names; what it names no more is of no use. One that
 * cannot be read is not asked for: what was seen of it would be forgotten. */
static void follow(struct gv_audit *audit, const struct gv_descriptor *descriptor)
{
    char name[GV_MIRROR_NAME];
    struct gv_text why = {""};

    if (!audit->adopted && gv_mirror_adopt(audit->options.folder, descriptor, &why) != GV_OK) {
        note_trouble(audit, "%s", why.text);
        return;
    }
    audit->adopted = true;
    for (size_t i = 0; i < GV_DESCRIPTOR_KEYS; i++) {
        struct gv_watched *watched = &audit->watched[i];
        if (watched->used && !names(descriptor, watched->key.key)) {
            gv_mirror_reset(&watched->mirror);
            let_go(watched);
        }
    }
    for (size_t i = 0; i < descriptor->key_count; i++) {
        struct gv_watched *watched = place_of(audit, descriptor->keys[i].key);
        watched->key = descriptor->keys[i];
        watched->signer = gv_certificate_signer(watched->key.key);
        watched->closing = gv_log_head_closing(descriptor, watched->signer);
        if (watched->used)
            continue;
        snprintf(name, sizeof name, GV_MIRROR_FILE, watched->signer);
        watched->used = gv_mirror_open(&watched->mirror, audit->options.folder, name, descriptor,
                                       &why) == GV_OK;
        if (!watched->used) {
            let_go(watched);
            note_trouble(audit, "%s", why.text);
        }
    }
}

/* Is there something to ask? Not before the key is in force, and not once its last head is here. Of
 * a key that ended long ago, and whose last head nobody can sign any more, once a day. */
static bool is_due(const struct gv_audit *audit, const struct gv_watched *watched)
{
    uint32_t now = gv_audit_now_min(audit);
    bool closed = watched->mirror.has_head && watched->mirror.head.minute >= watched->closing;
    bool late = (uint64_t)watched->key.until_min + LATE_MIN < now;

    return watched->used && watched->key.from_min <= now && !closed &&
           !(late && watched->asked_min && now < watched->asked_min + RARELY_MIN);
}

/* ---- the end of a look ---------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    gv_audit_look(timer->data);
}

static void look_later(struct gv_audit *audit)
{
    uv_timer_start(&audit->timer, on_timer,
                   1000ULL * (GV_AUDIT_S + randombytes_uniform(GV_AUDIT_S / 10)), 0);
}

static void finish(struct gv_audit *audit)
{
    struct gv_audit_status *status = &audit->status;

    status->looking = false;
    memcpy(status->trouble, audit->trouble, sizeof status->trouble);
    if (!*audit->trouble)
        status->looked_ms = gv_audit_now_ms(audit);
    if (!*audit->trouble)
        status->trouble_ms = 0;
    else if (!status->trouble_ms)
        status->trouble_ms = gv_audit_now_ms(audit);
    gv_audit_compare(audit);
    look_later(audit);
}

/* A registry that does not show its log is said to its admins' faces: what is hidden is compared by
 * nobody. The first of a look is told. */
static void note_trouble(struct gv_audit *audit, const char *format, ...)
{
    char text[sizeof audit->trouble];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gv_log_limited(GV_LOG_WARNING,
                   "the registry's log cannot be compared: %s; tried again in %u minutes", text,
                   GV_AUDIT_S / 60);
    if (!*audit->trouble)
        memcpy(audit->trouble, text, sizeof text);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void ask(struct gv_audit *audit, const char *path, size_t max, gv_fetch_done done)
{
    const char *base = audit->options.url(audit->options.context);
    char url[512];

    if (!base || (size_t)snprintf(url, sizeof url, "%s%s", base, path) >= sizeof url) {
        note_trouble(audit, "no registry is known");
        finish(audit);
        return;
    }
    struct gv_fetch_request request = {.url = url,
                                       .bind_address = audit->options.bind_address,
                                       .ca_file = audit->options.ca_file,
                                       .connect_ms = 20000,
                                       .total_ms = 20000,
                                       .response_max = max};
    if (gv_fetch_start(&audit->fetch, audit->options.loop, &request, done, audit) != GV_OK) {
        note_trouble(audit, "out of memory");
        finish(audit);
    }
}

static void on_head(void *context, struct gv_fetch_result *result);

static void next_key(struct gv_audit *audit)
{
    char path[64];

    while (++audit->at < GV_DESCRIPTOR_KEYS) {
        struct gv_watched *watched = &audit->watched[audit->at];
        if (is_due(audit, watched)) {
            watched->asked_min = gv_audit_now_min(audit);
            watched->withheld[0] = '\0';
            snprintf(path, sizeof path, "/v1/log/head?log=%08x", watched->signer);
            ask(audit, path, GV_LOG_HEAD_MAX, on_head);
            return;
        }
        if (watched->used && watched->withheld[0]) /* as it was when it was asked */
            note_trouble(audit, "%s", watched->withheld);
    }
    finish(audit);
}

/* false: this look, or this key, is over, and why is said. */
static bool answered(struct gv_audit *audit, const struct gv_fetch_result *result)
{
    const struct gv_watched *watched = &audit->watched[audit->at];

    audit->fetch = NULL;
    if (result->error == GV_OK && result->status == 200)
        return true;
    if (result->error != GV_OK) {
        note_trouble(audit, "%.200s", result->text.text);
        finish(audit);
        return false;
    }
    if (watched == present(audit))
        note_trouble(audit, "the registry answers with HTTP status %u", result->status);
    else
        note_trouble(audit, "the registry answers with HTTP status %u, of its key %08x",
                     result->status, watched->signer);
    next_key(audit);
    return false;
}

/* ---- a key without a log -------------------------------------------------------------------- */

static void withhold(struct gv_audit *audit, struct gv_watched *watched,
                     const struct gv_certificate *certificate)
{
    char instance[2 * GV_ID_LEN + 1], owner[2 * GV_ID_LEN + 1];

    gv_hex(instance, certificate->instance, GV_ID_LEN);
    gv_hex(owner, certificate->owner, GV_ID_LEN);
    snprintf(watched->withheld, sizeof watched->withheld,
             "its former key %08x has signed what no log shows, for instance %s of owner %s: ask "
             "who runs it whether it was restored from a backup; one that was not mints",
             watched->signer, instance, owner);
    note_trouble(audit, "%s", watched->withheld);
}

/* It has just said that nothing was signed with a key of which a certificate is here. If it names
 * that key as one in force even now, it contradicts itself: one that was restored has given its
 * keys an end before it answers anything. */
static void on_network(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;
    struct gv_watched *watched = &audit->watched[audit->at];
    const struct gv_descriptor *held = descriptor_of(audit);
    struct gv_descriptor *fresh = NULL;
    char instance[2 * GV_ID_LEN + 1], owner[2 * GV_ID_LEN + 1];

    if (!answered(audit, result))
        return;
    fresh = calloc(1, sizeof *fresh);
    bool good = held && fresh &&
                gv_descriptor_open(fresh, NULL, result->body, result->len) == GV_OK &&
                memcmp(fresh->network_id, held->network_id, GV_KEY_LEN) == 0;
    const uint8_t *key =
        good ? gv_descriptor_key(fresh, watched->signer, gv_audit_now_min(audit)) : NULL;
    if (!good) {
        note_trouble(audit, "the registry gives no descriptor of this network");
    } else if (key && memcmp(key, watched->key.key, GV_KEY_LEN) == 0) {
        gv_hex(instance, audit->unlogged.instance, GV_ID_LEN);
        gv_hex(owner, audit->unlogged.owner, GV_ID_LEN);
        gv_audit_found(audit,
                       "it has signed a certificate with its key %08x, of which it shows no log, "
                       "for instance %s of owner %s",
                       watched->signer, instance, owner);
    } else { /* in force no more: the next look is about a former key */
        withhold(audit, watched, &audit->unlogged);
    }
    free(fresh);
    next_key(audit);
}

static void judge_none(struct gv_audit *audit, struct gv_watched *watched)
{
    bool current = in_force(audit, watched);

    if (gv_audit_unlogged(audit, watched, &audit->unlogged)) {
        if (current) {
            ask(audit, "/v1/network", GV_DESCRIPTOR_MAX, on_network);
            return;
        }
        withhold(audit, watched, &audit->unlogged);
    } else if (current) {
        note_trouble(audit, "the registry shows no log of its key %08x", watched->signer);
    }
    next_key(audit);
}

/* ---- a log ---------------------------------------------------------------------------------- */

static void ask_entries(struct gv_audit *audit, gv_fetch_done done)
{
    const struct gv_watched *watched = &audit->watched[audit->at];
    char path[96];

    snprintf(path, sizeof path, "/v1/log/entries?log=%08x&from=%llu", watched->signer,
             (unsigned long long)watched->mirror.tree.size);
    ask(audit, path, (size_t)GV_LOG_PAGE * GV_LOG_ENTRY_LEN, done);
}

static uint64_t copy_max(const struct gv_audit *audit)
{
    return audit->options.copy_max ? audit->options.copy_max : GV_LOG_COPY_MAX;
}

/* It is named with what to do about it: nobody compares any more what is signed from here on. */
static void note_too_long(struct gv_audit *audit)
{
    note_trouble(audit,
                 "the log of its key %08x has %llu certificates, of which %llu at most are copied: "
                 "who is new in it is not compared. Who runs it has to make a new key "
                 "(grapevine-registry keys --rotate)",
                 audit->watched[audit->at].signer, (unsigned long long)audit->head.size,
                 (unsigned long long)copy_max(audit));
}

/* false: it is not taken into the copy, and why is said. Nothing is to be concluded then from what
 * the copy lacks. A page may reach beyond the head, and beyond what is copied: that is left out. */
static bool take_page(struct gv_audit *audit, const struct gv_fetch_result *result)
{
    struct gv_mirror *mirror = &audit->watched[audit->at].mirror;
    uint64_t room = (copy_max(audit) - mirror->tree.size) * GV_LOG_ENTRY_LEN;
    size_t len = result->len <= room ? result->len : (size_t)room;
    int rc =
        len == 0 && result->len > 0 ? GV_ERR_FULL : gv_mirror_append(mirror, result->body, len);

    if (rc == GV_OK)
        return true;
    gv_mirror_back(mirror);
    if (rc == GV_ERR_FULL) /* behind the last head: a log whose head says so is not asked for */
        note_trouble(audit,
                     "the log of its former key %08x goes on beyond the %llu certificates that are "
                     "copied at most: what was signed with it last is not compared",
                     audit->watched[audit->at].signer, (unsigned long long)copy_max(audit));
    else
        note_trouble(audit, "%s", gv_strerror(rc));
    if (rc == GV_ERR_MEMORY) /* it forgot itself; what is on disk is read again at the next look */
        let_go(&audit->watched[audit->at]);
    next_key(audit);
    return false;
}

/* ---- a log that is too long ----------------------------------------------------------------- */

static int read_proof(struct gv_merkle_proof *proof, const struct gv_fetch_result *result)
{
    json_t *json = NULL, *path;
    size_t len = 0;
    int rc = gv_json_parse(&json, result->body, result->len, PROOF_MAX, NULL);

    proof->count = 0;
    path = json_object_get(json, "path");
    if (rc == GV_OK && (!json_is_array(path) || json_array_size(path) > GV_MERKLE_PATH + 1))
        rc = GV_ERR_MALFORMED;
    for (size_t i = 0; rc == GV_OK && i < json_array_size(path); i++) {
        const char *hash = json_string_value(json_array_get(path, i));
        if (!hash || gv_unbase64(proof->hashes[i], GV_HASH_LEN, &len, hash) != GV_OK ||
            len != GV_HASH_LEN)
            rc = GV_ERR_MALFORMED;
        proof->count++;
    }
    json_decref(json);
    return rc;
}

/* What cannot be copied can be proven all the same: that it is the log that was copied, grown. */
static void on_consistency(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;
    const struct gv_log_head *held = &audit->watched[audit->at].mirror.head;
    struct gv_merkle_proof proof;
    char hour[32];

    if (!answered(audit, result))
        return;
    gv_audit_hour_text(hour, audit->head.minute);
    if (read_proof(&proof, result) != GV_OK)
        note_trouble(audit, "the registry gives no proof that its log has grown");
    else if (!gv_merkle_consistent(&proof, held->size, held->root, audit->head.size,
                                   audit->head.root))
        gv_audit_found(audit, "its log is not the one whose head it signed at %s", hour);
    next_key(audit);
}

/* Its entries are not asked for: they would be fetched at every look, and thrown away. */
static void look_at_too_long(struct gv_audit *audit, const struct gv_watched *watched)
{
    const struct gv_log_head *held = &watched->mirror.head;
    char path[128];

    note_too_long(audit); /* before the answer: what to do is the same, whatever that is */
    if (!watched->mirror.has_head || held->size == 0) {
        next_key(audit);
        return;
    }
    snprintf(path, sizeof path, "/v1/log/consistency?log=%08x&first=%llu&second=%llu",
             watched->signer, (unsigned long long)held->size, (unsigned long long)audit->head.size);
    ask(audit, path, PROOF_MAX, on_consistency);
}

/* ---- a log that is copied ------------------------------------------------------------------- */

/* What the log of a former key has behind its last head: no head will cover it, but it is shown,
 * and only an empty page ends it. */
static void on_rest(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;
    struct gv_watched *watched = &audit->watched[audit->at];

    if (!answered(audit, result))
        return;
    if (result->len > 0) {
        if (take_page(audit, result))
            ask_entries(audit, on_rest);
        return;
    }
    if (gv_audit_unlogged(audit, watched, &audit->unlogged))
        withhold(audit, watched, &audit->unlogged);
    gv_mirror_back(&watched->mirror);
    next_key(audit);
}

static void settled(struct gv_audit *audit, struct gv_watched *watched)
{
    if (!in_force(audit, watched) && gv_audit_unlogged(audit, watched, &audit->unlogged))
        ask_entries(audit, on_rest);
    else
        next_key(audit);
}

/* The head is here, and the log up to it, or what the registry gave for that. */
static void settle(struct gv_audit *audit)
{
    struct gv_watched *watched = &audit->watched[audit->at];
    struct gv_mirror *mirror = &watched->mirror;
    struct gv_text why = {""};
    char hour[32];
    int rc = GV_OK;

    gv_audit_hour_text(hour, audit->head.minute);
    if (mirror->has_head && gv_log_heads_contradict(&mirror->head, &audit->head)) {
        gv_mirror_back(mirror);
        gv_audit_found(audit, "its log of %s contradicts what it signed before: entries were %s",
                       hour, audit->head.size < mirror->head.size ? "taken out" : "changed");
    } else if (!gv_mirror_fits(mirror, &audit->head)) {
        gv_mirror_back(mirror);
        gv_audit_found(audit, "its log is not the one whose head it signed at %s", hour);
    } else if (!mirror->has_head || audit->head.minute >= mirror->head.minute) {
        rc = gv_mirror_settle(mirror, &audit->head, audit->wire, audit->wire_len, &why);
        if (rc != GV_OK)
            note_trouble(audit, "the copy is not stored: %s", why.text);
    }
    settled(audit, watched);
}

static void on_entries(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;
    struct gv_mirror *mirror = &audit->watched[audit->at].mirror;

    if (!answered(audit, result) || !take_page(audit, result))
        return;
    if (result->len == 0) {
        gv_mirror_back(mirror);
        note_trouble(audit, "the registry does not give the entries of its log");
        next_key(audit);
        return;
    }
    if (mirror->tree.size < audit->head.size)
        ask_entries(audit, on_entries);
    else
        settle(audit);
}

static void on_head(void *context, struct gv_fetch_result *result)
{
    struct gv_audit *audit = context;
    struct gv_watched *watched = &audit->watched[audit->at];
    const struct gv_descriptor *descriptor = descriptor_of(audit);

    if (result->error == GV_OK && result->status == 404) {
        audit->fetch = NULL;
        judge_none(audit, watched);
        return;
    }
    if (!answered(audit, result))
        return;
    int rc = descriptor
                 ? gv_log_head_open(&audit->head, NULL, descriptor, result->body, result->len)
                 : GV_ERR_STATE;
    if (rc != GV_OK || audit->head.signer != watched->signer) {
        note_trouble(audit, rc == GV_ERR_STATE ? "no network descriptor yet"
                                               : "the head of the registry's log is not valid");
        next_key(audit);
        return;
    }
    memcpy(audit->wire, result->body, result->len);
    audit->wire_len = result->len;
    audit->options.head(audit->options.context, audit->wire, audit->wire_len);
    if (in_force(audit, watched) &&
        (uint64_t)audit->head.minute + GV_AUDIT_STALE < gv_audit_now_min(audit))
        note_trouble(audit, "the registry has signed no head of its log for more than a day");
    if (audit->head.size > copy_max(audit))
        look_at_too_long(audit, watched);
    else if (watched->mirror.tree.size < audit->head.size)
        ask_entries(audit, on_entries);
    else
        settle(audit);
}

void gv_audit_look(struct gv_audit *audit)
{
    const struct gv_descriptor *descriptor = descriptor_of(audit);

    if (audit->status.looking)
        return;
    uv_timer_stop(&audit->timer);
    if (!descriptor && !audit->options.url(audit->options.context)) { /* in no network: no log */
        look_later(audit);
        return;
    }
    audit->status.looking = true;
    audit->trouble[0] = '\0';
    gv_audit_recall(audit);
    if (!descriptor) {
        note_trouble(audit, "no network descriptor yet");
        finish(audit);
        return;
    }
    follow(audit, descriptor);
    audit->at = SIZE_MAX; /* before the first */
    next_key(audit);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void release(struct gv_audit *audit)
{
    free((void *)(uintptr_t)audit->options.folder);
    free((void *)(uintptr_t)audit->options.bind_address);
    free((void *)(uintptr_t)audit->options.ca_file);
    free(audit);
}

int gv_audit_new(struct gv_audit **out, const struct gv_audit_options *options)
{
    struct gv_audit *audit = calloc(1, sizeof *audit);

    *out = NULL;
    if (!audit)
        return GV_ERR_MEMORY;
    audit->options = *options;
    audit->options.folder = strdup(options->folder);
    audit->options.bind_address = options->bind_address ? strdup(options->bind_address) : NULL;
    audit->options.ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    if (!audit->options.folder || (options->bind_address && !audit->options.bind_address) ||
        (options->ca_file && !audit->options.ca_file)) {
        release(audit);
        return GV_ERR_MEMORY;
    }
    uv_timer_init(options->loop, &audit->timer);
    audit->timer.data = audit;
    uv_timer_start(&audit->timer, on_timer, 2000 + randombytes_uniform(4000), 0);
    gv_audit_recall(audit);
    *out = audit;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void gv_audit_free(struct gv_audit *audit)
{
    if (!audit || audit->freed)
        return;
    audit->freed = true;
    gv_fetch_cancel(audit->fetch);
    for (size_t i = 0; i < GV_DESCRIPTOR_KEYS; i++)
        if (audit->watched[i].used)
            let_go(&audit->watched[i]);
    uv_close((uv_handle_t *)&audit->timer, on_closed);
}

void gv_audit_status(const struct gv_audit *audit, struct gv_audit_status *out)
{
    const struct gv_core *core = audit->options.core(audit->options.context);
    const struct gv_watched *now = present(audit);
    struct gv_log_head head;
    const uint8_t *wire;
    size_t cursor = 0, len;
    bool contradicted;

    *out = audit->status;
    out->has_head = now && now->mirror.has_head;
    out->size = out->has_head ? now->mirror.head.size : 0;
    out->head_min = out->has_head ? now->mirror.head.minute : 0;
    /* What came a moment ago is not looked over yet. */
    while (core && !out->finding_ms &&
           gv_core_next_log_head(core, &cursor, &head, &contradicted, &wire, &len))
        if (contradicted) {
            out->finding_ms = gv_audit_now_ms(audit);
            snprintf(out->finding, sizeof out->finding,
                     "it shows two faces: two heads of its log contradict each other");
        }
}
