/* The simulator's tools: scenarios say what is wrong and where; a report is repeated and compared;
 * a run that fails gets smaller and fails still; a run can be read, and reading does not change it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "sim/explain.h"
#include "sim/knobs.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/story.h"
#include "sim/trial.h"

#define TEXT_MAX 65536

struct text {
    char out[TEXT_MAX], err[TEXT_MAX];
    int status;
};

static void take_in(char text[TEXT_MAX], FILE *file)
{
    rewind(file);
    text[fread(text, 1, TEXT_MAX - 1, file)] = 0;
    fclose(file);
}

/* What a command says, in a process of its own. */
static const struct text *ask(int (*command)(const struct gv_sim_options *),
                              const struct gv_sim_options *options)
{
    static struct text text;
    FILE *out = tmpfile(), *err = tmpfile();
    int status = -1;

    assert_true(out && err);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(fileno(out), STDOUT_FILENO) < 0 || dup2(fileno(err), STDERR_FILENO) < 0)
            _exit(EX_OSERR);
        status = command(options);
        fflush(NULL);
        _exit(status);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    text.status = WEXITSTATUS(status);
    take_in(text.out, out);
    take_in(text.err, err);
    return &text;
}

static const char *write_file(const char *content)
{
    static char path[64];
    FILE *file;

    strcpy(path, "/tmp/gv-sim-tools-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0 && fclose(file) == 0);
    return path;
}

/* ---- scenarios ------------------------------------------------------------------------------- */

static void a_scenario_is_the_run_that_it_says(void **state)
{
    struct gv_sim_options options = {.hours = 3};
    const char *path = write_file("; a mesh\n[run]\nnodes = 12\nseed = 0\nsightings = 2.5 ; each\n"
                                  "known = yes\npublic = no\nbehind-nat = 20\nplant = leak\n"
                                  "[faults]\njitter = 50\nloss = 3\n");

    assert_int_equal(gv_scenario_read(&options, path), 0);
    unlink(path);
    assert_int_equal(options.nodes, 12);
    assert_true(options.seeded && options.seed == 0);
    assert_true(options.sightings > 2.4 && options.sightings < 2.6);
    assert_true(options.hours > 2.9); /* not said, not touched */
    assert_true(options.known && !options.public_only && options.faults_given);
    assert_int_equal(options.behind_nat, 20);
    assert_int_equal(options.plant, GV_PLANT_LEAK);
    assert_int_equal(options.faults.jitter, 50);
    assert_int_equal(options.faults.loss, 3);
}

static const char *scenario_path;

static int read_scenario(const struct gv_sim_options *options)
{
    struct gv_sim_options copy = *options;

    return gv_scenario_read(&copy, scenario_path);
}

static void what_is_wrong_in_a_scenario_is_told_with_its_line(void **state)
{
    static const struct {
        const char *content, *said;
    } cases[] = {
        {"[run]\nnodes = 1\n", ":2: [run] nodes: must be a whole number from 2 to 10000\n"},
        {"[run]\n\n; so\nhours = long\n", ":4: [run] hours: must be a number from 0.02 to 1440\n"},
        {"[run]\nhours = nan\n", ":2: [run] hours: must be a number"},
        {"[run]\nseed = 18446744073709551616\n",
         ":2: [run] seed: must be a whole number from 0 to "},
        {"[run]\nknown = maybe\n", ":2: [run] known: must be yes or no\n"},
        {"[run]\nplant = rose\n", ":2: [run] plant: must be the name of a planted bug"},
        {"[run]\nnode = 5\n", ":2: [run] node: there is no such key"},
        {"[run]\nnodes = 5\nnodes = 6\n", ":3: [run] nodes: is given twice\n"},
        {"[faults]\nloss = 31\n", ":2: [faults] loss: the number is too large"},
        {"[faults]\nloss = 1,jitter=5\n", ":2: [faults] loss: must be NAME=NUMBER"},
        {"[faults]\nrain = 1\n", ":2: [faults] rain: no fault has this name"},
        {"[sky]\nblue = 1\n", ":2: [sky] blue: there is no such section"},
        {"[run]\nnodes\n", ":2: must be [run], [faults] or KEY = VALUE\n"},
        {"[run]\nno\033[2Jdes = 5\n", ":2: [run] no?[2Jdes: there is no such key"},
    };
    struct gv_sim_options options = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scenario_path = write_file(cases[i].content);
        const struct text *text = ask(read_scenario, &options);
        unlink(scenario_path);
        assert_int_equal(text->status, EX_CONFIG);
        if (!strstr(text->err, cases[i].said) || !strstr(text->err, scenario_path))
            fail_msg("'%s' says '%s', not '%s'", cases[i].content, text->err, cases[i].said);
    }
    scenario_path = "/nonexistent/scenario";
    assert_int_equal(ask(read_scenario, &options)->status, EX_NOINPUT);
}

