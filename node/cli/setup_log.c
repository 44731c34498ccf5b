/* The mail log: which it is, what would have been learnt from its last day, and who logged in
 * according to its older generations. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/log_source.h"
#include "node/cli/observe_summary.h"
#include "node/cli/setup.h"
#include "node/ingest/import.h"
#include "node/ingest/journal.h"
#include "node/ingest/past.h"
#include "node/ingest/splitter.h"

#define DAY_MS      (86400 * 1000ull)
#define LOOK_SECOND 30 /* more of a log is not read for a first look */
#define LOOK_TOP    5

/* ---- which ---------------------------------------------------------------------------------- */

static int take_log(struct gv_setup *setup, const char *text)
{
    struct gv_log_source source;
    struct gv_text error = {""};

    if (setup->log_count == GV_FOUND_LOGS_MAX || strlen(text) > 500) {
        fprintf(stderr, "grapevine setup: at most %d logs, of 500 bytes each\n", GV_FOUND_LOGS_MAX);
        return EX_USAGE;
    }
    if (gv_log_source_parse(&source, text, &error) != GV_OK || source.kind == GV_LOG_INPUT) {
        fprintf(stderr, "grapevine setup: --log %s: %s\n", text,
                error.text[0] ? error.text : "name a file, or journal");
        return EX_USAGE;
    }
    if (source.kind == GV_LOG_FILE && access(source.path, F_OK) != 0) {
        fprintf(stderr,
                "grapevine setup: --log %s: %s; name the file that the mail server writes\n", text,
                strerror(errno));
        return EX_NOINPUT;
    }
    snprintf(setup->logs[setup->log_count++], PATH_MAX, "%s", text);
    return 0;
}

static void keep_configured(struct gv_setup *setup)
{
    for (size_t i = 0; i < setup->options.logs.count && i < GV_FOUND_LOGS_MAX; i++)
        snprintf(setup->logs[setup->log_count++], PATH_MAX, "%s", setup->options.logs.items[i]);
}

static int ask_for_logs(struct gv_setup *setup)
{
    char fallback[GV_FOUND_LOGS_MAX * 512] = "", answer[sizeof fallback], *state = NULL;
    int rc = 1;

    for (size_t i = 0; i < setup->log_count; i++)
        snprintf(fallback + strlen(fallback), sizeof fallback - strlen(fallback), "%s%.500s",
                 i ? ", " : "", setup->logs[i]);
    while (rc != 0) {
        gv_setup_ask(setup, answer, sizeof answer,
                     *fallback ? "Mail log to follow (a file, journal, or several with commas)?"
                               : "No mail log was found. Which is it (a file, or journal)?",
                     *fallback ? fallback : NULL);
        setup->log_count = 0;
        rc = 0;
        for (char *word = strtok_r(answer, " ,\t", &state); word && rc == 0;
             word = strtok_r(NULL, " ,\t", &state))
            rc = take_log(setup, word);
        if (setup->log_count == 0)
            rc = 1;
    }
    return 0;
}

int gv_setup_choose_logs(struct gv_setup *setup)
{
    int rc = 0;

    for (size_t i = 0; i < setup->answers.log_count && rc == 0; i++)
        rc = take_log(setup, setup->answers.logs[i]);
    if (rc != 0 || setup->answers.log_count > 0)
        return rc;
    setup->log_count = gv_find_logs(setup->logs, "");
    /* What the admin has written goes before what was found, unless it is the packaged word and a
     * log file is there. */
    bool packaged =
        setup->options.logs.count == 1 && strcmp(setup->options.logs.items[0], "journal") == 0;
    if (setup->options.logs.count > 0 && !(packaged && setup->log_count > 0)) {
        setup->log_count = 0;
        keep_configured(setup);
    }
    gv_setup_heading(setup, "The mail log");
    if (!setup->answers.non_interactive)
        return ask_for_logs(setup);
    if (setup->log_count == 0)
        return gv_setup_missing("--log FILE (none was found)");
    for (size_t i = 0; i < setup->log_count; i++)
        gv_setup_say(setup, "found: %s\n", setup->logs[i]);
    return 0;
}

/* ---- what would have been learnt ------------------------------------------------------------ */

