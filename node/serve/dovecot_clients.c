#include "node/serve/dovecot_clients.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "crypto/wipe.h"

#define SETS  4096u
#define WAYS  4u
#define MARKS 8192u /* sets of four */

struct mark {
    uint64_t value, at_ms;
};

struct gv_dovecot_clients {
    struct gv_dovecot_client table[SETS][WAYS];
    struct mark marks[MARKS][WAYS];
    uint8_t key[16];
};

struct gv_dovecot_clients *gv_dovecot_clients_new(const uint8_t key[16])
{
    struct gv_dovecot_clients *clients = calloc(1, sizeof *clients);

    if (clients)
        memcpy(clients->key, key, sizeof clients->key);
    return clients;
}

void gv_dovecot_clients_free(struct gv_dovecot_clients *clients)
{
    if (!clients)
        return;
    gv_wipe(clients, sizeof *clients);
    free(clients);
}

struct gv_dovecot_client *gv_dovecot_client(struct gv_dovecot_clients *clients,
                                            const struct gv_subject *subject, uint64_t now_ms,
                                            bool make)
{
    uint64_t hash = gv_siphash(clients->key, subject, sizeof *subject);
    struct gv_dovecot_client *set = clients->table[hash % SETS], *quiet = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].subject.family != GV_FAMILY_NONE && gv_subject_equal(&set[i].subject, subject)) {
            set[i].seen_ms = now_ms;
            return &set[i];
        }
        if (!set[i].waiting && (!quiet || set[i].seen_ms < quiet->seen_ms))
            quiet = &set[i];
    }
    if (!make || !quiet)
        return NULL;
    memset(quiet, 0, sizeof *quiet);
    quiet->subject = *subject;
    quiet->seen_ms = now_ms;
    return quiet;
}

size_t gv_dovecot_flying(struct gv_dovecot_client *client, uint64_t now_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < GV_DOVECOT_GUESSES; i++) {
        struct gv_dovecot_flight *flight = &client->flights[i];
        if (flight->token != 0 && now_ms - flight->at_ms >= GV_DOVECOT_FLIGHT_MS)
            flight->token = 0;
        count += flight->token != 0;
    }
    return count;
}

struct gv_dovecot_flight *gv_dovecot_flight(struct gv_dovecot_client *client, uint64_t token)
{
    for (size_t i = 0; i < GV_DOVECOT_GUESSES; i++)
        if (client->flights[i].token == token)
            return &client->flights[i];
    return NULL;
}

/* Where all are taken the oldest gives way: one too many is let through, none is held for ever. */
void gv_dovecot_take_off(struct gv_dovecot_client *client, uint64_t token, uint64_t now_ms)
{
    struct gv_dovecot_flight *place = &client->flights[0];

    gv_assert(token != 0);
    for (size_t i = 0; i < GV_DOVECOT_GUESSES && place->token != 0; i++)
        if (client->flights[i].token == 0 || client->flights[i].at_ms < place->at_ms)
            place = &client->flights[i];
    *place = (struct gv_dovecot_flight){.token = token, .at_ms = now_ms};
}

void gv_dovecot_land(struct gv_dovecot_client *client, uint64_t token)
{
    for (size_t i = 0; i < GV_DOVECOT_GUESSES; i++)
        if (client->flights[i].token == token) {
            client->flights[i].token = 0;
            return;
        }
}

bool gv_dovecot_mark(struct gv_dovecot_clients *clients, uint64_t value, uint64_t now_ms,
                     uint64_t life_ms)
{
    struct mark *set = clients->marks[value % MARKS], *oldest = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].value == value && set[i].at_ms != 0) {
            bool fresh = now_ms - set[i].at_ms < life_ms;
            set[i].at_ms = now_ms;
            return fresh;
        }
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    *oldest = (struct mark){value, now_ms};
    return false;
}
