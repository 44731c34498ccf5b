/* The simulator's command line and its report: what is given is what is run, the line that is
 * printed is the same run, and a report that could not be written is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "crypto/error.h"
#include "sim/page.h"
#include "sim/report.h"
#include "sim/swarm.h"

#define WORDS 32

/* Splits at blanks. */
static struct gv_sim_options parse(const char *line)
{
    static char copy[GV_SIM_LINE];
    char *argv[WORDS + 1] = {NULL}, *rest = copy;
    int argc = 0;
    struct gv_sim_options options;

    assert_true(strlen(line) < sizeof copy);
    strcpy(copy, line);
    while (argc < WORDS && (argv[argc] = strtok_r(rest, " ", &rest)))
        argc++;
    assert_true(argc < WORDS);
    gv_sim_options_parse(&options, argc, argv);
    return options;
}

/* ---- what is given --------------------------------------------------------------------------- */

static void a_seed_of_zero_is_a_seed(void **state)
{
    struct gv_sim_options options = parse("grapevine-sim run --seed 0");

    assert_true(options.seed == 0 && options.last_seed == 0);
    options = parse("grapevine-sim swarm --seeds 0..0");
    assert_true(options.seed == 0 && options.last_seed == 0);
    options = parse("grapevine-sim run");
    assert_true(options.seed == 1 && options.last_seed == 1);
    options = parse("grapevine-sim swarm");
    assert_true(options.seed == 1 && options.last_seed == 100);
}

static void no_faults_are_no_faults(void **state)
{
    struct gv_sim_options options = parse("grapevine-sim swarm --faults none");

    assert_false(options.drawn);
    assert_false(gv_faults_any(&options.faults));
    assert_true(parse("grapevine-sim swarm").drawn);
    assert_true(parse("grapevine-sim swarm --faults drawn").drawn);
    assert_false(parse("grapevine-sim swarm --faults loss=3").drawn);
}

static void the_line_that_is_printed_is_the_same_run(void **state)
{
    static const char *const lines[] = {
        "grapevine-sim run --nodes 6 --hours 1.23456789 --seed 18446744073709551615 "
        "--sightings 0.30000000000000004 --faults loss=3 --max-mb-per-hour 1.0000001 --known",
        "grapevine-sim run --nodes 5 --hours 0.1 --seed 0 --sightings 4 --faults none",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct gv_sim_options given = parse(lines[i]), again;
        char line[GV_SIM_LINE];
        gv_sim_options_line(line, &given);
        assert_string_equal(line, lines[i]);
        again = parse(line);
        assert_memory_equal(&again.hours, &given.hours, sizeof given.hours);
        assert_memory_equal(&again.sightings, &given.sightings, sizeof given.sightings);
        assert_memory_equal(&again.mb_per_hour, &given.mb_per_hour, sizeof given.mb_per_hour);
        assert_true(again.seed == given.seed);
    }
}

