/* The formats: https://www.sqlite.org/fileformat2.html, sections 1.6 (b-tree pages), 2.1 (records),
 * 4 (the write-ahead log). */
#include "node/base/store_scan.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "proto/buf.h"

#define HEAD_LEN     100 /* of the file, at the start of page 1 */
#define LOG_HEAD     32
#define FRAME_HEAD   24
#define PAYLOAD_MAX  131072
#define PAGE_DEFAULT 4096
#define INDEX_INNER  0x02
#define INDEX_LEAF   0x0a
#define TABLE_LEAF   0x0d

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

/* 1 to 9 bytes. Returns how many, or 0 when they do not fit before `end`. */
static size_t varint(uint64_t *out, const uint8_t *at, const uint8_t *end)
{
    uint64_t value = 0;

    for (size_t i = 0; i < 9 && at + i < end; i++) {
        if (i == 8) {
            *out = value << 8 | at[i];
            return 9;
        }
        value = value << 7 | (at[i] & 0x7f);
        if (!(at[i] & 0x80)) {
            *out = value;
            return i + 1;
        }
    }
    return 0;
}

/* ---- the log -------------------------------------------------------------------------------- */

static bool page_size_sound(size_t size)
{
    return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

static void checksum(uint32_t sum[2], const uint8_t *data, size_t len, bool big)
{
    for (size_t i = 0; i + 8 <= len; i += 8) {
        uint32_t a = get32(data + i), b = get32(data + i + 4);
        if (!big) {
            a = __builtin_bswap32(a);
            b = __builtin_bswap32(b);
        }
        sum[0] += a + sum[1];
        sum[1] += b + sum[0];
    }
}

bool gv_store_log_damaged(const uint8_t *log, size_t log_len)
{
    uint32_t sum[2] = {0, 0};
    bool bad = false;

    if (log_len <= LOG_HEAD + FRAME_HEAD)
        return false; /* no frame yet */
    bool big = log[3] & 1;
    size_t page = get32(log + 8);
    checksum(sum, log, 24, big);
    if ((get32(log) | 1) != 0x377f0683 || !page_size_sound(page) || get32(log + 24) != sum[0] ||
        get32(log + 28) != sum[1])
        return true;
    size_t step = FRAME_HEAD + page;
    for (size_t at = LOG_HEAD; log_len - at >= step; at += step) {
        const uint8_t *frame = log + at;
        bool same = memcmp(frame + 8, log + 16, 8) == 0; /* salts: else of an older log */
        if (bad && same && get32(frame + 4) != 0)
            return true;
        if (bad)
            continue;
        checksum(sum, frame, 8, big);
        checksum(sum, frame + FRAME_HEAD, page, big);
        bad = !same || get32(frame + 16) != sum[0] || get32(frame + 20) != sum[1];
    }
    return false;
}

/* ---- pages ---------------------------------------------------------------------------------- */

struct scan {
    const uint8_t *file, *log;
    size_t file_len, page, pages; /* pages: that there can be, numbered from 1 */
    uint32_t *frame_of;           /* of page i: the log's frame, from 1; 0: it is in the file */
    size_t budget;
    struct gv_buf whole; /* a payload put together */
    gv_store_found found;
    void *context;
    bool ended;
};

static const uint8_t *page_at(const struct scan *scan, size_t number)
{
    if (number == 0 || number > scan->pages)
        return NULL;
    if (scan->frame_of && scan->frame_of[number])
        return scan->log + LOG_HEAD + (scan->frame_of[number] - 1) * (FRAME_HEAD + scan->page) +
               FRAME_HEAD;
    return number * scan->page <= scan->file_len ? scan->file + (number - 1) * scan->page : NULL;
}

/* The salts that two of three have: the head's, the first frame's, the second's. */
static const uint8_t *salts_of(const uint8_t *log, size_t frames, size_t step)
{
    const uint8_t *head = log + 16, *one = log + LOG_HEAD + 8;

    if (frames >= 2 && memcmp(head, one, 8) != 0 && memcmp(one, one + step, 8) == 0)
        return one;
    return head;
}

static bool read_log(struct scan *scan, size_t log_len)
{
    size_t step = FRAME_HEAD + scan->page, last = 0;
    size_t frames = log_len > LOG_HEAD ? (log_len - LOG_HEAD) / step : 0;

    scan->pages = scan->file_len / scan->page + frames;
    if (frames == 0 || frames >= UINT32_MAX)
        return true;
    scan->frame_of = calloc(scan->pages + 1, sizeof *scan->frame_of);
    if (!scan->frame_of)
        return false;
    const uint8_t *salts = salts_of(scan->log, frames, step);
    for (size_t i = 0; i < frames; i++) {
        const uint8_t *frame = scan->log + LOG_HEAD + i * step;
        if (memcmp(frame + 8, salts, 8) == 0 && get32(frame + 4) != 0)
            last = i + 1;
    }
    for (size_t i = 0; i < last; i++) {
        const uint8_t *frame = scan->log + LOG_HEAD + i * step;
        size_t number = get32(frame);
        if (memcmp(frame + 8, salts, 8) == 0 && number > 0 && number <= scan->pages)
            scan->frame_of[number] = (uint32_t)i + 1;
    }
    return true;
}

/* ---- records -------------------------------------------------------------------------------- */

/* Serial types, section 2.1. Returns the length of the value, or SIZE_MAX. */
static size_t set_kind(struct gv_store_field *field, uint64_t type)
{
    static const size_t lengths[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};

    field->kind = type == 0   ? GV_STORE_NULL
                  : type == 7 ? GV_STORE_OTHER
                  : type < 10 ? GV_STORE_NUMBER
                  : type & 1  ? GV_STORE_TEXT
                              : GV_STORE_BLOB;
    field->number = type == 9;
    if (type < 10)
        return lengths[type];
    return type < 12 || type > 2 * PAYLOAD_MAX + 13 ? SIZE_MAX : (size_t)(type - 12) / 2;
}

static void record(struct scan *scan, const uint8_t *payload, size_t len)
{
    struct gv_store_field fields[GV_STORE_FIELDS_MAX];
    size_t count = 0;
    uint64_t head_len, type;
    size_t n = varint(&head_len, payload, payload + len);

    if (n == 0 || head_len > len || head_len < n)
        return;
    const uint8_t *types = payload + n, *head_end = payload + head_len, *value = head_end;
    const uint8_t *end = payload + len;
    for (; types < head_end; count++, types += n) {
        n = varint(&type, types, head_end);
        if (n == 0 || count == GV_STORE_FIELDS_MAX)
            return;
        size_t size = set_kind(&fields[count], type);
        if (size > (size_t)(end - value))
            return;
        fields[count].data = value;
        fields[count].len = size;
        if (fields[count].kind == GV_STORE_NUMBER && size > 0) {
            uint64_t number = value[0] & 0x80 ? UINT64_MAX : 0;
            for (size_t i = 0; i < size; i++)
                number = number << 8 | value[i];
            memcpy(&fields[count].number, &number, sizeof number);
        }
        value += size;
    }
    if (count > 0 && !scan->found(scan->context, fields, count))
        scan->ended = true;
}

/* How much of the payload is in the cell itself: section 1.6. */
static size_t local_part(const struct scan *scan, size_t payload, bool table)
{
    size_t room = scan->page;
    size_t most = table ? room - 35 : (room - 12) * 64 / 255 - 23;
    size_t least = (room - 12) * 32 / 255 - 23;

    if (payload <= most)
        return payload;
    size_t part = least + (payload - least) % (room - 4);
    return part <= most ? part : least;
}

static void cell(struct scan *scan, const uint8_t *at, const uint8_t *end, uint8_t kind)
{
    uint64_t len, skipped;
    size_t n;

    if (kind == INDEX_INNER)
        at += 4; /* the page below */
    if (at >= end || (n = varint(&len, at, end)) == 0)
        return;
    at += n;
    if (kind == TABLE_LEAF) {
        if ((n = varint(&skipped, at, end)) == 0)
            return;
        at += n;
    }
    if (len == 0 || len > PAYLOAD_MAX || len > scan->budget) {
        scan->ended = len <= PAYLOAD_MAX && len > scan->budget;
        return;
    }
    size_t local = local_part(scan, (size_t)len, kind == TABLE_LEAF);
    if (local + (local < len ? 4 : 0) > (size_t)(end - at))
        return;
    scan->budget -= (size_t)len;
    if (local == len) {
        record(scan, at, local);
        return;
    }
    gv_buf_clear(&scan->whole);
    gv_buf_append(&scan->whole, at, local);
    for (size_t next = get32(at + local); scan->whole.len < len;) {
        const uint8_t *more = page_at(scan, next);
        if (!more)
            return;
        size_t left = (size_t)len - scan->whole.len;
        gv_buf_append(&scan->whole, more + 4, left < scan->page - 4 ? left : scan->page - 4);
        next = get32(more);
        if (scan->whole.failed)
            return;
    }
    record(scan, scan->whole.data, scan->whole.len);
}

static void look_at_page(struct scan *scan, size_t number)
{
    const uint8_t *page = page_at(scan, number);
    size_t head = number == 1 ? HEAD_LEN : 0;

    if (!page)
        return;
    uint8_t kind = page[head];
    if (kind != INDEX_INNER && kind != INDEX_LEAF && kind != TABLE_LEAF)
        return;
    size_t cells = get16(page + head + 3), list = head + (kind == INDEX_INNER ? 12 : 8);
    for (size_t i = 0; i < cells && list + 2 * i + 2 <= scan->page && !scan->ended; i++) {
        size_t at = get16(page + list + 2 * i);
        if (at >= list && at < scan->page)
            cell(scan, page + at, page + scan->page, kind);
    }
}

/* ---- the size of a page --------------------------------------------------------------------- */

static size_t page_size_of(const uint8_t *file, size_t len)
{
    size_t size = len >= HEAD_LEN ? get16(file + 16) : 0;

    if (size == 1)
        size = 65536;
    return page_size_sound(size) ? size : PAGE_DEFAULT;
}

/* Cells of pages that are sound as far as their list of cells goes. Pages taken for larger than
 * they are: half of them or less are seen. For smaller: their cells lie beyond the end. */
static size_t sound_cells(const struct scan *scan)
{
    size_t sound = 0;

    for (size_t number = 1; number <= scan->pages; number++) {
        const uint8_t *page = page_at(scan, number);
        size_t head = number == 1 ? HEAD_LEN : 0, i = 0;
        if (!page)
            continue;
        uint8_t kind = page[head];
        if (kind != INDEX_INNER && kind != INDEX_LEAF && kind != TABLE_LEAF)
            continue;
        size_t cells = get16(page + head + 3), list = head + (kind == INDEX_INNER ? 12 : 8);
        if (list + 2 * cells > scan->page)
            continue;
        while (i < cells && get16(page + list + 2 * i) >= list + 2 * cells &&
               get16(page + list + 2 * i) < scan->page)
            i++;
        sound += i == cells ? cells : 0;
    }
    return sound;
}

/* What the head says may be wrong, and still be a size. What it says goes when another is as good.
 */
static bool find_page_size(struct scan *scan, size_t log_len)
{
    size_t said = page_size_of(scan->file, scan->file_len), best = said, most = 0;

    for (size_t size = 256; size <= 65536; size *= 2) {
        scan->page = size == 256 ? said : size; /* first what it says */
        if (!read_log(scan, log_len))
            return false;
        size_t sound = sound_cells(scan);
        free(scan->frame_of);
        scan->frame_of = NULL;
        if (sound > most) {
            most = sound;
            best = scan->page;
        }
    }
    scan->page = best;
    return true;
}

int gv_store_scan(const uint8_t *file, size_t file_len, const uint8_t *log, size_t log_len,
                  gv_store_found found, void *context)
{
    struct scan scan = {.file = file,
                        .log = log,
                        .file_len = file_len,
                        .budget = 4 * (file_len + log_len),
                        .found = found,
                        .context = context};
    int rc = GV_ERR_MEMORY;

    gv_buf_init(&scan.whole);
    if (find_page_size(&scan, log_len) && read_log(&scan, log_len)) {
        for (size_t i = 1; i <= scan.pages && !scan.ended; i++)
            look_at_page(&scan, i);
        rc = scan.whole.failed ? GV_ERR_MEMORY : GV_OK;
    }
    free(scan.frame_of);
    gv_buf_free(&scan.whole);
    return rc;
}
