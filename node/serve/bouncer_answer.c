/* The two long answers, one entry at a time: 100,000 bans are 15 MB of text, which never lie in
 * memory as a whole. */
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/serve/bouncer_internal.h"

#define ENTRY_MAX 512u
#define HOUR_MS   3600000ULL

enum part {
    BEGIN,   /* not a byte is out */
    LIFTED,  /* remembered */
    UNKNOWN, /* not remembered, but perhaps held by a client that nothing is known of */
    MESH,    /* the same of what the mesh has said */
    BETWEEN,
    ACTIVE,
    AROUND, /* what holds one address or range */
    END,
    OVER
};

struct answer {
    struct gv_bouncers *b;
    struct gv_bouncer_query query;
    bool stream, full;
    uint64_t number;     /* of the key */
    uint8_t address[16]; /* of the client */
    uint64_t from, to, forgotten;
    uint32_t now_s;
    enum part part;
    bool walking, any; /* any: the list has an entry */
    struct gv_bans_walk walk;
    size_t cursor;       /* in the core's tables */
    unsigned length;     /* of prefix, AROUND */
    struct gv_ban range; /* a copy: a small one that is told address by address */
    unsigned next, size; /* of its addresses; size 0: none is */
    uint64_t matched, told, lifted;
    char text[ENTRY_MAX]; /* what did not fit any more */
    size_t len, at;
};

/* ---- text ----------------------------------------------------------------------------------- */

static void say(struct answer *a, const char *text)
{
    size_t len = strlen(text);

    gv_assert(a->len + len < sizeof a->text);
    memcpy(a->text + a->len, text, len + 1);
    a->len += len;
}

static void say_number(struct answer *a, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;

    digits[--at] = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    say(a, digits + at);
}

/* Without printf: a hundred bouncers that start at once want ten million of these. */
static void say_entry(struct answer *a, const struct gv_target *target, uint64_t id,
                      unsigned scenario, int64_t seconds)
{
    char value[GV_PREFIX_TEXT], duration[GV_BOUNCER_DURATION];

    gv_target_text(value, target);
    gv_bouncer_duration(duration, seconds);
    say(a, a->any ? ",{\"duration\":\"" : "[{\"duration\":\"");
    say(a, duration);
    say(a, "\",\"id\":");
    say_number(a, id);
    say(a, ",\"origin\":\"" GV_BOUNCER_ORIGIN "\",\"scenario\":\"");
    say(a, gv_bouncer_scenarios[scenario]);
    say(a, gv_target_is_address(target) ? "\",\"scope\":\"Ip" : "\",\"scope\":\"Range");
    say(a, "\",\"type\":\"" GV_BOUNCER_TYPE "\",\"value\":\"");
    say(a, value);
    say(a, "\"}");
    a->any = true;
}

static void say_ban(struct answer *a, const struct gv_ban *ban)
{
    int64_t seconds = (int64_t)ban->until_s - (int64_t)a->now_s;

    if (!gv_bouncer_query_takes(&a->query, &ban->target, ban->scenario))
        return;
    /* Who starts holds nothing, or what somebody before it was told. */
    if (!ban->sources && a->query.startup && ban->held_s <= a->now_s)
        return;
    if (a->matched++ < a->query.offset || a->told >= a->query.limit)
        return;
    if (a->query.singles && gv_target_is_small(&ban->target)) {
        a->range = *ban;
        a->next = 0;
        a->size = gv_target_size(&ban->target);
        return;
    }
    /* Its range is told, by its addresses, and lasts as long or is said again. */
    if (a->query.singles && gv_target_is_address(&ban->target) &&
        gv_bans_small_around(a->b->bans, &ban->target))
        return;
    if (ban->sources) {
        seconds = seconds < 1 ? 1 : seconds;
        a->told++;
    } else {
        seconds = seconds > -1 ? -1 : seconds;
        a->lifted++;
    }
    say_entry(a, &ban->target, ban->id, ban->scenario, seconds);
}

/* One address of a small range more. Of ranges within each other the narrowest tells it; and it is
 * lifted only when nothing holds it any more. */
