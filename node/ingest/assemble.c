#include "node/ingest/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "node/ingest/assembler.h"

struct gv_assembler *gv_assembler_new(struct gv_hints *hints, struct gv_reader_counters *counters)
{
    struct gv_assembler *a = aligned_alloc(_Alignof(struct gv_assembler), sizeof *a);

    if (!a)
        return NULL;
    memset(a, 0, sizeof *a);
    a->counters = counters;
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

void gv_reading_put(struct gv_reading *out, const struct gv_ip_address *address, uint8_t service,
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
    gv_reading_put(out, &c->address, c->service, GV_MTA_POSTFIX, c->drop_line, c->drop_ms);
    out->observation.kind = GV_KIND_ABORTED;
    out->observation.attempts = 1;
    out->observation.new_visit = !c->visited;
    c->visited = true;
    c->told = 1;
    return 1;
}

struct connection *gv_connection_find(struct gv_assembler *a, uint64_t key)
{
    const struct connection_set *set = &a->sets[key % GV_CONNECTION_SETS];

    for (size_t i = 0; i < GV_CONNECTION_WAYS; i++)
        if (set->key[i] == key)
            return &a->table[key % GV_CONNECTION_SETS][i];
    return NULL;
}

void gv_connection_restart(struct connection *c, const struct gv_ip_address *address,
                           uint8_t service)
{
    *c = (struct connection){.address = *address, .service = service};
}

/* The entry of a key, made if need be at the cost of the set's oldest; then *fresh is true and
 * nothing is in it. */
struct connection *gv_connection_claim(struct gv_assembler *a, struct gv_reading *out, size_t *n,
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

void gv_connection_release(struct gv_assembler *a, struct connection *c)
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
    struct connection *c = gv_connection_claim(assembler, out, &n, connection, &fresh);

    if (!fresh)
        n += settle_drop(out + n, c);
    gv_connection_restart(c, &parsed->address, parsed->service);
    c->start_ms = ms;
    return n;
}

/* The connection that a line belongs to. Another address means that the disconnect and the connect
 * between were not seen, or that a proxy has told Postfix the true client. */
static struct connection *current(struct gv_assembler *a, struct gv_reading *out, size_t *n,
                                  const struct gv_parsed *p, uint64_t key)
{
    bool fresh;
    struct connection *c = gv_connection_claim(a, out, n, key, &fresh);

    if (fresh) {
        gv_connection_restart(c, &p->address, p->service);
    } else if (!gv_ip_address_equal(&c->address, &p->address)) {
        *n += settle_drop(out + *n, c);
        gv_connection_restart(c, &p->address, p->service);
    }
    return c;
}

void gv_reading_finish(struct gv_reading *r, struct connection *c, uint8_t kind, uint32_t attempts)
{
    r->observation.kind = kind;
    r->observation.attempts = attempts;
    r->observation.new_visit = !c->visited;
    c->visited = true;
}

/* ---- Postfix --------------------------------------------------------------------------------- */

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
size_t gv_assemble_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
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
    gv_reading_put(r, &p->address, p->service, p->mta, m->line, m->ms);
    r->observation.account = m->account;
    r->observation.refused = p->blame == GV_BLAME_POLICY || sum.refused;
    gv_reading_finish(r, c, kind, p->attempts);
    return n;
}

static size_t smtpd_failure(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;
    struct connection *c = current(a, out, &n, p, m->connection);

    c->visit_ms = m->ms;
    return n + gv_assemble_failure(a, out + n, faults, c, p, m);
}

size_t gv_assemble_success(struct gv_assembler *a, struct gv_reading *out, struct connection *c,
                           const struct gv_parsed *p, const struct gv_moment *m)
{
    /* Every mail of a connection repeats the login that it came in with. */
    if (c->success)
        return 0;
    c->success = true;
    if (p->anybody)
        return 0;
    gv_hints_forget(a->hints, &c->address, m->account);
    gv_reading_put(out, &c->address, c->service, p->mta, m->line, m->ms);
    out->observation.account = m->account;
    out->observation.success = true;
    gv_reading_finish(out, c, GV_KIND_UNSPECIFIED, 0);
    return 1;
}

