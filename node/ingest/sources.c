#include "node/ingest/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/ingest/hints.h"
#include "node/ingest/journal.h"
#include "node/ingest/still.h"
#include "node/ingest/syslog.h"
#include "node/ingest/tail.h"
#include "node/ingest/timestamp.h"
#include "node/ingest/watched.h"

/* How often a quiet file or journal is looked at: half of this is what a verdict comes later. */
#define POLL_MS 250
/* How soon a source that let another one go first, or has more, is its turn again. Not 0: libuv
 * runs a timer that is due again at once before anything else of the loop. */
#define WAIT_MS 1
/* How often a socket that could not be bound is tried again. */
#define RETRY_MS 5000
/* How often drops without their disconnect line are looked for. */
#define SETTLE_MS 15000
/* What one turn reads of other logs for the why of a failure, in polls: 16 MB of files, or 0.2 s.
 * Only logs that are being caught up with hold that much. */
#define LOOK_BUDGET 128

struct source {
    struct gv_sources *owner;
    size_t index;
    char *path;
    struct gv_log_source where; /* borrows from path */
    struct gv_reader *reader;
    union {
        struct gv_tail tail; /* of standard input: its splitter, state and error */
        struct gv_journal journal;
        struct gv_syslog syslog;
    };
    bool made; /* the union is in use */
    uv_timer_t timer;
    uv_poll_t poll;
    bool timer_open, poll_open;
    bool busy;                 /* it is being read, further up the stack */
    bool behind;               /* more than could be read is waiting; a file or journal */
    struct gv_still still;     /* of a file */
    struct gv_watched watched; /* while that is quiet */
    enum gv_source_state told; /* the last state that on_progress was called for */
};

struct gv_sources {
    uv_loop_t *loop;
    struct gv_sources_config config;
    struct gv_syslog_access syslog;
    struct gv_config_address *senders; /* syslog.from */
    struct source *list;
    size_t count;
    struct gv_hints *hints; /* of all readers */
    unsigned look_budget;   /* polls */
    uv_timer_t settle;
    bool settle_open;
    bool running;
};

const char *gv_source_state_text(enum gv_source_state state)
{
    switch (state) {
    case GV_SOURCE_WAITING:
        return "waiting for the file";
    case GV_SOURCE_READING:
        return "reading";
    case GV_SOURCE_DENIED:
        return "permission denied";
    case GV_SOURCE_NOT_A_FILE:
        return "not a regular file";
    case GV_SOURCE_ENDED:
        return "ended";
    case GV_SOURCE_IN_USE:
        return "somebody else listens there";
    default:
        return "failed";
    }
}

static enum gv_source_state state_of(const struct source *source)
{
    switch (source->where.kind) {
    case GV_LOG_JOURNAL:
        return source->journal.state;
    case GV_LOG_SYSLOG_UDP:
    case GV_LOG_SYSLOG_UNIX:
        return source->syslog.state;
    default:
        return source->tail.state;
    }
}

static void tell(struct source *source, const struct gv_reading *readings, size_t n)
{
    struct gv_sources *s = source->owner;

    for (size_t i = 0; i < n; i++)
        s->config.on_reading(s->config.context, &readings[i], source->index);
}

static void on_line(void *context, const char *line, size_t len)
{
    struct source *source = context;
    struct gv_reading readings[GV_READINGS_MAX];

    if (len == SIZE_MAX)
        gv_reader_skip(source->reader);
    else
        tell(source, readings, gv_reader_line(source->reader, readings, line, len, gv_wall_ms()));
}

static void progress(struct source *source, bool moved)
{
    struct gv_sources *s = source->owner;
    enum gv_source_state state = state_of(source);

    if (!moved && source->told == state)
        return;
    source->told = state;
    if (s->config.on_progress)
        s->config.on_progress(s->config.context, source->index);
}

static void on_settle(uv_timer_t *timer)
{
    struct gv_sources *s = timer->data;
    struct gv_reading readings[GV_READINGS_MAX];
    size_t n;

    for (size_t i = 0; i < s->count; i++) {
        bool any = false;

        while ((n = gv_reader_settle(s->list[i].reader, readings, gv_wall_ms())) > 0) {
            tell(&s->list[i], readings, n);
            any = true;
        }
        if (any)
            progress(&s->list[i], true);
    }
}

