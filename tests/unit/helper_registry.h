/* A whole registry in the test's own loop: a scratch folder with keys and descriptor, mails into a
 * folder, and a clock that the test turns. */
#ifndef GV_TESTS_HELPER_REGISTRY_H
#define GV_TESTS_HELPER_REGISTRY_H

#include <uv.h>

#include "node/base/fetch.h"
#include "node/registry/registrar.h"

struct registry {
    uv_loop_t loop;
    char folder[64], mail_folder[96], url[64];
    struct gv_registry_settings settings;
    struct gv_registrar *registrar;
    struct gv_identity root, signer; /* of the network */
    struct gv_descriptor descriptor;
    int mails_read;
};

extern uint64_t registry_clock_ms; /* what registrar and nodes of the test take for now */
uint64_t registry_clock(void);
#define REGISTRY_NOW ((uint32_t)(registry_clock_ms / 60000))

void registry_make(struct registry *r);  /* the folder; sets the clock to a fixed day */
void registry_start(struct registry *r); /* settings may be changed before */
void registry_stop(struct registry *r);
void registry_remove(struct registry *r); /* stops, and removes the folder */

/* Runs the loop until *done; fails after 10 s. */
void registry_run(struct registry *r, const int *done);
/* One request from the test's own hand; free the result. */
void registry_fetch(struct registry *r, struct gv_fetch_result *out, const char *path,
                    const char *body);
/* The newest mail, and the code in it ("": none). How many there are by now is returned. */
int registry_mails(struct registry *r, char *text, size_t cap, char code[16]);

/* A request as an honest node makes it, as JSON; the caller may spoil it first. */
json_t *registry_signed(const struct registry *r, const struct gv_identity *identity,
                        struct gv_proof *proof);
/* Posts and frees it; gives the HTTP status and the error word ("" on success). A certificate in
 * the answer is checked and given. */
unsigned registry_post(struct registry *r, const char *path, json_t *json, char word[32],
                       uint8_t certificate[GV_CERTIFICATE_LEN]);
/* Enrols and confirms for good. */
void registry_join(struct registry *r, const struct gv_identity *identity, const char *email,
                   uint8_t certificate[GV_CERTIFICATE_LEN]);
void registry_identity(struct gv_identity *out, unsigned number);

#endif