/* Its exit status; what it said goes nowhere. */
static int refusal(const char *line)
{
    int status = -1;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(EX_OSERR);
        parse(line);
        _exit(0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_line_is_read_as_it_was_written(void **state)
{
    static const char *const lines[] = {
        "grapevine-sim run --nodes 6 --hours 1.5 --seed 0 --sightings 0.3 --faults loss=3,kill=50 "
        "--attackers 99.5 --attackers-most 200 --plant leak --max-mb-per-hour 1 --behind-nat 20 "
        "--offline 10 --known "
        "--public --real-crypto",
        ("grapevine-sim run --nodes 6 --hours 1 --seed 1 --sightings 4 --faults none --attackers "
         "1e+06"),
        "grapevine-sim run --nodes 5 --hours 0.1 --seed 7 --sightings 4 --faults none",
    };
    struct gv_sim_options options;
    char line[GV_SIM_LINE];

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_true(gv_sim_options_read(&options, lines[i]));
        gv_sim_options_line(line, &options);
        assert_string_equal(line, lines[i]);
        options = parse(lines[i]);
        gv_sim_options_line(line, &options);
        assert_string_equal(line, lines[i]);
    }
    assert_int_equal(options.seed, 7);
}

static void what_cannot_be_done_is_refused(void **state)
{
    static const char *const wrong[] = {"run --nodes 1",
                                        "run --nodes 10001",
                                        "run --hours 0",
                                        "run --seed -1",
                                        "run --sightings 31",
                                        "run --behind-nat 91",
                                        "run --offline x",
                                        "run --attackers 0",
                                        "run --attackers-most 0",
                                        "run --plant rose",
                                        "walk",
                                        "run run",
                                        "replay",
                                        "explain 1",
                                        "explain 1 -5",
                                        "explain a 5",
                                        "explain 1 5 6",
                                        "minimise --tries 0",
                                        "trace --node -1",
                                        "trace --from soon",
                                        "run --faults kill=91",
                                        "run --hours 0x10",
                                        "run --hours inf",
                                        "run --hours nan",
                                        "run --sightings +5",
                                        "run --nodes 0x10",
                                        "trace --from 0x1",
                                        "explain 1 0x5",
                                        "run --seed 0x1",
                                        ""};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[128];
        snprintf(line, sizeof line, "grapevine-sim %s", wrong[i]);
        if (refusal(line) != EX_USAGE)
            fail_msg("'%s' is taken", line);
    }
    assert_int_equal(refusal("grapevine-sim explain 1 5.5 --nodes 3"), 0);
    assert_int_equal(refusal("grapevine-sim replay report.json"), 0);
    assert_int_equal(refusal("grapevine-sim minimise --seed 3 --tries 9"), 0);
    assert_int_equal(refusal("grapevine-sim run --scenario /nonexistent/x"), EX_NOINPUT);
    assert_int_equal(refusal("grapevine-sim swarm --json report.json"), 0);
    assert_int_equal(refusal("grapevine-sim run --seeds 1..2"), EX_USAGE);
    assert_int_equal(refusal("grapevine-sim run --json report.json"), 0);
}

/* ---- the report ------------------------------------------------------------------------------ */

/* Returns its status, and what it said of it on standard error. */
static int report(const char *json_path, const char *standard_output, uint64_t seed,
                  char said[4096])
{
    struct gv_sim_options options = {.nodes = 2, .hours = 1, .seed = seed, .json_path = json_path};
    struct gv_sim_result result = {.trace_hash = "0123456789abcdef"};
    struct gv_sim_cost cost = {0};
    FILE *file = tmpfile();
    int status = -1;

    assert_non_null(file);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(fileno(file), STDERR_FILENO) < 0 || !freopen(standard_output, "w", stdout))
            _exit(EX_OSERR);
        _exit(gv_report(&options, &result, &cost));
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    rewind(file);
    said[fread(said, 1, 4095, file)] = 0;
    fclose(file);
    return WEXITSTATUS(status);
}

static void a_report_that_could_not_be_written_is_told(void **state)
{
    char said[4096];

    assert_int_equal(report("/dev/full", "/dev/null", 1, said), EX_CANTCREAT);
    assert_non_null(strstr(said, "/dev/full: could not be written: No space left"));
    assert_int_equal(report("-", "/dev/full", 1, said), EX_CANTCREAT);
    assert_non_null(strstr(said, "standard output: could not be written: No space left"));
    assert_int_equal(report(NULL, "/dev/full", 1, said), EX_CANTCREAT);
    assert_non_null(strstr(said, "standard output: could not be written: No space left"));
    assert_int_equal(report("/dev/null/x", "/dev/null", 1, said), EX_CANTCREAT);
    assert_non_null(strstr(said, "/dev/null/x: could not be written: Not a directory"));
    assert_int_equal(report("-", "/dev/null", 1, said), 0);
    assert_null(strstr(said, "could not"));
}

