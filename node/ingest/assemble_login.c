/* Dovecot's login processes write one line when a visit ends. What it says of the attempts before
 * the last is the tally in its brackets, or else nothing; then what the auth service told of counts
 * (SPEC 10.3). */
#include "node/ingest/assemble.h"
#include "node/ingest/assembler.h"

/* A client that falls back from one mechanism to the next tries one right password as often; more
 * in one connection are never a client's (as SPEC 12.4 has it). */
#define CLIENT_ATTEMPTS 4u

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint8_t kind_of(const struct gv_hint_sum *sum, uint8_t otherwise)
{
    if (sum->unknown)
        return GV_KIND_UNKNOWN_ACCOUNT;
    return sum->wrong ? GV_KIND_WRONG_PASSWORD : otherwise;
}

static struct gv_observation *put(struct gv_reading *out, size_t n, const struct gv_parsed *p,
                                  const struct gv_moment *m, uint64_t account)
{
    gv_reading_put(out, &p->address, p->service, GV_MTA_DOVECOT, m->line, m->ms);
    out->observation.account = account;
    out->observation.new_visit = n == 0; /* a login line ends its connection */
    return &out->observation;
}

/* `attempts` that the auth service told of, or that only the tally did. */
static size_t put_told(struct gv_reading *out, size_t n, uint32_t attempts,
                       const struct gv_hint_sum *sum, const struct gv_parsed *p,
                       const struct gv_moment *m)
{
    bool told = sum->unknown + sum->wrong > 0;

    if (attempts == 0)
        return 0;
    struct gv_observation *o = put(out, n, p, m, told ? sum->account : m->account);
    o->kind = kind_of(sum, GV_KIND_UNSPECIFIED);
    o->attempts = attempts;
    return 1;
}

/* All of them were guesses at a password, as far as is known. */
static size_t put_failed(struct gv_reading *out, uint64_t *faults, const struct gv_hint_sum *sum,
                         const struct gv_parsed *p, const struct gv_moment *m)
{
    uint32_t attempts = p->attempts, excused = sum->refused + sum->faults;

    if (excused >= attempts && sum->refused == 0) {
        *faults += attempts;
        return 0;
    }
    struct gv_observation *o = put(out, 0, p, m, m->account);
    o->kind = kind_of(sum, GV_KIND_UNSPECIFIED);
    *faults += sum->faults < attempts ? sum->faults : 0;
    o->refused = excused >= attempts;
    o->attempts = excused < attempts ? attempts - excused : attempts;
    return 1;
}

/* The last was no guess at a password, or the host behind this one took it for one. Of those before
 * it the auth service tells; the rest of a tally was like the last. */
static size_t put_last(struct gv_reading *out, uint64_t *faults, const struct gv_hint_sum *sum,
                       const struct gv_parsed *p, const struct gv_moment *m)
{
    uint32_t failed = gv_parsed_failed(p), told = sum->unknown + sum->wrong, rest = 1;

    if (p->auth_all > 0)
        told = lesser(told, failed > 0 ? failed - 1 : 0);
    if (p->end == GV_END_FAILED && p->attempts > told + sum->refused + sum->faults)
        rest = p->attempts - told - sum->refused - sum->faults;
    *faults += sum->faults;
    size_t n = put_told(out, 0, told, sum, p, m);
    struct gv_observation *o = put(out + n, n, p, m, m->account);
    o->kind = p->kind;
    o->attempts = rest;
    return n + 1;
}

/* Of those before the last attempt, which is not the client's fault, as many failed as the auth
 * service told of. Where it tells of none the tally does, unless it may be the same right password
 * again, or the backend's fault. */
static uint32_t failed_before(const struct gv_assembler *a, const struct gv_hint_sum *sum,
                              const struct gv_parsed *p)
{
    uint32_t failed = gv_parsed_failed(p), told = sum->unknown + sum->wrong;
    uint32_t excused = sum->refused + sum->faults;

    if (p->auth_all == 0)
        return told;
    if (p->end != GV_END_RIGHT && failed > 0)
        failed--;
    if (told > 0 || a->hints->learnt & GV_HINTS_SPEAKS)
        return lesser(told, failed);
    if (p->end == GV_END_RIGHT || (p->end == GV_END_STATE && failed >= CLIENT_ATTEMPTS))
        return failed > excused ? failed - excused : 0;
    return 0;
}

static size_t login_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    struct gv_hint_sum sum = {0};
    struct gv_hint_end end = {.account = m->account,
                              .ms = m->ms,
                              .answered = p->blame == GV_BLAME_BACKEND &&
                                          (p->end != GV_END_RIGHT || p->auth_all == 0),
                              .right = p->end == GV_END_RIGHT};

    gv_hints_take_session(a->hints, &sum, &p->address, m->session, &end);
    if (p->blame == GV_BLAME_BACKEND) {
        *faults += p->attempts;
        return put_told(out, 0, failed_before(a, &sum, p), &sum, p, m);
    }
    if (p->attempts == 0)
        return 0;
    if (p->end == GV_END_FAILED && p->kind == GV_KIND_UNSPECIFIED)
        return put_failed(out, faults, &sum, p, m);
    return put_last(out, faults, &sum, p, m);
}

/* What failed before a login stays failed, but it is first a login: then it clears what its user
 * mistyped, and who is known by it is no stranger (SPEC 12.3). */
static size_t login_success(struct gv_assembler *a, struct gv_reading *out,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    struct gv_hint_sum sum = {0};
    struct gv_hint_end end = {.account = m->account, .ms = m->ms, .answered = true, .right = true};

    gv_hints_take_session(a->hints, &sum, &p->address, m->session, &end);
    put(out, 0, p, m, m->account)->success = true;
    size_t n = 1 + put_told(out + 1, 1, sum.unknown + sum.wrong, &sum, p, m);
    if (n > 1) {
        uint64_t before = m->ms >= 1000 ? m->ms - 1000 : 0;
        out[1].observation.unix_ms = sum.ms < before ? sum.ms : before;
    }
    return n;
}

/* A failed visit, of which `n` observations came. */
static size_t count_visit(const struct gv_assembler *a, const struct gv_parsed *p, size_t n)
{
    struct gv_reader_counters *c = a->counters;

    c->torn += p->torn && n == 0;
    if (a->hints->learnt & GV_HINTS_SPEAKS)
        c->untold = 0;
    else
        c->untold += p->torn || p->attempts > 0;
    return n;
}

size_t gv_assemble_login(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                         const struct gv_parsed *p, const struct gv_moment *m)
{
    switch (p->said) {
    case GV_SAID_FAILURE:
        return count_visit(a, p, login_failure(a, out, faults, p, m));
    case GV_SAID_SUCCESS:
        return login_success(a, out, p, m);
    default:
        return 0;
    }
}
