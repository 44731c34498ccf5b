#include "node/ingest/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "node/ingest/assembler.h"

struct gv_assembler *gv_assembler_new(struct gv_hints *hints)
{
    struct gv_assembler *a = aligned_alloc(_Alignof(struct gv_assembler), sizeof *a);

    if (!a)
        return NULL;
    memset(a, 0, sizeof *a);
    a->hints = hints ? hints : (a->own = malloc(sizeof *a->own));
    if (!a->hints) {
        free(a);
        return NULL;
    }
    if (a->own)
        gv_hints_init(a->own);
    return a;
}

void gv_assembler_free(struct gv_assembler *assembler)
{
    if (!assembler)
        return;
    free(assembler->own);
    free(assembler);
}

void gv_assembler_expect(const struct gv_assembler *assembler, uint64_t connection)
{
    __builtin_prefetch(&assembler->sets[connection % GV_CONNECTION_SETS]);
}

bool gv_assembler_has_hints(const struct gv_assembler *assembler)
{
    return assembler->hints->count > 0;
}

static void put(struct gv_reading *out, const struct gv_ip_address *address, uint8_t service,
                uint8_t mta, uint64_t line, uint64_t ms)
{
    memset(out, 0, sizeof *out);
    out->address = *address;
    out->line = line;
    out->mta = mta;
    out->observation.subject = gv_ip_address_subject(address);
    out->observation.unix_ms = ms;
    out->observation.service = service;
    out->observation.kind = GV_KIND_UNSPECIFIED;
}

/* A drop that no later line explained: one attempt that never came to an answer. */
static size_t settle_drop(struct gv_reading *out, struct connection *c)
{
    bool open = c->dropped && c->told == 0;

    c->dropped = false;
    if (!open)
        return 0;
    put(out, &c->address, c->service, GV_MTA_POSTFIX, c->drop_line, c->drop_ms);
    out->observation.kind = GV_KIND_ABORTED;
    out->observation.attempts = 1;
    out->observation.new_visit = !c->visited;
    c->visited = true;
    c->told = 1;
    return 1;
}

static struct connection *find(struct gv_assembler *a, uint64_t key)
{
    const struct connection_set *set = &a->sets[key % GV_CONNECTION_SETS];

    for (size_t i = 0; i < GV_CONNECTION_WAYS; i++)
        if (set->key[i] == key)
            return &a->table[key % GV_CONNECTION_SETS][i];
    return NULL;
}

static void restart(struct connection *c, const struct gv_ip_address *address, uint8_t service)
{
    *c = (struct connection){.address = *address, .service = service};
}

/* The entry of a key, made if need be at the cost of the set's oldest; then *fresh is true and
 * nothing is in it. */
static struct connection *claim(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                                uint64_t key, bool *fresh)
{
    struct connection_set *set = &a->sets[key % GV_CONNECTION_SETS];
    struct connection *table = a->table[key % GV_CONNECTION_SETS];
    size_t way = GV_CONNECTION_WAYS;

    for (size_t i = 0; i < GV_CONNECTION_WAYS; i++)
        way = set->key[i] == key ? i : way;
    *fresh = way == GV_CONNECTION_WAYS;
    if (*fresh) {
        way = 0;
        for (size_t i = 1; i < GV_CONNECTION_WAYS; i++)
            if (set->seen[i] < set->seen[way])
                way = i;
        if (set->may_be_dropped[way])
            *n += settle_drop(out + *n, &table[way]);
        memset(&table[way], 0, sizeof table[way]);
        set->key[way] = key;
        set->may_be_dropped[way] = false;
    }
    set->seen[way] = ++a->clock;
    return &table[way];
}

static void release(struct gv_assembler *a, struct connection *c)
{
    size_t i = (size_t)(c - a->table[0]);
    struct connection_set *set = &a->sets[i / GV_CONNECTION_WAYS];

    set->key[i % GV_CONNECTION_WAYS] = 0;
    set->seen[i % GV_CONNECTION_WAYS] = 0;
    set->may_be_dropped[i % GV_CONNECTION_WAYS] = false;
    memset(c, 0, sizeof *c);
}

