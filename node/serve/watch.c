#include "node/serve/watch.h"

#include <sodium.h>
#include <stdlib.h>

#include "crypto/wipe.h"
#include "node/serve/listing.h"

struct gv_watch {
    const struct gv_core *core;
    uint64_t failures, logins;
    struct gv_listing *addresses; /* as a set */
};

struct gv_watch *gv_watch_new(const struct gv_core *core)
{
    struct gv_watch *watch = calloc(1, sizeof *watch);
    uint8_t key[16];

    if (!watch)
        return NULL;
    randombytes_buf(key, sizeof key);
    watch->core = core;
    watch->addresses = gv_listing_new(key);
    gv_wipe(key, sizeof key);
    if (!watch->addresses) {
        free(watch);
        return NULL;
    }
    return watch;
}

void gv_watch_free(struct gv_watch *watch)
{
    if (!watch)
        return;
    gv_listing_free(watch->addresses);
    free(watch);
}

void gv_watch_observe(struct gv_watch *watch, const struct gv_observation *observation)
{
    const struct gv_subject *subject = &observation->subject;

    if (observation->past || observation->refused ||
        gv_core_decide(watch->core, NULL, NULL, subject).action != GV_ACTION_REFUSE)
        return;
    watch->logins += observation->success;
    watch->failures += observation->attempts;
    if (gv_listing_count(watch->addresses) < GV_WATCH_ADDRESSES)
        (void)gv_listing_set(watch->addresses, subject, 1); /* no memory: one too few is shown */
}

json_t *gv_watch_json(const struct gv_watch *watch)
{
    return json_pack("{s:I, s:I, s:I}", "failures", (json_int_t)watch->failures, "logins",
                     (json_int_t)watch->logins, "addresses",
                     (json_int_t)gv_listing_count(watch->addresses));
}
