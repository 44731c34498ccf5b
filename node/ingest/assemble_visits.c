/* Servers whose logs have neither beginning nor end of a connection, Exim and Sendmail: the lines
 * of one process or port and one address are one visit (SPEC 10.3). */
#include <string.h>

#include "node/ingest/assemble.h"
#include "node/ingest/assembler.h"

/* How long the lines of one process or port are one visit; those of one address, where Exim logs
 * neither (its default), are one for the five minutes after which it hangs up on a silent client.
 */
#define GV_VISIT_MS      3600000u
#define GV_VISIT_BLUR_MS 300000u
/* Exim writes the two lines of a twin one behind the other. */
#define GV_TWIN_MS 2000u

static struct connection *visit(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                                const struct gv_parsed *p, const struct gv_moment *m)
{
    bool fresh;
    struct connection *c = gv_connection_claim(a, out, n, m->connection, &fresh);
    uint64_t most = m->told_apart ? GV_VISIT_MS : GV_VISIT_BLUR_MS;

    if (c->visit_ms == 0 || gv_ms_apart(m->ms, c->visit_ms) > most) {
        gv_connection_restart(c, &p->address, p->service);
        c->visit_ms = m->ms;
    }
    return c;
}

/* Whether this is the second of two lines that say the same. */
static bool second_twin(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                        const struct gv_moment *m)
{
    bool fresh;
    struct connection *c = gv_connection_claim(a, out, n, m->twin, &fresh);
    bool second = c->told == 1 && gv_ms_apart(m->ms, c->visit_ms) <= GV_TWIN_MS;

    c->told = second ? 2 : 1;
    c->visit_ms = m->ms;
    return second;
}

/* Failures whose lines cut the client off wait in an entry of their own for a line that shows it
 * whole. Not one address can be wrong there: the entry is found by the very bytes that were left,
 * and by who wrote them. */
static struct connection *unnamed(struct gv_assembler *a, uint64_t cut, uint64_t ms)
{
    struct connection *c = cut ? gv_connection_find(a, cut) : NULL;

    return c && c->visit_ms != 0 && gv_ms_apart(ms, c->visit_ms) <= GV_VISIT_MS ? c : NULL;
}

uint64_t gv_assembler_unnamed(const struct gv_assembler *assembler, uint64_t cut, uint64_t ms)
{
    const struct connection *c = unnamed((struct gv_assembler *)assembler, cut, ms);

    return c ? c->unnamed : 0;
}

/* Each connection of such a client begins with such a line, so that a process whose number comes
 * back is never taken for the one before. */
static size_t meet(struct gv_assembler *a, struct gv_reading *out, const struct gv_parsed *p,
                   const struct gv_moment *m)
{
    size_t n = 0;
    bool fresh;

    if (m->met == 0)
        return 0;
    struct connection *c = gv_connection_claim(a, out, &n, m->met, &fresh);
    gv_connection_restart(c, &p->address, p->service);
    c->account = m->origin;
    c->visit_ms = m->ms;
    return n;
}

const struct gv_ip_address *gv_assembler_met(const struct gv_assembler *assembler, uint64_t met,
                                             uint64_t left, uint64_t ms)
{
    const struct connection *c = unnamed((struct gv_assembler *)assembler, met, ms);

    return c && c->account == left ? &c->address : NULL;
}

static size_t hold_unnamed(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                           const struct gv_parsed *p, const struct gv_moment *m)
{
    bool fault = p->blame == GV_BLAME_BACKEND, fresh;
    size_t n = 0;

    *faults += fault ? p->attempts : 0;
    if (m->cut == 0)
        return 0;
    struct connection *c = unnamed(a, m->cut, m->ms);
    if (!c) {
        c = gv_connection_claim(a, out, &n, m->cut, &fresh);
        gv_connection_restart(c, &p->address, p->service);
        c->visit_ms = m->ms;
    }
    c->told += p->attempts;
    if (fault)
        return n;
    c->kind = c->unnamed == 0 || c->kind == p->kind ? p->kind : GV_KIND_UNSPECIFIED;
    c->account = c->unnamed == 0 || c->account == m->account ? m->account : 0;
    c->unnamed += p->attempts;
    return n;
}

/* The client of `held` is the line's. */
static size_t put_named(struct gv_reading *out, struct connection *c, const struct connection *held,
                        const struct gv_parsed *p, const struct gv_moment *m)
{
    c->told += held->told;
    if (held->unnamed == 0)
        return 0;
    gv_reading_put(out, &p->address, held->service, p->mta, m->line, m->ms);
    out->observation.account = held->account;
    gv_reading_finish(out, c, held->kind,
                      held->unnamed < GV_ATTEMPTS_MAX ? (uint32_t)held->unnamed : GV_ATTEMPTS_MAX);
    return 1;
}

/* AUTH commands that no line told of: broken off, or refused before a password was asked for. */
static size_t visit_untold(struct gv_reading *out, struct connection *c, uint32_t untold,
                           const struct gv_parsed *p, const struct gv_moment *m)
{
    if (untold == 0)
        return 0;
    gv_reading_put(out, &c->address, c->service, p->mta, m->line, m->ms);
    gv_reading_finish(out, c, GV_KIND_ABORTED, untold);
    c->told += untold;
    return 1;
}

size_t gv_assemble_visit(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                         const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;

    if (m->twin != 0 && second_twin(a, out, &n, m))
        return n;
    if (p->said == GV_SAID_MET)
        return meet(a, out, p, m);
    if (p->said == GV_SAID_UNNAMED)
        return hold_unnamed(a, out, faults, p, m);
    struct connection held = {0}, *waits = unnamed(a, m->cut, m->ms);
    if (waits) {
        held = *waits;
        gv_connection_release(a, waits);
    } else if (p->said == GV_SAID_CLIENT) {
        return 0;
    }
    struct connection *c = visit(a, out, &n, p, m);
    n += put_named(out + n, c, &held, p, m);
    switch (p->said) {
    case GV_SAID_FAILURE:
        return n + gv_assemble_failure(a, out + n, faults, c, p, m);
    case GV_SAID_SUCCESS:
        c->told++;
        return n + gv_assemble_success(a, out + n, c, p, m);
    case GV_SAID_DROP:
        return n + visit_untold(out + n, c, c->told == 0, p, m);
    case GV_SAID_COUNTS:
        return n +
               visit_untold(out + n, c, p->auth_all > c->told ? p->auth_all - c->told : 0, p, m);
    default:
        return n;
    }
}
