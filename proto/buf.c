#include "proto/buf.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"

void gv_buf_init(struct gv_buf *buf)
{
    memset(buf, 0, sizeof *buf);
}

void gv_buf_free(struct gv_buf *buf)
{
    if (!buf)
        return;
    free(buf->data);
    gv_buf_init(buf);
}

void gv_buf_clear(struct gv_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

uint8_t *gv_buf_reserve(struct gv_buf *buf, size_t len)
{
    if (buf->failed || len > SIZE_MAX / 2 - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if (buf->len + len > buf->cap) {
        size_t cap = buf->cap ? buf->cap : 64;
        while (cap < buf->len + len)
            cap *= 2;
        uint8_t *grown = realloc(buf->data, cap);
        if (!grown) {
            buf->failed = true;
            return NULL;
        }
        buf->data = grown;
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void gv_buf_append(struct gv_buf *buf, const void *data, size_t len)
{
    uint8_t *at = len ? gv_buf_reserve(buf, len) : NULL;

    if (!at)
        return;
    memcpy(at, data, len);
    buf->len += len;
}

void gv_buf_consume(struct gv_buf *buf, size_t len)
{
    gv_assert(len <= buf->len);
    if (len)
        memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
}
