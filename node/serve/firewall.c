#include "node/serve/firewall.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/firewall_record.h"
#include "node/base/log.h"
#include "node/serve/slices.h"

#define FLUSH_MS   50u /* changes that come within it are one transaction */
#define TICK_MS    1000u
#define ROUNDS     10u /* ticks in which every entry is looked at once */
#define RETRY_S    2u
#define ANSWER_S   60u         /* then the helper is taken for dead */
#define OUT_MAX    (32u << 20) /* of GV_FIREWALL_ENTRIES entries, 12 MB */
#define KEEP_MAX   (1u << 20)  /* a buffer that was larger is given back */
#define SLACK_S    15u         /* an entry ends this long after its action; the feed is faster */
#define RENEW_S    (GV_FIREWALL_LEASE_S / 2)
#define LEASE_UNIT 60u /* of what is remembered of an entry: one byte */
#define STEPS      16u /* of a slice between two looks at the clock */

struct gv_firewall {
    uv_loop_t *loop;
    const struct gv_core *core;
    const struct gv_feed *feed;
    struct gv_feed_watcher watcher;
    struct gv_listing *leases; /* what was told, and until when: the minute modulo 255, plus one */
    size_t cursor, round_left; /* of the round through leases; how many more in this tick */
    unsigned again; /* ticks in which every entry is told once more: a round, after lists changed */
    struct gv_slices slices;
    struct gv_listing
        *whole; /* owned; what a whole list still has to name. NULL: none is under way */
    size_t whole_cursor;
    char *path;              /* of the socket; owned */
    struct gv_prefix *lists; /* owned; [policy] allow, then deny */
    size_t allow_count, deny_count;
    unsigned fed;           /* which of enum gv_listed go there */
    bool enforced, leaving; /* leaving: the empty list is on its way */
    bool stopping, retry_whole;

    uv_timer_t timer, flush;
    uv_pipe_t pipe;
    uv_connect_t connect;
    uv_write_t write;
    bool open, connected, writing; /* of the pipe */
    unsigned handles;              /* to be closed before it can be freed */
    uint64_t retry_ms, answer_due_ms, ranges_ms;
    struct gv_buf out, sent; /* to be written; being written */
    bool uncommitted;
    uint32_t number;
    char in[16 * GV_FIREWALL_RECORD];
    size_t in_len;
    bool told_absent;

    uint32_t in_place, not_taken;
    enum gv_firewall_result result;
    uint64_t lists_sent;
};

static uint64_t minute_now(const struct gv_firewall *f)
{
    return uv_now(f->loop) / 1000 / LEASE_UNIT;
}

static uint32_t unix_s(void)
{
    return (uint32_t)time(NULL);
}

/* ---- until when ------------------------------------------------------------------------------ */

static uint32_t capped(int64_t seconds)
{
    seconds = seconds < 0 ? 0 : seconds;
    seconds += SLACK_S;
    return seconds > GV_FIREWALL_LEASE_S ? GV_FIREWALL_LEASE_S : (uint32_t)seconds;
}

/* How long what it stands there for lasts, as far as the core knows. 0: for nothing. */
static uint32_t lasts(const struct gv_firewall *f, const struct gv_subject *subject)
{
    struct gv_verdict verdict;
    struct gv_history_summary history;
    struct gv_decision decision = gv_core_decide(f->core, &verdict, NULL, subject);

    if (decision.action != GV_ACTION_REFUSE) {
        if (!(gv_listing_get(gv_feed_listing(f->feed), subject) & f->fed))
            return 0;
        /* The feed has not come by since an allow list named it, and need not find it when that
         * is over: so it stays, beside that list, and for as long as a round may take. */
        return capped(verdict.state == GV_VERDICT_UNTRUSTED
                          ? (int64_t)verdict.until_min * 60 - unix_s()
                          : (int64_t)ROUNDS * TICK_MS / 1000);
    }
    if (decision.reason == GV_REASON_LOCKED_HERE) {
        (void)gv_core_history(f->core, &history, subject);
        return capped((int64_t)(history.locked_until_ms / 1000) - unix_s());
    }
    if ((decision.reason == GV_REASON_UNTRUSTED_AND_FAILED_HERE ||
         decision.reason == GV_REASON_CONSENSUS) &&
        verdict.until_min != GV_NEVER)
        return capped((int64_t)verdict.until_min * 60 - unix_s());
    return GV_FIREWALL_LEASE_S;
}

