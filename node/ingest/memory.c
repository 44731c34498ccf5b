#include "node/ingest/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/wipe.h"

#define CELL      64u
#define CELLS     13u   /* in a row */
#define ROWS_MAX  4096u /* more than any memory fills */
#define ROWS_FREE 64u   /* before they are written anew, at least */

struct cell {
    uint32_t at; /* in cells */
    uint8_t bytes[CELL];
};

struct row {
    uint16_t count;
    uint16_t generation; /* the head's: no row of before all was written anew is one of these */
    struct cell cells[CELLS];
};
_Static_assert(sizeof(struct row) == GV_MEMORY_ROW, "a row has no holes");

/* The first row: how many there are. */
struct head {
    uint32_t form;
    uint16_t rows;
    uint16_t generation;
    uint64_t len; /* of all areas */
};

struct gv_memory {
    char *name;
    uint32_t form;
    size_t count;
    struct gv_memory_area areas[GV_MEMORY_AREAS];
    size_t looked[GV_MEMORY_AREAS]; /* how much of each the last save looked at */
    size_t cells;                   /* of all areas; each begins with one of its own */
    uint8_t *stored;                /* what the rows say, cell by cell */
    uint32_t rows;                  /* that are stored */
    uint32_t written;               /* of them, when all was written anew */
    uint16_t generation;
    bool broken;    /* they are not what was stored */
    struct row row; /* that is being filled */
};

static size_t cells_of(const struct gv_memory_area *area)
{
    return (area->len + CELL - 1) / CELL;
}

struct gv_memory *gv_memory_new(const char *name, uint32_t form, const struct gv_memory_area *areas,
                                size_t count)
{
    struct gv_memory *m = count <= GV_MEMORY_AREAS ? calloc(1, sizeof *m) : NULL;

    if (!m)
        return NULL;
    m->form = form;
    m->count = count;
    for (size_t i = 0; i < count; i++) {
        m->areas[i] = areas[i];
        m->cells += cells_of(&areas[i]);
    }
    m->name = strdup(name);
    m->stored = m->cells > 0 ? calloc(m->cells, CELL) : NULL;
    if (m->name && m->stored)
        return m;
    gv_memory_free(m);
    return NULL;
}

void gv_memory_free(struct gv_memory *memory)
{
    if (!memory)
        return;
    if (memory->stored)
        gv_wipe(memory->stored, memory->cells * CELL);
    free(memory->stored);
    free(memory->name);
    gv_wipe(&memory->row, sizeof memory->row);
    free(memory);
}

static void row_name(char out[GV_MEMORY_NAME], const struct gv_memory *m, uint32_t row)
{
    snprintf(out, GV_MEMORY_NAME, "%.1000s %04u", m->name, row);
}

static struct head head_of(const struct gv_memory *m)
{
    struct head head;

    memset(&head, 0, sizeof head);
    head.form = m->form;
    head.rows = (uint16_t)m->rows;
    head.generation = m->generation;
    for (size_t i = 0; i < m->count; i++)
        head.len += m->areas[i].len;
    return head;
}

/* ---- back ----------------------------------------------------------------------------------- */

static void put_back(const struct gv_memory *m)
{
    const uint8_t *from = m->stored;

    for (size_t i = 0; i < m->count; i++) {
        memcpy(m->areas[i].at, from, m->areas[i].len);
        from += cells_of(&m->areas[i]) * CELL;
    }
}

static bool take_row(struct gv_memory *m)
{
    if (m->row.count > CELLS || m->row.generation != m->generation)
        return false;
    for (uint32_t i = 0; i < m->row.count; i++) {
        const struct cell *cell = &m->row.cells[i];

        if (cell->at >= m->cells)
            return false;
        memcpy(m->stored + (size_t)cell->at * CELL, cell->bytes, CELL);
    }
    return true;
}