size_t gv_assemble_connect(struct gv_assembler *assembler, struct gv_reading *out,
                           const struct gv_parsed *parsed, uint64_t connection, uint64_t ms)
{
    size_t n = 0;
    bool fresh;
    struct connection *c = claim(assembler, out, &n, connection, &fresh);

    if (!fresh)
        n += settle_drop(out + n, c);
    restart(c, &parsed->address, parsed->service);
    c->start_ms = ms;
    return n;
}

/* The connection that a line belongs to. Another address means that the disconnect and the connect
 * between were not seen, or that a proxy has told Postfix the true client. */
static struct connection *current(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                                  const struct gv_parsed *p, uint64_t key)
{
    bool fresh;
    struct connection *c = claim(a, out, n, key, &fresh);

    if (fresh) {
        restart(c, &p->address, p->service);
    } else if (!gv_ip_address_equal(&c->address, &p->address)) {
        *n += settle_drop(out + *n, c);
        restart(c, &p->address, p->service);
    }
    return c;
}

static void finish(struct gv_reading *r, struct connection *c, uint8_t kind, uint32_t attempts)
{
    r->observation.kind = kind;
    r->observation.attempts = attempts;
    r->observation.new_visit = !c->visited;
    c->visited = true;
}

/* --- Postfix -----------------------------------------------------------------------------------
 */

/* A Postfix that asks saslauthd itself: the answer has no address, but the account. */
static void add_sasl_hint(struct gv_assembler *a, struct gv_hint_sum *sum,
                          const struct gv_moment *m)
{
    const struct gv_sasl_hint *hint =
        gv_hints_take_sasl(a->hints, m->account, GV_SERVICE_SMTP, m->ms);

    if (!hint)
        return;
    sum->faults += hint->blame == GV_BLAME_BACKEND;
    sum->unknown += hint->kind == GV_KIND_UNKNOWN_ACCOUNT;
    sum->wrong += hint->kind == GV_KIND_WRONG_PASSWORD;
}

/* One failed attempt of a connection, by the line that tells of it. */
static size_t told_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                           struct connection *c, const struct gv_parsed *p,
                           const struct gv_moment *m)
{
    size_t n = 0;
    struct gv_hint_sum sum = {0};
    uint8_t kind = p->kind;

    c->told += p->attempts;
    c->dropped = false;
    if (p->blame == GV_BLAME_CLIENT && kind == GV_KIND_UNSPECIFIED && p->mta != GV_MTA_SENDMAIL &&
        !gv_hints_take_one(a->hints, &sum, &p->address, m->account, c->start_ms, m->ms) &&
        p->mta == GV_MTA_POSTFIX)
        add_sasl_hint(a, &sum, m);
    if (p->blame == GV_BLAME_BACKEND || sum.faults) {
        *faults += p->attempts;
        return n;
    }
    if (sum.unknown)
        kind = GV_KIND_UNKNOWN_ACCOUNT;
    else if (sum.wrong)
        kind = GV_KIND_WRONG_PASSWORD;
    struct gv_reading *r = &out[n++];
    put(r, &p->address, p->service, p->mta, m->line, m->ms);
    r->observation.account = m->account;
    r->observation.refused = p->blame == GV_BLAME_POLICY || sum.refused;
    finish(r, c, kind, p->attempts);
    return n;
}

static size_t smtpd_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;
    struct connection *c = current(a, out, &n, p, m->connection);

    return n + told_failure(a, out + n, faults, c, p, m);
}

static size_t put_success(struct gv_assembler *a, struct gv_reading *out, struct connection *c,
                          const struct gv_parsed *p, const struct gv_moment *m)
{
    /* Every mail of a connection repeats the login that it came in with. */
    if (c->success)
        return 0;
    c->success = true;
    gv_hints_forget(a->hints, &c->address);
    put(out, &c->address, c->service, p->mta, m->line, m->ms);
    out->observation.account = m->account;
    out->observation.success = true;
    finish(out, c, GV_KIND_UNSPECIFIED, 0);
    return 1;
}