static size_t smtpd_success(struct gv_assembler *a, struct gv_reading *out,
                            const struct gv_parsed *p, const struct gv_moment *m)
{
    size_t n = 0;
    struct connection *c = current(a, out, &n, p, m->connection);

    return n + gv_assemble_success(a, out + n, c, p, m);
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
        gv_reading_put(&out[n], &c->address, c->service, GV_MTA_POSTFIX, m->line, m->ms);
        gv_reading_finish(&out[n++], c,
                          sum.unknown ? GV_KIND_UNKNOWN_ACCOUNT : GV_KIND_WRONG_PASSWORD,
                          sum.unknown + sum.wrong);
    }
    if (sum.refused > 0) {
        gv_reading_put(&out[n], &c->address, c->service, GV_MTA_POSTFIX, m->line, m->ms);
        out[n].observation.refused = true;
        gv_reading_finish(&out[n++], c, GV_KIND_UNSPECIFIED, sum.refused);
    }
    if (untold > taken) {
        gv_reading_put(&out[n], &c->address, c->service, GV_MTA_POSTFIX, m->line, m->ms);
        gv_reading_finish(&out[n++], c, GV_KIND_ABORTED, untold - taken);
    }
    return n;
}

/* Without a pid all connections that are open from one address are one entry: this one ends, and
 * what was told of the others waits for their own ends, if these are not long overdue. True when
 * nothing waits. */
#define OVERDUE_MS 3600000u
static bool all_ended(struct connection *c, uint32_t failed, const struct gv_parsed *p,
                      const struct gv_moment *m)
{
    if (m->told_apart || !p->has_counts || c->told <= failed ||
        gv_ms_apart(m->ms, c->visit_ms) > OVERDUE_MS)
        return true;
    c->told -= failed;
    c->success = false;
    return false;
}

static size_t smtpd_disconnect(struct gv_assembler *a, struct gv_reading *out, uint64_t *faults,
                               const struct gv_parsed *p, const struct gv_moment *m)
{
    struct connection alone = {.address = p->address, .service = p->service};
    struct connection *held = gv_connection_find(a, m->connection), *c = held ? held : &alone;
    uint32_t failed = gv_parsed_failed(p);
    size_t n = 0;

    if (!gv_ip_address_equal(&c->address, &p->address)) {
        n += settle_drop(out, c);
        c = &alone;
    }
    if (!p->has_counts) {
        n += settle_drop(out + n, c);
    } else {
        /* Who got in may have done so as nobody (ANONYMOUS), as only the line of a mail would tell:
         * it clears what a passdb said of the same attempt, and is no login. */
        if (p->auth_good > 0 && !c->success)
            gv_hints_forget(a->hints, &c->address, 0);
        if (failed > c->told)
            n += smtpd_untold(a, out + n, faults, c, failed - c->told, m);
    }
    if (held && (c == &alone || all_ended(c, failed, p, m)))
        gv_connection_release(a, held);
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

/* ---- All of them ----------------------------------------------------------------------------- */

static void add_hint(struct gv_assembler *a, const struct gv_parsed *p, const struct gv_moment *m)
{
    if (p->mta == GV_MTA_DOVECOT) {
        struct gv_hint hint = {.address = p->address,
                               .kind = p->kind,
                               .blame = p->blame,
                               .times =
                                   p->attempts < UINT16_MAX ? (uint16_t)p->attempts : UINT16_MAX,
                               .ms = m->ms,
                               .account = m->account,
                               .session = m->session,
                               .origin = m->origin};
        gv_hints_add(a->hints, &hint, p->again);
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
        return gv_assemble_login(assembler, out, faults, parsed, moment);
    case GV_MTA_EXIM:
    case GV_MTA_SENDMAIL:
        return gv_assemble_visit(assembler, out, faults, parsed, moment);
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

    if (!assembler->may_be_drops)
        return n;
    while (n < GV_READINGS_MAX && assembler->flushed < GV_CONNECTION_SETS * GV_CONNECTION_WAYS) {
        uint32_t i = assembler->flushed++;
        n +=
            settle_drop(out + n, &assembler->table[i / GV_CONNECTION_WAYS][i % GV_CONNECTION_WAYS]);
    }
    if (n == 0) {
        assembler->flushed = 0;
        assembler->may_be_drops = false;
    }
    return n;
}
