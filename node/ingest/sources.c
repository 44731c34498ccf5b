#include "node/ingest/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "crypto/error.h"
#include "node/ingest/tail.h"

/* How often a quiet file is looked at: half of this is what a verdict comes later. */
#define GV_POLL_MS 250

struct source {
    struct gv_sources *owner;
    size_t index;
    char *path;
    bool standard_input;
    struct gv_reader *reader;
    struct gv_tail tail; /* of standard input: its splitter, state and error */
    uv_timer_t timer;
    uv_poll_t poll;
    bool timer_open, poll_open;
    enum gv_source_state told; /* the last state that on_progress was called for */
};

struct gv_sources {
    uv_loop_t *loop;
    struct gv_sources_config config;
    struct source *list;
    size_t count;
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
    default:
        return "failed";
    }
}

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_line(void *context, const char *line, size_t len)
{
    struct source *source = context;
    struct gv_sources *s = source->owner;
    struct gv_reading readings[GV_READINGS_MAX];

    if (len == SIZE_MAX) {
        gv_reader_skip(source->reader);
        return;
    }
    size_t n = gv_reader_line(source->reader, readings, line, len, wall_ms());
    for (size_t i = 0; i < n; i++)
        s->config.on_reading(s->config.context, &readings[i], source->index);
}

static void progress(struct source *source, bool moved)
{
    struct gv_sources *s = source->owner;

    if (!moved && source->told == source->tail.state)
        return;
    source->told = source->tail.state;
    if (s->config.on_progress)
        s->config.on_progress(s->config.context, source->index);
}

static void on_timer(uv_timer_t *timer)
{
    struct source *source = timer->data;
    struct gv_tail *tail = &source->tail;
    struct gv_position before = tail->position;

    /* uv_now may be 0 in a fresh loop; the tail's clock begins at 1. */
    bool more = gv_tail_poll(tail, uv_now(source->owner->loop) + 1, on_line, source);
    progress(source, memcmp(&before, &tail->position, sizeof before) != 0);
    if (source->owner->running)
        uv_timer_start(timer, on_timer, more ? 0 : GV_POLL_MS, 0);
}

/* --- Standard input ----------------------------------------------------------------------------
 */

static void end_input(struct source *source, enum gv_source_state state, int error)
{
    struct gv_sources *s = source->owner;
    struct gv_reading readings[GV_READINGS_MAX];
    size_t n;

    source->tail.state = state;
    source->tail.error = error;
    while ((n = gv_reader_flush(source->reader, readings)) > 0)
        for (size_t i = 0; i < n; i++)
            s->config.on_reading(s->config.context, &readings[i], source->index);
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
    while ((split = gv_splitter_next(splitter, &line, &len)) != GV_SPLIT_NONE)
        on_line(source, line, split == GV_SPLIT_LINE ? len : SIZE_MAX);
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
        uv_timer_start(timer, on_input_timer, 0, 0);
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

/* --- All of them -------------------------------------------------------------------------------
 */

static int init_source(struct gv_sources *s, size_t i, const struct gv_sources_config *config)
{
    struct source *source = &s->list[i];

    source->owner = s;
    source->index = i;
    source->tail.fd = -1;
    source->path = strdup(config->paths[i]);
    source->reader = gv_reader_new(&config->reader);
    if (!source->path || !source->reader)
        return GV_ERR_MEMORY;
    source->standard_input = strcmp(source->path, "-") == 0;
    return gv_tail_init(&source->tail, source->path,
                        config->positions ? &config->positions[i] : NULL, config->from_start);
}

int gv_sources_new(struct gv_sources **out, struct uv_loop_s *loop,
                   const struct gv_sources_config *config)
{
    int rc = GV_OK;

    if (config->path_count == 0 || config->path_count > GV_SOURCES_MAX)
        return GV_ERR_RANGE;
    struct gv_sources *s = calloc(1, sizeof *s);
    if (!s)
        return GV_ERR_MEMORY;
    s->loop = loop;
    s->config = *config;
    s->list = calloc(config->path_count, sizeof *s->list);
    if (!s->list)
        rc = GV_ERR_MEMORY;
    for (size_t i = 0; rc == GV_OK && i < config->path_count; i++) {
        s->count = i + 1;
        rc = init_source(s, i, config);
    }
    /* What was the caller's is not kept. */
    s->config.paths = NULL;
    s->config.positions = NULL;
    if (rc != GV_OK) {
        gv_sources_free(s);
        return rc;
    }
    *out = s;
    return GV_OK;
}

int gv_sources_start(struct gv_sources *sources)
{
    sources->running = true;
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = &sources->list[i];
        int rc;

        if (uv_timer_init(sources->loop, &source->timer) != 0)
            return GV_ERR_IO;
        source->timer.data = source;
        source->timer_open = true;
        if (source->standard_input)
            rc = start_input(source);
        else
            rc = uv_timer_start(&source->timer, on_timer, 0, 0) == 0 ? GV_OK : GV_ERR_IO;
        if (rc != GV_OK)
            return rc;
    }
    return GV_OK;
}

void gv_sources_stop(struct gv_sources *sources)
{
    sources->running = false;
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = &sources->list[i];

        if (source->timer_open)
            uv_close((uv_handle_t *)&source->timer, NULL);
        if (source->poll_open)
            uv_close((uv_handle_t *)&source->poll, NULL);
        source->timer_open = source->poll_open = false;
    }
}

void gv_sources_free(struct gv_sources *sources)
{
    if (!sources)
        return;
    for (size_t i = 0; i < sources->count; i++) {
        gv_tail_close(&sources->list[i].tail);
        gv_reader_free(sources->list[i].reader);
        free(sources->list[i].path);
    }
    free(sources->list);
    free(sources);
}

size_t gv_sources_count(const struct gv_sources *sources)
{
    return sources->count;
}

void gv_sources_status(const struct gv_sources *sources, struct gv_source_status *out,
                       size_t source)
{
    const struct source *s = &sources->list[source];

    out->path = s->path;
    out->state = s->tail.state;
    out->error = s->tail.error;
    out->position = s->tail.position;
    out->counters = *gv_reader_counters(s->reader);
    out->rotations = s->tail.rotations;
}
