#include "node/base/config.h"

#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/config_value.h"
#include "node/base/file.h"
#include "node/base/log.h"

#define LINE_MAX_BYTES 4096
#define ERRORS_MAX     100 /* a binary file given by mistake must not print a book */

struct seen {
    unsigned line; /* 0: not given */
    struct gv_buf text;
};

struct state {
    const struct gv_config_table *table;
    const char *name;
    struct gv_buf *errors;
    size_t error_count;
    const char *at, *end; /* the text left */
    unsigned line;        /* of the line that libinih works on */
    bool indented;        /* it begins with a blank */
    bool after_key;       /* a key stands before it in its section: indented lines continue it */
    bool section_known;
    struct seen *seen; /* one for each key of the table */
};

static void report(struct state *state, unsigned line, const char *section, const char *key,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

static void report(struct state *state, unsigned line, const char *section, const char *key,
                   const char *format, ...)
{
    char where[512], safe[512], what[640];
    va_list args;

    if (state->error_count++ >= ERRORS_MAX)
        return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (key)
        snprintf(where, sizeof where, "[%.80s] %.80s: ", section, key);
    else
        snprintf(where, sizeof where, "[%.80s]: ", section);
    gv_log_safe(safe, sizeof safe, where, strlen(where));
    char head[1024];
    snprintf(head, sizeof head, "%s:%u: %s", state->name, line, section ? safe : "");
    gv_buf_append(state->errors, head, strlen(head));
    gv_buf_append(state->errors, what, strlen(what));
    gv_buf_append(state->errors, "\n", 1);
}

/* ---- did you mean --------------------------------------------------------------------------- */

/* Edits (insert, delete, replace, swap of neighbours) from a to b; 99 for long words. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][50];
    size_t n = strlen(a), m = strlen(b);

    if (n >= 49 || m >= 49)
        return 99;
    for (unsigned j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

static const char *closest(const struct gv_config_table *table, const char *section,
                           const char *word)
{
    const char *best = NULL;
    unsigned best_distance = strlen(word) < 5 ? 2 : 3; /* must be nearer than this, or equal it */

    for (size_t i = 0; i < table->count; i++) {
        const struct gv_config_key *key = &table->keys[i];
        if (section && strcmp(key->section, section) != 0)
            continue;
        const char *candidate = section ? key->key : key->section;
        unsigned d = distance(word, candidate);
        if (d < best_distance || (d == best_distance && !best)) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

static void unknown_key(struct state *state, const char *section, const char *name)
{
    const char *near = closest(state->table, section, name);

    for (size_t i = 0; i < state->table->count; i++) {
        const struct gv_config_key *key = &state->table->keys[i];
        if (strcmp(key->key, name) != 0 || near)
            continue;
        report(state, state->line, section, name, "not a key of this section, it belongs in [%s]",
               key->section);
        return;
    }
    if (near)
        report(state, state->line, section, name, "no such key, did you mean '%s'?", near);
    else
        report(state, state->line, section, name,
               "no such key, remove it (--help-config lists them all)");
}

static bool has_section(const struct gv_config_table *table, const char *section)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->keys[i].section, section) == 0)
            return true;
    return false;
}