static void the_largest_seed_is_told_as_it_is(void **state)
{
    char path[] = "/tmp/gv-sim-report-XXXXXX", said[4096];
    int file = mkstemp(path);

    assert_true(file >= 0);
    close(file);
    assert_int_equal(report(path, "/dev/null", UINT64_MAX, said), 0);
    json_t *object = json_load_file(path, 0, NULL);
    unlink(path);
    assert_non_null(object);
    const char *seed = json_string_value(json_object_get(object, "seed"));
    assert_non_null(seed);
    assert_string_equal(seed, "18446744073709551615");
    json_decref(object);
}

/* Counts this word in a file. */
static size_t count_in(const char *path, const char *word, bool *whole)
{
    static char text[1 << 18];
    FILE *file = fopen(path, "r");
    size_t found = 0;

    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    *whole = strstr(text, "</html>") != NULL;
    for (const char *at = text; (at = strstr(at, word)); at++)
        found++;
    return found;
}

static void a_page_has_five_plots_and_the_figures(void **state)
{
    char path[] = "/tmp/gv-sim-page-XXXXXX";
    struct gv_sim_options options = parse("grapevine-sim run --nodes 4 --hours 0.2 --sightings 9");
    struct gv_samples samples = {0};
    struct gv_sim_watch watch = {
        .context = &samples, .stop_ms = UINT64_MAX, .look = gv_samples_look};
    struct gv_sim_cost cost = {0};
    struct gv_sim_result result, unseen;
    int file = mkstemp(path);
    bool whole;

    assert_true(file >= 0);
    close(file);
    gv_sim_run(&unseen, &options, true);
    gv_sim_run_watched(&result, &options, true, &watch);
    assert_string_equal(result.trace_hash, unseen.trace_hash);
    assert_int_equal(samples.count, 13); /* at 0 and after each of 12 minutes */
    assert_int_equal(samples.node_count, 4);
    assert_true(samples.delay_count > 0 && samples.list[12].known > 0.99);
    double sum = 0, told = 0;
    for (size_t i = 0; i < samples.count; i++)
        for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
            sum += samples.list[i].cause[cause];
    for (int cause = 0; cause < GV_CAUSE_COUNT; cause++)
        told += result.cause_mean[cause] * 0.2;
    assert_true(sum > 0.999 * told && sum < 1.001 * told);
    options.html_path = path;
    assert_int_equal(gv_page(&options, &result, &cost, &samples), 0);
    assert_int_equal(count_in(path, "<svg ", &whole), 5);
    assert_true(whole);
    assert_int_equal(count_in(path, "</svg>", &whole), 5);
    assert_int_equal(count_in(path, result.trace_hash, &whole), 1);
    assert_int_equal(count_in(path, "nan", &whole), 0);
    assert_int_equal(count_in(path, "<script", &whole), 0);
    unlink(path);
    options.html_path = "/dev/null/x";
    assert_int_equal(gv_page(&options, &result, &cost, &samples), EX_CANTCREAT);
    options.html_path = "/dev/full";
    assert_int_equal(gv_page(&options, &result, &cost, &samples), EX_CANTCREAT);
    gv_samples_free(&samples);
}

/* ---- a swarm's ------------------------------------------------------------------------------- */

static double no_clock(void)
{
    return 0;
}

/* Its exit status, and the object that it wrote; free it. */
static int swarm(enum gv_plant plant, json_t **out)
{
    char path[] = "/tmp/gv-sim-swarm-XXXXXX";
    struct gv_sim_options options = parse("grapevine-sim swarm --nodes 3 --hours 0.5 --seeds 5..7 "
                                          "--faults none --sightings 20 --jobs 2");
    int file = mkstemp(path), status = -1;

    assert_true(file >= 0);
    close(file);
    options.plant = plant;
    options.json_path = path;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(EX_OSERR);
        _exit(gv_swarm(&options, no_clock, NULL));
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    *out = json_load_file(path, 0, NULL);
    unlink(path);
    assert_non_null(*out);
    return WEXITSTATUS(status);
}

