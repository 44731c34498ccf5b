#include "node/serve/hook_exec.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"

#define GRACE_MS 2000u /* between SIGTERM and SIGKILL */

struct gv_hook_exec {
    uv_process_t process;
    uv_pipe_t input_pipe;
    uv_timer_t timer;
    uv_write_t write;
    char *input; /* owned */
    unsigned handles;
    bool timed_out, spawned;
    gv_hook_exec_done done; /* NULL: nobody wants to know any more */
    void *context;
};

/* ---- may it be run -------------------------------------------------------------------------- */

static int check_owner(const char *path, const struct stat *info, struct gv_text *error)
{
    if (info->st_uid != 0 && info->st_uid != geteuid())
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "[hooks] exec: %s belongs to another user; run: chown root %s", path, path);
    /* In a folder with the sticky bit nobody can put another in its place. */
    if (info->st_mode & (S_IWGRP | S_IWOTH) && !(S_ISDIR(info->st_mode) && info->st_mode & S_ISVTX))
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "[hooks] exec: others may write to %s; run: chmod go-w %s", path, path);
    return GV_OK;
}

int gv_hook_exec_check(const char *path, struct gv_text *error)
{
    char part[1024];
    struct stat info;

    if (*path != '/' || strlen(path) >= sizeof part)
        return gv_fail(error, GV_ERR_FORBIDDEN, "[hooks] exec: %s is not an absolute path", path);
    if (lstat(path, &info) != 0)
        return gv_fail(error, errno == ENOENT ? GV_ERR_NOT_FOUND : GV_ERR_FORBIDDEN,
                       "[hooks] exec: %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gv_fail(error, GV_ERR_FORBIDDEN, "[hooks] exec: %s is not a regular file", path);
    if (access(path, X_OK) != 0)
        return gv_fail(error, GV_ERR_FORBIDDEN, "[hooks] exec: %s cannot be executed: %s", path,
                       strerror(errno));
    int rc = check_owner(path, &info, error);
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strrchr(part, '/'); slash && rc == GV_OK; slash = strrchr(part, '/')) {
        *slash = '\0';
        const char *folder = *part ? part : "/";
        if (stat(folder, &info) != 0)
            return gv_fail(error, GV_ERR_FORBIDDEN, "[hooks] exec: %s: %s", folder,
                           strerror(errno));
        rc = check_owner(folder, &info, error);
    }
    return rc;
}

/* ---- the run -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct gv_hook_exec *run = handle->data;

    if (--run->handles > 0)
        return;
    free(run->input);
    free(run);
}

static void close_one(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_all(struct gv_hook_exec *run)
{
    close_one((uv_handle_t *)&run->timer);
    close_one((uv_handle_t *)&run->input_pipe);
    if (run->spawned)
        close_one((uv_handle_t *)&run->process);
}

/* Its whole session: a script's children do not outlive its time. */
static void kill_group(struct gv_hook_exec *run, int signal)
{
    if (run->process.pid > 0)
        (void)kill(-run->process.pid, signal);
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal)
{
    struct gv_hook_exec *run = process->data;
    struct gv_text why = {""};
    int rc = GV_OK;

    if (run->timed_out)
        kill_group(run, SIGKILL); /* what it left behind */
    run->process.pid = 0;
    if (run->timed_out)
        rc = gv_fail(&why, GV_ERR_EXPIRED, "it took longer than [hooks] timeout, and was killed");
    else if (signal != 0)
        rc = gv_fail(&why, GV_ERR_IO, "it was ended by signal %d (%s)", signal, strsignal(signal));
    else if (status != 0)
        rc = gv_fail(&why, GV_ERR_IO, "its exit status was %lld", (long long)status);
    close_all(run);
    if (run->done)
        run->done(run->context, rc, &why);
}

static void on_timer(uv_timer_t *timer)
{
    struct gv_hook_exec *run = timer->data;

    kill_group(run, run->timed_out ? SIGKILL : SIGTERM);
    run->timed_out = true;
    uv_timer_start(timer, on_timer, GRACE_MS, 0);
}

/* A program that does not read its input is no less a program. */
static void on_written(uv_write_t *write, int status)
{
    struct gv_hook_exec *run = write->data;

    (void)status;
    close_one((uv_handle_t *)&run->input_pipe);
}

static int spawn(struct gv_hook_exec *run, uv_loop_t *loop, const char *path, size_t count)
{
    char counted[64], *arguments[] = {(char *)(uintptr_t)path, NULL};
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                           "LANG=C.UTF-8", "GRAPEVINE_EVENT=changes", counted, NULL};
    uv_stdio_container_t stdio[3] = {{.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_READABLE_PIPE),
                                      .data.stream = (uv_stream_t *)&run->input_pipe},
                                     {.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}};
    uv_process_options_t options = {.exit_cb = on_exit_status,
                                    .file = path,
                                    .args = arguments,
                                    .env = environment,
                                    .cwd = "/",
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 3,
                                    .stdio = stdio};

    snprintf(counted, sizeof counted, "GRAPEVINE_CHANGES=%zu", count);
    run->spawned = true; /* the handle has to be closed, also when there is no process */
    run->handles++;
    return uv_spawn(loop, &run->process, &options);
}

int gv_hook_exec_start(struct gv_hook_exec **out, uv_loop_t *loop, const char *path, char *input,
                       size_t count, uint64_t timeout_ms, gv_hook_exec_done done, void *context,
                       struct gv_text *error)
{
    struct gv_hook_exec *run;

    *out = NULL;
    int rc = gv_hook_exec_check(path, error);
    if (rc != GV_OK) {
        free(input);
        return rc;
    }
    run = calloc(1, sizeof *run);
    if (!run) {
        free(input);
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    }
    run->input = input;
    run->context = context;
    run->process.data = run->input_pipe.data = run->timer.data = run->write.data = run;
    uv_timer_init(loop, &run->timer);
    uv_pipe_init(loop, &run->input_pipe, 0);
    run->handles = 2;
    int status = spawn(run, loop, path, count);
    if (status != 0) {
        close_all(run);
        return gv_fail(error, GV_ERR_IO, "[hooks] exec: %s: %s", path, uv_strerror(status));
    }
    run->done = done;
    uv_timer_start(&run->timer, on_timer, timeout_ms, 0);
    uv_buf_t piece = uv_buf_init(run->input, (unsigned)strlen(run->input));
    if (uv_write(&run->write, (uv_stream_t *)&run->input_pipe, &piece, 1, on_written) != 0)
        close_one((uv_handle_t *)&run->input_pipe);
    *out = run;
    return GV_OK;
}

void gv_hook_exec_cancel(struct gv_hook_exec *run)
{
    if (!run)
        return;
    run->done = NULL;
    kill_group(run, SIGKILL);
    close_all(run);
}
