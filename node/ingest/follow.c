#include "node/ingest/follow.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/base/statistics.h"
#include "node/ingest/mail_flow_json.h"

#define STAMP_AHEAD_MS 600000u /* clocks of hosts that log to this one may run so far ahead */
#define LOOK_MS        1000u   /* a log that is not there by then is worth a warning */
#define NAME_MAX_BYTES 1024

/* Changes of counts that belong to one minute: handed on together. */
struct counted {
    uint64_t minute;
    uint32_t which; /* bits */
    int64_t deltas[GV_STATISTICS_COUNT];
};
_Static_assert(GV_STATISTICS_COUNT <= 32, "a bit for each");

struct gv_follow {
    struct gv_follow_options options;
    struct counted counted;
    struct gv_sources *sources;                /* NULL: no log is named */
    struct gv_mail_flow *flow;                 /* of all of them together */
    enum gv_source_state told[GV_SOURCES_MAX]; /* state of each as last logged */
    bool spoke[GV_SOURCES_MAX];                /* something was logged of it */
    bool moved[GV_SOURCES_MAX];                /* since it was kept */
    struct gv_position files[GV_SOURCES_MAX];  /* which one was last followed, and no more */
    uint64_t damages[GV_SOURCES_MAX];          /* as last logged */
    /* What the reader of each knows between two lines; behind the last, what they share, and the
     * messages that the flow knows. */
    struct gv_memory *memories[GV_SOURCES_MAX + 2];
    uv_timer_t timer;
};

static void position_name(char out[NAME_MAX_BYTES], const char *path)
{
    snprintf(out, NAME_MAX_BYTES, "log %.1000s", path);
}

/* It was there, now or in an earlier run. */
static bool is_gone(const struct gv_source_status *status)
{
    return status->state == GV_SOURCE_WAITING && status->position.inode != 0;
}

static const char *state_text(const struct gv_source_status *status)
{
    if (status->kind == GV_LOG_JOURNAL && status->state == GV_SOURCE_WAITING)
        return "waiting for the journal";
    return is_gone(status) ? "gone, waiting for it" : gv_source_state_text(status->state);
}

static bool is_socket(const struct gv_source_status *status)
{
    return status->kind == GV_LOG_SYSLOG_UDP || status->kind == GV_LOG_SYSLOG_UNIX;
}

static void say_state(const struct gv_source_status *status)
{
    switch (status->state) {
    case GV_SOURCE_READING:
        gv_log(GV_LOG_INFO, "reading the log %s", status->path);
        break;
    case GV_SOURCE_WAITING:
        if (is_gone(status))
            gv_log(GV_LOG_WARNING, "the log %s is gone; waiting for it to come back", status->path);
        else if (status->kind == GV_LOG_JOURNAL)
            gv_log(GV_LOG_WARNING,
                   "there is no journal to read (%s); it is looked for again (see [log] file)",
                   status->path);
        else
            gv_log(GV_LOG_WARNING, "the log %s is not there yet; waiting for it (see [log] file)",
                   status->path);
        break;
    case GV_SOURCE_DENIED:
        gv_log(GV_LOG_WARNING, "the log %s may not be %s; give the daemon's user the right to%s",
               status->path, is_socket(status) ? "opened" : "read",
               status->kind == GV_LOG_JOURNAL ? " (group systemd-journal)"
               : is_socket(status)            ? ""
                                              : " (group adm, on Debian)");
        break;
    default:
        gv_log(GV_LOG_WARNING, "the log %s: %s%s%s", status->path,
               gv_source_state_text(status->state), status->error ? ": " : "",
               status->error ? strerror(status->error) : "");
        break;
    }
}

static void on_reading(void *context, const struct gv_reading *reading, size_t source)
{
    const struct gv_follow *follow = context;

    (void)source;
    follow->options.observation(follow->options.context, &reading->observation);
}

static void keep_cursor(const struct gv_follow *follow, const char *name, const char *cursor)
{
    char whole[GV_CURSOR_MAX] = "";

    snprintf(whole, sizeof whole, "%s", cursor);
    follow->options.keep(follow->options.context, name, whole, sizeof whole);
}

