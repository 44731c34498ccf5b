#include "node/serve/listing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"

/* A subject is looked for in one line of the processor's cache, and in the next ones only while
 * those are full. A line holds keys of one family, then a byte of bits for each, 0: free; what is
 * taken comes first. Small is fast: a million IPv4 subjects are 7 to 11 MB, which caches hold. */
#define LINE      64u
#define LINES_MIN 16u
#define HUGE_PAGE ((size_t)2 << 20)

struct part {
    uint8_t *lines;           /* owned; aligned */
    size_t line_count, count; /* at most three quarters are taken: there is always one with room */
    unsigned key_len, per_line;
};

/* Simple tabulation: one secret random word for each value of each byte. An ordinary keyed hash
 * takes as long as the memory does; this one keeps searches short as well, whatever is listed, as
 * long as whoever chooses it does not see the words (Patrascu and Thorup, The power of simple
 * tabulation hashing, 2012). */
struct gv_listing {
    struct part v4, v6;
    uint64_t serial;
    uint32_t words[8][256];
};

struct place {
    uint8_t *line;
    unsigned at; /* of the entry, or of the free one where it belongs */
};

/* A large table lies in huge pages where the kernel has them. */
static uint8_t *new_lines(size_t count)
{
    size_t bytes = count * LINE, align = bytes < 2 * HUGE_PAGE ? LINE : HUGE_PAGE;
    uint8_t *lines = aligned_alloc(align, (bytes + align - 1) / align * align);

    if (!lines)
        return NULL;
    if (align == HUGE_PAGE)
        (void)madvise(lines, bytes, MADV_HUGEPAGE);
    memset(lines, 0, bytes);
    return lines;
}

static bool begin(struct part *part, unsigned key_len)
{
    part->key_len = key_len;
    part->per_line = LINE / (key_len + 1);
    part->line_count = LINES_MIN;
    part->lines = new_lines(part->line_count);
    return part->lines != NULL;
}

struct gv_listing *gv_listing_new(const uint8_t key[16])
{
    struct gv_listing *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    for (unsigned i = 0; i < 8 * 256; i++)
        l->words[i / 256][i % 256] = (uint32_t)gv_siphash(key, &i, sizeof i);
    if (!begin(&l->v4, 4) || !begin(&l->v6, 8)) {
        gv_listing_free(l);
        return NULL;
    }
    return l;
}

void gv_listing_free(struct gv_listing *listing)
{
    if (!listing)
        return;
    gv_wipe(listing->words, sizeof listing->words);
    free(listing->v4.lines);
    free(listing->v6.lines);
    free(listing);
}

static bool copy_part(struct part *out, const struct part *part)
{
    *out = *part;
    out->lines = new_lines(part->line_count);
    if (out->lines)
        memcpy(out->lines, part->lines, part->line_count * LINE);
    return out->lines != NULL;
}

struct gv_listing *gv_listing_copy(const struct gv_listing *listing)
{
    struct gv_listing *copy = malloc(sizeof *copy);

    if (!copy)
        return NULL;
    *copy = *listing;
    copy->v4.lines = copy->v6.lines = NULL;
    if (!copy_part(&copy->v4, &listing->v4) || !copy_part(&copy->v6, &listing->v6)) {
        gv_listing_free(copy);
        return NULL;
    }
    return copy;
}

static void clear_part(struct part *part, const struct part *like)
{
    uint8_t *lines = part->line_count == like->line_count ? NULL : new_lines(like->line_count);

    if (lines) {
        free(part->lines);
        part->lines = lines;
        part->line_count = like->line_count;
    } else { /* or there is no memory for another size */
        memset(part->lines, 0, part->line_count * LINE);
    }
    part->count = 0;
}

void gv_listing_clear(struct gv_listing *listing, const struct gv_listing *like)
{
    clear_part(&listing->v4, &like->v4);
    clear_part(&listing->v6, &like->v6);
    listing->serial++;
}

static uint8_t *bits_of(const struct part *part, uint8_t *line)
{
    return line + (size_t)part->key_len * part->per_line;
}

static uint8_t *next_line(const struct part *part, const uint8_t *line)
{
    size_t index = (size_t)(line - part->lines) / LINE + 1;

    return part->lines + (index == part->line_count ? 0 : index * LINE);
}

