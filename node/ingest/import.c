#include "node/ingest/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/log.h"
#include "node/ingest/journal.h"
#include "node/ingest/past.h"
#include "node/ingest/splitter.h"
#include "node/ingest/timestamp.h"

/* A turn's work: about 20 ms of it, so that peers and questions do not wait. */
#define BUDGET (2u << 20)

struct gv_import {
    struct gv_import_options options;
    struct gv_past *files;
    char **names; /* by the order that they were given in */
    size_t count, current;
    struct gv_journal *journal; /* NULL: none; read after the files */
    struct gv_log_source journal_source;
    char *journal_name;
    bool journal_done;
    struct gv_reader *reader;
    struct gv_splitter splitter;
    json_t *damaged;
    uint64_t logins;
    uv_timer_t timer;
};

static void take(struct gv_import *import, struct gv_reading *readings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct gv_observation *o = &readings[i].observation;
        if (!o->success || o->refused)
            continue;
        import->logins++;
        o->past = true;
        import->options.observation(import->options.context, o);
    }
}

static void on_entry(void *context, const char *line, size_t len)
{
    struct gv_import *import = context;
    struct gv_reading readings[GV_READINGS_MAX];

    if (len == SIZE_MAX)
        gv_reader_skip(import->reader);
    else
        take(import, readings, gv_reader_line(import->reader, readings, line, len, gv_wall_ms()));
}

static void take_lines(struct gv_import *import)
{
    struct gv_reading readings[GV_READINGS_MAX];
    const char *line;
    size_t len;
    enum gv_split split;

    while ((split = gv_splitter_next(&import->splitter, &line, &len)) != GV_SPLIT_NONE) {
        if (split == GV_SPLIT_SKIPPED)
            gv_reader_skip(import->reader);
        else
            take(import, readings,
                 gv_reader_line(import->reader, readings, line, len, gv_wall_ms()));
    }
}

static void note_damage(struct gv_import *import, const char *name, const char *what)
{
    gv_log(GV_LOG_WARNING, "import: %s: %s; what could be read was", name, what);
    json_array_append_new(import->damaged, json_pack("{s:s, s:s}", "file", name, "error", what));
}

static void end_file(struct gv_import *import, ssize_t answer)
{
    struct gv_past *file = &import->files[import->current++];

    if (answer < 0)
        note_damage(import, file->name, gv_past_error(answer));
    gv_past_close(file);
    gv_reader_next_log(import->reader);
    gv_splitter_reset(&import->splitter, false); /* half a line says nothing of a login */
}

/* From its first entry to what is its last now; what comes later the followed log has. */
static void read_journal(struct gv_import *import)
{
    struct gv_journal *journal = import->journal;

    if (gv_journal_poll(journal, gv_wall_ms(), on_entry, import))
        return;
    if (journal->state != GV_SOURCE_READING)
        note_damage(import, import->journal_name, strerror(journal->error));
    gv_journal_close(journal);
    import->journal_done = true;
}

static size_t sources_of(const struct gv_import *import)
{
    return import->count + (import->journal != NULL);
}

static void on_turn(uv_timer_t *timer)
{
    struct gv_import *import = timer->data;

    for (size_t done = 0; done < BUDGET && import->current < import->count;) {
        struct gv_past *file = &import->files[import->current];
        size_t space;
        char *into = gv_splitter_space(&import->splitter, &space);
        int error = gv_past_resume(file);
        ssize_t n = error ? -error : gv_past_read(file, into, space);

        if (n <= 0) {
            end_file(import, n);
            continue;
        }
        done += (size_t)n;
        gv_splitter_filled(&import->splitter, (size_t)n);
        take_lines(import);
    }
    if (import->current == import->count && import->journal && !import->journal_done)
        read_journal(import);
    if (!gv_import_done(import))
        uv_timer_start(timer, on_turn, 1, 0);
    else
        gv_log(GV_LOG_NOTICE, "imported: %llu logins of %llu lines in %zu logs",
               (unsigned long long)import->logins,
               (unsigned long long)gv_reader_counters(import->reader)->lines, sources_of(import));
}