static size_t smtpd_success(struct gv_assembler *a, struct gv_reading *out,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;
    struct connection *c = current(a, out, &n, p, m->connection);

    return n + put_success(a, out + n, c, p, m);
}

static size_t smtpd_drop(struct gv_assembler *a, struct gv_reading *out, const struct gv_parsed *p,
                         const struct gv_moment *m)
{
    size_t n = 0;
    struct connection *c = current(a, out, &n, p, m->connection);

    c->dropped = true;
    c->drop_line = m->line;
    c->drop_ms = m->ms;
    size_t i = (size_t)(c - a->table[0]);
    a->drop_read[i] = (uint32_t)(m->now_ms / 1000);
    a->sets[i / GV_CONNECTION_WAYS].may_be_dropped[i % GV_CONNECTION_WAYS] = true;
    a->may_be_drops = true;
    return n;
}

/* AUTH commands that failed and that no line told of: broken off, or answered after the client had
 * gone, which then shows in what the auth service said. */
static size_t smtpd_untold(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                           struct connection *c, uint32_t untold, const struct gv_moment *m)
{
    struct gv_hint_sum sum = {0};
    uint32_t taken = 0;
    size_t n = 0;

    while (c->start_ms != 0 && taken < untold &&
           gv_hints_take_one(a->hints, &sum, &c->address, 0, c->start_ms, m->ms))
        taken++;
    *faults += sum.faults;
    if (sum.unknown + sum.wrong > 0) {
        put(&out[n], &c->address, c->service, GV_MTA_POSTFIX, m->line, m->ms);
        finish(&out[n++], c, sum.unknown ? GV_KIND_UNKNOWN_ACCOUNT : GV_KIND_WRONG_PASSWORD,
               sum.unknown + sum.wrong);
    }
    if (sum.refused > 0) {
        put(&out[n], &c->address, c->service, GV_MTA_POSTFIX, m->line, m->ms);
        out[n].observation.refused = true;
        finish(&out[n++], c, GV_KIND_UNSPECIFIED, sum.refused);
    }
    if (untold > taken) {
        put(&out[n], &c->address, c->service, GV_MTA_POSTFIX, m->line, m->ms);
        finish(&out[n++], c, GV_KIND_ABORTED, untold - taken);
    }
    return n;
}

static size_t smtpd_disconnect(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                               const struct gv_parsed *p, const struct gv_moment *m)
{
    struct connection alone = {.address = p->address, .service = p->service};
    struct connection *held = find(a, m->connection), *c = held ? held : &alone;
    size_t n = 0;

    if (!gv_ip_address_equal(&c->address, &p->address)) {
        n += settle_drop(out, c);
        c = &alone;
    }
    if (!p->has_counts) {
        n += settle_drop(out + n, c);
    } else {
        uint32_t failed = p->auth_all - p->auth_good;

        if (p->auth_good > 0)
            n += put_success(a, out + n, c, p, m);
        if (failed > c->told)
            n += smtpd_untold(a, out + n, faults, c, failed - c->told, m);
    }
    if (held)
        release(a, held);
    return n;
}

static size_t assemble_smtpd(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                             const struct gv_parsed *p, const struct gv_moment *m)
{
    switch (p->said) {
    case GV_SAID_FAILURE:
        return smtpd_failure(a, out, faults, p, m);
    case GV_SAID_SUCCESS:
        return smtpd_success(a, out, p, m);
    case GV_SAID_DROP:
        return smtpd_drop(a, out, p, m);
    case GV_SAID_DISCONNECT:
        return smtpd_disconnect(a, out, faults, p, m);
    default:
        return 0;
    }
}

/* --- Exim, Sendmail ----------------------------------------------------------------------------
 */

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
    struct connection *c = claim(a, out, n, m->connection, &fresh);
    uint64_t most = m->told_apart ? GV_VISIT_MS : GV_VISIT_BLUR_MS;

    if (c->visit_ms == 0 || gv_ms_apart(m->ms, c->visit_ms) > most) {
        restart(c, &p->address, p->service);
        c->visit_ms = m->ms;
    }
    return c;
}