struct look {
    struct gv_reader *reader;
    struct gv_summary *summary;
    const struct gv_setup *setup;
    uint64_t now_ms, since_ms;
    time_t end;
};

static bool is_allowed(const struct look *look, const struct gv_reading *r)
{
    const struct gv_setup *setup = look->setup;
    size_t len = r->address.family == 4 ? 4 : 16;

    for (size_t i = 0; i < setup->options.allow.count; i++)
        if (gv_config_address_contains(&setup->options.allow.items[i], r->address.bytes, len))
            return true;
    for (size_t i = 0; i < setup->own.count; i++)
        if (gv_config_address_contains(&setup->own.hosts[i].address, r->address.bytes, len))
            return true;
    return false;
}

static void take(struct look *look, const struct gv_reading *readings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (readings[i].observation.unix_ms >= look->since_ms)
            gv_summary_add(look->summary, &readings[i], is_allowed(look, &readings[i]));
}

static void on_line(void *context, const char *line, size_t len)
{
    struct look *look = context;
    struct gv_reading readings[GV_READINGS_MAX];

    if (len == SIZE_MAX)
        gv_reader_skip(look->reader);
    else
        take(look, readings, gv_reader_line(look->reader, readings, line, len, look->now_ms));
}

static void look_at_journal(struct look *look, const char *folder)
{
    struct gv_journal *journal = calloc(1, sizeof *journal);
    uint64_t steady = 1;

    if (!journal)
        return;
    gv_journal_init(journal, folder, "", true);
    while (gv_journal_poll(journal, steady++, on_line, look) && time(NULL) < look->end)
        ;
    gv_journal_close(journal);
    free(journal);
}

static void read_past(struct look *look, struct gv_past *past, struct gv_splitter *splitter)
{
    const char *line;
    size_t len, space;
    enum gv_split split;

    while (time(NULL) < look->end) {
        char *into = gv_splitter_space(splitter, &space);
        ssize_t n = gv_past_read(past, into, space);
        if (n <= 0)
            return; /* what could be read was */
        gv_splitter_filled(splitter, (size_t)n);
        while ((split = gv_splitter_next(splitter, &line, &len)) != GV_SPLIT_NONE)
            on_line(look, line, split == GV_SPLIT_LINE ? len : SIZE_MAX);
    }
}

static int by_time(const void *a, const void *b)
{
    const struct gv_past *one = a, *other = b;

    return one->first_ms < other->first_ms ? -1 : one->first_ms > other->first_ms;
}

/* The generations that may reach into the day: all that begin in it, and the last that begins
 * before. */