/* ---- Reading a bit --------------------------------------------------------------------------- */

static void on_retry(uv_timer_t *timer);

/* `ahead`: between the polls. Returns true when more is waiting already. */
static bool read_file(struct source *source, bool ahead)
{
    struct gv_position before = source->tail.position;
    uint64_t damages = source->tail.damages;
    /* uv_now may be 0 in a fresh loop; the tail's clock begins at 1. */
    uint64_t now = uv_now(source->owner->loop) + 1;
    bool more = ahead ? gv_tail_ahead(&source->tail, now, on_line, source)
                      : gv_tail_poll(&source->tail, now, on_line, source);

    source->behind = more || (source->tail.catching_up && source->tail.state == GV_SOURCE_READING);
    progress(source, memcmp(&before, &source->tail.position, sizeof before) != 0 ||
                         damages != source->tail.damages);
    return more;
}

static bool read_journal(struct source *source)
{
    char before[GV_CURSOR_MAX];

    memcpy(before, source->journal.cursor, sizeof before);
    source->behind =
        gv_journal_poll(&source->journal, uv_now(source->owner->loop) + 1, on_line, source);
    progress(source, strcmp(before, source->journal.cursor) != 0);
    return source->behind;
}

static bool read_datagrams(struct source *source)
{
    if (!source->poll_open)
        return false;
    uint64_t before = gv_reader_counters(source->reader)->lines;
    bool more = gv_syslog_read(&source->syslog, on_line, source);

    if (more || gv_reader_counters(source->reader)->lines != before)
        progress(source, true);
    if (more)
        return true;
    if (source->syslog.fd < 0) {
        uv_close((uv_handle_t *)&source->poll, NULL);
        source->poll_open = false;
        uv_timer_start(&source->timer, on_retry, RETRY_MS, 0);
    }
    progress(source, false);
    return false;
}

static bool read_source(struct source *source, bool ahead)
{
    bool more = false;

    source->busy = true;
    switch (source->where.kind) {
    case GV_LOG_FILE:
        more = read_file(source, ahead);
        break;
    case GV_LOG_JOURNAL:
        more = read_journal(source);
        break;
    case GV_LOG_SYSLOG_UDP:
    case GV_LOG_SYSLOG_UNIX:
        more = read_datagrams(source);
        break;
    default:
        break; /* standard input comes when it comes */
    }
    source->busy = false;
    return more;
}

/* A turn of the loop for one source. */
static bool take_turn(struct source *source)
{
    source->owner->look_budget = LOOK_BUDGET;
    return read_source(source, false);
}

/* One log has a failure at `ms`; its why may stand in another, written before it. So the others are
 * read to their ends, or up to that time where they are being caught up with. (SPEC 10.3) */
static void look_at_others(void *context, uint64_t ms)
{
    struct gv_sources *s = ((struct source *)context)->owner;

    for (size_t i = 0; i < s->count; i++) {
        struct source *other = &s->list[i];

        while (s->running && !other->busy && s->look_budget > 0 &&
               (!other->behind || gv_reader_time(other->reader) <= ms)) {
            if (!read_source(other, true))
                break;
            s->look_budget--; /* a sender of datagrams may be faster than we are */
        }
    }
}

/* Logs of which much is waiting are read side by side, by the time that each has come to; otherwise
 * one would be through with what explains the other's failures long before. */
static bool must_wait(const struct source *source)
{
    const struct gv_sources *s = source->owner;
    uint64_t here = gv_reader_time(source->reader);

    for (size_t i = 0; source->behind && i < s->count; i++)
        if (s->list[i].behind && gv_reader_time(s->list[i].reader) < here)
            return true;
    return false;
}

/* ---- Files and the journal ------------------------------------------------------------------- */

/* Nothing of a file is waited for, but that it grows. */
static bool is_at_end(const struct gv_tail *tail, bool more)
{
    return !more && tail->state == GV_SOURCE_READING && !tail->catching_up && !tail->elsewhere &&
           tail->quiet_ms == 0;
}

static bool look_if_changed(struct source *source)
{
    if (source->where.kind != GV_LOG_FILE)
        return take_turn(source);
    if (!source->behind && gv_still(&source->still, source->tail.path))
        return false;
    bool more = take_turn(source);
    gv_still_looked(&source->still, is_at_end(&source->tail, more));
    return more;
}

