#include "sim/swarm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "sim/run.h"

struct job {
    pid_t pid; /* 0: free */
    struct gv_sim_options options;
    FILE *said; /* what it printed; owned */
};

struct swarm {
    const struct gv_sim_options *options;
    struct job *jobs;
    size_t job_count, running;
    uint64_t next, done;
    bool all_started;
    const struct job *failed;
    bool terminal;
};

/* The child: its output goes to the file, its verdict into its exit status. */
_Noreturn static void work(const struct job *job)
{
    struct gv_sim_result result;

    if (dup2(fileno(job->said), STDERR_FILENO) < 0)
        _exit(EX_OSERR);
    gv_sim_run(&result, &job->options, false);
    if (result.violations > 0)
        fprintf(stderr, "violations: %" PRIu64 "\n", result.violations);
    fflush(stderr);
    _exit(result.violations > 0);
}

static int start(struct swarm *swarm, struct job *job)
{
    job->options = *swarm->options;
    job->options.seed = swarm->next;
    if (swarm->options->drawn)
        gv_faults_draw(&job->options.faults, swarm->next);
    swarm->all_started = swarm->next++ == swarm->options->last_seed;
    job->said = tmpfile();
    if (!job->said)
        return -1;
    fflush(NULL);
    job->pid = fork();
    if (job->pid == 0)
        work(job);
    if (job->pid < 0) {
        job->pid = 0;
        return -1;
    }
    swarm->running++;
    return 0;
}

static void show_progress(const struct swarm *swarm)
{
    uint64_t all = swarm->options->last_seed - swarm->options->seed + 1;

    if (swarm->terminal)
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " seeds", swarm->done, all);
    else if (swarm->done % 50 == 0 || swarm->done == all)
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds\n", swarm->done, all);
}

static void copy_out(FILE *said)
{
    char line[512];

    rewind(said);
    while (fgets(line, sizeof line, said))
        fputs(line, stderr);
}

static void tell_failure(const struct job *job, int status)
{
    char line[GV_SIM_LINE];

    gv_sim_options_line(line, &job->options);
    fprintf(stderr, "\nseed %" PRIu64 " failed", job->options.seed);
    if (WIFSIGNALED(status))
        fprintf(stderr, ": it ended with signal %d", WTERMSIG(status));
    fprintf(stderr, "\n");
    copy_out(job->said);
    printf("%s\n", line);
}

/* Waits for one child. */
static int reap(struct swarm *swarm)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);

    if (pid < 0)
        return errno == EINTR ? 0 : -1;
    for (size_t i = 0; i < swarm->job_count; i++) {
        struct job *job = &swarm->jobs[i];
        if (job->pid != pid)
            continue;
        job->pid = 0;
        swarm->running--;
        swarm->done++;
        if (!swarm->failed && status != 0) {
            swarm->failed = job;
            tell_failure(job, status);
        }
        fclose(job->said);
        job->said = NULL;
    }
    if (!swarm->failed)
        show_progress(swarm);
    return 0;
}

static int run_all(struct swarm *swarm)
{
    while (swarm->running > 0 || (!swarm->all_started && !swarm->failed)) {
        for (size_t i = 0; i < swarm->job_count && !swarm->all_started && !swarm->failed; i++)
            if (swarm->jobs[i].pid == 0 && start(swarm, &swarm->jobs[i]) != 0)
                return -1;
        if (reap(swarm) != 0)
            return -1;
    }
    return 0;
}

int gv_swarm(const struct gv_sim_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct swarm swarm = {.options = options,
                          .next = options->seed,
                          .job_count = options->jobs,
                          .terminal = isatty(STDERR_FILENO)};
    int rc;

    if (swarm.job_count == 0)
        swarm.job_count = processors > 0 ? (size_t)processors : 1;
    swarm.jobs = calloc(swarm.job_count, sizeof *swarm.jobs);
    rc = swarm.jobs ? run_all(&swarm) : -1;
    if (rc != 0)
        fprintf(stderr, "grapevine-sim: %s\n", strerror(errno));
    else if (!swarm.failed)
        printf("seeds %" PRIu64 " to %" PRIu64 ", %zu nodes, %g h each: no violation\n",
               options->seed, options->last_seed, options->nodes, options->hours);
    free(swarm.jobs);
    return rc != 0 ? EX_OSERR : swarm.failed != NULL;
}