static void look_at_file(struct look *look, const char *path)
{
    static char names[GV_FOUND_ROTATED_MAX][PATH_MAX];
    struct gv_past *files = calloc(GV_FOUND_ROTATED_MAX, sizeof *files);
    struct gv_splitter splitter;
    size_t count = gv_find_rotated(names, GV_FOUND_ROTATED_MAX, path), open = 0, from = 0;

    if (!files || !gv_splitter_init(&splitter)) {
        free(files);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (gv_past_open(&files[open], names[i], look->now_ms, true) == 0)
            gv_past_rest(&files[open++]);
    qsort(files, open, sizeof *files, by_time);
    for (size_t i = 0; i < open; i++)
        if (files[i].first_ms <= look->since_ms)
            from = i;
    for (size_t i = 0; i < open; i++) {
        if (i >= from && gv_past_resume(&files[i]) == 0)
            read_past(look, &files[i], &splitter);
        gv_splitter_reset(&splitter, false);
        gv_past_close(&files[i]);
        gv_reader_next_log(look->reader);
    }
    gv_splitter_free(&splitter);
    free(files);
}

static bool make_look(struct look *look, const struct gv_setup *setup)
{
    struct gv_reader_config config = {.ahead_ms = 0};
    bool lab = setup->known ? setup->descriptor.lab : false;

    /* The hashes live as long as this look, so their key may be any. */
    randombytes_buf(config.key, sizeof config.key);
    *look = (struct look){.reader = gv_reader_new(&config),
                          .summary = gv_summary_new(lab),
                          .setup = setup,
                          .now_ms = (uint64_t)time(NULL) * 1000 + 999,
                          .end = time(NULL) + LOOK_SECOND};
    look->since_ms = look->now_ms - DAY_MS;
    return look->reader && look->summary;
}

int gv_setup_look(struct gv_setup *setup)
{
    struct gv_reading readings[GV_READINGS_MAX];
    struct gv_log_source source;
    struct look look;
    size_t n;

    gv_setup_heading(setup, "What this host would have learnt from the last day");
    if (!make_look(&look, setup)) {
        gv_reader_free(look.reader);
        gv_summary_free(look.summary);
        return gv_cli_no_memory();
    }
    for (size_t i = 0; i < setup->log_count; i++) {
        if (gv_log_source_parse(&source, setup->logs[i], NULL) != GV_OK)
            continue;
        if (source.kind == GV_LOG_JOURNAL)
            look_at_journal(&look, source.path);
        else if (source.kind == GV_LOG_FILE)
            look_at_file(&look, source.path);
        else
            gv_setup_say(setup, "%s: only what comes from now on\n", setup->logs[i]);
    }
    while ((n = gv_reader_flush(look.reader, readings)) > 0)
        take(&look, readings, n);
    gv_summary_print(look.summary, setup->out, gv_reader_counters(look.reader), LOOK_TOP,
                     setup->cli->colour);
    if (time(NULL) >= look.end)
        gv_setup_say(setup, "(the rest was left out: %d s are enough for a first look)\n",
                     LOOK_SECOND);
    gv_setup_say(setup, "Nothing of this was sent. `grapevine observe FILE` shows more of it.\n");
    gv_reader_free(look.reader);
    gv_summary_free(look.summary);
    return 0;
}

/* ---- who logged in -------------------------------------------------------------------------- */

static json_t *list_past(struct gv_setup *setup)
{
    static char names[GV_FOUND_ROTATED_MAX][PATH_MAX];
    struct gv_log_source source;
    json_t *list = json_array();

    for (size_t i = 0; list && i < setup->log_count; i++) {
        if (gv_log_source_parse(&source, setup->logs[i], NULL) != GV_OK)
            continue;
        if (source.kind == GV_LOG_JOURNAL)
            json_array_append_new(list, json_string(setup->logs[i]));
        if (source.kind != GV_LOG_FILE)
            continue;
        size_t count = gv_find_rotated(names, GV_FOUND_ROTATED_MAX, source.path);
        for (size_t k = 0; k < count && json_array_size(list) < GV_IMPORT_FILES_MAX; k++)
            if (access(names[k], R_OK) == 0)
                json_array_append_new(list, json_string(names[k]));
    }
    return list;
}

static bool is_imported(struct gv_setup *setup)
{
    json_t *status = gv_setup_status(setup);
    const char *state = gv_cli_text(status, "import.state");
    bool done = strcmp(state, "reading") != 0;

    if (done && strcmp(state, "done") == 0) {
        gv_setup_say(setup, "%s logins of %s lines in %s logs: clean history knows them.\n",
                     gv_cli_text(status, "import.logins"), gv_cli_text(status, "import.lines"),
                     gv_cli_text(status, "import.files"));
        json_object_set(setup->result, "imported", json_object_get(status, "import"));
    }
    json_decref(status);
    return done;
}

int gv_setup_import(struct gv_setup *setup)
{
    json_t *answer = NULL, *list, *body;

    if (setup->answers.no_import || !(list = list_past(setup)))
        return 0;
    if (json_array_size(list) == 0) {
        json_decref(list);
        return 0;
    }
    gv_setup_heading(setup, "Who logged in until now");
    body = json_pack("{s:o}", "files", list);
    int rc = body ? gv_cli_ask(setup->cli, &answer, "import", body) : EX_OSERR;
    json_decref(body);
    json_decref(answer);
    if (rc != 0) { /* said; a node without it only learns later who its users are */
        gv_setup_say(setup, "Without it, clean history begins today. `grapevine import FILE...` "
                            "does it later.\n");
        return 0;
    }
    if (!gv_setup_wait(setup, is_imported))
        gv_setup_say(setup, "The daemon is still reading; `grapevine status` shows when it is "
                            "done.\n");
    return 0;
}