/* Where a key's search begins. */
static uint8_t *home_of(const struct gv_listing *l, const struct part *part, const uint8_t *key)
{
    uint32_t hash =
        l->words[0][key[0]] ^ l->words[1][key[1]] ^ l->words[2][key[2]] ^ l->words[3][key[3]];

    if (part->key_len == 8)
        hash ^=
            l->words[4][key[4]] ^ l->words[5][key[5]] ^ l->words[6][key[6]] ^ l->words[7][key[7]];
    return part->lines + (size_t)((uint64_t)hash * part->line_count >> 32) * LINE;
}

static struct place find(const struct gv_listing *l, const struct part *part, const uint8_t *key)
{
    uint8_t *line = home_of(l, part, key);

    for (;; line = next_line(part, line)) {
        const uint8_t *bits = bits_of(part, line);
        for (unsigned at = 0; at < part->per_line; at++)
            if (bits[at] == 0 || memcmp(line + (size_t)at * part->key_len, key, part->key_len) == 0)
                return (struct place){line, at};
    }
}

static struct part *part_of(const struct gv_listing *l, const struct gv_subject *subject)
{
    const struct part *part = subject->family == GV_FAMILY_IPV6 ? &l->v6 : &l->v4;

    return (struct part *)(uintptr_t)part;
}

/* The bits of the key in this line, or 0. Without a branch that hangs on what the memory says: so
 * the processor goes on to the next question while a line is still on its way. */
static unsigned bits_in4(const uint8_t *line, const uint8_t *key)
{
    uint32_t wanted, have;
    unsigned found = 0;

    memcpy(&wanted, key, sizeof wanted);
    for (unsigned at = 0; at < LINE / 5; at++) {
        memcpy(&have, line + at * sizeof have, sizeof have);
        found |= line[LINE / 5 * sizeof have + at] & (0u - (have == wanted));
    }
    return found;
}

static unsigned bits_in6(const uint8_t *line, const uint8_t *key)
{
    uint64_t wanted, have;
    unsigned found = 0;

    memcpy(&wanted, key, sizeof wanted);
    for (unsigned at = 0; at < LINE / 9; at++) {
        memcpy(&have, line + at * sizeof have, sizeof have);
        found |= line[LINE / 9 * sizeof have + at] & (0u - (have == wanted));
    }
    return found;
}

unsigned gv_listing_get(const struct gv_listing *listing, const struct gv_subject *subject)
{
    const struct part *part = part_of(listing, subject);
    uint8_t *line = home_of(listing, part, subject->bytes);

    for (;;) {
        unsigned found =
            part->key_len == 4 ? bits_in4(line, subject->bytes) : bits_in6(line, subject->bytes);
        if (bits_of(part, line)[part->per_line - 1] == 0 || found != 0)
            return found;
        line = next_line(part, line);
    }
}

void gv_listing_soon(const struct gv_listing *listing, const struct gv_subject *subject)
{
    __builtin_prefetch(home_of(listing, part_of(listing, subject), subject->bytes));
}

static void put(const struct part *part, struct place p, const uint8_t *key, unsigned bits)
{
    memcpy(p.line + (size_t)p.at * part->key_len, key, part->key_len);
    bits_of(part, p.line)[p.at] = (uint8_t)bits;
}

/* To half full. */
static int resize(struct gv_listing *l, struct part *part, size_t count)
{
    struct part old = *part;
    size_t wanted = 2 * count / part->per_line + 1;

    wanted = wanted < LINES_MIN ? LINES_MIN : wanted;
    uint8_t *lines = wanted == old.line_count ? NULL : new_lines(wanted);
    if (!lines)
        return wanted == old.line_count ? GV_OK : GV_ERR_MEMORY;
    part->lines = lines;
    part->line_count = wanted;
    for (size_t i = 0; i < old.line_count; i++) {
        uint8_t *line = old.lines + i * LINE, *bits = bits_of(&old, line);
        for (unsigned at = 0; at < old.per_line && bits[at] != 0; at++) {
            const uint8_t *key = line + (size_t)at * old.key_len;
            put(part, find(l, part, key), key, bits[at]);
        }
    }
    free(old.lines);
    return GV_OK;
}