/* Whether this is the second of two lines that say the same. */
static bool second_twin(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                        const struct gv_moment *m)
{
    bool fresh;
    struct connection *c = claim(a, out, n, m->twin, &fresh);
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
    struct connection *c = cut ? find(a, cut) : NULL;

    return c && c->visit_ms != 0 && gv_ms_apart(ms, c->visit_ms) <= GV_VISIT_MS ? c : NULL;
}

uint64_t gv_assembler_unnamed(const struct gv_assembler *assembler, uint64_t cut, uint64_t ms)
{
    const struct connection *c = unnamed((struct gv_assembler *)assembler, cut, ms);

    return c ? c->unnamed : 0;
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
        c = claim(a, out, &n, m->cut, &fresh);
        restart(c, &p->address, p->service);
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
    put(out, &p->address, held->service, p->mta, m->line, m->ms);
    out->observation.account = held->account;
    finish(out, c, held->kind,
           held->unnamed < GV_ATTEMPTS_MAX ? (uint32_t)held->unnamed : GV_ATTEMPTS_MAX);
    return 1;
}

/* AUTH commands that no line told of: broken off, or refused before a password was asked for. */
static size_t visit_untold(struct gv_reading *out, struct connection *c, uint32_t untold,
                           const struct gv_parsed *p, const struct gv_moment *m)
{
    if (untold == 0)
        return 0;
    put(out, &c->address, c->service, p->mta, m->line, m->ms);
    finish(out, c, GV_KIND_ABORTED, untold);
    c->told += untold;
    return 1;
}

static size_t assemble_visit(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                             const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;

    if (m->twin != 0 && second_twin(a, out, &n, m))
        return n;
    if (p->said == GV_SAID_UNNAMED)
        return hold_unnamed(a, out, faults, p, m);
    struct connection held = {0}, *waits = unnamed(a, m->cut, m->ms);
    if (waits) {
        held = *waits;
        release(a, waits);
    } else if (p->said == GV_SAID_CLIENT) {
        return 0;
    }
    struct connection *c = visit(a, out, &n, p, m);
    n += put_named(out + n, c, &held, p, m);
    switch (p->said) {
    case GV_SAID_FAILURE:
        return n + told_failure(a, out + n, faults, c, p, m);
    case GV_SAID_SUCCESS:
        c->told++;
        return n + put_success(a, out + n, c, p, m);
    case GV_SAID_DROP:
        return n + visit_untold(out + n, c, c->told == 0, p, m);
    case GV_SAID_COUNTS:
        return n +
               visit_untold(out + n, c, p->auth_all > c->told ? p->auth_all - c->told : 0, p, m);
    default:
        return n;
    }
}

/* --- Dovecot -----------------------------------------------------------------------------------
 */

static size_t login_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    struct gv_hint_sum sum = {0};
    uint32_t attempts = p->attempts;
    uint8_t kind = p->kind;

    gv_hints_take_session(a->hints, &sum, &p->address, m->session);
    if (p->blame == GV_BLAME_BACKEND) {
        *faults += attempts;
        return 0;
    }
    put(out, &p->address, p->service, GV_MTA_DOVECOT, m->line, m->ms);
    if (kind == GV_KIND_UNSPECIFIED) {
        uint32_t excused = sum.refused + sum.faults;

        if (sum.unknown)
            kind = GV_KIND_UNKNOWN_ACCOUNT;
        else if (sum.wrong)
            kind = GV_KIND_WRONG_PASSWORD;
        if (excused >= attempts && sum.refused == 0) {
            *faults += attempts;
            return 0;
        }
        *faults += sum.faults < attempts ? sum.faults : 0;
        out->observation.refused = excused >= attempts;
        if (excused < attempts)
            attempts -= excused;
    }
    out->observation.account = m->account;
    out->observation.kind = kind;
    out->observation.attempts = attempts;
    out->observation.new_visit = true; /* a login line ends its connection */
    return 1;
}

static size_t login_success(struct gv_assembler *a, struct gv_reading *out,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    struct gv_hint_sum ignored = {0};

    gv_hints_take_session(a->hints, &ignored, &p->address, m->session);
    put(out, &p->address, p->service, GV_MTA_DOVECOT, m->line, m->ms);
    out->observation.account = m->account;
    out->observation.success = true;
    out->observation.new_visit = true;
    return 1;
}

