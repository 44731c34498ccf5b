#include "node/cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN_SECONDS 60

static void become(const char *const argv[], int output, unsigned seconds)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        _exit(127);
    if (output >= 0 && (dup2(output, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0))
        _exit(127);
    setenv("LC_ALL", "C", 1);
    alarm(seconds); /* outlives exec, and ends who hangs */
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

int gv_cli_run(struct gv_buf *out, size_t max, const char *const argv[])
{
    char some[4096];
    bool cut = false;
    int ends[2];
    ssize_t n;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, ends[1], GV_RUN_SECONDS);
    close(ends[1]);
    while (pid > 0 && !cut && ((n = read(ends[0], some, sizeof some)) > 0 || errno == EINTR)) {
        if (n <= 0)
            continue;
        size_t room = max > out->len ? max - out->len : 0;
        cut = (size_t)n > room;
        gv_buf_append(out, some, cut ? room : (size_t)n);
    }
    close(ends[0]);
    int status = pid > 0 ? wait_for(pid) : -1;
    return cut || out->failed ? -1 : status;
}

int gv_cli_run_shown(const char *const argv[])
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        become(argv, -1, SHOWN_SECONDS);
    return pid > 0 ? wait_for(pid) : -1;
}

bool gv_cli_has_program(const char *name)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];

    for (path = path ? path : ""; *path; path += strcspn(path, ":"), path += *path == ':') {
        int len = snprintf(file, sizeof file, "%.*s/%s", (int)strcspn(path, ":"), path, name);
        if (len > 0 && (size_t)len < sizeof file && *file == '/' && access(file, X_OK) == 0)
            return true;
    }
    return false;
}
