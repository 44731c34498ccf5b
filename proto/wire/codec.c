#include "proto/wire/codec.h"

#include <string.h>

#include "crypto/error.h"

/* ---- measuring ------------------------------------------------------------------------------ */

static uint64_t big_endian(const uint8_t *at, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value = value << 8 | at[i];
    return value;
}

/* One element's head: how many bytes it takes with its own payload, and how many elements it
 * holds. Only shortest forms pass, so that one value has one encoding (SPEC 2.4). */
struct head {
    size_t bytes;
    uint64_t items;
    bool array; /* also when it holds nothing: depth counts arrays */
};

static bool head_of_width(struct head *out, const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t tag, width;
        enum { UINT, BLOB, ARRAY } what;
        uint64_t least; /* below this a shorter form exists */
    } forms[] = {
        {0xcc, 1, UINT, 0x80},       {0xcd, 2, UINT, 0x100}, {0xce, 4, UINT, 0x10000},
        {0xcf, 8, UINT, 1ULL << 32}, {0xc4, 1, BLOB, 0},     {0xc5, 2, BLOB, 0x100},
        {0xd9, 1, BLOB, 32},         {0xda, 2, BLOB, 0x100}, {0xdc, 2, ARRAY, 16},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (at[0] != forms[i].tag)
            continue;
        if (left < 1U + forms[i].width)
            return false;
        uint64_t value = big_endian(at + 1, forms[i].width);
        if (value < forms[i].least)
            return false;
        out->bytes = 1U + forms[i].width + (forms[i].what == BLOB ? (size_t)value : 0);
        out->array = forms[i].what == ARRAY;
        out->items = out->array ? value : 0;
        return true;
    }
    return false;
}

static bool head_of(struct head *out, const uint8_t *at, size_t left)
{
    out->bytes = 1;
    out->items = 0;
    out->array = false;
    if (left == 0)
        return false;
    if (at[0] <= 0x7f)
        return true;
    if (at[0] >= 0x90 && at[0] <= 0x9f) {
        out->array = true;
        out->items = at[0] & 0x0f;
        return true;
    }
    if (at[0] >= 0xa0 && at[0] <= 0xbf) {
        out->bytes = 1U + (at[0] & 0x1f);
        return true;
    }
    return head_of_width(out, at, left);
}

int gv_codec_measure(size_t *object_len, const uint8_t *data, size_t len)
{
    uint64_t open[GV_CODEC_DEPTH + 1]; /* elements still to come on each level */
    size_t depth = 0, at = 0;

    open[0] = 1;
    for (;;) {
        while (open[depth] == 0) {
            if (depth == 0) {
                *object_len = at;
                return GV_OK;
            }
            depth--;
        }
        open[depth]--;
        struct head head;
        if (!head_of(&head, data + at, len - at) || head.bytes > len - at)
            return GV_ERR_MALFORMED;
        at += head.bytes;
        /* Each element takes a byte at least: a larger count is a lie about memory. */
        if (head.items > len - at)
            return GV_ERR_MALFORMED;
        if (head.array) {
            if (depth == GV_CODEC_DEPTH)
                return GV_ERR_MALFORMED;
            open[++depth] = head.items;
        }
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

static int write_buf(void *out, const char *data, size_t len)
{
    gv_buf_append(out, data, len);
    return ((struct gv_buf *)out)->failed ? -1 : 0;
}

static msgpack_packer packer(struct gv_buf *out)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, out, write_buf);
    return pk;
}

void gv_put_array(struct gv_buf *out, uint32_t count)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_array(&pk, count);
}

void gv_put_u64(struct gv_buf *out, uint64_t value)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_uint64(&pk, value);
}

void gv_put_bin(struct gv_buf *out, const void *data, size_t len)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_bin(&pk, len);
    if (len)
        msgpack_pack_bin_body(&pk, data, len);
}

void gv_put_str(struct gv_buf *out, const char *text, size_t len)
{
    msgpack_packer pk = packer(out);
    msgpack_pack_str(&pk, len);
    if (len)
        msgpack_pack_str_body(&pk, text, len);
}

/* ---- reading -------------------------------------------------------------------------------- */

