#include "node/registry/batch.h"

#include <stdlib.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/registry/registrar.h"

static void on_check(uv_check_t *check)
{
    gv_batch_flush(check->data);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

void gv_batch_init(struct gv_registrar *registrar)
{
    struct gv_batch *batch = &registrar->batch;

    STAILQ_INIT(&batch->items);
    uv_check_init(registrar->loop, &batch->check);
    uv_idle_init(registrar->loop, &batch->idle);
    batch->check.data = batch->idle.data = registrar;
    uv_check_start(&batch->check, on_check);
    uv_unref((uv_handle_t *)&batch->check);
    registrar->handles += 2;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct gv_registrar *registrar = handle->data;

    registrar->handles--;
    gv_registrar_release(registrar);
}

void gv_batch_close(struct gv_registrar *registrar)
{
    gv_batch_flush(registrar);
    uv_close((uv_handle_t *)&registrar->batch.check, on_handle_closed);
    uv_close((uv_handle_t *)&registrar->batch.idle, on_handle_closed);
}

int gv_batch_enter(struct gv_registrar *registrar)
{
    struct gv_batch *batch = &registrar->batch;

    if (batch->open)
        return batch->rc;
    int rc = gv_records_begin(registrar->records);
    if (rc != GV_OK)
        return rc;
    batch->open = true;
    batch->rc = GV_OK;
    uv_idle_start(&batch->idle, on_idle);
    return GV_OK;
}

void gv_batch_spoil(struct gv_registrar *registrar, int rc)
{
    registrar->batch.rc = rc;
}

static void on_closed(void *context)
{
    ((struct gv_batch_item *)context)->request = NULL;
}

struct gv_batch_item *gv_batch_wait(struct gv_registrar *registrar, struct gv_http_request *request,
                                    void (*done)(struct gv_registrar *registrar,
                                                 struct gv_batch_item *item, int rc))
{
    struct gv_batch_item *item = calloc(1, sizeof *item);

    if (!item)
        return NULL;
    item->request = request;
    item->done = done;
    STAILQ_INSERT_TAIL(&registrar->batch.items, item, next);
    gv_http_on_closed(request, on_closed, item);
    return item;
}

void gv_batch_flush(struct gv_registrar *registrar)
{
    struct gv_batch *batch = &registrar->batch;
    struct gv_batch_item *item;

    if (!batch->open)
        return;
    int rc = gv_records_finish(registrar->records, batch->rc);
    batch->open = false;
    uv_idle_stop(&batch->idle);
    while ((item = STAILQ_FIRST(&batch->items))) {
        STAILQ_REMOVE_HEAD(&batch->items, next);
        if (item->request)
            item->done(registrar, item, rc);
        gv_wipe(item, sizeof *item);
        free(item);
    }
}