/* ---- records --------------------------------------------------------------------------------- */

static void on_flush(uv_timer_t *timer);

static void put(struct gv_firewall *f, const struct gv_firewall_record *record)
{
    uint8_t wire[GV_FIREWALL_RECORD];

    gv_firewall_record_write(wire, record);
    gv_buf_append(&f->out, wire, sizeof wire);
    f->uncommitted = record->op != GV_FIREWALL_COMMIT;
    if (f->uncommitted && !uv_is_active((uv_handle_t *)&f->flush))
        uv_timer_start(&f->flush, on_flush, FLUSH_MS, 0);
}

static void put_prefix(struct gv_firewall *f, enum gv_firewall_op op,
                       const struct gv_prefix *prefix, uint32_t seconds)
{
    put(f, &(struct gv_firewall_record){.op = op, .prefix = *prefix, .number = seconds});
}

static void add(struct gv_firewall *f, const struct gv_subject *subject, uint32_t seconds)
{
    struct gv_prefix prefix = gv_prefix_of_subject(subject);
    uint64_t until = minute_now(f) + seconds / LEASE_UNIT;

    if (seconds > 0 && gv_firewall_may_refuse(&prefix) &&
        gv_listing_set(f->leases, subject, (unsigned)(until % 255 + 1)) == GV_OK)
        put_prefix(f, GV_FIREWALL_ADD, &prefix, seconds);
}

static void drop(struct gv_firewall *f, const struct gv_subject *subject)
{
    struct gv_prefix prefix = gv_prefix_of_subject(subject);

    if (gv_listing_get(f->leases, subject) == 0)
        return;
    (void)gv_listing_set(f->leases, subject, 0);
    put_prefix(f, GV_FIREWALL_DROP, &prefix, 0);
}

static void commit(struct gv_firewall *f)
{
    put(f, &(struct gv_firewall_record){.op = GV_FIREWALL_COMMIT, .number = ++f->number});
}

/* ---- the lists ------------------------------------------------------------------------------- */

/* A subject is the whole /64, so what is denied within one denies it all. */
static void put_denied(struct gv_firewall *f, const struct gv_prefix *denied)
{
    struct gv_prefix prefix = *denied;
    unsigned full = prefix.family == GV_FAMILY_IPV4 ? 32 : 64;

    if (prefix.bits > full) {
        prefix.bits = (uint8_t)full;
        memset(prefix.bytes + 8, 0, 8);
    }
    if (prefix.bits < full) {
        if (gv_firewall_may_refuse(&prefix))
            put_prefix(f, GV_FIREWALL_ADD, &prefix, GV_FIREWALL_LEASE_S);
        return;
    }
    struct gv_subject subject = {.family = prefix.family};
    memcpy(subject.bytes, prefix.bytes, full / 8);
    add(f, &subject, lasts(f, &subject));
}

static void put_ranges(struct gv_firewall *f)
{
    struct gv_prefix prefix;
    size_t cursor = 0;
    bool deny;

    for (size_t i = 0; i < f->deny_count; i++)
        put_denied(f, &f->lists[f->allow_count + i]);
    while (gv_core_next_listed(f->core, &cursor, &prefix, &deny))
        if (deny)
            put_denied(f, &prefix);
    f->ranges_ms = uv_now(f->loop) + RENEW_S * 1000;
}