static void on_time(uv_timer_t *timer);

static void on_stirred(void *context)
{
    struct source *source = context;

    if (source->owner->running)
        uv_timer_start(&source->timer, on_time, WAIT_MS, 0);
}

/* Whether the kernel tells of the next line. Between the last look and the watch something may have
 * come, which it does not tell of: so it is asked once more whether nothing has. */
static bool is_watched(struct source *source)
{
    struct gv_still *still = &source->still;

    if (source->where.kind != GV_LOG_FILE || source->behind || !still->known)
        return false;
    return gv_watched_is(&source->watched, &still->was) ||
           (gv_watched_begin(&source->watched, source->owner->loop, source->tail.path, &still->was,
                             on_stirred, source) &&
            gv_still(still, source->tail.path));
}

static void on_time(uv_timer_t *timer)
{
    struct source *source = timer->data;

    if (source->watched.on)
        source->still.left = 0; /* it was quiet for two seconds: what no time tells */
    bool wait = must_wait(source);
    bool more = !wait && look_if_changed(source);
    bool watched = !wait && !more && source->owner->running && is_watched(source);

    if (!watched)
        gv_watched_end(&source->watched);
    if (source->owner->running)
        uv_timer_start(timer, on_time,
                       watched        ? GV_WATCHED_MS - uv_now(timer->loop) % GV_WATCHED_MS
                       : wait || more ? WAIT_MS
                                      : POLL_MS,
                       0);
}

/* ---- Syslog sockets -------------------------------------------------------------------------- */

static void on_datagrams(uv_poll_t *poll, int status, int events)
{
    (void)events;
    (void)status;                /* an error of the socket shows in the reading */
    (void)take_turn(poll->data); /* where more is waiting the poll comes again at once */
}

static void on_retry(uv_timer_t *timer)
{
    struct source *source = timer->data;

    gv_syslog_open(&source->syslog);
    if (source->syslog.fd >= 0 &&
        uv_poll_init(source->owner->loop, &source->poll, source->syslog.fd) == 0) {
        source->poll.data = source;
        source->poll_open = true;
        uv_poll_start(&source->poll, UV_READABLE, on_datagrams);
    } else if (source->owner->running) {
        uv_timer_start(timer, on_retry, RETRY_MS, 0);
    }
    progress(source, false);
}

/* ---- Standard input -------------------------------------------------------------------------- */

static void end_input(struct source *source, enum gv_source_state state, int error)
{
    struct gv_reading readings[GV_READINGS_MAX];
    size_t n;

    source->tail.state = state;
    source->tail.error = error;
    while ((n = gv_reader_flush(source->reader, readings)) > 0)
        tell(source, readings, n);
    if (source->poll_open)
        uv_poll_stop(&source->poll);
    progress(source, false);
}

/* One bufferful. True when there may be more at once. */
static bool read_input(struct source *source)
{
    struct gv_splitter *splitter = &source->tail.splitter;
    const char *line;
    size_t space, len;
    enum gv_split split;
    char *into = gv_splitter_space(splitter, &space);
    ssize_t n = read(STDIN_FILENO, into, space);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        end_input(source, n == 0 ? GV_SOURCE_ENDED : GV_SOURCE_FAILED, n == 0 ? 0 : errno);
        return false;
    }
    gv_splitter_filled(splitter, (size_t)n);
    source->owner->look_budget = LOOK_BUDGET;
    source->busy = true;
    while ((split = gv_splitter_next(splitter, &line, &len)) != GV_SPLIT_NONE)
        on_line(source, line, split == GV_SPLIT_LINE ? len : SIZE_MAX);
    source->busy = false;
    progress(source, true);
    return true;
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    struct source *source = poll->data;

    (void)events;
    if (status < 0)
        end_input(source, GV_SOURCE_FAILED, -status);
    else
        (void)read_input(source);
}

/* Standard input that is a file cannot be polled; it is always readable. */
static void on_input_timer(uv_timer_t *timer)
{
    struct source *source = timer->data;

    if (read_input(source) && source->owner->running)
        uv_timer_start(timer, on_input_timer, WAIT_MS, 0);
}