static size_t assemble_login(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                             const struct gv_parsed *p, const struct gv_moment *m)
{
    switch (p->said) {
    case GV_SAID_FAILURE:
        return login_failure(a, out, faults, p, m);
    case GV_SAID_SUCCESS:
        return login_success(a, out, p, m);
    default:
        return 0;
    }
}

/* --- All of them -------------------------------------------------------------------------------
 */

static void add_hint(struct gv_assembler *a, const struct gv_parsed *p, const struct gv_moment *m)
{
    if (p->mta == GV_MTA_DOVECOT) {
        struct gv_hint hint = {.address = p->address,
                               .kind = p->kind,
                               .blame = p->blame,
                               .ms = m->ms,
                               .account = m->account,
                               .session = m->session,
                               .origin = m->origin};
        gv_hints_add(a->hints, &hint);
    } else {
        struct gv_sasl_hint hint = {.account = m->account,
                                    .ms = m->ms,
                                    .service = p->service,
                                    .kind = p->kind,
                                    .blame = p->blame};
        gv_hints_add_sasl(a->hints, &hint);
    }
}

size_t gv_assemble(struct gv_assembler *assembler, struct gv_reading *out, uint64_t *faults,
                   const struct gv_parsed *parsed, const struct gv_moment *moment)
{
    if (parsed->said == GV_SAID_HINT) {
        add_hint(assembler, parsed, moment);
        return 0;
    }
    switch (parsed->mta) {
    case GV_MTA_DOVECOT:
        return assemble_login(assembler, out, faults, parsed, moment);
    case GV_MTA_EXIM:
    case GV_MTA_SENDMAIL:
        return assemble_visit(assembler, out, faults, parsed, moment);
    case GV_MTA_CYRUS:
    case GV_MTA_COURIER:
        return gv_mailbox_take(&assembler->mailbox, out, faults, assembler->hints, parsed, moment);
    default:
        return assemble_smtpd(assembler, out, faults, parsed, moment);
    }
}

size_t gv_assemble_settle(struct gv_assembler *assembler, struct gv_reading *out, uint64_t now_ms,
                          uint64_t wait_ms)
{
    uint32_t now = (uint32_t)(now_ms / 1000), *at = &assembler->settled;
    size_t n = 0;

    if (!assembler->may_be_drops)
        return 0;
    if (*at == 0)
        assembler->drops_left = false;
    while (n < GV_READINGS_MAX && *at < GV_CONNECTION_SETS * GV_CONNECTION_WAYS) {
        uint32_t i = (*at)++;
        struct connection *c = &assembler->table[i / GV_CONNECTION_WAYS][i % GV_CONNECTION_WAYS];
        if (c->dropped && now - assembler->drop_read[i] >= wait_ms / 1000)
            n += settle_drop(out + n, c);
        assembler->drops_left |= c->dropped;
    }
    if (n < GV_READINGS_MAX) {
        *at = 0;
        assembler->may_be_drops = assembler->drops_left;
    }
    return n;
}

bool gv_assembler_holds(const struct gv_assembler *assembler)
{
    return assembler->mailbox.held_count > 0;
}

size_t gv_assemble_release(struct gv_assembler *assembler, struct gv_reading *out, uint64_t ms)
{
    return gv_mailbox_release(&assembler->mailbox, out, ms);
}

size_t gv_assemble_flush(struct gv_assembler *assembler, struct gv_reading *out)
{
    size_t n = gv_assemble_release(assembler, out, UINT64_MAX);

    while (n < GV_READINGS_MAX && assembler->flushed < GV_CONNECTION_SETS * GV_CONNECTION_WAYS) {
        uint32_t i = assembler->flushed++;
        n +=
            settle_drop(out + n, &assembler->table[i / GV_CONNECTION_WAYS][i % GV_CONNECTION_WAYS]);
    }
    if (n == 0)
        assembler->flushed = 0;
    return n;
}