static void save(struct gv_follow *follow, size_t memory)
{
    gv_memory_save(follow->memories[memory], follow->options.keep, follow->options.context);
}

static void hand_on(struct gv_follow *follow)
{
    struct counted *c = &follow->counted;

    for (; c->which; c->which &= c->which - 1) {
        unsigned which = (unsigned)__builtin_ctz(c->which);
        follow->options.count(follow->options.context, which, c->deltas[which], c->minute * 60000);
        c->deltas[which] = 0;
    }
}

static void tell_state(struct gv_follow *follow, const struct gv_source_status *status,
                       size_t source)
{
    if (follow->told[source] != status->state) {
        say_state(status);
        follow->spoke[source] = true;
    }
    follow->told[source] = status->state;
    if (follow->damages[source] != status->damages)
        gv_log(GV_LOG_WARNING,
               "a compressed generation of the log %s is cut short or damaged: what could be read "
               "of it was",
               status->path);
    follow->damages[source] = status->damages;
}

/* Another file than before, or the same one's first line: what is stored must name it before it can
 * be rotated away, for from another place it could not be found again. */
static bool is_new(struct gv_follow *follow, const struct gv_source_status *status, size_t source)
{
    const struct gv_position *p = &status->position;
    struct gv_position file = {.device = p->device, .inode = p->inode, .checksum = p->checksum};

    if (memcmp(&file, &follow->files[source], sizeof file) == 0)
        return false;
    follow->files[source] = file;
    return true;
}

static void on_progress(void *context, size_t source)
{
    struct gv_follow *follow = context;
    struct gv_source_status status;

    gv_sources_status(follow->sources, &status, source);
    tell_state(follow, &status, source);
    follow->moved[source] = true;
    follow->options.later(follow->options.context,
                          (status.kind == GV_LOG_FILE || status.kind == GV_LOG_JOURNAL) &&
                              !is_new(follow, &status, source));
}

static void keep_position(const struct gv_follow *follow, size_t source)
{
    struct gv_source_status status;
    char name[NAME_MAX_BYTES];

    gv_sources_status(follow->sources, &status, source);
    position_name(name, status.path);
    if (status.kind == GV_LOG_FILE)
        follow->options.keep(follow->options.context, name, &status.position,
                             sizeof status.position);
    else if (status.kind == GV_LOG_JOURNAL)
        keep_cursor(follow, name, status.cursor);
}

void gv_follow_keep(struct gv_follow *follow)
{
    bool any = false;

    if (!follow || !follow->sources)
        return;
    hand_on(follow);
    for (size_t i = 0; i < gv_sources_count(follow->sources); i++) {
        if (!follow->moved[i])
            continue;
        follow->moved[i] = false;
        any = true;
        keep_position(follow, i);
        save(follow, i);
    }
    if (!any)
        return;
    save(follow, gv_sources_count(follow->sources));
    if (follow->flow)
        save(follow, gv_sources_count(follow->sources) + 1);
}

static void add_count(struct gv_follow *follow, unsigned which, int64_t delta, uint64_t unix_ms)
{
    struct counted *c = &follow->counted;

    if (unix_ms / 60000 != c->minute) {
        hand_on(follow);
        c->minute = unix_ms / 60000;
    }
    c->which |= 1u << which;
    c->deltas[which] += delta; /* of a batch of lines: far from the end of 64 bits */
}

static void on_count(void *context, enum gv_mail_count which, int64_t delta, uint64_t unix_ms)
{
    add_count(context, which, delta, unix_ms);
}

static void on_outgoing(void *context, uint64_t unix_ms)
{
    add_count(context, GV_STATISTICS_OUTGOING, 1, unix_ms);
}

static void on_look(uv_timer_t *timer)
{
    const struct gv_follow *follow = timer->data;
    struct gv_source_status status;

    for (size_t i = 0; follow->sources && i < gv_sources_count(follow->sources); i++) {
        gv_sources_status(follow->sources, &status, i);
        if (status.state == GV_SOURCE_WAITING && !follow->spoke[i])
            say_state(&status);
    }
}