bool gv_memory_load(struct gv_memory *memory, gv_memory_kept *kept, void *context)
{
    char name[GV_MEMORY_NAME];
    struct head head, mine = head_of(memory);

    if (!kept(context, memory->name, &head, sizeof head))
        return false;
    for (size_t i = 0; i < memory->count; i++)
        memory->looked[i] = memory->areas[i].len;
    memory->broken = true; /* until all is read */
    memory->rows = head.rows < ROWS_MAX ? head.rows : ROWS_MAX;
    memory->generation = head.generation;
    if (head.form != mine.form || head.len != mine.len || head.rows > ROWS_MAX)
        return false;
    for (uint32_t i = 0; i < head.rows; i++) {
        row_name(name, memory, i);
        if (!kept(context, name, &memory->row, sizeof memory->row) || !take_row(memory)) {
            memset(memory->stored, 0, memory->cells * CELL);
            memory->row.count = 0;
            return false;
        }
    }
    memory->row.count = 0;
    memory->written = head.rows;
    memory->broken = false;
    put_back(memory);
    return true;
}

/* ---- out ------------------------------------------------------------------------------------ */

struct out {
    gv_memory_keep *keep;
    void *context;
};

static void give_row(struct gv_memory *m, const struct out *out)
{
    char name[GV_MEMORY_NAME];

    if (m->row.count == 0)
        return;
    memset(&m->row.cells[m->row.count], 0, (CELLS - m->row.count) * sizeof m->row.cells[0]);
    m->row.generation = m->generation;
    row_name(name, m, m->rows++);
    out->keep(out->context, name, &m->row, sizeof m->row);
    m->row.count = 0;
}

static void give_cell(struct gv_memory *m, const struct out *out, size_t at, const uint8_t *bytes)
{
    struct cell *cell = &m->row.cells[m->row.count++];

    cell->at = (uint32_t)at;
    memcpy(cell->bytes, bytes, CELL);
    if (m->row.count == CELLS)
        give_row(m, out);
}

/* Copies one cell of an area where it differs. */
static bool differs(struct gv_memory *m, size_t at, const uint8_t *now, size_t len)
{
    uint8_t *stored = m->stored + at * CELL;

    if (memcmp(stored, now, len) == 0)
        return false;
    memcpy(stored, now, len);
    return true;
}

/* What has to be looked at: what was in use the last time may be zero now. */
static size_t used_len(const struct gv_memory_area *area, size_t *before)
{
    size_t now = area->in_use ? *area->in_use : area->len, most = now > *before ? now : *before;

    *before = now;
    return most;
}

/* A page at a time, as most of it is as it was. */
#define STRIDE (64u * CELL)

static void give_changes(struct gv_memory *m, const struct out *out)
{
    size_t first = 0;

    for (size_t i = 0; i < m->count; i++) {
        const uint8_t *area = m->areas[i].at;
        size_t len = used_len(&m->areas[i], &m->looked[i]);
        for (size_t at = 0; at < len; at += STRIDE) {
            size_t end = len - at < STRIDE ? len : at + STRIDE;

            if (memcmp(m->stored + first * CELL + at, area + at, end - at) == 0)
                continue;
            for (size_t c = at; c < end; c += CELL)
                if (differs(m, first + c / CELL, area + c, end - c < CELL ? end - c : CELL))
                    give_cell(m, out, first + c / CELL, m->stored + first * CELL + c);
        }
        first += cells_of(&m->areas[i]);
    }
    give_row(m, out);
}

/* All that is not zero, in as few rows as it takes; the rest is emptied: nothing outlives its use.
 */
static void write_anew(struct gv_memory *m, const struct out *out)
{
    static const uint8_t zero[CELL];
    char name[GV_MEMORY_NAME];
    uint32_t before = m->rows;

    m->rows = 0;
    m->generation++;
    for (size_t i = 0; i < m->cells; i++)
        if (memcmp(m->stored + i * CELL, zero, CELL) != 0)
            give_cell(m, out, i, m->stored + i * CELL);
    give_row(m, out);
    m->written = m->rows;
    for (uint32_t i = m->rows; i < before; i++) {
        row_name(name, m, i);
        out->keep(out->context, name, zero, 1);
    }
}

void gv_memory_save_anew(struct gv_memory *memory, gv_memory_keep *keep, void *context)
{
    memory->broken = true;
    gv_memory_save(memory, keep, context);
}

void gv_memory_save(struct gv_memory *memory, gv_memory_keep *keep, void *context)
{
    struct out out = {keep, context};
    uint32_t before = memory->rows;

    give_changes(memory, &out);
    if (memory->rows == before && !memory->broken)
        return;
    if (memory->broken || memory->rows > 2 * memory->written + ROWS_FREE)
        write_anew(memory, &out);
    memory->broken = false;
    struct head head = head_of(memory);
    keep(context, memory->name, &head, sizeof head);
}
