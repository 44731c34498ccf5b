#include "sim/ranks.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"

enum tag {
    TAG_ENDED = 1, /* to the first: one byte, whether it failed */
    TAG_STOP,      /* from the first: nobody starts another seed */
    TAG_RUNS,      /* to the first: all runs of a process, the last word of it */
    TAG_OVER       /* from the first: it has them all */
};

#define PAUSE_US 5000u

static struct gv_ranks self;
static bool stop;
static char **sentences; /* that came from others; owned, for a run borrows them */
static size_t sentence_count;

static void tell(int to, enum tag tag, const void *data, size_t len)
{
    gv_assert(len <= INT32_MAX);
    MPI_Send(data, (int)len, MPI_BYTE, to, (int)tag, MPI_COMM_WORLD);
}

/* Only the first says so, once; its own children hear it from `stop`. */
static void stop_all(void)
{
    for (int i = 1; !stop && i < (int)self.size; i++)
        tell(i, TAG_STOP, "", 0);
    stop = true;
}

static void ended(bool failed)
{
    uint8_t byte = failed;

    if (self.rank != 0)
        tell(0, TAG_ENDED, &byte, 1);
    else if (failed)
        stop_all();
}

static bool came(enum tag tag, MPI_Status *status)
{
    int flag = 0;

    MPI_Iprobe(MPI_ANY_SOURCE, (int)tag, MPI_COMM_WORLD, &flag, status);
    return flag != 0;
}

static void hear_ended(const MPI_Status *status, uint64_t *done)
{
    uint8_t failed = 0;

    MPI_Recv(&failed, 1, MPI_BYTE, status->MPI_SOURCE, TAG_ENDED, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    ++*done;
    if (failed)
        stop_all();
}

static bool look(uint64_t *done)
{
    MPI_Status status;

    *done = 0;
    while (self.rank == 0 && came(TAG_ENDED, &status))
        hear_ended(&status, done);
    if (self.rank != 0 && came(TAG_STOP, &status)) {
        MPI_Recv(NULL, 0, MPI_BYTE, 0, TAG_STOP, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        stop = true;
    }
    if (!stop)
        usleep(PAUSE_US);
    return stop;
}

/* ---- the runs of a process, in one message ----------------------------------------------------
 * As they are in memory, each followed by its sentences: all processes are of one build. */

static char *pack(size_t *len, const struct gv_swarm_runs *runs)
{
    char *data = NULL;
    FILE *out = open_memstream(&data, len);

    for (size_t i = 0; out && i < runs->count; i++) {
        const struct gv_broken *broken = &runs->items[i].result.broken;
        fwrite(&runs->items[i], sizeof runs->items[i], 1, out);
        for (size_t k = 0; k < broken->count; k++)
            fwrite(broken->sentences[k], strlen(broken->sentences[k]) + 1, 1, out);
    }
    if (out && fclose(out) == 0)
        return data;
    free(data);
    return NULL;
}

static const char *keep(const char *sentence)
{
    for (size_t i = 0; i < sentence_count; i++)
        if (strcmp(sentences[i], sentence) == 0)
            return sentences[i];
    char **more = realloc(sentences, (sentence_count + 1) * sizeof *more);
    char *copy = strdup(sentence);
    if (more)
        sentences = more;
    if (!more || !copy) {
        free(copy);
        return NULL;
    }
    return sentences[sentence_count++] = copy;
}

static int unpack(struct gv_swarm_runs *runs, const char *data, size_t len)
{
    size_t at = 0;

    while (at < len) {
        struct gv_swarm_run *run = gv_swarm_runs_add(runs);
        if (!run || len - at < sizeof *run)
            return -1;
        memcpy(run, data + at, sizeof *run);
        at += sizeof *run;
        for (size_t i = 0; i < run->result.broken.count; i++) {
            const char *end = memchr(data + at, '\0', len - at);
            if (!end || !(run->result.broken.sentences[i] = keep(data + at)))
                return -1;
            at = (size_t)(end - data) + 1;
        }
    }
    return 0;
}

static int take_runs(struct gv_swarm_runs *runs, const MPI_Status *status)
{
    int len = 0;

    MPI_Get_count(status, MPI_BYTE, &len);
    char *data = malloc((size_t)len + 1);
    if (!data)
        return -1;
    MPI_Recv(data, len, MPI_BYTE, status->MPI_SOURCE, TAG_RUNS, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    int rc = unpack(runs, data, (size_t)len);
    free(data);
    return rc;
}

static int gather_all(struct gv_swarm_runs *runs)
{
    MPI_Status status;
    uint64_t done;
    int rc = 0;

    for (uint64_t had = 1; had < self.size && rc == 0;) {
        look(&done);
        if (stop)
            usleep(PAUSE_US);
        if (!came(TAG_RUNS, &status))
            continue;
        rc = take_runs(runs, &status);
        had++;
    }
    if (rc != 0)
        return rc;
    for (int i = 1; i < (int)self.size; i++)
        tell(i, TAG_OVER, "", 0);
    return 0;
}

static int gather(struct gv_swarm_runs *runs)
{
    MPI_Status status;
    uint64_t done;

    if (self.rank == 0) {
        int rc = gather_all(runs);
        if (rc != 0) {
            fprintf(stderr, "grapevine-sim: the runs of another process could not be taken\n");
            MPI_Abort(MPI_COMM_WORLD, EX_OSERR);
        }
        return rc;
    }
    size_t len = 0;
    char *data = pack(&len, runs);
    if (!data) /* nothing can be reported any more, and nobody is left waiting */
        MPI_Abort(MPI_COMM_WORLD, EX_OSERR);
    tell(0, TAG_RUNS, data, len);
    free(data);
    while (
        !came(TAG_OVER, &status)) { /* not in MPI's own wait, which would take a whole processor */
        look(&done);
        usleep(PAUSE_US);
    }
    return 0;
}

static void give_up(int rc)
{
    MPI_Abort(MPI_COMM_WORLD, rc);
}

const struct gv_ranks *gv_ranks_start(int *argc, char ***argv)
{
    int rank, size;

    if (!getenv("OMPI_COMM_WORLD_SIZE") && !getenv("PMI_SIZE") && !getenv("PMIX_RANK"))
        return NULL;
    if (MPI_Init(argc, argv) != MPI_SUCCESS)
        return NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    self = (struct gv_ranks){.rank = (uint64_t)rank,
                             .size = (uint64_t)size,
                             .ended = ended,
                             .look = look,
                             .gather = gather,
                             .give_up = give_up};
    return &self;
}

void gv_ranks_end(void)
{
    MPI_Finalize();
    for (size_t i = 0; i < sentence_count; i++)
        free(sentences[i]);
    free(sentences);
}
