/* A growing byte buffer with a sticky error: appends after a failed one do nothing, and the caller
 * checks once, at the end. */
#ifndef GV_PROTO_BUF_H
#define GV_PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gv_buf {
    uint8_t *data; /* owned */
    size_t len, cap;
    bool failed; /* an allocation failed; what was appended since is missing */
};

void gv_buf_init(struct gv_buf *buf);
void gv_buf_free(struct gv_buf *buf);  /* also resets; NULL is allowed */
void gv_buf_clear(struct gv_buf *buf); /* keeps the memory, forgets bytes and error */
void gv_buf_append(struct gv_buf *buf, const void *data, size_t len);
/* Makes room for len more bytes and returns where they go (NULL on failure); len is not changed. */
uint8_t *gv_buf_reserve(struct gv_buf *buf, size_t len);
/* Removes the first len bytes. len <= buf->len. */
void gv_buf_consume(struct gv_buf *buf, size_t len);

#endif