/* How many lines further than its home. */
static size_t distance(const struct part *part, const uint8_t *home, const uint8_t *line)
{
    size_t from = (size_t)(home - part->lines) / LINE, to = (size_t)(line - part->lines) / LINE;

    return to >= from ? to - from : to + part->line_count - from;
}

/* A line that was full has turned some away: one of those takes the gap, and leaves another, so
 * that no search ends too early. */
static void take_off(struct gv_listing *l, struct part *part, struct place gap)
{
    unsigned last = part->per_line - 1;
    uint8_t *line = gap.line;

    part->count--;
    while (bits_of(part, line)[last] != 0) {
        line = next_line(part, line);
        uint8_t *bits = bits_of(part, line);
        size_t far = distance(part, gap.line, line);
        for (unsigned at = 0; at <= last && bits[at] != 0; at++) {
            const uint8_t *key = line + (size_t)at * part->key_len;
            if (distance(part, home_of(l, part, key), line) < far)
                continue;
            put(part, gap, key, bits[at]);
            gap = (struct place){line, at};
            break;
        }
    }
    /* The last of the line closes it. */
    uint8_t *bits = bits_of(part, gap.line);
    while (bits[last] == 0)
        last--;
    put(part, gap, gap.line + (size_t)last * part->key_len, bits[last]);
    put(part, (struct place){gap.line, last}, (const uint8_t[8]){0}, 0);
}

int gv_listing_set(struct gv_listing *listing, const struct gv_subject *subject, unsigned bits)
{
    struct part *part = part_of(listing, subject);
    struct place p = find(listing, part, subject->bytes);
    unsigned before = bits_of(part, p.line)[p.at];

    gv_assert(subject->family != GV_FAMILY_NONE && bits <= UINT8_MAX);
    if (before == bits)
        return GV_OK;
    if (bits == 0) {
        take_off(listing, part, p);
        if (part->count < part->line_count * part->per_line / 8)
            (void)resize(listing, part, part->count); /* no memory: it stays large */
    } else if (before == 0) {
        if ((part->count + 1) * 4 > part->line_count * part->per_line * 3) {
            int rc = resize(listing, part, part->count + 1);
            if (rc != GV_OK)
                return rc;
            p = find(listing, part, subject->bytes);
        }
        part->count++;
    }
    if (bits != 0)
        put(part, p, subject->bytes, bits);
    listing->serial++;
    return GV_OK;
}

/* What is taken comes first in its line, so the first free place ends it. */
static bool next_of(const struct part *part, size_t *cursor, size_t first,
                    struct gv_subject *subject, unsigned *bits)
{
    size_t index = (*cursor - first) / part->per_line;
    unsigned at = (unsigned)((*cursor - first) % part->per_line);

    for (; index < part->line_count; index++, at = 0) {
        uint8_t *line = part->lines + index * LINE;
        *bits = bits_of(part, line)[at];
        if (*bits == 0)
            continue;
        *subject =
            (struct gv_subject){.family = part->key_len == 4 ? GV_FAMILY_IPV4 : GV_FAMILY_IPV6};
        memcpy(subject->bytes, line + (size_t)at * part->key_len, part->key_len);
        *cursor = first + index * part->per_line + at + 1;
        return true;
    }
    *cursor = first + part->line_count * part->per_line;
    return false;
}

bool gv_listing_next(const struct gv_listing *listing, size_t *cursor, struct gv_subject *subject,
                     unsigned *bits)
{
    /* The other family's places begin where no table of the first ends. */
    const size_t other = SIZE_MAX / 2;

    if (*cursor < other) {
        if (next_of(&listing->v4, cursor, 0, subject, bits))
            return true;
        *cursor = other;
    }
    return next_of(&listing->v6, cursor, other, subject, bits);
}

size_t gv_listing_count(const struct gv_listing *listing)
{
    return listing->v4.count + listing->v6.count;
}

uint64_t gv_listing_serial(const struct gv_listing *listing)
{
    return listing->serial;
}

size_t gv_listing_bytes(const struct gv_listing *listing)
{
    return sizeof *listing + (listing->v4.line_count + listing->v6.line_count) * LINE;
}