static void a_long_line_is_not_two(void **state)
{
    char content[1024] = "[run]\n; ";
    struct gv_sim_options options = {0};

    memset(content + 8, 'x', 400);
    strcpy(content + 408, "\nnodes = 4\n");
    scenario_path = write_file(content);
    const struct text *text = ask(read_scenario, &options);
    unlink(scenario_path);
    assert_int_equal(text->status, EX_CONFIG);
    assert_non_null(strstr(text->err, ":2: the line is too long"));
    assert_null(strstr(text->err, ":3:"));
}

static void the_help_of_scenarios_has_every_key(void **state)
{
    static char help[TEXT_MAX];
    FILE *file = tmpfile();
    const struct gv_knob *knob;
    struct gv_faults faults = {0};
    char key[64];

    assert_non_null(file);
    gv_scenario_help(file);
    take_in(help, file);
    for (size_t i = 0; (knob = gv_knob(i)); i++) {
        snprintf(key, sizeof key, "\n;%s = ", knob->name);
        if (!strstr(help, key) || !strstr(help, knob->text))
            fail_msg("the help does not tell of %s", knob->name);
    }
    for (size_t i = 0; gv_faults_at(&faults, i); i++)
        *gv_faults_at(&faults, i) = 1;
#define TOLD(name, most, text)                                                                     \
    if (!strstr(help, "\n;" #name " = 0\n") || !strstr(help, text))                                \
        fail_msg("the help does not tell of %s", #name);
    GV_FAULT_MAP(TOLD)
#undef TOLD
}

/* ---- a run to read --------------------------------------------------------------------------- */

static const struct gv_sim_options small = {
    .nodes = 4, .hours = 0.1, .seed = 3, .last_seed = 3, .sightings = 8, .node = SIZE_MAX};

static size_t count(const char *text, const char *word)
{
    size_t found = 0;

    while ((text = strstr(text, word))) {
        found++;
        text += strlen(word);
    }
    return found;
}

static void a_trace_tells_the_story_and_leaves_it_as_it_is(void **state)
{
    struct gv_story story = {.out = tmpfile(), .node = SIZE_MAX, .to_ms = UINT64_MAX, .all = true};
    struct gv_sim_watch watch = {.story = &story, .stop_ms = UINT64_MAX};
    struct gv_sim_result read, unread;
    static char all[16 * TEXT_MAX];

    gv_sim_run(&unread, &small, true);
    gv_sim_run_watched(&read, &small, true, &watch);
    assert_string_equal(read.trace_hash, unread.trace_hash);
    rewind(story.out);
    all[fread(all, 1, sizeof all - 1, story.out)] = 0;
    fclose(story.out);
    assert_int_equal(count(all, "starts, for the 1. time"), 4);
    assert_int_equal(count(all, "signal made"), unread.signals);
    assert_true(count(all, "has a session with node") >= 6);
    assert_true(count(all, "bytes on link") > 20 && count(all, "writes a row: signal") > 0);
    assert_int_equal(count(all, "VIOLATION"), 0);
}

static void a_trace_tells_of_one_node_and_time(void **state)
{
    struct gv_sim_options options = small;

    options.node = 2;
    options.from_s = 1;
    options.to_s = 200;
    const struct text *text = ask(gv_trace_run, &options);
    assert_int_equal(text->status, 0);
    assert_int_equal(count(text->out, "  node 1  "), 0);
    assert_true(count(text->out, "  node 2  ") > 0);
    assert_int_equal(count(text->out, "starts, for"), 0); /* that was at 0 s */
    assert_int_equal(count(text->out, "     310.000 s"), 0);
}

static void a_trace_tells_what_was_violated(void **state)
{
    struct gv_sim_options options = small;

    options.plant = GV_PLANT_LOSE_ROWS;
    options.sightings = 30;
    const struct text *text = ask(gv_trace_run, &options);
    assert_int_equal(text->status, 1);
    assert_true(count(text->out, "VIOLATION: holds other statements in memory than on disk") > 0);
}

static void a_node_is_explained(void **state)
{
    struct gv_sim_options options = small;

    options.node = 1;
    options.to_s = 345;
    const struct text *text = ask(gv_explain, &options);
    assert_int_equal(text->status, 0);
    assert_non_null(strstr(text->out, "node 1 at 345.000 s: up\n"));
    assert_non_null(strstr(text->out, "untrusted, weight 2000 of 2 owners: node "));
    assert_non_null(strstr(text->out, "  roster               4 instances\n"));
    assert_non_null(strstr(text->out, "bytes, sessions"));
    assert_true(count(text->out, " s  node 1  ") >= 5);
    assert_int_equal(count(text->out, " s  node 2  "), 0);
    options.to_s = 36000; /* behind the end: at the end */
    text = ask(gv_explain, &options);
    assert_non_null(strstr(text->out, "node 1 at 360.000 s: up\n"));
    options.node = 4;
    assert_int_equal(ask(gv_explain, &options)->status, EX_USAGE);
    assert_int_equal(ask(gv_trace_run, &options)->status, EX_USAGE);
}

/* ---- once more ------------------------------------------------------------------------------- */

static void a_report_is_repeated_and_compared(void **state)
{
    struct gv_sim_options options = small;
    struct gv_sim_result result;
    char line[GV_SIM_LINE], report[GV_SIM_LINE + 256];

    gv_sim_run(&result, &small, true);
    gv_sim_options_line(line, &small);
    for (int changed = 0; changed < 2; changed++) {
        snprintf(report, sizeof report,
                 "{\"command\": \"%s\", \"trace_hash\": \"%s\", \"violations\": %d}", line,
                 result.trace_hash, changed);
        options.report = write_file(report);
        const struct text *text = ask(gv_replay, &options);
        unlink(options.report);
        assert_int_equal(text->status, changed);
        assert_non_null(strstr(text->out, changed ? "another run" : "the same run as before"));
        assert_non_null(strstr(text->out, result.trace_hash));
    }
    result.trace_hash[3] ^= 1;
    snprintf(report, sizeof report,
             "{\"runs\": [{\"command\": null}, {\"command\": \"%s\", \"trace_hash\": \"%s\", "
             "\"violations\": 0}]}",
             line, result.trace_hash);
    options.report = write_file(report);
    assert_int_equal(ask(gv_replay, &options)->status, 1);
    unlink(options.report);
}

static void what_is_no_report_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"command\": 5}",
        "{\"runs\": [{}]}",
        "{\"runs\": [5]}",
        "{\"command\": \"rm -r x\", \"trace_hash\": \"0\", \"violations\": 0}",
        "{\"command\": \"grapevine-sim run --nodes 4\", \"trace_hash\": \"0\", \"violations\": 0}",
        "{\"command\": \"grapevine-sim run --nodes 4 --hours\", \"trace_hash\": \"0\", "
        "\"violations\": 0}",
        "{\"command\": \"grapevine-sim run --nodes 4 --hours 0.1 --seed 1 --sightings 4 --faults "
        "none --json /x\", \"trace_hash\": \"0\", \"violations\": 0}",
        "{\"command\": \"grapevine-sim run --nodes 4 --hours 0.1 --seed 1 --sightings 4 --faults "
        "rain=1\", \"trace_hash\": \"0\", \"violations\": 0}",
    };
    struct gv_sim_options options = small;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.report = write_file(wrong[i]);
        int status = ask(gv_replay, &options)->status;
        unlink(options.report);
        if (status != EX_DATAERR)
            fail_msg("'%s' gives %d", wrong[i], status);
    }
    options.report = "/nonexistent/report";
    assert_int_equal(ask(gv_replay, &options)->status, EX_DATAERR);
}

