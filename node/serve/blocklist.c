#include "node/serve/blocklist.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "crypto/error.h"
#include "node/serve/answer.h"
#include "node/serve/blocklist_text.h"
#include "node/serve/slices.h"

#define TIDY_MS 60000u
#define LISTS   2u  /* refuse, untrusted */
#define STEPS   16u /* of a slice between two looks at the clock */

/* What was true when a list was written. */
struct version {
    uint64_t serial, ranges; /* of the listing, of the deny list */
    uint64_t at_ms;
};

struct waiter {
    LIST_ENTRY(waiter) list;
    struct gv_http_request *request;
    uint64_t ranges; /* as the admin's lists were then: an older list is none for it */
};

/* One file. */
struct sheet {
    struct gv_blocklist *blocklist;
    enum gv_blocklist_format format;
    bool untrusted;
    struct gv_http_shared *bytes; /* NULL: not written */
    struct version version;       /* of them */
    uint64_t asked_ms;
    LIST_HEAD(, waiter) waiters; /* for the one being written */
    bool writing;
    uv_work_t work;
    struct version next;                 /* of what is being written, by the thread: */
    struct gv_blocklist_entries entries; /* the copy */
    struct gv_listing *walk;             /* owned: what goes into the copy when decided anew */
    size_t cursor;                       /* in it */
    struct gv_buf text;
};

struct gv_blocklist {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct gv_slices slices; /* of the walks */
    const struct gv_feed *feed;
    const struct gv_core *core;
    uint32_t run;
    uint64_t ranges; /* counts what was said of them */
    struct sheet sheets[LISTS][GV_BLOCKLIST_FORMATS];
    unsigned references; /* the timer's, the slices', and one for each that is written */
    bool stopped;
};

static void release(struct gv_blocklist *b)
{
    if (--b->references == 0)
        free(b);
}

/* ---- the copy ------------------------------------------------------------------------------- */

static void add_rules(struct gv_blocklist_entries *out, const struct gv_prefix *list, size_t count,
                      bool deny)
{
    for (size_t i = 0; i < count; i++)
        out->rules[out->rule_count++] = (struct gv_range_rule){.prefix = list[i], .deny = deny};
}

static bool copy_rules(struct gv_blocklist_entries *out, const struct gv_core *core)
{
    const struct gv_settings *settings = gv_core_settings(core);
    struct gv_prefix prefix;
    size_t cursor = 0, count = settings->allow_count + settings->deny_count;
    bool deny;

    while (gv_core_next_listed(core, &cursor, &prefix, &deny))
        count++;
    out->rules = calloc(count + 1, sizeof *out->rules);
    if (!out->rules)
        return false;
    add_rules(out, settings->allow, settings->allow_count, false);
    add_rules(out, settings->deny, settings->deny_count, true);
    for (cursor = 0; gv_core_next_listed(core, &cursor, &prefix, &deny);)
        out->rules[out->rule_count++] =
            (struct gv_range_rule){.prefix = prefix, .deny = deny, .command = true};
    return true;
}

static void take(struct sheet *sheet, const struct gv_subject *subject, unsigned bits)
{
    struct gv_blocklist_entries *out = &sheet->entries;

    if (bits & (sheet->untrusted ? GV_LISTED_UNTRUSTED : GV_LISTED_REFUSED))
        out->subjects[out->subject_count++] = *subject;
}

/* While the admin's lists are gone through, the listing holds what they have lifted: then a copy of
 * it is walked through in slices, and each entry decided anew. Not waited for: who changes the
 * lists again and again would keep everybody waiting. */
static bool copy(struct sheet *sheet)
{
    struct gv_blocklist *b = sheet->blocklist;
    const struct gv_listing *listing = gv_feed_listing(b->feed);
    struct gv_blocklist_entries *out = &sheet->entries;
    struct gv_subject subject;
    size_t cursor = 0;
    unsigned bits;

    *out = (struct gv_blocklist_entries){.untrusted = sheet->untrusted};
    if (!sheet->untrusted && !copy_rules(out, b->core))
        return false;
    out->subjects = malloc((gv_listing_count(listing) + 1) * sizeof *out->subjects);
    if (!out->subjects)
        return false;
    if (gv_feed_busy(b->feed)) {
        sheet->walk = gv_listing_copy(listing);
        sheet->cursor = 0;
        return sheet->walk != NULL;
    }
    while (gv_listing_next(listing, &cursor, &subject, &bits))
        take(sheet, &subject, bits);
    return true;
}

static void drop_copy(struct sheet *sheet)
{
    free(sheet->entries.subjects);
    free(sheet->entries.rules);
    gv_listing_free(sheet->walk);
    sheet->walk = NULL;
    sheet->entries = (struct gv_blocklist_entries){.untrusted = false};
}

