/* Planted bugs around the functions of proto/mesh that say who meets whom, what is taken of whom,
 * and what is counted (see plant.h). */
#include "crypto/error.h"
#include "proto/mesh/state.h"
#include "sim/plant.h"

#define WEAK        __attribute__((weak))
#define GIVEN_UP_MS 1500000u /* ten minutes after the halves of an hour and a half (plant.h) */

uint32_t __real_gv_link_dial(struct gv_core *core, const struct gv_address *address,
                             const char *host) WEAK;
uint32_t __wrap_gv_link_dial(struct gv_core *core, const struct gv_address *address,
                             const char *host);
int __real_gv_door_knock(struct gv_core *core, const struct gv_address *remote) WEAK;
int __wrap_gv_door_knock(struct gv_core *core, const struct gv_address *remote);
void __real_gv_link_close(struct gv_core *core, struct gv_link *link, enum gv_goodbye reason) WEAK;
void __wrap_gv_link_close(struct gv_core *core, struct gv_link *link, enum gv_goodbye reason);
int __real_gv_admit_certificate(struct gv_core *core, const struct gv_incoming *in) WEAK;
int __wrap_gv_admit_certificate(struct gv_core *core, const struct gv_incoming *in);
int __real_gv_admit_statement(struct gv_core *core, const struct gv_incoming *in) WEAK;
int __wrap_gv_admit_statement(struct gv_core *core, const struct gv_incoming *in);
void __real_gv_rejudge(struct gv_core *core, const struct gv_subject *subject,
                       enum gv_verdict_state before) WEAK;
void __wrap_gv_rejudge(struct gv_core *core, const struct gv_subject *subject,
                       enum gv_verdict_state before);
void __real_gv_traffic_count(struct gv_traffic *traffic, enum gv_cause cause, bool out,
                             uint64_t bytes) WEAK;
void __wrap_gv_traffic_count(struct gv_traffic *traffic, enum gv_cause cause, bool out,
                             uint64_t bytes);

bool gv_plant_wraps_mesh(void)
{
    return __real_gv_link_dial != NULL;
}

/* One node in four. */
static bool here(enum gv_plant plant)
{
    return gv_plant_is(plant) && gv_plant_node() % 4 == 1;
}

uint32_t __wrap_gv_link_dial(struct gv_core *core, const struct gv_address *address,
                             const char *host)
{
    if (gv_plant_is(GV_PLANT_GIVE_UP) && core->now_ms > GIVEN_UP_MS)
        return 0;
    return here(GV_PLANT_HERMIT) ? 0 : __real_gv_link_dial(core, address, host);
}

int __wrap_gv_door_knock(struct gv_core *core, const struct gv_address *remote)
{
    return here(GV_PLANT_HERMIT) ? GV_ERR_FULL : __real_gv_door_knock(core, remote);
}

void __wrap_gv_link_close(struct gv_core *core, struct gv_link *link, enum gv_goodbye reason)
{
    if (reason != GV_GOODBYE_REVOKED || !gv_plant_is(GV_PLANT_TALK_ON))
        __real_gv_link_close(core, link, reason);
}

/* Whether this node would be a stranger to it, or to its renewal. */
static bool is_ignored(const struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_certificate certificate;

    if (in->source != GV_FROM_PEER ||
        gv_certificate_parse(&certificate, in->wire, in->wire_len) != GV_OK)
        return false;
    bool known = gv_roster_instance(&core->roster, certificate.instance) != NULL;
    return known ? here(GV_PLANT_OLD_PAPERS)
                 : here(GV_PLANT_IGNORANT) && certificate.instance[0] % 3 == 0;
}

int __wrap_gv_admit_certificate(struct gv_core *core, const struct gv_incoming *in)
{
    return is_ignored(core, in) ? GV_ERR_SUPERSEDED : __real_gv_admit_certificate(core, in);
}

/* By somebody who forgets for a moment that its author is revoked. */
static int admit_revoked(struct gv_core *core, const struct gv_incoming *in)
{
    struct gv_statement statement;

    if (gv_statement_parse(&statement, in->wire, in->wire_len) != GV_OK)
        return GV_ERR_REVOKED;
    const struct gv_certificate_row *papers =
        gv_roster_certificate(&core->roster, statement.certificate);
    if (!papers)
        return GV_ERR_REVOKED;
    struct gv_instance *author =
        gv_roster_own(&core->roster, gv_roster_author(&core->roster, papers));
    gv_assert(author);
    uint32_t revoked_min = author->revoked_min;
    author->revoked_min = GV_NEVER;
    int rc = __real_gv_admit_statement(core, in);
    author->revoked_min = revoked_min;
    return rc;
}

int __wrap_gv_admit_statement(struct gv_core *core, const struct gv_incoming *in)
{
    bool heard = in->source == GV_FROM_PEER || in->source == GV_FROM_WHISPER;

    if (heard && here(GV_PLANT_PICKY) && in->id[1] % 5 == 0)
        return GV_ERR_SUPERSEDED;
    int rc = __real_gv_admit_statement(core, in);
    return heard && rc == GV_ERR_REVOKED && gv_plant_is(GV_PLANT_HEEDLESS) ? admit_revoked(core, in)
                                                                           : rc;
}

void __wrap_gv_rejudge(struct gv_core *core, const struct gv_subject *subject,
                       enum gv_verdict_state before)
{
    if (!here(GV_PLANT_STALE))
        __real_gv_rejudge(core, subject, before);
}

void __wrap_gv_traffic_count(struct gv_traffic *traffic, enum gv_cause cause, bool out,
                             uint64_t bytes)
{
    __real_gv_traffic_count(traffic, cause, out,
                            gv_plant_is(GV_PLANT_MISCOUNT) ? bytes / 4 : bytes);
}
