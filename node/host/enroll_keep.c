/* Keeping up with the registry by itself: when to ask, and what to do when it does not answer. */
#include <sodium.h>
#include <string.h>

#include "crypto/error.h"
#include "node/host/enroll_internal.h"
#include "proto/registry.h"
#include "proto/wire/revocation.h"

#define FIRST_S       60
#define LAST_S        21600 /* 6 h */
#define REVOCATIONS_S 900
#define DESCRIPTOR_S  21600
#define LOOK_S        3600 /* how often the clock is looked at: a timer does not count a suspend */
#define JITTER_MAX_S  86400

enum { RENEWAL, REVOCATIONS, DESCRIPTOR };

uint32_t gv_enroll_backoff(unsigned failures, uint32_t random)
{
    uint64_t wait = FIRST_S;

    for (unsigned i = 1; i < failures && wait < LAST_S; i++)
        wait *= 2;
    if (wait > LAST_S)
        wait = LAST_S;
    return (uint32_t)(wait * 3 / 4 + wait / 2 * (random >> 16) / 65535);
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_enroll_task *task = timer->data;

    task->run(task);
}

static void again_in(struct gv_enroll_task *task, uint64_t seconds)
{
    uv_timer_start(&task->timer, on_timer, seconds * 1000, 0);
}

/* `seconds` and up to a tenth more, so that nodes that started together drift apart. */
static void next_round(struct gv_enroll_task *task, uint32_t seconds)
{
    task->failures = 0;
    again_in(task, seconds + randombytes_uniform(seconds / 10 + 1));
}

static void failed(struct gv_enroll_task *task, const struct gv_enroll_answer *answer)
{
    const struct gv_enroll_keep *keep = &task->enroll->keep;
    uint32_t wait = gv_enroll_backoff(++task->failures, randombytes_random());

    again_in(task, wait);
    if (keep->trouble)
        keep->trouble(keep->context, task->what, answer, wait);
}

/* The request could not even be started: busy with the admin's own, or out of memory. */
static void not_started(struct gv_enroll_task *task, int error)
{
    struct gv_enroll_answer answer = {.error = error};

    if (error == GV_ERR_BUSY) {
        again_in(task, FIRST_S);
        return;
    }
    gv_fail(&answer.text, 0, "%s: %s", task->what, gv_strerror(error));
    failed(task, &answer);
}

/* ---- renewal -------------------------------------------------------------------------------- */

/* The minute from which on a certificate of this signer ought to be replaced because of the
 * registry's keys (SPEC 4.2): when a later key comes into force; 0 when its own is not named;
 * UINT32_MAX: never. */
static uint32_t followed_min(const struct gv_descriptor *descriptor, uint32_t signer)
{
    const struct gv_registry_key *own = NULL, *last = NULL;

    for (size_t i = 0; descriptor && i < descriptor->key_count; i++) {
        const struct gv_registry_key *key = &descriptor->keys[i];
        if (gv_certificate_signer(key->key) == signer)
            own = key;
        if (!last || key->from_min >= last->from_min) /* of one minute: the later named */
            last = key;
    }
    if (!last || own == last)
        return UINT32_MAX;
    return own ? last->from_min : 0;
}

uint64_t gv_enroll_renewal_s(const struct gv_certificate *certificate,
                             const struct gv_descriptor *descriptor)
{
    uint32_t followed = followed_min(descriptor, certificate->signer);
    uint32_t half = gv_certificate_half_life(certificate);
    uint64_t life_s = 60ULL * (certificate->expires_min - certificate->issued_min);
    uint64_t spread = life_s / 20 < JITTER_MAX_S ? life_s / 20 : JITTER_MAX_S;
    uint64_t dice = (uint64_t)certificate->id[0] << 8 | certificate->id[1];

    if (followed == 0)
        return 0;
    return 60ULL * (followed < half ? followed : half) + spread * dice / 65536;
}

/* A new certificate, a new time for its renewal. */
static void schedule_renewal(struct gv_enroll_task *task)
{
    struct gv_enroll *enroll = task->enroll;
    struct gv_certificate held;
    uint64_t now = enroll->options.unix_ms() / 1000;

    if (!enroll->has_certificate ||
        gv_certificate_parse(&held, enroll->certificate, sizeof enroll->certificate) != GV_OK) {
        uv_timer_stop(&task->timer);
        return;
    }
    uint64_t at = gv_enroll_renewal_s(&held, enroll->descriptor);
    uint64_t wait = at > now ? at - now : 1;
    again_in(task, wait < LOOK_S ? wait : LOOK_S);
}

void gv_enroll_look(struct gv_enroll *enroll)
{
    struct gv_enroll_task *task = &enroll->tasks[RENEWAL];

    if (task->ready && task->failures == 0 && !enroll->flights[GV_ENROLL_RENEW].fetch)
        schedule_renewal(task);
}