static void say_address(struct answer *a)
{
    struct gv_ban one = a->range;
    const struct gv_ban *now = gv_bans_find(a->b->bans, &one.target);

    if (one.sources && !(now && now->sources)) { /* lifted since it was begun */
        a->size = 0;
        return;
    }
    one.target = gv_target_address(&a->range.target, a->next++);
    if (a->next == a->size)
        a->size = 0;
    const struct gv_ban *around = gv_bans_small_around(a->b->bans, &one.target);
    const struct gv_ban *itself = gv_bans_find(a->b->bans, &one.target);
    int64_t seconds = (int64_t)one.until_s - (int64_t)a->now_s;
    if (one.sources) {
        if (around && around->target.bits > a->range.target.bits)
            return;
        a->told++;
        say_entry(a, &one.target, one.id, one.scenario, seconds < 1 ? 1 : seconds);
    } else if (!around && !(itself && itself->sources)) {
        a->lifted++;
        say_entry(a, &one.target, one.id, one.scenario, seconds > -1 ? -1 : seconds);
    }
}

static void end_list(struct answer *a)
{
    say(a, a->any ? "]" : "null");
    a->any = false;
}

/* ---- parts ---------------------------------------------------------------------------------- */

/* While the admin's lists are gone through, a ban may be there that they have lifted: it is decided
 * anew before it is told. NULL: it is lifted. */
static const struct gv_ban *in_force(const struct answer *a, const struct gv_ban *ban)
{
    struct gv_feed *feed = a->b->options.feed;

    if (!ban || !(ban->sources & GV_BAN_SUBJECT) || !gv_feed_busy(feed))
        return ban && ban->sources ? ban : NULL;
    struct gv_target target = ban->target;
    struct gv_subject subject = gv_target_subject(&target);
    gv_feed_subject(feed, &subject);
    ban = gv_bans_find(a->b->bans, &target);
    return ban && ban->sources ? ban : NULL;
}

/* False: the part is over. */
static bool walk_on(struct answer *a, bool lifted)
{
    if (!a->walking)
        gv_bans_walk_begin(&a->walk, a->b->bans, lifted, a->from, a->to);
    a->walking = true;
    const struct gv_ban *ban = gv_bans_walk_next(&a->walk);
    if (ban) {
        if (!lifted)
            ban = in_force(a, ban);
        if (ban)
            say_ban(a, ban);
        return true;
    }
    gv_bans_walk_end(&a->walk);
    a->walking = false;
    return false;
}

/* A subject that the client may hold although nobody remembers: after a restart of the node, or a
 * long time without asking, what may have been banned and is not is said to be lifted. */
static void say_unknown(struct answer *a, const struct gv_subject *subject)
{
    struct gv_target target = gv_target_of_subject(subject);

    if (gv_bans_find(a->b->bans, &target) ||
        (a->query.singles && gv_bans_small_around(a->b->bans, &target)) ||
        !gv_bouncer_query_takes(&a->query, &target, GV_SCENARIO_LOCKED))
        return;
    a->lifted++;
    say_entry(a, &target, 0, GV_SCENARIO_LOCKED, -1);
}

/* A refusal takes two points, or a lock, which lasts an hour; and a ban is said to last for 12
 * hours after the last failure and a day at most. A login takes the points away. */
static bool may_be_held(const struct gv_history_summary *history, uint64_t now_ms)
{
    uint64_t failed = history->last_failure_ms;

    return failed && failed + 48 * HOUR_MS > now_ms &&
           (history->points >= 2 || failed + 2 * HOUR_MS > now_ms ||
            history->last_success_ms > failed);
}

static bool unknown_on(struct answer *a)
{
    const struct gv_core *core = a->b->options.core;
    struct gv_history_summary history;
    struct gv_subject subject;

    if (!gv_core_next_local(core, &a->cursor, &subject))
        return false;
    if (gv_core_history(core, &history, &subject) == GV_OK &&
        may_be_held(&history, gv_bouncers_now_ms(a->b)))
        say_unknown(a, &subject);
    return true;
}