int gv_reader_open(struct gv_reader *reader, size_t *object_len, const uint8_t *data, size_t len)
{
    size_t measured = 0, offset = 0;
    msgpack_object root;

    memset(reader, 0, sizeof *reader);
    reader->error = gv_codec_measure(&measured, data, len);
    if (reader->error == GV_OK && !object_len && measured != len)
        reader->error = GV_ERR_MALFORMED;
    if (reader->error != GV_OK)
        return reader->error;
    if (!msgpack_zone_init(&reader->zone, 1024)) {
        reader->error = GV_ERR_MEMORY;
        return reader->error;
    }
    reader->zone_live = true;
    msgpack_unpack_return rc =
        msgpack_unpack((const char *)data, measured, &offset, &reader->zone, &root);
    if (rc == MSGPACK_UNPACK_NOMEM_ERROR)
        reader->error = GV_ERR_MEMORY;
    else if ((rc != MSGPACK_UNPACK_SUCCESS && rc != MSGPACK_UNPACK_EXTRA_BYTES) ||
             root.type != MSGPACK_OBJECT_ARRAY)
        reader->error = GV_ERR_MALFORMED;
    if (reader->error != GV_OK)
        return reader->error;
    reader->at = root.via.array.ptr;
    reader->left = root.via.array.size;
    if (object_len)
        *object_len = measured;
    return GV_OK;
}

void gv_reader_close(struct gv_reader *reader)
{
    if (reader->zone_live)
        msgpack_zone_destroy(&reader->zone);
    reader->zone_live = false;
    reader->at = NULL;
    reader->left = 0;
}

static const msgpack_object *next(struct gv_reader *reader, msgpack_object_type type)
{
    if (reader->error != GV_OK)
        return NULL;
    if (reader->left == 0 || reader->at->type != type) {
        reader->error = GV_ERR_MALFORMED;
        return NULL;
    }
    reader->left--;
    return reader->at++;
}

uint64_t gv_get_u64(struct gv_reader *reader, uint64_t max)
{
    const msgpack_object *object = next(reader, MSGPACK_OBJECT_POSITIVE_INTEGER);

    if (!object)
        return 0;
    if (object->via.u64 > max) {
        reader->error = GV_ERR_MALFORMED;
        return 0;
    }
    return object->via.u64;
}

const uint8_t *gv_get_bin(struct gv_reader *reader, size_t *len, size_t min, size_t max)
{
    const msgpack_object *object = next(reader, MSGPACK_OBJECT_BIN);

    *len = 0;
    if (!object)
        return NULL;
    if (object->via.bin.size < min || object->via.bin.size > max) {
        reader->error = GV_ERR_MALFORMED;
        return NULL;
    }
    *len = object->via.bin.size;
    return (const uint8_t *)object->via.bin.ptr;
}

void gv_get_bin_exact(struct gv_reader *reader, void *out, size_t len)
{
    size_t got = 0;
    const uint8_t *data = gv_get_bin(reader, &got, len, len);

    if (data && len)
        memcpy(out, data, len);
    else
        memset(out, 0, len);
}

const char *gv_get_str(struct gv_reader *reader, size_t *len, size_t max)
{
    const msgpack_object *object = next(reader, MSGPACK_OBJECT_STR);

    *len = 0;
    if (!object)
        return NULL;
    if (object->via.str.size > max) {
        reader->error = GV_ERR_MALFORMED;
        return NULL;
    }
    *len = object->via.str.size;
    return object->via.str.ptr;
}

uint32_t gv_enter_array(struct gv_reader *reader, struct gv_array_mark *mark, uint32_t max)
{
    const msgpack_object *object = next(reader, MSGPACK_OBJECT_ARRAY);

    mark->at = reader->at;
    mark->left = reader->left;
    if (!object)
        return 0;
    if (object->via.array.size > max) {
        reader->error = GV_ERR_MALFORMED;
        return 0;
    }
    reader->at = object->via.array.ptr;
    reader->left = object->via.array.size;
    return reader->left;
}

void gv_leave_array(struct gv_reader *reader, const struct gv_array_mark *mark)
{
    if (reader->error == GV_OK && reader->left != 0)
        reader->error = GV_ERR_MALFORMED;
    reader->at = mark->at;
    reader->left = mark->left;
}

int gv_reader_done(const struct gv_reader *reader)
{
    if (reader->error != GV_OK)
        return reader->error;
    return reader->left == 0 ? GV_OK : GV_ERR_MALFORMED;
}