static void on_renewed(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_enroll_task *task = context;
    struct gv_enroll *enroll = task->enroll;

    if (answer->error != GV_OK) {
        if (answer->error ==
            GV_ERR_SIGNER) /* a new key: the descriptor that names it comes first */
            again_in(&enroll->tasks[DESCRIPTOR], 1);
        failed(task, answer);
        return;
    }
    task->failures = 0;
    memcpy(enroll->certificate, answer->wire, GV_CERTIFICATE_LEN);
    schedule_renewal(task);
    if (enroll->keep.certificate)
        enroll->keep.certificate(enroll->keep.context, answer->wire);
}

static void run_renewal(struct gv_enroll_task *task)
{
    struct gv_enroll *enroll = task->enroll;
    struct gv_certificate held;

    if (gv_certificate_parse(&held, enroll->certificate, sizeof enroll->certificate) != GV_OK)
        return;
    if (gv_enroll_renewal_s(&held, enroll->descriptor) > enroll->options.unix_ms() / 1000) {
        schedule_renewal(task);
        return;
    }
    int rc = gv_enroll_renew(enroll, enroll->certificate, on_renewed, task);
    if (rc != GV_OK)
        not_started(task, rc);
}

/* ---- revocations ---------------------------------------------------------------------------- */

static void on_one_revocation(void *context, const uint8_t *wire, size_t len)
{
    const struct gv_enroll_keep *keep = &((struct gv_enroll_task *)context)->enroll->keep;

    if (keep->revocation)
        keep->revocation(keep->context, wire, len);
}

static void on_revocations(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_enroll_task *task = context;

    if (answer->error != GV_OK)
        failed(task, answer);
    else /* after a full page there is more */
        next_round(task,
                   task->enroll->revocations_got == GV_REVOCATIONS_PAGE ? FIRST_S : REVOCATIONS_S);
}

static void run_revocations(struct gv_enroll_task *task)
{
    int rc = gv_enroll_fetch_revocations(task->enroll, on_one_revocation, on_revocations, task);

    if (rc == GV_ERR_STATE)
        again_in(task, FIRST_S); /* no descriptor yet: nothing to verify with */
    else if (rc != GV_OK)
        not_started(task, rc);
}

/* ---- descriptor ----------------------------------------------------------------------------- */

static void on_descriptor(void *context, const struct gv_enroll_answer *answer)
{
    struct gv_enroll_task *task = context;
    const struct gv_enroll_keep *keep = &task->enroll->keep;

    if (answer->error != GV_OK) {
        failed(task, answer);
        return;
    }
    next_round(task, DESCRIPTOR_S);
    gv_enroll_look(task->enroll); /* it may name another key */
    if (task->enroll->descriptor->version > task->enroll->told_version && keep->descriptor) {
        task->enroll->told_version = task->enroll->descriptor->version;
        keep->descriptor(keep->context, answer->wire, answer->wire_len);
    }
}

static void run_descriptor(struct gv_enroll_task *task)
{
    int rc = gv_enroll_fetch_descriptor(task->enroll, on_descriptor, task);

    if (rc == GV_ERR_STATE)
        again_in(task, LOOK_S); /* no registry is known, neither configured nor from a descriptor */
    else if (rc != GV_OK)
        not_started(task, rc);
}

/* ---- start ---------------------------------------------------------------------------------- */

static void init_task(struct gv_enroll *enroll, int which, const char *what,
                      void (*run)(struct gv_enroll_task *task))
{
    struct gv_enroll_task *task = &enroll->tasks[which];

    if (task->ready)
        return;
    task->enroll = enroll;
    task->what = what;
    task->run = run;
    task->ready = true;
    uv_timer_init(enroll->options.loop, &task->timer);
    task->timer.data = task;
    if (which != RENEWAL)
        again_in(task, 1 + randombytes_uniform(4));
}

int gv_enroll_keep(struct gv_enroll *enroll, const struct gv_enroll_keep *keep,
                   const uint8_t *certificate)
{
    struct gv_certificate parsed;

    if (certificate && gv_certificate_parse(&parsed, certificate, GV_CERTIFICATE_LEN) != GV_OK)
        return GV_ERR_RANGE;
    enroll->keep = *keep;
    enroll->has_certificate = certificate != NULL;
    if (certificate)
        memcpy(enroll->certificate, certificate, GV_CERTIFICATE_LEN);
    if (!enroll->tasks[DESCRIPTOR].ready && enroll->descriptor)
        enroll->told_version = enroll->descriptor->version;
    init_task(enroll, RENEWAL, "certificate renewal", run_renewal);
    init_task(enroll, REVOCATIONS, "revocations", run_revocations);
    init_task(enroll, DESCRIPTOR, "network descriptor", run_descriptor);
    enroll->tasks[RENEWAL].failures = 0;
    schedule_renewal(&enroll->tasks[RENEWAL]);
    return GV_OK;
}