static int start_input(struct source *source)
{
    uv_loop_t *loop = source->owner->loop;
    struct stat st;

    source->tail.state = GV_SOURCE_READING;
    if (fstat(STDIN_FILENO, &st) != 0)
        return GV_ERR_IO;
    if (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)) {
        /* A terminal can be polled, /dev/null cannot. */
        if (uv_guess_handle(STDIN_FILENO) != UV_TTY)
            return uv_timer_start(&source->timer, on_input_timer, 0, 0) == 0 ? GV_OK : GV_ERR_IO;
    }
    if (uv_poll_init(loop, &source->poll, STDIN_FILENO) != 0)
        return GV_ERR_IO;
    source->poll.data = source;
    source->poll_open = true;
    return uv_poll_start(&source->poll, UV_READABLE, on_input) == 0 ? GV_OK : GV_ERR_IO;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static int init_source(struct gv_sources *s, size_t i, const struct gv_sources_config *config)
{
    struct source *source = &s->list[i];
    struct gv_reader_config reader = config->reader;
    struct gv_log_source where;
    int rc = GV_OK;

    source->owner = s;
    source->index = i;
    source->path = strdup(config->paths[i]);
    reader.hints = s->hints;
    reader.look = config->path_count > 1 ? look_at_others : NULL;
    reader.look_context = source;
    reader.never_cut = gv_log_source_parse(&where, config->paths[i], NULL) == GV_OK &&
                       where.kind == GV_LOG_JOURNAL;
    source->reader = gv_reader_new(&reader);
    gv_wipe(reader.key, sizeof reader.key);
    if (!source->path || !source->reader)
        return GV_ERR_MEMORY;
    if (gv_log_source_parse(&source->where, source->path, NULL) != GV_OK)
        return GV_ERR_CONFIG;
    switch (source->where.kind) {
    case GV_LOG_JOURNAL:
        gv_journal_init(&source->journal, source->where.path,
                        config->cursors ? config->cursors[i] : "", config->from_start);
        break;
    case GV_LOG_SYSLOG_UDP:
    case GV_LOG_SYSLOG_UNIX:
        gv_syslog_init(&source->syslog, &source->where, &s->syslog);
        break;
    default:
        rc = gv_tail_init(&source->tail, source->path,
                          config->positions ? &config->positions[i] : NULL, config->from_start);
        break;
    }
    source->made = rc == GV_OK;
    return rc;
}

static int copy_access(struct gv_sources *s, const struct gv_syslog_access *from)
{
    s->syslog.mode = from ? from->mode : 0660;
    if (!from || from->count == 0)
        return GV_OK;
    s->senders = calloc(from->count, sizeof *s->senders);
    if (!s->senders)
        return GV_ERR_MEMORY;
    memcpy(s->senders, from->from, from->count * sizeof *s->senders);
    s->syslog.from = s->senders;
    s->syslog.count = from->count;
    return GV_OK;
}

int gv_sources_new(struct gv_sources **out, struct uv_loop_s *loop,
                   const struct gv_sources_config *config)
{
    if (config->path_count == 0 || config->path_count > GV_SOURCES_MAX)
        return GV_ERR_RANGE;
    struct gv_sources *s = calloc(1, sizeof *s);
    if (!s)
        return GV_ERR_MEMORY;
    s->loop = loop;
    s->config = *config;
    s->list = calloc(config->path_count, sizeof *s->list);
    int rc = s->list ? copy_access(s, config->syslog) : GV_ERR_MEMORY;
    if (rc == GV_OK) {
        s->hints = malloc(sizeof *s->hints);
        rc = s->hints ? GV_OK : GV_ERR_MEMORY;
    }
    if (s->hints)
        gv_hints_init(s->hints);
    for (size_t i = 0; rc == GV_OK && i < config->path_count; i++) {
        s->count = i + 1;
        rc = init_source(s, i, config);
    }
    /* What was the caller's is not kept. */
    s->config.paths = NULL;
    s->config.positions = NULL;
    s->config.cursors = NULL;
    s->config.syslog = NULL;
    gv_wipe(s->config.reader.key, sizeof s->config.reader.key);
    if (rc != GV_OK) {
        gv_sources_free(s);
        return rc;
    }
    *out = s;
    return GV_OK;
}