static void a_swarm_tells_of_each_seed(void **state)
{
    json_t *object, *run;
    size_t i;

    assert_int_equal(swarm(GV_PLANT_NONE, &object), 0);
    assert_string_equal(json_string_value(json_object_get(object, "seed_first")), "5");
    assert_string_equal(json_string_value(json_object_get(object, "seed_last")), "7");
    assert_int_equal(json_integer_value(json_object_get(object, "done")), 3);
    assert_int_equal(json_integer_value(json_object_get(object, "failed")), 0);
    assert_int_equal(json_integer_value(json_object_get(object, "violations")), 0);
    json_array_foreach(json_object_get(object, "runs"), i, run)
    {
        char seed[2] = {(char)('5' + i), 0};
        struct gv_sim_options options = parse("grapevine-sim run --nodes 3 --hours 0.5 "
                                              "--sightings 20 --max-mb-per-hour 1");
        struct gv_sim_result result;
        options.seed = 5 + i;
        gv_sim_run(&result, &options, true);
        assert_string_equal(json_string_value(json_object_get(run, "seed")), seed);
        assert_string_equal(json_string_value(json_object_get(run, "trace_hash")),
                            result.trace_hash);
        assert_int_equal(json_integer_value(json_object_get(run, "signals")), result.signals);
        assert_true(json_is_null(json_object_get(run, "command")));
    }
    assert_int_equal(i, 3);
    json_decref(object);
}

static void a_swarm_that_fails_tells_where_and_how(void **state)
{
    json_t *object, *run;

    assert_true(gv_plant_wraps());
    assert_int_equal(swarm(GV_PLANT_LOSE_ROWS, &object), 1);
    assert_true(json_integer_value(json_object_get(object, "failed")) > 0);
    assert_true(json_integer_value(json_object_get(object, "violations")) > 0);
    run = json_array_get(json_object_get(object, "runs"), 0);
    assert_true(json_array_size(json_object_get(run, "broken")) > 0);
    const char *command = json_string_value(json_object_get(run, "command"));
    assert_non_null(command);
    assert_non_null(strstr(command, "--seed 5 "));
    assert_non_null(strstr(command, "--plant lose-rows"));
    json_decref(object);
}

/* A run of hours whose report has nowhere to go does not begin. */
static void a_report_that_cannot_be_written_is_told_before_the_run(void **state)
{
    struct gv_sim_options options = {.json_path = "/nonexistent/report"};
    char folder[] = "/tmp/grapevine-reach-XXXXXX", path[64];
    int saved = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);

    assert_non_null(mkdtemp(folder));
    assert_true(saved >= 0 && nowhere >= 0 && dup2(nowhere, STDERR_FILENO) >= 0);
    close(nowhere);
    assert_int_equal(gv_report_reach(&options), EX_CANTCREAT);
    options.json_path = folder;
    assert_int_equal(gv_report_reach(&options), EX_CANTCREAT);
    options.json_path = "-";
    options.html_path = "/nonexistent/page";
    assert_int_equal(gv_report_reach(&options), EX_CANTCREAT);
    snprintf(path, sizeof path, "%s/report", folder);
    options.html_path = path;
    assert_int_equal(gv_report_reach(&options), 0);
    assert_int_equal(access(path, F_OK), -1); /* asking makes nothing */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(gv_report_reach(&options), 0); /* nor waits for who reads */
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_of_zero_is_a_seed),
        cmocka_unit_test(no_faults_are_no_faults),
        cmocka_unit_test(the_line_that_is_printed_is_the_same_run),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(a_report_that_cannot_be_written_is_told_before_the_run),
        cmocka_unit_test(a_report_that_could_not_be_written_is_told),
        cmocka_unit_test(a_swarm_tells_of_each_seed),
        cmocka_unit_test(a_swarm_that_fails_tells_where_and_how),
        cmocka_unit_test(the_largest_seed_is_told_as_it_is),
        cmocka_unit_test(a_page_has_five_plots_and_the_figures),
        cmocka_unit_test(a_line_is_read_as_it_was_written),
    };

    gv_assert(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
