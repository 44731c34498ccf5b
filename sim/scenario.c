#include "sim/scenario.h"

#include <errno.h>
#include <ini.h>
#include <string.h>
#include <sysexits.h>

#include "sim/knobs.h"

#define LINE_BYTES 180 /* libinih cuts what is longer than 200 */
#define GIVEN_MAX  64
#define NAME_BYTES 48

struct reading {
    struct gv_sim_options *options;
    const char *path;
    FILE *file;
    unsigned line, errors;
    bool too_long;
    char given[GIVEN_MAX][NAME_BYTES]; /* section.key */
    size_t given_count;
};

/* What stands in a file may be anything: it is shown without what would steer a terminal. */
static void show(const char *text)
{
    for (size_t i = 0; text[i] && i < 60; i++)
        fputc((unsigned char)text[i] >= ' ' && text[i] != 127 ? text[i] : '?', stderr);
}

static void wrong(struct reading *reading, const char *section, const char *key, const char *why)
{
    reading->errors++;
    fprintf(stderr, "%s:%u: ", reading->path, reading->line);
    if (section) {
        fputs("[", stderr);
        show(section);
        fputs("] ", stderr);
        show(key);
        fputs(": ", stderr);
    }
    fprintf(stderr, "%s\n", why);
}

static char *read_line(char *line, int room, void *context)
{
    struct reading *reading = context;
    char *got = fgets(line, room < LINE_BYTES ? room : LINE_BYTES, reading->file);

    if (!got)
        return NULL;
    reading->line++;
    if (!strchr(line, '\n') && strlen(line) + 1 >= LINE_BYTES) {
        int c;
        while ((c = fgetc(reading->file)) != EOF && c != '\n')
            ;
        wrong(reading, NULL, NULL, "the line is too long: at most 178 characters");
        strcpy(line, "; too long\n");
    }
    return line;
}

/* A key that stands there twice would be whichever came last. */
static bool is_first(struct reading *reading, const char *section, const char *key)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%.20s.%.24s", section, key);
    for (size_t i = 0; i < reading->given_count; i++)
        if (strcmp(reading->given[i], name) == 0)
            return false;
    if (reading->given_count < GIVEN_MAX)
        strcpy(reading->given[reading->given_count++], name);
    return true;
}

static void set_knob(struct reading *reading, const char *key, const char *value)
{
    size_t index = gv_knob_find(key);
    char why[GV_KNOB_WHY];

    if (index == GV_KNOB_NONE)
        wrong(reading, "run", key, "there is no such key ('--scenario help' lists them)");
    else if (!gv_knob_set(reading->options, index, value, why))
        wrong(reading, "run", key, why);
    else if (strcmp(key, "seed") == 0)
        reading->options->seeded = true;
}

static void set_fault(struct reading *reading, const char *key, const char *value)
{
    char text[LINE_BYTES + 64];
    const char *where, *why;

    /* One by one: a comma would begin another. */
    snprintf(text, sizeof text, "%s=%s", key, strchr(value, ',') ? "" : value);
    why = gv_faults_parse(&reading->options->faults, text, &where);
    if (why)
        wrong(reading, "faults", key, why);
    reading->options->faults_given = true;
}

static int on_value(void *context, const char *section, const char *key, const char *value)
{
    struct reading *reading = context;

    if (!is_first(reading, section, key))
        wrong(reading, section, key, "is given twice");
    else if (strcmp(section, "run") == 0)
        set_knob(reading, key, value);
    else if (strcmp(section, "faults") == 0)
        set_fault(reading, key, value);
    else
        wrong(reading, section, key, "there is no such section: it must be [run] or [faults]");
    return 1;
}

int gv_scenario_read(struct gv_sim_options *options, const char *path)
{
    struct reading reading = {.options = options, .path = path, .file = fopen(path, "r")};

    if (!reading.file) {
        fprintf(stderr, "grapevine-sim: %s: %s\n", path, strerror(errno));
        return EX_NOINPUT;
    }
    int rc = ini_parse_stream(read_line, &reading, on_value, &reading);
    if (rc > 0 && reading.errors == 0) {
        reading.line = (unsigned)rc;
        wrong(&reading, NULL, NULL, "must be [run], [faults] or KEY = VALUE");
    }
    if (ferror(reading.file) || rc < 0) {
        fprintf(stderr, "grapevine-sim: %s: could not be read\n", path);
        reading.errors++;
    }
    fclose(reading.file);
    return reading.errors > 0 ? EX_CONFIG : 0;
}

void gv_scenario_help(FILE *out)
{
    const struct gv_knob *knob;
    char line[160], name[32], limit[32];
    const char *text;
    int at;

    fputs(
        "; A scenario of grapevine-sim: each key with its meaning. What the command line says as\n"
        "; well, it says last.\n[run]\n",
        out);
    for (size_t i = 0; (knob = gv_knob(i)); i++)
        fprintf(out, "; %s\n;%s = %s\n", knob->text, knob->name, knob->unit ? knob->unit : "no");
    fputs("\n[faults]\n", out);
    for (size_t i = 0; gv_faults_help(i, line); i++) {
        if (sscanf(line, "%31s %31s %n", name, limit, &at) < 2)
            continue;
        text = line + at;
        fprintf(out, "; %s (%s)\n;%s = 0\n", text, limit, name);
    }
}
