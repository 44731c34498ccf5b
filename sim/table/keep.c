#include "sim/table/keep.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/hash.h"

static const uint8_t key[16] = {'k', 'e', 'e', 'p'};

static uint64_t add(uint64_t hash, const void *data, size_t len)
{
    uint64_t words[2] = {hash, gv_siphash(key, data, len)};

    return gv_siphash(key, words, sizeof words);
}

/* Of this very program: another may have another rule. */
static uint64_t hash_program(void)
{
    FILE *program = fopen("/proc/self/exe", "rb");
    uint8_t block[65536];
    uint64_t hash = 0;
    size_t got;

    while (program && (got = fread(block, 1, sizeof block, program)) > 0)
        hash = add(hash, block, got);
    if (program)
        fclose(program);
    return hash;
}

static uint64_t hash_table(const struct gv_chart *table, uint64_t seed)
{
    const struct gv_chart_options *o = table->options;
    uint64_t numbers[] = {seed, o->nodes, o->days, table->cell_count, sizeof(struct gv_score)};
    uint64_t hash = add(hash_program(), numbers, sizeof numbers);

    hash = add(hash, &o->numbers, sizeof o->numbers);
    for (size_t i = 0; i < table->cell_count; i++) {
        const struct gv_cell *cell = &table->cells[i];
        hash = add(hash, cell->rule->name, strlen(cell->rule->name));
        hash = add(hash, cell->attack->name, strlen(cell->attack->name));
        hash = add(hash, &cell->share_permille, sizeof cell->share_permille);
    }
    return hash;
}

struct gv_score *gv_chart_score(struct gv_chart *table, uint32_t seed, size_t n)
{
    return n == 0 ? &table->base[seed] : &table->cells[n - 1].scores[seed];
}

/* A new file gets its head. What a run that was ended left of a score is cut off. */
static int read_back(FILE *file, size_t *done, struct gv_chart *table, uint32_t seed)
{
    uint64_t head, wanted = hash_table(table, table->options->seed + seed);

    if (fread(&head, sizeof head, 1, file) != 1) {
        rewind(file);
        return ftruncate(fileno(file), 0) == 0 && fwrite(&wanted, sizeof wanted, 1, file) == 1 &&
                       fflush(file) == 0
                   ? 0
                   : EX_CANTCREAT;
    }
    if (head != wanted)
        return EX_DATAERR;
    while (*done <= table->cell_count &&
           fread(gv_chart_score(table, seed, *done), sizeof(struct gv_score), 1, file) == 1)
        ++*done;
    long end = (long)(sizeof head + *done * sizeof(struct gv_score));
    return ftruncate(fileno(file), end) == 0 && fseek(file, end, SEEK_SET) == 0 ? 0 : EX_CANTCREAT;
}

int gv_keep_open(FILE **out, size_t *done, struct gv_chart *table, uint32_t seed)
{
    const char *dir = table->options->keep_path;
    char path[4096];
    int rc = EX_CANTCREAT;

    *out = NULL;
    *done = 0;
    if (!dir)
        return 0;
    snprintf(path, sizeof path, "%s/seed-%" PRIu64, dir, table->options->seed + seed);
    if (mkdir(dir, 0777) == 0 || errno == EEXIST)
        *out = fopen(path, "ab+"); /* made when it is not there; */
    if (*out)
        *out = freopen(path, "rb+", *out); /* and what is read back decides where it goes on */
    if (*out)
        rc = read_back(*out, done, table, seed);
    if (rc == EX_DATAERR)
        fprintf(stderr,
                "grapevine-sim: --keep: %s is of another table, or of another build: move it away, "
                "or name another directory\n",
                path);
    else if (rc != 0)
        fprintf(stderr, "grapevine-sim: --keep: %s: %s\n", path, strerror(errno));
    if (rc != 0 && *out) {
        fclose(*out);
        *out = NULL;
    }
    return rc;
}

int gv_keep_add(FILE *keep, const struct gv_score *score)
{
    if (!keep || (fwrite(score, sizeof *score, 1, keep) == 1 && fflush(keep) == 0))
        return 0;
    fprintf(stderr, "grapevine-sim: --keep: %s\n", strerror(errno));
    return EX_IOERR;
}
