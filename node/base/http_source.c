/* Long answers: libmicrohttpd asks for the next piece when the socket takes it. */
#include <stdlib.h>

#include "crypto/error.h"
#include "node/base/http_internal.h"

struct piece {
    struct gv_http_request *request;
    size_t len, at; /* what was read before it was known to be long */
    char text[GV_HTTP_PIECE];
};

static ssize_t read_source(void *context, uint64_t position, char *out, size_t room)
{
    struct piece *first = context;
    const struct gv_http_source *source = &first->request->source;
    size_t n = 0;

    (void)position;
    for (; n < room && first->at < first->len; n++)
        out[n] = first->text[first->at++];
    if (n == 0)
        n = source->read(source->context, out, room);
    gv_assert(n <= room);
    return n ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

void gv_http_respond_source(struct gv_http_request *request, unsigned status, const char *type,
                            const struct gv_http_source *source)
{
    struct piece *first = malloc(sizeof *first);
    struct MHD_Response *response = NULL;
    size_t n = 1;

    request->source = *source;
    if (first) {
        first->request = request;
        first->len = first->at = 0;
        while (n > 0 && first->len < sizeof first->text) {
            n = source->read(source->context, first->text + first->len,
                             sizeof first->text - first->len);
            first->len += n;
        }
        if (n == 0)
            response =
                MHD_create_response_from_buffer(first->len, first->text, MHD_RESPMEM_MUST_COPY);
        else
            response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, GV_HTTP_PIECE,
                                                         read_source, first, free);
    }
    if (n == 0 || !response)
        free(first);
    gv_http_answer(request, status, type, response, GV_HTTP_ANSWERED);
}

void gv_http_source_done(struct gv_http_request *request, bool complete)
{
    void (*done)(void *, bool) = request->source.done;

    request->source.done = NULL;
    if (done)
        done(request->source.context, complete);
}