static void unknown_section(struct state *state, const char *section)
{
    const char *near = closest(state->table, NULL, section);

    if (near)
        report(state, state->line, section, NULL, "no such section, did you mean [%s]?", near);
    else
        report(state, state->line, section, NULL,
               "no such section, remove it (--help-config lists them all)");
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool bad_bytes(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return true;
    return false;
}

/* Looks at a line before libinih does, because libinih tells of the first bad line only.
 * Returns false when the line is to be left out. */
static bool check_line(struct state *state, const char *line, size_t len)
{
    size_t start = 0;
    char section[64];

    while (start < len && (line[start] == ' ' || line[start] == '\t'))
        start++;
    state->indented = start > 0;
    if (len > LINE_MAX_BYTES) {
        report(state, state->line, NULL, NULL, "longer than %d bytes, break it into indented lines",
               LINE_MAX_BYTES);
        return false;
    }
    if (bad_bytes(line, len)) {
        report(state, state->line, NULL, NULL, "holds a control character, remove it");
        return false;
    }
    if (start == len || line[start] == ';' || line[start] == '#')
        return false;
    if (state->indented && state->after_key)
        return true;
    if (line[start] != '[') {
        if (memchr(line, '=', len) || memchr(line, ':', len))
            return true;
        report(state, state->line, NULL, NULL, "neither '[section]' nor 'key = value'");
        return false;
    }
    const char *close = memchr(line, ']', len);
    size_t size = close ? (size_t)(close - line) - start - 1 : 0;
    state->after_key = false;
    if (!close || size == 0 || size >= sizeof section - 14) { /* libinih cuts at 49 */
        report(state, state->line, NULL, NULL, "not a section, write '[section]'");
        state->section_known = false;
        return false;
    }
    memcpy(section, line + start + 1, size);
    section[size] = '\0';
    state->section_known = has_section(state->table, section);
    if (!state->section_known)
        unknown_section(state, section);
    return true;
}

/* libinih's fgets. */
static char *read_line(char *out, int room, void *context)
{
    struct state *state = context;

    gv_assert(room > LINE_MAX_BYTES + 1);
    if (state->at == state->end)
        return NULL;
    const char *line = state->at;
    const char *newline = memchr(line, '\n', (size_t)(state->end - line));
    size_t len = newline ? (size_t)(newline - line) : (size_t)(state->end - line);
    state->at = newline ? newline + 1 : state->end;
    state->line++;
    if (state->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        len -= 3;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (!check_line(state, line, len))
        len = 0;
    if (len)
        memcpy(out, line, len);
    out[len] = '\n';
    out[len + 1] = '\0';
    return out;
}

static int on_value(void *context, const char *section, const char *name, const char *value)
{
    struct state *state = context;
    const struct gv_config_table *table = state->table;
    bool continued = state->indented && state->after_key;
    size_t i = 0;

    state->after_key = true;
    if (!state->section_known) {
        if (!*section && !continued)
            report(state, state->line, "", name, "stands before the first [section], move it");
        return 1; /* otherwise its section was reported */
    }
    while (i < table->count &&
           (strcmp(table->keys[i].section, section) != 0 || strcmp(table->keys[i].key, name) != 0))
        i++;
    if (i == table->count) {
        if (!continued)
            unknown_key(state, section, name);
        return 1;
    }
    const struct gv_config_key *key = &table->keys[i];
    struct seen *seen = &state->seen[i];
    if (continued && !gv_config_is_list(key->type)) {
        report(
            state, state->line, section, name,
            "an indented line continues a list, and this is none; begin keys at the first column");
        return 1;
    }
    if (!continued && seen->line && !key->repeat) {
        report(state, state->line, section, name, "given twice, first on line %u; remove one",
               seen->line);
        return 1;
    }
    if (!seen->line)
        seen->line = state->line;
    if (seen->text.len)
        gv_buf_append(&seen->text, "\n", 1);
    if (*value)
        gv_buf_append(&seen->text, value, strlen(value));
    return 1;
}

static int run_inih(struct state *state)
{
    /* Debian's libinih takes these at run time; its defaults cut lines at 197 bytes. */
    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_initial_alloc = LINE_MAX_BYTES + 8;
    ini_max_line = LINE_MAX_BYTES + 8;
    int rc = ini_parse_stream(read_line, state, on_value, state);
    if (rc == -2)
        return GV_ERR_MEMORY;
    if (rc > 0 && state->error_count == 0)
        report(state, (unsigned)rc, NULL, NULL, "neither '[section]' nor 'key = value'");
    return GV_OK;
}

/* ---- the table ------------------------------------------------------------------------------ */

static int set_all(struct state *state, void *out, const char *folder)
{
    for (size_t i = 0; i < state->table->count; i++) {
        const struct gv_config_key *key = &state->table->keys[i];
        struct seen *seen = &state->seen[i];
        struct gv_text why = {""};
        int rc;

        if (!seen->line && !key->fallback) {
            report(state, state->line ? state->line : 1, key->section, key->key,
                   "is missing, it must be given");
            continue;
        }
        gv_buf_append(&seen->text, "", 1);
        if (seen->text.failed)
            return GV_ERR_MEMORY;
        if (seen->line)
            rc = gv_config_set(key, out, (const char *)seen->text.data, folder, &why);
        else
            rc = gv_config_set(key, out, key->fallback, folder, &why);
        if (rc == GV_ERR_MEMORY)
            return rc;
        gv_assert(rc == GV_OK || seen->line); /* a default that is not valid is our mistake */
        if (rc != GV_OK)
            report(state, seen->line, key->section, key->key, "%s", why.text);
    }
    return GV_OK;
}

static void folder_of(char *out, size_t cap, const char *name)
{
    const char *slash = strrchr(name, '/');

    if (!slash)
        snprintf(out, cap, ".");
    else
        snprintf(out, cap, "%.*s", slash == name ? 1 : (int)(slash - name), name);
}

static void zero_all(const struct gv_config_table *table, void *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct gv_config_key *key = &table->keys[i];
        void *at = (char *)out + key->offset;
        switch (key->type) {
        case GV_CONFIG_STRING:
        case GV_CONFIG_PATH:
            *(char **)at = NULL;
            break;
        case GV_CONFIG_STRINGS:
        case GV_CONFIG_PATHS:
            *(struct gv_config_strings *)at = (struct gv_config_strings){0};
            break;
        case GV_CONFIG_ADDRESSES:
            *(struct gv_config_addresses *)at = (struct gv_config_addresses){0};
            break;
        case GV_CONFIG_HOSTS:
            *(struct gv_config_hosts *)at = (struct gv_config_hosts){0};
            break;
        default:
            gv_config_clear(key, out);
        }
    }
}

/* Takes the texts over; set_all has ended each with a zero. */
static int hand_over(struct state *state, struct gv_config_said **out)
{
    struct gv_config_said *said = calloc(state->table->count, sizeof *said);

    for (size_t i = 0; said && i < state->table->count; i++) {
        if (!state->seen[i].line)
            continue;
        said[i].line = state->seen[i].line;
        said[i].text = strdup((const char *)state->seen[i].text.data);
        if (!said[i].text) {
            gv_config_said_free(state->table, said);
            said = NULL;
        }
    }
    *out = said;
    return said ? GV_OK : GV_ERR_MEMORY;
}

void gv_config_said_free(const struct gv_config_table *table, struct gv_config_said *said)
{
    for (size_t i = 0; said && i < table->count; i++)
        free(said[i].text);
    free(said);
}

static int parse(const struct gv_config_table *table, void *out, struct gv_config_said **said,
                 const char *name, const char *text, size_t len, struct gv_buf *errors)
{
    struct state state = {
        .table = table, .name = name, .errors = errors, .at = text, .end = text + len};
    char folder[4096];
    int rc = GV_ERR_MEMORY;

    zero_all(table, out);
    state.seen = calloc(table->count, sizeof *state.seen);
    if (!state.seen)
        goto out;
    for (size_t i = 0; i < table->count; i++)
        gv_buf_init(&state.seen[i].text);
    folder_of(folder, sizeof folder, name);
    rc = run_inih(&state);
    if (rc == GV_OK)
        rc = set_all(&state, out, folder);
    if (rc == GV_OK && state.error_count > 0)
        rc = GV_ERR_CONFIG;
    if (state.error_count > ERRORS_MAX)
        gv_buf_append(errors, "... and more errors\n", 20);
    if (rc == GV_OK && said)
        rc = hand_over(&state, said);
out:
    if (rc != GV_OK)
        gv_config_free(table, out);
    for (size_t i = 0; state.seen && i < table->count; i++)
        gv_buf_free(&state.seen[i].text);
    free(state.seen);
    return rc;
}

int gv_config_parse(const struct gv_config_table *table, void *out, const char *name,
                    const char *text, size_t len, struct gv_buf *errors)
{
    return parse(table, out, NULL, name, text, len, errors);
}

int gv_config_load(const struct gv_config_table *table, void *out, const char *path,
                   struct gv_buf *errors)
{
    return gv_config_load_said(table, out, NULL, path, errors);
}

int gv_config_load_said(const struct gv_config_table *table, void *out,
                        struct gv_config_said **said, const char *path, struct gv_buf *errors)
{
    struct gv_buf text;
    struct gv_text why = {""};

    zero_all(table, out);
    gv_buf_init(&text);
    int rc = gv_file_read(&text, path, GV_CONFIG_FILE_MAX, &why);
    if (rc == GV_OK) {
        rc = parse(table, out, said, path, text.len ? (const char *)text.data : "", text.len,
                   errors);
    } else {
        static const char advice[] =
            "; name another with --config, or write it (--help-config shows what it may hold)";
        gv_buf_append(errors, why.text, strlen(why.text));
        if (rc == GV_ERR_NOT_FOUND)
            gv_buf_append(errors, advice, sizeof advice - 1);
        gv_buf_append(errors, "\n", 1);
        rc = rc == GV_ERR_MEMORY ? rc : GV_ERR_IO;
    }
    gv_buf_free(&text);
    return rc;
}

int gv_config_defaults(const struct gv_config_table *table, void *out)
{
    zero_all(table, out);
    for (size_t i = 0; i < table->count; i++) {
        if (!table->keys[i].fallback)
            continue;
        int rc = gv_config_set(&table->keys[i], out, table->keys[i].fallback, "", NULL);
        gv_assert(rc == GV_OK || rc == GV_ERR_MEMORY);
        if (rc != GV_OK) {
            gv_config_free(table, out);
            return rc;
        }
    }
    return GV_OK;
}

void gv_config_free(const struct gv_config_table *table, void *out)
{
    for (size_t i = 0; i < table->count; i++)
        gv_config_clear(&table->keys[i], out);
}

void gv_config_print(const struct gv_config_table *table, FILE *out)
{
    const char *section = "";
    struct gv_text wanted;

    fprintf(out, "; %s: every key, commented out, with its default\n", table->title);
    for (size_t i = 0; i < table->count; i++) {
        const struct gv_config_key *key = &table->keys[i];
        if (strcmp(section, key->section) != 0)
            fprintf(out, "\n[%s]\n", key->section);
        section = key->section;
        gv_config_describe(&wanted, key);
        fprintf(out, "\n; %s\n; Write %s.%s%s\n", key->doc, wanted.text,
                key->repeat ? " May be given several times." : "",
                key->fallback ? "" : " Must be given.");
        fprintf(out, ";%s =%s%s\n", key->key, key->fallback && *key->fallback ? " " : "",
                key->fallback ? key->fallback : "");
    }
}
