/* Planted bugs around the functions of proto/mesh that say who is in, and what is read back (see
 * plant.h). */
#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "sim/plant.h"

#define WEAK __attribute__((weak))

int __real_gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                                 const struct gv_verifier *verifier, uint32_t now_min,
                                 const uint8_t *wire, size_t len) WEAK;
int __wrap_gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                                 const struct gv_verifier *verifier, uint32_t now_min,
                                 const uint8_t *wire, size_t len);
int __real_gv_roster_add(struct gv_roster *roster, const struct gv_certificate *certificate,
                         struct gv_item *item) WEAK;
int __wrap_gv_roster_add(struct gv_roster *roster, const struct gv_certificate *certificate,
                         struct gv_item *item);
int __real_gv_admit_revocation(struct gv_core *core, const struct gv_incoming *in) WEAK;
int __wrap_gv_admit_revocation(struct gv_core *core, const struct gv_incoming *in);
void __real_gv_drop_author(struct gv_core *core, const struct gv_instance *author,
                           uint32_t from_min) WEAK;
void __wrap_gv_drop_author(struct gv_core *core, const struct gv_instance *author,
                           uint32_t from_min);
int __real_gv_admit(struct gv_core *core, const uint8_t *record, size_t len,
                    enum gv_source_kind source, uint32_t from) WEAK;
int __wrap_gv_admit(struct gv_core *core, const uint8_t *record, size_t len,
                    enum gv_source_kind source, uint32_t from);
struct gv_held *__real_gv_store_cancelled(const struct gv_store *store,
                                          const struct gv_statement *retract,
                                          const struct gv_instance *author) WEAK;
struct gv_held *__wrap_gv_store_cancelled(const struct gv_store *store,
                                          const struct gv_statement *retract,
                                          const struct gv_instance *author);

bool gv_plant_wraps_roster(void)
{
    return __real_gv_admit != NULL;
}

int __wrap_gv_certificate_accept(struct gv_certificate *out, const struct gv_descriptor *descriptor,
                                 const struct gv_verifier *verifier, uint32_t now_min,
                                 const uint8_t *wire, size_t len)
{
    int rc = __real_gv_certificate_accept(out, descriptor, verifier, now_min, wire, len);

    return rc == GV_ERR_EXPIRED && gv_plant_is(GV_PLANT_LET_IN) ? GV_OK : rc;
}

int __wrap_gv_roster_add(struct gv_roster *roster, const struct gv_certificate *certificate,
                         struct gv_item *item)
{
    struct gv_certificate endless = *certificate;

    if (gv_plant_is(GV_PLANT_NO_END))
        endless.expires_min = UINT32_MAX;
    return __real_gv_roster_add(roster, &endless, item);
}

int __wrap_gv_admit_revocation(struct gv_core *core, const struct gv_incoming *in)
{
    return gv_plant_is(GV_PLANT_DEAF) ? GV_ERR_SUPERSEDED : __real_gv_admit_revocation(core, in);
}

void __wrap_gv_drop_author(struct gv_core *core, const struct gv_instance *author,
                           uint32_t from_min)
{
    if (from_min == 0 || !gv_plant_is(GV_PLANT_REVOKED_STAY)) /* 0: for a fault */
        __real_gv_drop_author(core, author, from_min);
}

int __wrap_gv_admit(struct gv_core *core, const uint8_t *record, size_t len,
                    enum gv_source_kind source, uint32_t from)
{
    bool statement = len > 0 && record[0] <= GV_RECORD_RETRACT;

    if (gv_plant_is(GV_PLANT_FORGETFUL) && source == GV_FROM_STORE && statement &&
        record[1] % 3 == 0) /* a byte of the signature */
        return GV_ERR_EXPIRED;
    int rc = __real_gv_admit(core, record, len, source, from);
    bool early = rc == GV_ERR_EARLY && gv_plant_is(GV_PLANT_TAKE_EARLY);
    bool expired = rc == GV_ERR_EXPIRED && gv_plant_is(GV_PLANT_TAKE_EXPIRED);

    bool heard = source == GV_FROM_PEER || source == GV_FROM_WHISPER;

    if (statement && heard && (early || expired)) { /* by a clock that suits it */
        uint32_t now_min = core->now_min;
        core->now_min = early ? now_min + 120 : now_min - 120;
        rc = __real_gv_admit(core, record, len, source, from);
        core->now_min = now_min;
    }
    return rc;
}

struct gv_held *__wrap_gv_store_cancelled(const struct gv_store *store,
                                          const struct gv_statement *retract,
                                          const struct gv_instance *author)
{
    /* The highest of all numbers: a node asks whether there is anything to take back. */
    if (gv_plant_is(GV_PLANT_NO_CANCEL) && retract->sequence != UINT64_MAX)
        return NULL;
    return __real_gv_store_cancelled(store, retract, author);
}
