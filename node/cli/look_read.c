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

/* Whose queue it is, and how it is asked for. */
static const struct queue {
    const char *path, *flag;
    bool exim;
} queues[] = {{"postqueue", "-j", false},
              {"/usr/sbin/postqueue", "-j", false}, /* not on an ordinary user's path */
              {"exim4", "-bp", true},
              {"exim", "-bp", true},
              {"/usr/sbin/exim4", "-bp", true},
              {"/usr/sbin/exim", "-bp", true}};
#define QUEUES (sizeof queues / sizeof *queues)

static int take_queue(struct gv_look *look, FILE *in, const struct queue *queue, uint64_t now_ms)
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
        else if (queue->exim)
            gv_look_exim_queued(look, line, len, now_ms);
        else
            gv_look_queued(look, line, len);
        len = 0;
        skip = false;
    }
    explicit_bzero(line, QUEUE_LINE);
    free(line);
    return ferror(in) ? EX_IOERR : 0;
}

/* The first of them that is installed; its output in *in. 0, or errno. */
static int spawn_queue(const struct queue **queue, pid_t *pid, FILE **in)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int ends[2], error = ENOENT;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    for (size_t i = 0; i < QUEUES && error == ENOENT; i++) {
        char name[32], flag[8], *argv[] = {name, flag, NULL};
        snprintf(name, sizeof name, "%s", queues[i].path);
        snprintf(flag, sizeof flag, "%s", queues[i].flag);
        *queue = &queues[i];
        error = posix_spawnp(pid, name, &actions, NULL, argv, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error == 0 && !(*in = fdopen(ends[0], "r")))
        error = errno;
    if (error != 0)
        close(ends[0]);
    return error;
}

int gv_look_read_queue(struct gv_look *look, uint64_t now_ms)
{
    const struct queue *queue = queues;
    FILE *in = NULL;
    int state = 0;
    pid_t pid = 0;

    int error = spawn_queue(&queue, &pid, &in);
    if (error == ENOENT)
        return say("the queue",
                   "neither postqueue (Postfix) nor exim is installed; other mail servers' queues "
                   "are not read",
                   EX_UNAVAILABLE);
    if (error != 0)
        return say(queue->path, strerror(error), EX_UNAVAILABLE);
    int rc = take_queue(look, in, queue, now_ms);
    fclose(in);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    if (rc == 0 && (!WIFEXITED(state) || WEXITSTATUS(state) != 0))
        return say(queue->exim ? "exim -bp" : "postqueue -j",
                   "failed; what it told until then is shown", EX_UNAVAILABLE);
    return rc;
}
