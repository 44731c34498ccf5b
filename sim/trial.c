#include "sim/trial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

_Noreturn static void work(FILE *file, const struct gv_sim_options *options)
{
    struct gv_sim_result result;

    if (!freopen("/dev/null", "w", stderr)) /* the last words of an assertion */
        _exit(EX_OSERR);
    gv_sim_run(&result, options, true);
    if (fwrite(&result, sizeof result, 1, file) != 1 || fflush(file) != 0)
        _exit(EX_OSERR);
    _exit(0);
}

int gv_trial(struct gv_trial *out, const struct gv_sim_options *options)
{
    FILE *file = tmpfile();
    int status = 0;
    pid_t pid, ended = 0;

    memset(out, 0, sizeof *out);
    if (!file)
        return -1;
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        work(file, options);
    while (pid > 0 && (ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    if (pid < 0 || ended < 0) {
        int error = errno;
        fclose(file);
        errno = error;
        return -1;
    }
    out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    /* What it left is as it was in its memory, which is this one's but for what it wrote. */
    rewind(file);
    out->ended = fread(&out->result, sizeof out->result, 1, file) == 1;
    if (!out->ended)
        memset(&out->result, 0, sizeof out->result);
    fclose(file);
    out->exit_status = !out->ended && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (!out->ended && out->signal == 0 &&
        (out->exit_status == 0 || out->exit_status == EX_OSERR)) {
        errno = EIO;
        return -1;
    }
    return 0;
}

void gv_trial_death(char out[GV_TRIAL_DEATH], const struct gv_trial *trial)
{
    if (trial->signal)
        snprintf(out, GV_TRIAL_DEATH, "signal %d", trial->signal);
    else
        snprintf(out, GV_TRIAL_DEATH, "exit status %d, and without a result", trial->exit_status);
}