/* A FIFO would hold up the whole daemon, so it is looked at before it is opened. */
static int open_file(struct gv_import *import, size_t i, const char *path, struct gv_text *error)
{
    struct stat st;

    import->names[i] = strdup(path);
    if (!import->names[i])
        return GV_ERR_MEMORY;
    if (path[0] != '/')
        return gv_fail(error, GV_ERR_RANGE, "\"%s\" must be an absolute path", path);
    int rc = stat(path, &st) != 0  ? errno
             : S_ISDIR(st.st_mode) ? EISDIR
             : !S_ISREG(st.st_mode)
                 ? EINVAL
                 : gv_past_open(&import->files[i], import->names[i], gv_wall_ms(), true);
    if (rc == 0) {
        gv_past_rest(&import->files[i]);
        return GV_OK;
    }
    return gv_fail(error,
                   rc == ENOENT                  ? GV_ERR_NOT_FOUND
                   : rc == EACCES || rc == EPERM ? GV_ERR_FORBIDDEN
                                                 : GV_ERR_IO,
                   "%s: %s%s", path, rc == EINVAL ? "not a regular file" : strerror(rc),
                   rc == EACCES ? "; the daemon's user must have the right to read it" : "");
}

static int add_journal(struct gv_import *import, const char *name, struct gv_text *error)
{
    if (import->journal)
        return gv_fail(error, GV_ERR_RANGE, "one journal at a time");
    import->journal = calloc(1, sizeof *import->journal);
    import->journal_name = strdup(name);
    if (!import->journal || !import->journal_name ||
        gv_log_source_parse(&import->journal_source, import->journal_name, error) != GV_OK)
        return GV_ERR_MEMORY;
    gv_journal_init(import->journal, import->journal_source.path, "", true);
    return GV_OK;
}

static bool is_journal(const char *name)
{
    struct gv_log_source source;

    return gv_log_source_parse(&source, name, NULL) == GV_OK && source.kind == GV_LOG_JOURNAL;
}

static int open_files(struct gv_import *import, struct gv_text *error)
{
    int rc = GV_OK;

    for (size_t i = 0; i < import->options.path_count && rc == GV_OK; i++) {
        const char *name = import->options.paths[i];
        rc = is_journal(name) ? add_journal(import, name, error)
                              : open_file(import, import->count++, name, error);
    }
    if (rc == GV_OK)
        gv_past_sort(import->files, import->count);
    return rc;
}

int gv_import_start(struct gv_import **out, const struct gv_import_options *options,
                    struct gv_text *error)
{
    struct gv_reader_config config = {.ahead_ms = 0};

    if (options->path_count == 0 || options->path_count > GV_IMPORT_FILES_MAX)
        return gv_fail(error, GV_ERR_RANGE, "1 to %d files at a time", GV_IMPORT_FILES_MAX);
    struct gv_import *import = calloc(1, sizeof *import);
    if (!import)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    import->options = *options;
    uv_timer_init(options->loop, &import->timer);
    import->timer.data = import;
    memcpy(config.key, options->account_key, sizeof config.key);
    gv_wipe(import->options.account_key, sizeof import->options.account_key);
    import->files = calloc(options->path_count, sizeof *import->files);
    import->names = calloc(options->path_count, sizeof *import->names);
    import->reader = gv_reader_new(&config);
    import->damaged = json_array();
    gv_wipe(config.key, sizeof config.key);
    int rc = import->files && import->names && import->reader && import->damaged &&
                     gv_splitter_init(&import->splitter)
                 ? open_files(import, error)
                 : gv_fail(error, GV_ERR_MEMORY, "out of memory");
    import->options.paths = NULL; /* the caller's */
    if (rc != GV_OK) {
        gv_import_stop(import);
        return rc;
    }
    uv_timer_start(&import->timer, on_turn, 0, 0);
    *out = import;
    return GV_OK;
}

bool gv_import_done(const struct gv_import *import)
{
    return import->current == import->count && (!import->journal || import->journal_done);
}

static void on_closed(uv_handle_t *handle)
{
    struct gv_import *import = handle->data;

    for (size_t i = 0; import->files && i < import->count; i++)
        gv_past_close(&import->files[i]);
    for (size_t i = 0; import->names && i < import->count; i++)
        free(import->names[i]);
    free(import->files);
    free(import->names);
    if (import->journal && !import->journal_done)
        gv_journal_close(import->journal);
    free(import->journal);
    free(import->journal_name);
    gv_reader_free(import->reader);
    gv_splitter_free(&import->splitter);
    json_decref(import->damaged);
    free(import);
}

void gv_import_stop(struct gv_import *import)
{
    if (import)
        uv_close((uv_handle_t *)&import->timer, on_closed);
}

json_t *gv_import_json(const struct gv_import *import)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:O}", "state",
                     gv_import_done(import) ? "done" : "reading", "files",
                     (json_int_t)sources_of(import), "lines",
                     (json_int_t)gv_reader_counters(import->reader)->lines, "logins",
                     (json_int_t)import->logins, "damaged", import->damaged);
}