static void put_allowed(struct gv_firewall *f)
{
    struct gv_prefix prefix;
    size_t cursor = 0;
    bool deny;

    for (size_t i = 0; i < f->allow_count; i++)
        put_prefix(f, GV_FIREWALL_ALLOW, &f->lists[i], 0);
    while (gv_core_next_listed(f->core, &cursor, &prefix, &deny))
        if (!deny)
            put_prefix(f, GV_FIREWALL_ALLOW, &prefix, 0);
}

static void put_lists(struct gv_firewall *f)
{
    put_allowed(f);
    put_ranges(f);
}

static void end_whole(struct gv_firewall *f)
{
    gv_listing_free(f->whole);
    f->whole = NULL;
}

/* Everything: whatever the helper has beside it goes. What is listed is gone through in slices;
 * what changes meanwhile is told as always. */
static void begin_whole(struct gv_firewall *f)
{
    struct gv_listing *whole = f->enforced ? gv_listing_copy(gv_feed_listing(f->feed)) : NULL;

    /* One that is under way goes on to its end. */
    if (f->enforced && !whole) {
        gv_log_limited(GV_LOG_ERROR, "out of memory: the firewall keeps what it has");
        f->retry_whole = true;
        return;
    }
    end_whole(f);
    f->whole = whole;
    f->retry_whole = false;
    gv_listing_clear(f->leases, gv_feed_listing(f->feed));
    f->cursor = f->whole_cursor = 0;
    put(f, &(struct gv_firewall_record){.op = GV_FIREWALL_BEGIN});
    f->lists_sent++;
    if (f->enforced) {
        put_lists(f);
        gv_slices_begin(&f->slices);
    } else {
        commit(f);
    }
}

static void write_out(struct gv_firewall *f);

static bool some_of_whole(struct gv_firewall *f)
{
    const struct gv_listing *listing = gv_feed_listing(f->feed);
    struct gv_subject subject;
    unsigned bits;

    for (unsigned left = STEPS; left > 0; left--) {
        if (!gv_listing_next(f->whole, &f->whole_cursor, &subject, &bits)) {
            end_whole(f);
            f->answer_due_ms = 0; /* it is asked only now */
            commit(f);
            write_out(f);
            return false;
        }
        if (gv_listing_get(listing, &subject) & f->fed && gv_listing_get(f->leases, &subject) == 0)
            add(f, &subject, lasts(f, &subject));
    }
    return true;
}

static void on_changed(void *context, const struct gv_subject *subject, unsigned was, unsigned is)
{
    struct gv_firewall *f = context;

    if (!f->connected || !f->enforced || !((was | is) & f->fed))
        return;
    if (is & f->fed)
        add(f, subject, lasts(f, subject));
    else
        drop(f, subject);
}

/* Entries whose end has moved, and those that are half way through. */
static void renew(struct gv_firewall *f, const struct gv_subject *subject, unsigned value)
{
    unsigned minutes = (unsigned)((value - 1 + 255 - minute_now(f) % 255) % 255);

    if (minutes > GV_FIREWALL_LEASE_S / LEASE_UNIT)
        minutes = 0; /* over */
    if (f->again == 0 && minutes > RENEW_S / LEASE_UNIT &&
        minutes < GV_FIREWALL_LEASE_S / LEASE_UNIT - 1)
        return;
    uint32_t seconds = lasts(f, subject);
    unsigned fresh = seconds / LEASE_UNIT;
    if (seconds == 0)
        drop(f, subject);
    else if (f->again > 0 || fresh > minutes + 1 || fresh + 1 < minutes)
        add(f, subject, seconds);
}

static bool some_of_round(struct gv_firewall *f)
{
    struct gv_subject subject;
    unsigned value;

    for (unsigned left = STEPS; left > 0 && f->round_left > 0; left--, f->round_left--) {
        if (!gv_listing_next(f->leases, &f->cursor, &subject, &value)) {
            f->cursor = f->round_left = 0;
            break;
        }
        renew(f, &subject, value);
    }
    return f->round_left > 0;
}