/* The same of those that were banned on the mesh's word alone. */
static bool mesh_on(struct answer *a)
{
    const struct gv_core *core = a->b->options.core;
    struct gv_subject subject;

    if ((!a->b->options.untrusted && !gv_core_settings(core)->refuse_on_consensus) ||
        !gv_core_next_subject(core, &a->cursor, &subject))
        return false;
    say_unknown(a, &subject);
    return true;
}

static bool around_on(struct answer *a)
{
    const struct gv_target *target = &a->query.target;

    if (a->length > target->bits)
        return false;
    unsigned bits = target->bits - a->length++;
    if (gv_bans_of_length(a->b->bans, target->family, bits) == 0)
        return true;
    struct gv_target wide = gv_target_wider(target, bits);
    const struct gv_ban *ban = in_force(a, gv_bans_find(a->b->bans, &wide));
    if (ban)
        say_ban(a, ban);
    return true;
}

static void next(struct answer *a, enum part part)
{
    a->part = part;
    a->cursor = 0;
}

/* One step: at most one entry more in a->text. */
static void step(struct answer *a)
{
    if (a->size > 0) {
        say_address(a);
        return;
    }
    switch (a->part) {
    case BEGIN:
        if (a->stream)
            say(a, "{\"deleted\":");
        next(a, a->stream ? LIFTED : a->query.around ? AROUND : ACTIVE);
        break;
    case LIFTED:
        if (!walk_on(a, true))
            next(a, a->full && !a->query.startup ? UNKNOWN : BETWEEN);
        break;
    case UNKNOWN:
        if (!unknown_on(a))
            next(a, MESH);
        break;
    case MESH:
        if (!mesh_on(a))
            next(a, BETWEEN);
        break;
    case BETWEEN:
        end_list(a);
        say(a, ",\"new\":");
        next(a, ACTIVE);
        break;
    case ACTIVE:
        if (a->told >= a->query.limit || !walk_on(a, false))
            next(a, END);
        break;
    case AROUND:
        if (!around_on(a))
            next(a, END);
        break;
    case END:
        end_list(a);
        if (a->stream)
            say(a, "}");
        next(a, OVER);
        break;
    case OVER:
        break;
    }
}

/* ---- the source of the answer --------------------------------------------------------------- */

static size_t read_answer(void *context, char *out, size_t room)
{
    struct answer *a = context;
    size_t n = 0;

    while (n < room) {
        if (a->at == a->len) {
            if (a->part == OVER)
                break;
            a->at = a->len = 0;
            step(a);
            continue;
        }
        size_t some = a->len - a->at < room - n ? a->len - a->at : room - n;
        memcpy(out + n, a->text + a->at, some);
        a->at += some;
        n += some;
    }
    return n;
}

/* Only who has had all of it has had any of it; and it is not all if something was forgotten before
 * it could be said. */
static void done(void *context, bool complete)
{
    struct answer *a = context;
    struct gv_bouncers *b = a->b;

    if (a->walking)
        gv_bans_walk_end(&a->walk);
    if (complete && a->stream && gv_bans_forgotten(b->bans) == a->forgotten) {
        gv_bouncers_move_cursor(b, a->number, a->address, a->to);
        b->counters.told += a->told;
        b->counters.lifted += a->lifted;
    }
    b->counters.cut += !complete;
    free(a);
}

void gv_bouncers_answer(struct gv_bouncers *b, struct gv_http_request *request,
                        const struct gv_bouncer_query *query, bool stream, uint64_t number)
{
    struct answer *a = calloc(1, sizeof *a);

    if (!a) {
        gv_http_error(request, 503, "memory", "out of memory, ask again later");
        return;
    }
    a->b = b;
    a->query = *query;
    a->stream = stream;
    a->number = number;
    (void)gv_http_client_bytes(request, a->address);
    a->now_s = gv_bouncers_now_s(b);
    a->to = gv_bans_change(b->bans);
    a->forgotten = gv_bans_forgotten(b->bans);
    uint64_t known = gv_bouncers_cursor(b, number, a->address);
    a->full = stream && (query->startup || known == UINT64_MAX);
    a->from = !stream || a->full ? 0 : known;
    b->counters.full += a->full;
    const struct gv_http_source source = {a, read_answer, done};
    gv_http_respond_source(request, 200, "application/json", &source);
}
