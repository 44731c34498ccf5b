/* Printing for people: tables, colours, and nothing that could move a terminal. */
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <wchar.h>

#include "node/base/log.h"
#include "node/cli/command.h"

void gv_cli_print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
}

/* ---- members -------------------------------------------------------------------------------- */

const json_t *gv_cli_member(const json_t *object, const char *path)
{
    char name[64];

    while (object && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof name)
            return NULL;
        memcpy(name, path, len);
        name[len] = 0;
        object = json_object_get(object, name);
        path += len + (path[len] == '.');
    }
    return object;
}

const char *gv_cli_text(const json_t *object, const char *path)
{
    static char buffers[8][1024];
    static unsigned turn;
    char *out = buffers[turn++ % 8];
    const json_t *value = gv_cli_member(object, path);
    size_t used = 0;

    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        gv_log_safe(out, sizeof buffers[0], json_string_value(value), json_string_length(value));
        return out;
    case JSON_INTEGER:
        snprintf(out, sizeof buffers[0], "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return out;
    case JSON_TRUE:
        return "yes";
    case JSON_FALSE:
        return "no";
    case JSON_ARRAY: /* of strings */
        out[0] = 0;
        for (size_t i = 0; i < json_array_size(value) && used + 64 < sizeof buffers[0]; i++) {
            const char *text = json_string_value(json_array_get(value, i));
            used += (size_t)snprintf(out + used, sizeof buffers[0] - used, "%s", i ? ", " : "");
            used += gv_log_safe(out + used, sizeof buffers[0] - used, text ? text : "?",
                                text ? strlen(text) : 1);
        }
        return *out ? out : "-";
    default:
        return "-";
    }
}

bool gv_cli_true(const json_t *object, const char *path)
{
    return json_is_true(gv_cli_member(object, path));
}

int64_t gv_cli_number(const json_t *object, const char *path)
{
    return json_integer_value(gv_cli_member(object, path));
}

void gv_cli_print_foreign(FILE *out, const char *text)
{
    char safe[512];

    while (text && *text) {
        size_t len = strcspn(text, "\n"), at = 0;
        do { /* a long line in pieces: each is made safe by itself */
            size_t piece = len - at > 120 ? 120 : len - at;
            while (piece > 1 && at + piece < len &&
                   ((unsigned char)text[at + piece] & 0xc0) == 0x80)
                piece--;
            gv_log_safe(safe, sizeof safe, text + at, piece);
            fputs(safe, out);
            at += piece;
        } while (at < len);
        fputc('\n', out);
        text += len + (text[len] == '\n');
    }
}

/* ---- colours -------------------------------------------------------------------------------- */

static const struct {
    const char *word, *name, *escape;
} colours[] = {
    {"untrusted", "red", "\033[31m"},   {"refuse", "red", "\033[31m"},
    {"reported", "yellow", "\033[33m"}, {"one-strike", "yellow", "\033[33m"},
    {"preview", "yellow", "\033[33m"},  {"queued", "yellow", "\033[33m"},
    {"failure", "red", "\033[31m"},     {"warning", "yellow", "\033[33m"},
    {"ok", "green", "\033[32m"},        {"allow", "green", "\033[32m"},
    {"sent", "green", "\033[32m"},
};

const char *gv_cli_colour_of(const char *word)
{
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i].word, word) == 0)
            return colours[i].name;
    return NULL;
}

void gv_cli_print_word(const struct gv_cli *cli, const char *word)
{
    for (size_t i = 0; cli->colour && i < sizeof colours / sizeof *colours; i++)
        if (strcmp(colours[i].word, word) == 0) {
            printf("%s%s\033[0m", colours[i].escape, word);
            return;
        }
    fputs(word, stdout);
}

void gv_cli_print_heading(const struct gv_cli *cli, const char *text)
{
    printf(cli->colour ? "\033[1m%s\033[0m\n" : "%s\n", text);
}

void gv_cli_print_pair(const char *name, const char *format, ...)
{
    va_list args;

    printf("  %-14s ", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* ---- tables --------------------------------------------------------------------------------- */

/* libsmartcols never ends where a cell holds what this locale has no characters for, such as
 * anything but ASCII under LANG=C: that becomes '?', and so does what has no width. */
static void fit_locale(char *text)
{
    char *to = text;

    for (size_t left = strlen(text); left > 0;) {
        mbstate_t state;
        wchar_t wide;
        memset(&state, 0, sizeof state);
        size_t len = mbrtowc(&wide, text, left, &state);
        bool known = len > 0 && len <= left && wcwidth(wide) > 0;
        if (len == 0 || len > left)
            for (len = 1; len < left && ((unsigned char)text[len] & 0xc0) == 0x80;)
                len++;
        if (known)
            memmove(to, text, len);
        else
            *to = '?';
        to += known ? len : 1;
        text += len;
        left -= len;
    }
    *to = 0;
}

static int add_row(const struct gv_cli *cli, struct libscols_table *table, const json_t *object,
                   const struct gv_cli_column *columns, size_t count)
{
    struct libscols_line *line = scols_table_new_line(table, NULL);

    if (!line)
        return EX_OSERR;
    for (size_t i = 0; i < count; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s", gv_cli_text(object, columns[i].member));
        fit_locale(text);
        const char *colour = columns[i].coloured && cli->colour ? gv_cli_colour_of(text) : NULL;
        if (scols_line_set_data(line, i, text) != 0)
            return EX_OSERR;
        if (colour)
            scols_cell_set_color(scols_line_get_cell(line, i), colour);
    }
    return 0;
}

int gv_cli_table(const struct gv_cli *cli, const json_t *list, const struct gv_cli_column *columns,
                 size_t count)
{
    struct libscols_table *table = scols_new_table();
    int rc = table ? 0 : EX_OSERR;

    for (size_t i = 0; rc == 0 && i < count; i++)
        if (!scols_table_new_column(table, columns[i].title, 0,
                                    columns[i].right ? SCOLS_FL_RIGHT : 0))
            rc = EX_OSERR;
    /* gv_cli_text has made them safe; a second time would show DOMAIN\xena as DOMAIN\x5cxena. */
    if (rc == 0 && scols_table_enable_noencoding(table, 1) != 0)
        rc = EX_OSERR;
    if (rc == 0)
        scols_table_enable_colors(table, cli->colour);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
        rc = add_row(cli, table, json_array_get(list, i), columns, count);
    if (rc == 0 && scols_print_table(table) != 0)
        rc = EX_OSERR;
    scols_unref_table(table);
    return rc == 0 ? 0 : gv_cli_no_memory();
}