static bool some(void *context)
{
    struct gv_firewall *f = context;

    if (!f->connected || !f->enforced || f->stopping)
        return false;
    return f->whole ? some_of_whole(f) || f->round_left > 0 : some_of_round(f);
}

/* ---- the socket ------------------------------------------------------------------------------ */

static void free_when_closed(struct gv_firewall *f)
{
    if (!f->stopping || f->handles > 0 || f->writing)
        return;
    gv_listing_free(f->leases);
    gv_buf_free(&f->out);
    gv_buf_free(&f->sent);
    free(f->lists);
    free(f->path);
    free(f);
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_firewall *f = handle->data;

    f->handles--;
    if (handle == (uv_handle_t *)&f->pipe)
        f->open = false;
    free_when_closed(f);
}

static void hang_up(struct gv_firewall *f)
{
    end_whole(f);
    f->connected = false;
    f->leaving = false;
    f->answer_due_ms = 0;
    gv_buf_clear(&f->out);
    f->uncommitted = false;
    f->in_len = 0;
    f->in_place = 0;
    f->retry_ms = uv_now(f->loop) + RETRY_S * 1000;
    if (f->open && !uv_is_closing((uv_handle_t *)&f->pipe))
        uv_close((uv_handle_t *)&f->pipe, on_closed);
}

static void lost(struct gv_firewall *f, const char *why)
{
    gv_log(GV_LOG_WARNING,
           "grapevine-firewall at %s is lost: %s; what is in place ends within an "
           "hour",
           f->path, why);
    hang_up(f);
}

static void on_written(uv_write_t *write, int status)
{
    struct gv_firewall *f = write->data;

    f->writing = false;
    gv_buf_clear(&f->sent);
    if (f->sent.cap > KEEP_MAX)
        gv_buf_free(&f->sent);
    if (f->stopping) {
        free_when_closed(f);
        return;
    }
    if (status < 0 && status != UV_ECANCELED && f->connected)
        lost(f, uv_strerror(status));
    else
        write_out(f);
}

/* One write at a time: what comes meanwhile waits, within a bound. */
static void write_out(struct gv_firewall *f)
{
    if (!f->connected)
        return;
    if (f->out.failed || f->out.len > OUT_MAX) {
        lost(f, f->out.failed ? "out of memory" : "it takes nothing");
        return;
    }
    if (f->writing || f->out.len == 0)
        return;
    struct gv_buf empty = f->sent;
    f->sent = f->out;
    f->out = empty;
    gv_buf_clear(&f->out);
    uv_buf_t piece = uv_buf_init((char *)f->sent.data, (unsigned)f->sent.len);
    f->write.data = f;
    f->writing = uv_write(&f->write, (uv_stream_t *)&f->pipe, &piece, 1, on_written) == 0;
    if (!f->writing)
        lost(f, "it takes nothing");
    else if (f->answer_due_ms == 0)
        f->answer_due_ms = uv_now(f->loop) + ANSWER_S * 1000;
}

static void on_flush(uv_timer_t *timer)
{
    struct gv_firewall *f = timer->data;

    if (!f->connected)
        return;
    if (f->uncommitted && !f->whole)
        commit(f);
    write_out(f);
}