static int start_source(struct source *source)
{
    static const uv_timer_cb first[] = {[GV_LOG_FILE] = on_time,
                                        [GV_LOG_JOURNAL] = on_time,
                                        [GV_LOG_SYSLOG_UDP] = on_retry,
                                        [GV_LOG_SYSLOG_UNIX] = on_retry};

    if (uv_timer_init(source->owner->loop, &source->timer) != 0)
        return GV_ERR_IO;
    source->timer.data = source;
    source->timer_open = true;
    if (source->where.kind == GV_LOG_INPUT)
        return start_input(source);
    return uv_timer_start(&source->timer, first[source->where.kind], 0, 0) == 0 ? GV_OK : GV_ERR_IO;
}

int gv_sources_start(struct gv_sources *sources)
{
    int rc = GV_OK;

    sources->running = true;
    if (uv_timer_init(sources->loop, &sources->settle) != 0)
        return GV_ERR_IO;
    sources->settle.data = sources;
    sources->settle_open = true;
    uv_timer_start(&sources->settle, on_settle, SETTLE_MS, SETTLE_MS);
    uv_unref((uv_handle_t *)&sources->settle); /* nothing to settle when all inputs have ended */
    for (size_t i = 0; rc == GV_OK && i < sources->count; i++)
        rc = start_source(&sources->list[i]);
    return rc;
}

void gv_sources_stop(struct gv_sources *sources)
{
    sources->running = false;
    if (sources->settle_open)
        uv_close((uv_handle_t *)&sources->settle, NULL);
    sources->settle_open = false;
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = &sources->list[i];

        if (source->timer_open)
            uv_close((uv_handle_t *)&source->timer, NULL);
        if (source->poll_open)
            uv_close((uv_handle_t *)&source->poll, NULL);
        source->timer_open = source->poll_open = false;
        gv_watched_close(&source->watched);
        if (source->where.kind == GV_LOG_SYSLOG_UDP || source->where.kind == GV_LOG_SYSLOG_UNIX)
            gv_syslog_close(&source->syslog); /* its name is free for who comes next */
    }
}

static void free_source(struct source *source)
{
    bool file = source->where.kind == GV_LOG_FILE || source->where.kind == GV_LOG_INPUT;

    if (source->made && source->where.kind == GV_LOG_JOURNAL)
        gv_journal_close(&source->journal);
    else if (source->made && file)
        gv_tail_close(&source->tail);
    gv_reader_free(source->reader);
    free(source->path);
}

void gv_sources_free(struct gv_sources *sources)
{
    if (!sources)
        return;
    for (size_t i = 0; i < sources->count; i++)
        free_source(&sources->list[i]);
    free(sources->list);
    free(sources->hints);
    free(sources->senders);
    free(sources);
}

size_t gv_sources_memory(struct gv_sources *sources, struct gv_memory_area out[GV_READER_AREAS],
                         size_t source)
{
    return source < sources->count ? gv_reader_memory(sources->list[source].reader, out)
                                   : gv_hints_memory(sources->hints, out);
}

void gv_sources_recall(struct gv_sources *sources, size_t source)
{
    if (source < sources->count)
        gv_reader_recall(sources->list[source].reader, gv_wall_ms());
    else
        gv_hints_recall(sources->hints);
}

void gv_sources_erase(struct gv_sources *sources, const struct gv_subject *subject)
{
    for (size_t i = 0; i < sources->count; i++)
        gv_reader_erase(sources->list[i].reader, subject);
    gv_hints_erase(sources->hints, subject);
}

size_t gv_sources_count(const struct gv_sources *sources)
{
    return sources->count;
}

void gv_sources_status(const struct gv_sources *sources, struct gv_source_status *out,
                       size_t source)
{
    const struct source *s = &sources->list[source];

    memset(out, 0, sizeof *out);
    out->path = s->path;
    out->kind = s->where.kind;
    out->state = state_of(s);
    out->cursor = "";
    out->counters = *gv_reader_counters(s->reader);
    switch (s->where.kind) {
    case GV_LOG_JOURNAL:
        out->error = s->journal.error;
        out->cursor = s->journal.cursor;
        out->refused = s->journal.foreign;
        break;
    case GV_LOG_SYSLOG_UDP:
    case GV_LOG_SYSLOG_UNIX:
        out->error = s->syslog.error;
        out->refused = s->syslog.refused;
        break;
    default:
        out->error = s->tail.error;
        out->position = s->tail.position;
        out->rotations = s->tail.rotations;
        out->damages = s->tail.damages;
        break;
    }
}
