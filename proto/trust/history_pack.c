/* A row of local history as bytes: a version, then the fields in the order of the struct, integers
 * big-endian; of a hidden row (version 2) the hash of its network behind them. Hashed passwords are
 * not written: they stay in memory only. */
#include "proto/trust/history_row.h"

#include <string.h>

#include "crypto/error.h"

#define ROW_VERSION        1
#define ROW_VERSION_HIDDEN 2
#define ROW_LEN            (1 + 9 + 1 + 2 + 18 * 4 + 2 * GV_HOURS + 2 * GV_RING + 9)

/* One list of the fields serves both directions, so that they cannot drift apart. */
struct cursor {
    uint8_t *write;
    const uint8_t *read; /* exactly one of the two is set */
};

static void bytes(struct cursor *c, uint8_t *field, size_t len)
{
    if (c->write) {
        memcpy(c->write, field, len);
        c->write += len;
    } else {
        memcpy(field, c->read, len);
        c->read += len;
    }
}

static void u16(struct cursor *c, uint16_t *field)
{
    uint8_t b[2] = {(uint8_t)(*field >> 8), (uint8_t)*field};

    bytes(c, b, sizeof b);
    *field = (uint16_t)(b[0] << 8 | b[1]);
}

static void u32(struct cursor *c, uint32_t *field)
{
    uint8_t b[4] = {(uint8_t)(*field >> 24), (uint8_t)(*field >> 16), (uint8_t)(*field >> 8),
                    (uint8_t)*field};

    bytes(c, b, sizeof b);
    *field = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void fields(struct cursor *c, struct gv_history_row *row)
{
    uint32_t *times[] = {
        &row->first_failure,    &row->last_failure,     &row->older[0],      &row->older[1],
        &row->last_unknown,     &row->last_visit,       &row->first_success, &row->last_success,
        &row->login_account[0], &row->login_account[1], &row->login_time[0], &row->login_time[1],
        &row->locked_until,     &row->signalled,        &row->account,       &row->last_tick,
        &row->period,           &row->bits_since,
    };
    uint8_t *small[] = {
        &row->burst_count, &row->visit_count, &row->tick_attempts, &row->even,     &row->odd,
        &row->services[0], &row->services[1], &row->kinds[0],      &row->kinds[1],
    };

    bytes(c, &row->subject.family, 1);
    bytes(c, row->subject.bytes, sizeof row->subject.bytes);
    bytes(c, &row->flags, 1);
    u16(c, &row->points);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        u32(c, times[i]);
    for (size_t i = 0; i < GV_HOURS; i++)
        u16(c, &row->hours[i]);
    bytes(c, row->burst, sizeof row->burst);
    bytes(c, row->visits, sizeof row->visits);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        bytes(c, small[i], 1);
}

static bool is_hidden(const struct gv_history_row *row)
{
    return row->subject.family == GV_FAMILY_HIDDEN;
}

void gv_row_pack(const struct gv_history_row *row, const struct gv_subject *network,
                 struct gv_buf *out)
{
    uint8_t data[ROW_LEN] = {is_hidden(row) ? ROW_VERSION_HIDDEN : ROW_VERSION};
    struct gv_history_row copy = *row;
    struct cursor c = {data + 1, NULL};

    /* Without the hash it will not be known whether the next one is the same. */
    if (copy.password != 0)
        copy.flags |= GV_ROW_PASSWORD_MISSING;
    memset(copy.burst + copy.burst_count, 0, sizeof copy.burst - copy.burst_count);
    memset(copy.visits + copy.visit_count, 0, sizeof copy.visits - copy.visit_count);
    fields(&c, &copy);
    gv_assert(c.write == data + sizeof data);
    gv_buf_append(out, data, sizeof data);
    if (is_hidden(row))
        gv_buf_append(out, network->bytes, sizeof network->bytes);
}

/* ---- the file is not trusted ---------------------------------------------------------------- */

static bool subject_valid(const struct gv_subject *s)
{
    static const uint8_t zero[4];

    return s->family == GV_FAMILY_IPV6 || s->family == GV_FAMILY_HIDDEN ||
           (s->family == GV_FAMILY_IPV4 && memcmp(s->bytes + 4, zero, sizeof zero) == 0);
}

/* Newest first, and within the span: anything else could not be told apart modulo 256. */
static bool ring_valid(const uint8_t ring[GV_RING], uint8_t count, uint32_t newest, uint32_t unit,
                       uint32_t span)
{
    uint8_t age = 0;

    if (count > GV_RING || (count > 0 && newest == 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        uint8_t next = (uint8_t)(newest / unit - ring[i]);
        if (next < age || next > span || next > newest / unit)
            return false;
        age = next;
    }
    for (size_t i = count; i < GV_RING; i++)
        if (ring[i] != 0)
            return false;
    return true;
}

static bool failures_valid(const struct gv_history_row *row)
{
    if ((row->first_failure == 0) != (row->last_failure == 0) ||
        row->first_failure > row->last_failure || row->older[0] > row->last_failure ||
        row->older[1] > row->older[0] || row->last_unknown > row->last_failure ||
        row->last_visit > row->last_failure || row->last_tick > row->last_failure ||
        row->bits_since > row->last_failure)
        return false;
    if (row->points != 0 && row->last_visit == 0)
        return false;
    if (row->last_failure == 0 &&
        (row->account != 0 || row->period != 0 || row->even != 0 || row->odd != 0))
        return false;
    return (row->services[0] | row->services[1]) <= GV_SERVICE_ALL &&
           (row->kinds[0] | row->kinds[1]) <= GV_KIND_ALL &&
           (row->last_failure == 0 || (row->services[0] != 0 && row->kinds[0] != 0));
}

static bool logins_valid(const struct gv_history_row *row)
{
    if ((row->first_success == 0) != (row->last_success == 0) ||
        row->first_success > row->last_success || row->login_time[0] > row->last_success ||
        row->login_time[1] > row->login_time[0])
        return false;
    for (size_t i = 0; i < 2; i++)
        if ((row->login_account[i] == 0) != (row->login_time[i] == 0))
            return false;
    return row->login_account[0] == 0 || row->login_account[0] != row->login_account[1];
}

static bool row_valid(const struct gv_history_row *row)
{
    uint32_t last = row->last_failure;

    /* No lock and no silence that the failures themselves do not explain. */
    if ((uint64_t)row->locked_until > (uint64_t)last + GV_LOCK_S || row->signalled > last ||
        (last == 0 && row->locked_until != 0))
        return false;
    return subject_valid(&row->subject) && !(row->flags & ~GV_ROW_FLAGS) && failures_valid(row) &&
           logins_valid(row) &&
           ring_valid(row->burst, row->burst_count, last, GV_BURST_UNIT, GV_BURST_SPAN) &&
           ring_valid(row->visits, row->visit_count, row->last_visit, GV_VISIT_UNIT, GV_VISIT_SPAN);
}

int gv_row_unpack(struct gv_history_row *out, struct gv_subject *network, const uint8_t *data,
                  size_t len)
{
    struct gv_history_row row;
    struct cursor c = {NULL, data + 1};

    if (len == 0)
        return GV_ERR_MALFORMED;
    if (data[0] != ROW_VERSION && data[0] != ROW_VERSION_HIDDEN)
        return GV_ERR_VERSION;
    bool hidden = data[0] == ROW_VERSION_HIDDEN;
    if (len != (hidden ? ROW_LEN + sizeof network->bytes : ROW_LEN))
        return GV_ERR_MALFORMED;
    memset(&row, 0, sizeof row);
    fields(&c, &row);
    if (!row_valid(&row) || is_hidden(&row) != hidden || (hidden && row.last_success == 0))
        return GV_ERR_MALFORMED;
    *out = row;
    if (hidden) {
        network->family = GV_FAMILY_HIDDEN;
        memcpy(network->bytes, c.read, sizeof network->bytes);
    }
    return GV_OK;
}
