/* msgpack, the strict part of it that the mesh speaks (SPEC 2.4): unsigned integers, bin, str and
 * arrays, each in its shortest form, nested at most GV_CODEC_DEPTH deep. msgpack-c packs and
 * unpacks; what it would believe of a hostile sender (declared counts) is checked before. */
#ifndef GV_PROTO_WIRE_CODEC_H
#define GV_PROTO_WIRE_CODEC_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

#define GV_CODEC_DEPTH 5

/* Length of the first object in data, or GV_ERR_MALFORMED: cut short, a type or a form that is not
 * allowed, too deep, or a count that the bytes left cannot hold. Never reads past len. */
int gv_codec_measure(size_t *object_len, const uint8_t *data, size_t len);

/* Writing: append to a buf, whose sticky error is checked at the end. */
void gv_put_array(struct gv_buf *out, uint32_t count);
void gv_put_u64(struct gv_buf *out, uint64_t value);
void gv_put_bin(struct gv_buf *out, const void *data, size_t len);
void gv_put_str(struct gv_buf *out, const char *text, size_t len);

/* Reading with a sticky error: after the first wrong type, count or length every read gives zero,
 * and gv_reader_done tells at the end. Pointers borrow from the bytes that were opened. */
struct gv_reader {
    msgpack_zone zone;
    bool zone_live;
    const msgpack_object *at; /* next element of the current array */
    uint32_t left;            /* elements left in it */
    int error;
};

/* Opens the first object of data, which must be an array, and enters it; *object_len (may be NULL)
 * is its length. Unless object_len is given, nothing may follow the object. Always pair with
 * gv_reader_close, also after an error. Returns GV_OK, GV_ERR_MALFORMED or GV_ERR_MEMORY. */
int gv_reader_open(struct gv_reader *reader, size_t *object_len, const uint8_t *data, size_t len);
void gv_reader_close(struct gv_reader *reader);

uint64_t gv_get_u64(struct gv_reader *reader, uint64_t max); /* above max is an error */
/* min <= length <= max, otherwise an error. Returns NULL after an error. */
const uint8_t *gv_get_bin(struct gv_reader *reader, size_t *len, size_t min, size_t max);
void gv_get_bin_exact(struct gv_reader *reader, void *out, size_t len);
const char *gv_get_str(struct gv_reader *reader, size_t *len, size_t max); /* not terminated */
/* Enters an array of at most max elements; the outer one goes on after gv_leave_array. */
struct gv_array_mark {
    const msgpack_object *at;
    uint32_t left;
};
uint32_t gv_enter_array(struct gv_reader *reader, struct gv_array_mark *mark, uint32_t max);
void gv_leave_array(struct gv_reader *reader, const struct gv_array_mark *mark);
/* GV_OK when no read failed and the current array has no element left. */
int gv_reader_done(const struct gv_reader *reader);

#endif