/* What the readers knew when they were left at their positions. */
static int recall(struct gv_follow *follow, const struct gv_follow_options *options)
{
    struct gv_memory_area areas[GV_READER_AREAS];
    char name[NAME_MAX_BYTES];

    for (size_t i = 0; i <= options->path_count; i++) {
        size_t n = gv_sources_memory(follow->sources, areas, i);

        if (i < options->path_count)
            snprintf(name, sizeof name, "visits %.980s", options->paths[i]);
        else
            snprintf(name, sizeof name, "hints");
        follow->memories[i] = gv_memory_new(name, GV_READER_FORM, areas, n);
        if (!follow->memories[i])
            return GV_ERR_MEMORY;
        if (gv_memory_load(follow->memories[i], options->kept, options->context))
            gv_sources_recall(follow->sources, i);
    }
    if (!follow->flow)
        return GV_OK;
    struct gv_memory **flow = &follow->memories[options->path_count + 1];
    size_t n = gv_mail_flow_memory(follow->flow, areas);
    uv_timeval64_t now;
    *flow = gv_memory_new("mail flow", GV_MAIL_FLOW_FORM, areas, n);
    if (!*flow)
        return GV_ERR_MEMORY;
    uv_gettimeofday(&now);
    if (gv_memory_load(*flow, options->kept, options->context))
        gv_mail_flow_recall(follow->flow, 1000 * (uint64_t)now.tv_sec);
    return GV_OK;
}

/* The hashes of queue ids are stored, so they are made under the same key after a restart. */
static uint64_t flow_key(const uint8_t account_key[GV_ACCOUNT_KEY_LEN])
{
    static const uint8_t purpose[] = "mail flow";
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t key;

    crypto_shorthash(hash, purpose, sizeof purpose, account_key);
    memcpy(&key, hash, sizeof key);
    gv_wipe(hash, sizeof hash);
    return key;
}

static int open_sources(struct gv_follow *follow, const struct gv_follow_options *options)
{
    struct gv_position positions[GV_SOURCES_MAX] = {0};
    char cursors[GV_SOURCES_MAX][GV_CURSOR_MAX] = {0};
    struct gv_sources_config config = {
        .paths = options->paths,
        .path_count = options->path_count,
        .syslog = options->syslog,
        .positions = positions,
        .cursors = (const char(*)[GV_CURSOR_MAX])cursors,
        .from_start = options->from_start,
        .reader = {.ahead_ms = STAMP_AHEAD_MS},
        .on_reading = on_reading,
        .on_progress = on_progress,
        .context = follow,
    };
    char name[NAME_MAX_BYTES];

    if (options->path_count > GV_SOURCES_MAX)
        return GV_ERR_RANGE;
    for (size_t i = 0; i < options->path_count; i++) {
        position_name(name, options->paths[i]);
        if (!options->kept(options->context, name, &positions[i], sizeof positions[i])) {
            memset(&positions[i], 0, sizeof positions[i]);
            if (!options->kept(options->context, name, &positions[i], GV_POSITION_OLD))
                memset(&positions[i], 0, sizeof positions[i]);
        }
        if (!options->kept(options->context, name, cursors[i], sizeof cursors[i]))
            memset(cursors[i], 0, sizeof cursors[i]);
        cursors[i][GV_CURSOR_MAX - 1] = '\0';
    }
    struct gv_mail_flow_config flow = {
        .on_count = on_count, .on_outgoing = on_outgoing, .context = follow};
    flow.key = flow_key(options->account_key);
    bool lacking = options->count && !(follow->flow = gv_mail_flow_new(&flow));
    gv_wipe(&flow.key, sizeof flow.key);
    if (lacking)
        return GV_ERR_MEMORY;
    config.reader.flow = follow->flow;
    memcpy(config.reader.key, options->account_key, sizeof config.reader.key);
    int rc = gv_sources_new(&follow->sources, options->loop, &config);
    gv_wipe(config.reader.key, sizeof config.reader.key);
    if (rc == GV_OK)
        rc = recall(follow, options);
    if (rc == GV_OK)
        rc = gv_sources_start(follow->sources);
    return rc;
}

