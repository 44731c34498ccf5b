#include "sim/swarm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "sim/report.h"
#include "sim/swarm_report.h"

struct job {
    pid_t pid; /* 0: free */
    struct gv_sim_options options;
    FILE *said;   /* what it printed; owned */
    FILE *result; /* what came of it, as it is in memory; owned */
};

struct swarm {
    const struct gv_sim_options *options;
    struct job *jobs;
    size_t job_count, running;
    const struct gv_ranks *ranks; /* NULL: this process has all seeds */
    uint64_t next, step, done, shown;
    bool all_started;
    bool failed;
    struct gv_swarm_runs runs;
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
    if (fwrite(&result, sizeof result, 1, job->result) != 1 || fflush(job->result) != 0)
        _exit(EX_OSERR);
    _exit(result.violations > 0);
}

static int start(struct swarm *swarm, struct job *job)
{
    job->options = *swarm->options;
    job->options.seed = swarm->next;
    if (swarm->options->drawn)
        gv_faults_draw(&job->options.faults, swarm->next);
    swarm->all_started = swarm->options->last_seed - swarm->next < swarm->step;
    swarm->next += swarm->step;
    job->said = tmpfile();
    job->result = tmpfile();
    if (!job->said || !job->result)
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

/* On a terminal each seed, elsewhere each fiftieth and the last. */
static void show_progress(struct swarm *swarm)
{
    uint64_t all = swarm->options->last_seed - swarm->options->seed + 1;

    if (swarm->failed || (swarm->ranks && swarm->ranks->rank != 0) || swarm->done == swarm->shown)
        return;
    if (swarm->terminal)
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " seeds", swarm->done, all);
    else if (swarm->done / 50 != swarm->shown / 50 || swarm->done == all)
        fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds\n", swarm->done, all);
    swarm->shown = swarm->done;
}

static void copy_out(FILE *said)
{
    char line[512];

    rewind(said);
    while (fgets(line, sizeof line, said))
        fputs(line, stderr);
}

static void tell_failure(const struct job *job, int status, const char *line)
{
    fprintf(stderr, "\nseed %" PRIu64 " failed", job->options.seed);
    if (WIFSIGNALED(status))
        fprintf(stderr, ": it ended with signal %d", WTERMSIG(status));
    fprintf(stderr, "\n");
    copy_out(job->said);
    fprintf(job->options.json_path ? stderr : stdout, "%s\n", line);
}

/* A process of this one has ended; what it has found, it has left as it was in its memory, which is
 * this one's but for what it wrote. */
static int take_job(struct swarm *swarm, struct job *job, int status)
{
    struct gv_swarm_run *run = gv_swarm_runs_add(&swarm->runs);

    if (!run)
        return -1;
    run->seed = job->options.seed;
    run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    rewind(job->result);
    run->ended = fread(&run->result, sizeof run->result, 1, job->result) == 1;
    if (!run->ended)
        memset(&run->result, 0, sizeof run->result);
    if (status != 0)
        gv_sim_options_line(run->line, &job->options);
    if (status != 0 && !swarm->failed)
        tell_failure(job, status, run->line);
    swarm->failed = swarm->failed || status != 0;
    if (swarm->ranks)
        swarm->ranks->ended(status != 0);
    return 0;
}

static void job_close(struct job *job)
{
    if (job->said)
        fclose(job->said);
    if (job->result)
        fclose(job->result);
    job->said = job->result = NULL;
}

/* Among ranks: meanwhile what the others have to say is heard. */
static pid_t await(struct swarm *swarm, int *status)
{
    uint64_t elsewhere;
    pid_t pid;

    if (!swarm->ranks)
        return waitpid(-1, status, 0);
    while ((pid = waitpid(-1, status, WNOHANG)) == 0) {
        if (swarm->ranks->look(&elsewhere))
            swarm->all_started = true;
        swarm->done += elsewhere;
        show_progress(swarm);
    }
    return pid;
}

/* Waits for one child. */
static int reap(struct swarm *swarm)
{
    int status;
    pid_t pid = await(swarm, &status);

    if (pid < 0)
        return errno == EINTR ? 0 : -1;
    for (size_t i = 0; i < swarm->job_count; i++) {
        struct job *job = &swarm->jobs[i];
        if (job->pid != pid)
            continue;
        job->pid = 0;
        swarm->running--;
        swarm->done++;
        if (take_job(swarm, job, status) != 0)
            return -1;
        job_close(job);
    }
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

/* The first has the runs of all. */
static void gather(struct swarm *swarm)
{
    if (!swarm->ranks || swarm->ranks->gather(&swarm->runs) != 0 || swarm->ranks->rank != 0)
        return;
    for (size_t i = 0; i < swarm->runs.count; i++)
        swarm->failed = swarm->failed || swarm->runs.items[i].line[0];
    swarm->done = swarm->runs.count;
    show_progress(swarm);
}

static int tell_end(struct swarm *swarm, double wall_s)
{
    const struct gv_sim_options *options = swarm->options;
    bool json_on_stdout = options->json_path && strcmp(options->json_path, "-") == 0;

    if (!swarm->failed)
        fprintf(json_on_stdout ? stderr : stdout,
                "seeds %" PRIu64 " to %" PRIu64 ", %zu nodes, %g h each: no violation\n",
                options->seed, options->last_seed, options->nodes, options->hours);
    uint64_t ranks = swarm->ranks ? swarm->ranks->size : 1;
    int rc = options->json_path ? gv_swarm_report(options, &swarm->runs, ranks, wall_s) : 0;
    return rc ? rc : swarm->failed ? 1 : 0;
}

int gv_swarm(const struct gv_sim_options *options, double (*wall_s)(void),
             const struct gv_ranks *ranks)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct swarm swarm = {.options = options,
                          .ranks = ranks,
                          .next = options->seed + (ranks ? ranks->rank : 0),
                          .step = ranks ? ranks->size : 1,
                          .job_count = options->jobs,
                          .terminal = isatty(STDERR_FILENO)};
    double start = wall_s();
    int rc = ranks && ranks->rank != 0 ? 0 : gv_report_reach(options); /* the first writes it */

    if (rc != 0) {
        if (ranks)
            ranks->give_up(rc);
        return rc;
    }
    if (swarm.job_count == 0)
        swarm.job_count = processors > 0 ? (size_t)processors : 1;
    swarm.all_started = ranks && options->last_seed - options->seed < ranks->rank;
    swarm.jobs = calloc(swarm.job_count, sizeof *swarm.jobs);
    rc = swarm.jobs ? run_all(&swarm) : -1;
    if (rc != 0) {
        fprintf(stderr, "grapevine-sim: %s\n", strerror(errno));
        rc = EX_OSERR;
        if (ranks)
            ranks->give_up(rc);
    } else {
        gather(&swarm);
        rc = ranks && ranks->rank != 0 ? 0 : tell_end(&swarm, wall_s() - start);
    }
    for (size_t i = 0; swarm.jobs && i < swarm.job_count; i++)
        job_close(&swarm.jobs[i]);
    gv_swarm_runs_free(&swarm.runs);
    free(swarm.jobs);
    return rc;
}
