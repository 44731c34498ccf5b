#include "node/base/config_edit.h"

#include <string.h>

#include "crypto/error.h"

#define VALUE_MAX 2000

/* What a line is, seen from the key that is edited. */
enum role { OTHER, OURS, CONTINUED, COMMENTED, OUR_SECTION };

struct walk {
    const char *at, *end;
    const char *section, *key;
    bool inside;    /* the section is the key's */
    bool after_key; /* an indented line continues a key */
    bool ours;      /* and that key is the one */
};

struct line {
    const char *text;
    size_t len; /* with its newline */
    enum role role;
    bool filled;   /* neither blank nor a comment, and of the key's section */
    bool indented; /* neither blank nor a comment, and would continue a key put before it */
    bool solid;    /* neither blank nor a comment */
};

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Is it `word`, up to `stop` and blanks before that? */
static bool is_name(const char *at, const char *stop, const char *word)
{
    size_t len = strlen(word);

    while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    return (size_t)(stop - at) == len && memcmp(at, word, len) == 0;
}

static const char *name_end(const char *at, const char *end)
{
    while (at < end && *at != '=' && *at != ':')
        at++;
    return at;
}

static enum role role_of(struct walk *walk, const char *at, const char *end, bool *filled)
{
    const char *first = skip_blanks(at, end);

    *filled = false;
    if (first == end)
        return OTHER;
    if (*first == ';' || *first == '#') {
        const char *name = skip_blanks(first + 1, end), *stop = name_end(name, end);
        return walk->inside && stop < end && is_name(name, stop, walk->key) ? COMMENTED : OTHER;
    }
    *filled = walk->inside;
    if (first > at && walk->after_key)
        return walk->ours ? CONTINUED : OTHER;
    if (*first == '[') {
        const char *close = memchr(first, ']', (size_t)(end - first));
        size_t len = strlen(walk->section);
        walk->inside = close && (size_t)(close - first) == len + 1 &&
                       memcmp(first + 1, walk->section, len) == 0;
        walk->after_key = walk->ours = false;
        *filled = walk->inside;
        return walk->inside ? OUR_SECTION : OTHER;
    }
    walk->after_key = true;
    walk->ours = walk->inside && is_name(first, name_end(first, end), walk->key);
    return walk->ours ? OURS : OTHER;
}

static bool next_line(struct walk *walk, struct line *out)
{
    if (walk->at == walk->end)
        return false;
    const char *at = walk->at, *newline = memchr(at, '\n', (size_t)(walk->end - at));
    const char *end = newline ? newline : walk->end;

    walk->at = newline ? newline + 1 : walk->end;
    out->text = at;
    out->len = (size_t)(walk->at - at);
    if (end > at && end[-1] == '\r')
        end--;
    const char *first = skip_blanks(at, end);
    out->solid = first < end && *first != ';' && *first != '#';
    out->indented = out->solid && first > at;
    out->role = role_of(walk, at, end, &out->filled);
    return true;
}

/* A new key after this line must not take the next one for itself: that may continue another key,
 * or begin a section although it is indented. */
static bool is_free_after(struct walk walk, size_t place)
{
    size_t line = 0;
    struct line one;

    while (next_line(&walk, &one))
        if (++line > place && one.solid)
            return !one.indented;
    return true;
}

/* After which line the new one comes: 1 is the first; 0: none, a section of its own at the end.
 * `found`: the key stands there. */
static size_t find_place(struct walk walk, bool *found)
{
    size_t line = 0, ours = 0, commented = 0, filled = 0;
    const struct walk start = walk;
    struct line one;

    while (next_line(&walk, &one)) {
        line++;
        if (one.role == OURS || one.role == CONTINUED)
            ours = line;
        if (one.role == COMMENTED)
            commented = line;
        if (one.filled)
            filled = line;
    }
    *found = ours > 0;
    if (ours)
        return ours;
    if (commented && is_free_after(start, commented))
        return commented;
    return filled && is_free_after(start, filled) ? filled : 0;
}

static bool value_fits(const char *value)
{
    size_t len = strlen(value);

    if (len == 0 || len > VALUE_MAX || strchr(" \t;#", value[0]) || strchr(" \t", value[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f ||
            (value[i] == ';' && i > 0 && value[i - 1] == ' '))
            return false;
    return true;
}

static void put(struct gv_buf *out, const char *text)
{
    gv_buf_append(out, text, strlen(text));
}

/* `old`: the line that it replaces, whose comment stays; or NULL. */
static void put_key(struct gv_buf *out, const char *key, const char *value, const struct line *old)
{
    put(out, key);
    put(out, " = ");
    put(out, value);
    for (size_t i = 1; old && i < old->len; i++)
        if (old->text[i] == ';' && (old->text[i - 1] == ' ' || old->text[i - 1] == '\t')) {
            size_t len = old->len - i;
            while (len && (old->text[i + len - 1] == '\n' || old->text[i + len - 1] == '\r'))
                len--;
            put(out, " ");
            gv_buf_append(out, old->text + i, len);
            break;
        }
    put(out, "\n");
}

static void end_line(struct gv_buf *out)
{
    if (out->len && out->data[out->len - 1] != '\n')
        put(out, "\n");
}

int gv_config_edit(struct gv_buf *out, const char *text, size_t len, const char *section,
                   const char *key, const char *value, bool add)
{
    size_t bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, number = 0;
    struct walk walk = {.at = text + bom, .end = text + len, .section = section, .key = key};
    bool found, written = false;
    struct line line;

    if (!value_fits(value))
        return GV_ERR_RANGE;
    size_t place = find_place(walk, &found);
    bool replace = found && !add;
    gv_buf_append(out, text, bom);
    while (next_line(&walk, &line)) {
        number++;
        bool drop = replace && (line.role == OURS || line.role == CONTINUED);
        if (drop && !written)
            put_key(out, key, value, &line);
        if (!drop)
            gv_buf_append(out, line.text, line.len);
        written = written || drop;
        if (number == place && !replace) {
            end_line(out);
            put_key(out, key, value, NULL);
            written = true;
        }
    }
    if (!written) {
        end_line(out);
        put(out, number ? "\n[" : "[");
        put(out, section);
        put(out, "]\n");
        put_key(out, key, value, NULL);
    }
    return out->failed ? GV_ERR_MEMORY : GV_OK;
}
