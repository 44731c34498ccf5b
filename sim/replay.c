/* `replay`: the same again, from what a report tells, and whether it was the same. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "sim/trial.h"

struct wanted {
    const char *command, *hash; /* hash NULL: it died before it had one */
    int64_t violations;
};

static bool read_wanted(struct wanted *out, const json_t *object)
{
    const json_t *violations = json_object_get(object, "violations");
    const json_t *hash = json_object_get(object, "trace_hash");

    out->command = json_string_value(json_object_get(object, "command"));
    out->hash = json_string_value(hash);
    out->violations = json_integer_value(violations);
    return out->command && json_is_integer(violations) && (out->hash || json_is_null(hash));
}

/* Returns the exit status. */
static int again(const struct wanted *wanted, const char *path)
{
    struct gv_sim_options options;
    struct gv_trial trial;
    char death[GV_TRIAL_DEATH];

    if (!gv_sim_options_read(&options, wanted->command)) {
        fprintf(stderr, "grapevine-sim: %s: its command is not one of this version's\n", path);
        return EX_DATAERR;
    }
    printf("%s\n", wanted->command);
    if (gv_trial(&trial, &options) != 0) {
        perror("grapevine-sim");
        return EX_OSERR;
    }
    gv_trial_death(death, &trial);
    if (!trial.ended)
        printf("it ended with %s\n", death);
    else
        printf("trace hash %s, violations %" PRIu64 "\n", trial.result.trace_hash,
               trial.result.violations);
    bool same = wanted->hash ? trial.ended && strcmp(wanted->hash, trial.result.trace_hash) == 0 &&
                                   (uint64_t)wanted->violations == trial.result.violations
                             : !trial.ended;
    if (same)
        printf("the same run as before\n");
    else
        printf("another run: before it was trace hash %s, violations %" PRId64 "\n",
               wanted->hash ? wanted->hash : "none", wanted->violations);
    return same ? 0 : 1;
}

static int again_all(const json_t *runs, const char *path)
{
    const json_t *run;
    struct wanted wanted;
    size_t i, failed = 0;
    int rc = 0;

    json_array_foreach(runs, i, run)
    {
        if (json_is_null(json_object_get(run, "command")))
            continue;
        failed++;
        if (!read_wanted(&wanted, run)) {
            fprintf(stderr, "grapevine-sim: %s: its run %zu is not one of a swarm's report\n", path,
                    i);
            return EX_DATAERR;
        }
        int one = again(&wanted, path);
        rc = one > rc ? one : rc;
    }
    if (failed == 0)
        printf("nothing to repeat: no seed of this swarm failed\n");
    return rc;
}

int gv_replay(const struct gv_sim_options *options)
{
    const char *path = options->report;
    json_error_t error;
    struct wanted wanted;
    json_t *object =
        strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &error) : json_load_file(path, 0, &error);
    const json_t *runs = json_object_get(object, "runs");
    int rc = EX_DATAERR;

    if (!object)
        fprintf(stderr, "grapevine-sim: %s:%d: %s\n", path, error.line, error.text);
    else if (json_is_array(runs))
        rc = again_all(runs, path);
    else if (read_wanted(&wanted, object))
        rc = again(&wanted, path);
    else
        fprintf(stderr, "grapevine-sim: %s: must be what 'run --json' or 'swarm --json' wrote\n",
                path);
    json_decref(object);
    return rc;
}
