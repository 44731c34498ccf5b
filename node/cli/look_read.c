#include "node/cli/look_read.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/base/log_source.h"
#include "node/cli/command.h"
#include "node/ingest/archive.h"
#include "node/ingest/journal.h"
#include "node/ingest/past.h"
#include "node/ingest/rotated.h"
#include "node/ingest/splitter.h"

#define QUEUE_LINE (4u << 20) /* one message with all its recipients */

struct reading {
    struct gv_look *look;
    uint64_t now_ms;
};

static int say(const char *what, const char *why, int status)
{
    char safe[1024];

    gv_log_safe(safe, sizeof safe, what, strlen(what));
    fprintf(stderr, "grapevine: %s: %s\n", safe, why);
    return status;
}

static int status_of(int error)
{
    return error == EACCES || error == EPERM                        ? EX_NOPERM
           : error == ENOENT || error == EISDIR || error == ENOTDIR ? EX_NOINPUT
                                                                    : EX_IOERR;
}

/* ---- files ---------------------------------------------------------------------------------- */

static void take_lines(const struct reading *r, struct gv_splitter *splitter)
{
    const char *line;
    size_t len;
    enum gv_split split;

    while ((split = gv_splitter_next(splitter, &line, &len)) != GV_SPLIT_NONE)
        if (split == GV_SPLIT_SKIPPED)
            gv_look_skip(r->look);
        else
            gv_look_line(r->look, line, len, r->now_ms);
}

/* What can be read of a damaged file counts. */
static int read_archive(const struct reading *r, struct gv_archive *archive, const char *name)
{
    struct gv_splitter splitter;
    ssize_t n;

    if (!gv_splitter_init(&splitter))
        return gv_cli_no_memory();
    gv_look_file(r->look);
    do {
        size_t space;
        char *into = gv_splitter_space(&splitter, &space);
        n = gv_archive_read(archive, into, space);
        if (n > 0)
            gv_splitter_filled(&splitter, (size_t)n);
        take_lines(r, &splitter);
    } while (n > 0);
    gv_splitter_free(&splitter);
    return n < 0 ? say(name, gv_past_error(n), status_of((int)-n)) : 0;
}

/* Takes the descriptor. */
static int read_descriptor(const struct reading *r, int fd, const char *name)
{
    struct gv_archive *archive;

    if (fd < 0)
        return say(name, strerror(errno), status_of(errno));
    int error = gv_archive_open(&archive, fd);
    if (error != 0) {
        close(fd);
        return say(name, gv_past_error(error), status_of(-error));
    }
    int rc = read_archive(r, archive, name);
    gv_archive_free(archive);
    return rc;
}

/* The generations that were written to since then, the oldest first; then the file. */
static int read_file(const struct reading *r, const char *path, uint64_t since_ms)
{
    struct gv_rotated_done done = {.written = {.tv_sec = (time_t)(since_ms / 1000)}};
    struct gv_rotated file;
    int rc, worst = 0;

    while (gv_rotated_next(&file, path, &done, false) == GV_ROTATED_FOUND) {
        done.written = file.st.st_mtim;
        done.first_ms = file.first_ms;
        done.checksums[done.count++ % GV_ROTATED_DONE] = file.checksum;
        rc = file.archive ? read_archive(r, file.archive, path)
                          : read_descriptor(r, fcntl(file.fd, F_DUPFD_CLOEXEC, 3), path);
        worst = rc ? rc : worst;
        gv_rotated_close(&file);
    }
    rc = read_descriptor(r, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), path);
    return rc ? rc : worst;
}

/* ---- the journal ---------------------------------------------------------------------------- */

static void on_entry(void *context, const char *line, size_t len)
{
    const struct reading *r = context;

    if (len == SIZE_MAX)
        gv_look_skip(r->look);
    else
        gv_look_line(r->look, line, len, r->now_ms);
}

static int read_journal(struct reading *r, const char *folder, uint64_t since_ms)
{
    struct gv_journal journal;

    gv_journal_init(&journal, folder, "", true);
    journal.since_us = since_ms * 1000;
    gv_look_file(r->look);
    /* To what is its last entry now: polls are quicker than a mail server writes. */
    while (gv_journal_poll(&journal, r->now_ms, on_entry, r)) {
    }
    int rc =
        journal.state == GV_SOURCE_READING
            ? 0
            : say(folder ? folder : "the journal",
                  journal.error ? strerror(journal.error) : gv_source_state_text(journal.state),
                  journal.error ? status_of(journal.error) : EX_NOINPUT);
    gv_journal_close(&journal);
    return rc;
}

int gv_look_read_log(struct gv_look *look, const char *source, uint64_t since_ms, uint64_t now_ms)
{
    struct reading r = {.look = look, .now_ms = now_ms};
    struct gv_log_source parsed;
    struct gv_text error;

    if (gv_log_source_parse(&parsed, source, &error) != GV_OK)
        return say(source, error.text, EX_USAGE);
    switch (parsed.kind) {
    case GV_LOG_FILE:
        return read_file(&r, parsed.path, since_ms);
    case GV_LOG_JOURNAL:
        return read_journal(&r, parsed.path, since_ms);
    case GV_LOG_INPUT:
        return read_descriptor(&r, fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "standard input");
    default:
        return say(
            source,
            "what came over a socket was stored nowhere; name a file where the syslog daemon "
            "keeps it",
            EX_UNAVAILABLE);
    }
}

/* ---- the queue ------------------------------------------------------------------------------ */

static int take_queue(struct gv_look *look, FILE *in)
{
    char *line = malloc(QUEUE_LINE);
    size_t len = 0;
    bool skip = false;
    int c;

    if (!line)
        return gv_cli_no_memory();
    while ((c = getc_unlocked(in)) != EOF) {
        if (c != '\n') {
            if (len < QUEUE_LINE)
                line[len++] = (char)c;
            else
                skip = true;
            continue;
        }
        if (skip)
            gv_look_skip(look);
        else
            gv_look_queued(look, line, len);
        len = 0;
        skip = false;
    }
    explicit_bzero(line, QUEUE_LINE);
    free(line);
    return ferror(in) ? EX_IOERR : 0;
}

int gv_look_read_queue(struct gv_look *look)
{
    static char name[] = "postqueue", flag[] = "-j";
    char *argv[] = {name, flag, NULL};
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int ends[2], state = 0, rc = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return say("postqueue", strerror(errno), EX_OSERR);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int error = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
    if (error == ENOENT) /* not on an ordinary user's path */
        error = posix_spawn(&pid, "/usr/sbin/postqueue", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *in = error == 0 ? fdopen(ends[0], "r") : NULL;
    if (in) {
        rc = take_queue(look, in);
        fclose(in);
    } else {
        close(ends[0]);
    }
    if (error != 0)
        return say("postqueue -j",
                   error == ENOENT ? "is not installed; it is Postfix's" : strerror(error),
                   EX_UNAVAILABLE);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    if (rc == 0 && (!WIFEXITED(state) || WEXITSTATUS(state) != 0))
        return say("postqueue -j", "failed; what it told until then is shown", EX_UNAVAILABLE);
    return rc;
}