/* ---- answers -------------------------------------------------------------------------------- */

static void answer(const struct sheet *sheet, struct gv_http_request *request)
{
    const struct version *v = &sheet->version;
    char etag[GV_ETAG_TEXT];

    snprintf(etag, sizeof etag, "\"%08" PRIx32 "-%" PRIx64 "-%" PRIx64 "-%d%d\"",
             sheet->blocklist->run, v->serial, v->ranges, sheet->untrusted, (int)sheet->format);
    if (!gv_answer_unchanged(request, etag))
        gv_http_respond_shared(request, 200, gv_blocklist_type(sheet->format), sheet->bytes);
}

static struct gv_http_request *take_off(struct waiter *waiter)
{
    struct gv_http_request *request = waiter->request;

    LIST_REMOVE(waiter, list);
    free(waiter);
    gv_http_on_closed(request, NULL, NULL);
    return request;
}

static void answer_all(struct sheet *sheet)
{
    struct waiter *waiter, *next;

    for (waiter = LIST_FIRST(&sheet->waiters); waiter; waiter = next) {
        next = LIST_NEXT(waiter, list);
        if (waiter->ranges <= sheet->version.ranges)
            answer(sheet, take_off(waiter));
    }
}

static void fail_all(struct sheet *sheet)
{
    while (!LIST_EMPTY(&sheet->waiters))
        gv_http_error(take_off(LIST_FIRST(&sheet->waiters)), 500, "memory", "out of memory");
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool begin(struct sheet *sheet);

static void write_in_thread(uv_work_t *work)
{
    struct sheet *sheet = work->data;

    gv_buf_init(&sheet->text);
    gv_blocklist_write(&sheet->text, sheet->format, &sheet->entries);
}

static void written(uv_work_t *work, int status)
{
    struct sheet *sheet = work->data;
    struct gv_blocklist *b = sheet->blocklist;
    struct gv_http_shared *bytes = NULL;

    sheet->writing = false;
    drop_copy(sheet);
    if (status == 0 && !sheet->text.failed && !b->stopped) {
        bytes = gv_http_shared_new(sheet->text.data, sheet->text.len);
        gv_buf_init(&sheet->text); /* handed over */
    } else {
        gv_buf_free(&sheet->text);
    }
    if (bytes) {
        gv_http_shared_release(sheet->bytes);
        sheet->bytes = bytes;
        sheet->version = sheet->next;
        answer_all(sheet);
    }
    /* Who asked when the lists were others already gets the next: so nobody waits for a third. */
    if (!bytes || (!LIST_EMPTY(&sheet->waiters) && !begin(sheet)))
        fail_all(sheet);
    release(b);
}

static bool start_thread(struct sheet *sheet)
{
    sheet->work.data = sheet;
    gv_buf_init(&sheet->text);
    if (uv_queue_work(sheet->blocklist->loop, &sheet->work, write_in_thread, written) == 0)
        return true;
    drop_copy(sheet);
    sheet->writing = false;
    sheet->blocklist->references--; /* never the last: it is not stopped */
    return false;
}

static bool begin(struct sheet *sheet)
{
    struct gv_blocklist *b = sheet->blocklist;

    sheet->next = (struct version){.serial = gv_listing_serial(gv_feed_listing(b->feed)),
                                   .ranges = b->ranges,
                                   .at_ms = uv_now(b->loop)};
    if (!copy(sheet)) {
        drop_copy(sheet);
        return false;
    }
    sheet->writing = true;
    b->references++;
    if (!sheet->walk)
        return start_thread(sheet);
    gv_slices_begin(&b->slices);
    return true;
}

/* False: it is at its end, and being written. */
static bool walk_on(struct sheet *sheet)
{
    struct gv_subject subject;
    unsigned bits;

    for (unsigned left = STEPS; left > 0; left--) {
        if (!gv_listing_next(sheet->walk, &sheet->cursor, &subject, &bits)) {
            gv_listing_free(sheet->walk);
            sheet->walk = NULL;
            if (!start_thread(sheet))
                fail_all(sheet);
            return false;
        }
        take(sheet, &subject, gv_feed_look(sheet->blocklist->feed, &subject));
    }
    return true;
}

static bool some(void *context)
{
    struct gv_blocklist *b = context;
    bool more = false;

    for (size_t i = 0; i < LISTS * GV_BLOCKLIST_FORMATS && !b->stopped; i++) {
        struct sheet *sheet = &b->sheets[i / GV_BLOCKLIST_FORMATS][i % GV_BLOCKLIST_FORMATS];
        more = (sheet->walk && walk_on(sheet)) || more;
    }
    return more;
}

static bool fresh(const struct sheet *sheet)
{
    const struct gv_blocklist *b = sheet->blocklist;

    if (!sheet->bytes || sheet->version.ranges != b->ranges)
        return false;
    return sheet->version.serial == gv_listing_serial(gv_feed_listing(b->feed)) ||
           uv_now(b->loop) - sheet->version.at_ms < GV_BLOCKLIST_FRESH_MS;
}

static void gone(void *context)
{
    struct waiter *waiter = context;

    LIST_REMOVE(waiter, list);
    free(waiter);
}

static void handle(struct gv_http_request *request, struct gv_blocklist *b,
                   enum gv_blocklist_format format)
{
    const char *list = gv_http_query(request, "list");
    struct waiter *waiter;

    if (list && strcmp(list, "refuse") != 0 && strcmp(list, "untrusted") != 0) {
        gv_http_error(request, 400, "bad-request", "list must be refuse or untrusted");
        return;
    }
    struct sheet *sheet = &b->sheets[list && *list == 'u'][format];
    sheet->asked_ms = uv_now(b->loop);
    if (fresh(sheet)) {
        answer(sheet, request);
        return;
    }
    waiter = calloc(1, sizeof *waiter);
    if (!waiter || (!sheet->writing && !begin(sheet))) {
        free(waiter);
        gv_http_error(request, 500, "memory", "out of memory");
        return;
    }
    waiter->request = request;
    waiter->ranges = b->ranges;
    LIST_INSERT_HEAD(&sheet->waiters, waiter, list);
    gv_http_on_closed(request, gone, waiter);
}

void gv_blocklist_get_text(struct gv_http_request *request, void *context)
{
    handle(request, context, GV_BLOCKLIST_TEXT);
}

void gv_blocklist_get_json(struct gv_http_request *request, void *context)
{
    handle(request, context, GV_BLOCKLIST_JSON);
}

void gv_blocklist_get_cidr(struct gv_http_request *request, void *context)
{
    handle(request, context, GV_BLOCKLIST_CIDR);
}

void gv_blocklist_get_map(struct gv_http_request *request, void *context)
{
    handle(request, context, GV_BLOCKLIST_MAP);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void forget(struct sheet *sheet)
{
    gv_http_shared_release(sheet->bytes);
    sheet->bytes = NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_blocklist *b = timer->data;
    uint64_t now = uv_now(b->loop);

    for (size_t i = 0; i < LISTS * GV_BLOCKLIST_FORMATS; i++) {
        struct sheet *sheet = &b->sheets[i / GV_BLOCKLIST_FORMATS][i % GV_BLOCKLIST_FORMATS];
        if (now - sheet->asked_ms > GV_BLOCKLIST_KEPT_MS)
            forget(sheet);
    }
}

int gv_blocklist_start(struct gv_blocklist **out, uv_loop_t *loop, const struct gv_feed *feed,
                       const struct gv_core *core)
{
    struct gv_blocklist *b = calloc(1, sizeof *b);

    *out = NULL;
    if (!b)
        return GV_ERR_MEMORY;
    b->loop = loop;
    b->feed = feed;
    b->core = core;
    b->run = randombytes_random();
    b->references = 2;
    for (unsigned i = 0; i < LISTS * GV_BLOCKLIST_FORMATS; i++) {
        struct sheet *sheet = &b->sheets[i / GV_BLOCKLIST_FORMATS][i % GV_BLOCKLIST_FORMATS];
        sheet->blocklist = b;
        sheet->untrusted = i / GV_BLOCKLIST_FORMATS == 1;
        sheet->format = (enum gv_blocklist_format)(i % GV_BLOCKLIST_FORMATS);
        LIST_INIT(&sheet->waiters);
    }
    gv_slices_init(&b->slices, loop, some, b);
    uv_timer_init(loop, &b->timer);
    b->timer.data = b;
    uv_timer_start(&b->timer, on_timer, TIDY_MS, TIDY_MS);
    uv_unref((uv_handle_t *)&b->timer);
    *out = b;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void gv_blocklist_stop(struct gv_blocklist *blocklist)
{
    if (!blocklist)
        return;
    blocklist->stopped = true;
    for (unsigned i = 0; i < LISTS * GV_BLOCKLIST_FORMATS; i++) {
        struct sheet *sheet =
            &blocklist->sheets[i / GV_BLOCKLIST_FORMATS][i % GV_BLOCKLIST_FORMATS];
        forget(sheet);
        if (sheet->walk) { /* no thread has it yet */
            drop_copy(sheet);
            blocklist->references--; /* never the last */
        }
    }
    uv_close((uv_handle_t *)&blocklist->timer, on_closed);
    gv_slices_close(&blocklist->slices, on_closed);
}

void gv_blocklist_ranges_changed(struct gv_blocklist *blocklist)
{
    blocklist->ranges++;
}