int gv_follow_start(struct gv_follow **out, const struct gv_follow_options *options,
                    struct gv_text *error)
{
    struct gv_follow *follow = calloc(1, sizeof *follow);

    if (!follow)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    follow->options = *options;
    follow->options.paths = NULL; /* the caller's */
    follow->options.syslog = NULL;
    gv_wipe(follow->options.account_key, sizeof follow->options.account_key);
    uv_timer_init(options->loop, &follow->timer);
    follow->timer.data = follow;
    int rc = GV_OK;
    if (options->path_count == 0)
        gv_log(GV_LOG_NOTICE,
               "no mail log is named: this node sees no failures of its own; set [log] file");
    else
        rc = open_sources(follow, options);
    if (rc != GV_OK) {
        gv_follow_stop(follow);
        return gv_fail(error, rc, "the logs cannot be followed: %s", gv_strerror(rc));
    }
    uv_timer_start(&follow->timer, on_look, LOOK_MS, 0);
    *out = follow;
    return GV_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_follow *follow = handle->data;

    for (size_t i = 0; i < sizeof follow->memories / sizeof *follow->memories; i++)
        gv_memory_free(follow->memories[i]);
    gv_sources_free(follow->sources);
    gv_mail_flow_free(follow->flow);
    free(follow);
}

static void on_turn(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_closed);
}

/* Sources may only be freed a turn of the loop after they were stopped: the timer waits for it. */
void gv_follow_stop(struct gv_follow *follow)
{
    if (!follow)
        return;
    if (follow->sources) {
        gv_sources_stop(follow->sources);
        hand_on(follow);
    }
    uv_timer_start(&follow->timer, on_turn, 10, 0);
}

void gv_follow_erase(struct gv_follow *follow, const struct gv_subject *subject)
{
    if (!follow || !follow->sources)
        return;
    gv_follow_keep(follow);
    gv_sources_erase(follow->sources, subject);
    for (size_t i = 0; i <= gv_sources_count(follow->sources); i++)
        gv_memory_save_anew(follow->memories[i], follow->options.keep, follow->options.context);
}

json_t *gv_follow_json(const struct gv_follow *follow)
{
    json_t *list = json_array();
    struct gv_source_status s;

    for (size_t i = 0; follow && follow->sources && i < gv_sources_count(follow->sources); i++) {
        gv_sources_status(follow->sources, &s, i);
        json_array_append_new(
            list,
            json_pack(
                "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "path",
                s.path, "state", state_text(&s), "lines", (json_int_t)s.counters.lines, "matched",
                (json_int_t)s.counters.matched, "failures", (json_int_t)s.counters.failures,
                "attempts", (json_int_t)s.counters.attempts, "successes",
                (json_int_t)s.counters.successes, "skipped", (json_int_t)s.counters.skipped,
                "unnamed", (json_int_t)s.counters.unnamed, "torn", (json_int_t)s.counters.torn,
                "untold", (json_int_t)s.counters.untold, "rotations", (json_int_t)s.rotations,
                "refused", (json_int_t)s.refused, "offset", (json_int_t)s.position.offset));
    }
    return list;
}

bool gv_follow_queue(const struct gv_follow *follow, uint64_t *messages, uint64_t *oldest_ms)
{
    struct gv_mail_queue queue;

    *messages = *oldest_ms = 0;
    if (!follow || !follow->flow)
        return false;
    gv_mail_flow_queue(follow->flow, &queue);
    *messages = queue.messages + queue.forgotten;
    *oldest_ms = queue.oldest_ms;
    return true;
}

json_t *gv_follow_mail_json(const struct gv_follow *follow)
{
    return follow && follow->flow ? gv_mail_flow_json(follow->flow) : NULL;
}