/* ---- smaller --------------------------------------------------------------------------------- */

static void a_run_that_fails_gets_smaller_and_fails_alike(void **state)
{
    struct gv_sim_options options = {.nodes = 6,
                                     .hours = 0.5,
                                     .seed = 1,
                                     .last_seed = 1,
                                     .sightings = 20,
                                     .plant = GV_PLANT_LOSE_ROWS,
                                     .known = true,
                                     .faults = {.jitter = 40},
                                     .tries = 60,
                                     .mb_per_hour = 1};
    struct gv_sim_options found;
    struct gv_sim_result result;

    const struct text *text = ask(gv_minimise, &options);
    assert_int_equal(text->status, 0);
    char line[GV_SIM_LINE];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(text->out, "\n"), text->out);
    assert_true(gv_sim_options_read(&found, line));
    assert_true(found.nodes < options.nodes && found.hours < options.hours &&
                found.faults.jitter == 0 && !found.known && !(found.mb_per_hour > 0));
    assert_int_equal(found.plant, GV_PLANT_LOSE_ROWS);
    gv_sim_run(&result, &found, true);
    assert_true(gv_broken_has(&result.broken, "holds other statements in memory than on disk"));
}

static void a_run_that_does_not_fail_has_no_smaller_one(void **state)
{
    struct gv_sim_options options = small;

    options.tries = 5;
    const struct text *text = ask(gv_minimise, &options);
    assert_int_equal(text->status, EX_DATAERR);
    assert_non_null(strstr(text->err, "does not fail"));
}