static void on_answer(struct gv_firewall *f, const struct gv_firewall_record *record)
{
    if (record->result == GV_FIREWALL_KERNEL && f->result != GV_FIREWALL_KERNEL)
        gv_log(GV_LOG_ERROR, "the kernel refuses what grapevine-firewall tells it: see its log");
    f->result = record->result;
    f->in_place = record->in_place;
    f->not_taken += record->not_taken;
    if (record->number != f->number)
        return;
    f->answer_due_ms = 0;
    if (f->leaving) {
        gv_log(GV_LOG_NOTICE, "nftables is not enforced any more: its entries are gone");
        hang_up(f);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct gv_firewall *f = stream->data;
    struct gv_firewall_record record;
    size_t at = 0;

    (void)buf;
    if (got == 0)
        return;
    if (got < 0) {
        lost(f, got == UV_EOF ? "it hung up" : uv_strerror((int)got));
        return;
    }
    f->in_len += (size_t)got;
    for (; f->in_len - at >= GV_FIREWALL_RECORD; at += GV_FIREWALL_RECORD) {
        if (gv_firewall_record_read(&record, (const uint8_t *)f->in + at) != GV_OK ||
            record.op != GV_FIREWALL_DONE) {
            lost(f, "it speaks another language; are both programs of one version?");
            return;
        }
        on_answer(f, &record);
        if (!f->connected)
            return;
    }
    memmove(f->in, f->in + at, f->in_len - at);
    f->in_len -= at;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct gv_firewall *f = handle->data;

    (void)size;
    *buf = uv_buf_init(f->in + f->in_len, (unsigned)(sizeof f->in - f->in_len));
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct gv_firewall *f = connect->data;

    if (f->stopping || status == UV_ECANCELED)
        return;
    if (status < 0 || uv_read_start((uv_stream_t *)&f->pipe, on_alloc, on_read) != 0) {
        if (!f->told_absent)
            gv_log(GV_LOG_WARNING,
                   "%s: %s; is grapevine-firewall running? Tried again every %u seconds", f->path,
                   status < 0 ? uv_strerror(status) : "cannot be read", RETRY_S);
        f->told_absent = true;
        hang_up(f);
        return;
    }
    gv_log(GV_LOG_INFO, "connected with grapevine-firewall at %s", f->path);
    f->told_absent = false;
    f->connected = true;
    put(f, &(struct gv_firewall_record){.op = GV_FIREWALL_HELLO, .number = GV_FIREWALL_VERSION});
    begin_whole(f);
    write_out(f);
}

static void dial(struct gv_firewall *f)
{
    if (f->open || f->stopping || uv_now(f->loop) < f->retry_ms ||
        uv_pipe_init(f->loop, &f->pipe, 0) != 0)
        return;
    f->open = true;
    f->handles++;
    f->pipe.data = f->connect.data = f;
    uv_pipe_connect(&f->connect, &f->pipe, f->path, on_connected);
}

static void on_tick(uv_timer_t *timer)
{
    struct gv_firewall *f = timer->data;
    uint64_t now = uv_now(f->loop);

    if (!f->connected) {
        if (f->enforced)
            dial(f);
        return;
    }
    if (f->answer_due_ms > 0 && !f->whole && now >= f->answer_due_ms) {
        lost(f, "no answer for a minute");
        return;
    }
    if (f->retry_whole)
        begin_whole(f);
    if (f->enforced && !f->whole) {
        f->again -= f->again > 0;
        f->round_left = gv_listing_count(f->leases) / ROUNDS + 64;
        gv_slices_begin(&f->slices);
        if (now >= f->ranges_ms)
            put_ranges(f);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int take_options(struct gv_firewall *f, const struct gv_options *o)
{
    struct gv_prefix *lists = calloc(o->allow.count + o->deny.count + 1, sizeof *lists);

    if (!lists)
        return GV_ERR_MEMORY;
    if (o->allow.count)
        memcpy(lists, o->allowed, o->allow.count * sizeof *lists);
    if (o->deny.count)
        memcpy(lists + o->allow.count, o->denied, o->deny.count * sizeof *lists);
    free(f->lists);
    f->lists = lists;
    f->allow_count = o->allow.count;
    f->deny_count = o->deny.count;
    f->enforced = o->enforced & GV_ENFORCE_NFTABLES;
    f->fed = GV_LISTED_REFUSED | (o->feed == 1 ? GV_LISTED_UNTRUSTED : 0);
    return GV_OK;
}

int gv_firewall_start(struct gv_firewall **out, uv_loop_t *loop, const struct gv_core *core,
                      struct gv_feed *feed, const struct gv_options *options)
{
    struct gv_firewall *f = calloc(1, sizeof *f);
    uint8_t key[16];

    *out = NULL;
    if (!f)
        return GV_ERR_MEMORY;
    randombytes_buf(key, sizeof key);
    f->loop = loop;
    f->core = core;
    f->feed = feed;
    f->leases = gv_listing_new(key);
    gv_wipe(key, sizeof key);
    f->path = strdup(options->firewall_socket);
    gv_buf_init(&f->out);
    gv_buf_init(&f->sent);
    if (!f->leases || !f->path || take_options(f, options) != GV_OK) {
        gv_listing_free(f->leases);
        free(f->path);
        free(f);
        return GV_ERR_MEMORY;
    }
    uv_timer_init(loop, &f->timer);
    uv_timer_init(loop, &f->flush);
    gv_slices_init(&f->slices, loop, some, f);
    f->handles = 3;
    f->timer.data = f->flush.data = f;
    uv_timer_start(&f->timer, on_tick, 0, TICK_MS);
    uv_unref((uv_handle_t *)&f->timer);
    f->watcher = (struct gv_feed_watcher){.context = f, .changed = on_changed};
    gv_feed_watch(feed, &f->watcher);
    *out = f;
    return GV_OK;
}

void gv_firewall_stop(struct gv_firewall *firewall)
{
    if (!firewall)
        return;
    firewall->stopping = true;
    hang_up(firewall);
    uv_close((uv_handle_t *)&firewall->timer, on_closed);
    uv_close((uv_handle_t *)&firewall->flush, on_closed);
    gv_slices_close(&firewall->slices, on_closed);
}

/* The entries stay: what the lists make of them, the listing tells. */
void gv_firewall_lists_changed(struct gv_firewall *firewall)
{
    if (!firewall || !firewall->connected || !firewall->enforced)
        return;
    /* At once, and then a whole list that was under way from its beginning. */
    put(firewall,
        &(struct gv_firewall_record){.op = GV_FIREWALL_BEGIN, .number = GV_FIREWALL_LISTS_ONLY});
    put_lists(firewall);
    commit(firewall);
    firewall->lists_sent++;
    /* What an allow list named the helper has thrown away; the feed may not have come by. */
    firewall->again = ROUNDS + 2;
    if (firewall->whole)
        begin_whole(firewall);
    write_out(firewall);
}

void gv_firewall_configure(struct gv_firewall *firewall, const struct gv_options *options)
{
    if (!firewall)
        return;
    bool was = firewall->enforced;
    unsigned fed = firewall->fed;
    if (take_options(firewall, options) != GV_OK) {
        gv_log(GV_LOG_ERROR, "out of memory: the firewall keeps the old lists");
        return;
    }
    firewall->leaving = was && !firewall->enforced && firewall->connected;
    firewall->retry_ms = 0;
    if (was == firewall->enforced && fed == firewall->fed) {
        gv_firewall_lists_changed(firewall);
    } else if (firewall->connected) {
        begin_whole(firewall);
        write_out(firewall);
    }
}

json_t *gv_firewall_json(const struct gv_firewall *firewall)
{
    static const char *const results[GV_FIREWALL_RESULTS] = {"ok", "partly", "kernel"};

    if (!firewall || !firewall->enforced)
        return json_null();
    return json_pack("{s:b, s:s, s:I, s:I, s:I}", "connected", (int)firewall->connected, "state",
                     firewall->connected ? results[firewall->result] : "absent", "in_place",
                     (json_int_t)firewall->in_place, "not_taken", (json_int_t)firewall->not_taken,
                     "lists_sent", (json_int_t)firewall->lists_sent);
}