/* A process that cannot leave its result, or has none without having died, is no failing run. */
static void a_trial_without_a_result_is_none(void **state)
{
    struct rlimit before, none;
    struct gv_trial trial;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    fflush(NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int rc = gv_trial(&trial, &small), error = errno;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, -1);
    assert_int_equal(error, EIO);
    assert_int_equal(gv_trial(&trial, &small), 0);
    assert_true(trial.ended && trial.signal == 0 && trial.exit_status == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scenario_is_the_run_that_it_says),
        cmocka_unit_test(what_is_wrong_in_a_scenario_is_told_with_its_line),
        cmocka_unit_test(a_long_line_is_not_two),
        cmocka_unit_test(the_help_of_scenarios_has_every_key),
        cmocka_unit_test(a_trace_tells_the_story_and_leaves_it_as_it_is),
        cmocka_unit_test(a_trace_tells_of_one_node_and_time),
        cmocka_unit_test(a_trace_tells_what_was_violated),
        cmocka_unit_test(a_node_is_explained),
        cmocka_unit_test(a_report_is_repeated_and_compared),
        cmocka_unit_test(what_is_no_report_is_refused),
        cmocka_unit_test(a_run_that_fails_gets_smaller_and_fails_alike),
        cmocka_unit_test(a_run_that_does_not_fail_has_no_smaller_one),
        cmocka_unit_test(a_trial_without_a_result_is_none),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
