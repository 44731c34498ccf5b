/* The running registry: keys, descriptor, records, mail, limits and the HTTP server. Start and
 * stop are for main.c and for tests; the struct is what routes.c works on. */
#ifndef GV_NODE_REGISTRY_REGISTRAR_H
#define GV_NODE_REGISTRY_REGISTRAR_H

#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

#include "node/base/http.h"
#include "node/registry/batch.h"
#include "node/registry/log.h"
#include "node/base/mail.h"
#include "node/registry/rate.h"
#include "node/registry/records.h"
#include "node/registry/settings.h"
#include "node/registry/signers.h"
#include "proto/registry.h"
#include "proto/wire/descriptor.h"

#define GV_LISTEN_MAX 8

/* The files of a data folder. */
#define GV_FILE_ROOT_KEY     "root.key" /* may be kept elsewhere; serving does not need it */
#define GV_FILE_REGISTRY_KEY "registry.key"
#define GV_FILE_NEXT_KEY     "registry-next.key" /* of a rotation (SPEC 4.2) */
#define GV_FILE_OWNER_KEY    "owner.key"
#define GV_FILE_EMAIL_KEY    "email.key"
#define GV_FILE_DESCRIPTOR   "network.descriptor"
#define GV_FILE_TERMS        "terms.txt"
#define GV_FILE_CONFIG       "registry.conf"
#define GV_FILE_DATABASE     "registry.db"
#define GV_TERMS_FILE_MAX    65536

struct gv_registrar {
    uv_loop_t *loop;
    const struct gv_registry_settings *settings; /* borrowed */
    uint64_t (*unix_ms)(void);
    struct gv_signers signers;           /* secret: the registry key, and the one that follows */
    const struct gv_identity *signer;    /* of these, the one that signs now */
    uint8_t owner_secret[GV_SECRET_LEN]; /* secret */
    struct gv_registry_rules rules;
    struct gv_descriptor descriptor;
    struct gv_buf descriptor_wire;
    struct stat descriptor_stat; /* of the file it was read from */
    struct gv_records *records;
    struct gv_logs logs; /* of issued certificates */
    struct gv_mailer *mailer;
    struct gv_http_server *servers[GV_LISTEN_MAX];
    size_t server_count;

    struct gv_rate by_client, enroll_by_client, confirm_by_client; /* per minute, hour, hour */
    struct gv_rate by_email;                                       /* per hour */
    struct gv_rate proofs; /* each proof of possession is good once */

    uint32_t key_hint_min;   /* when the end of the keys was last warned of, 0: never */
    uint32_t proxy_hint_min; /* when an unknown proxy was last warned of, 0: never */

    struct gv_batch batch;      /* what is answered after the next commit */
    uv_timer_t purge;           /* what has expired goes */
    unsigned handles;           /* of both, still open */
    unsigned mails;             /* under way on behalf of a request */
    struct gv_registrar **held; /* once it is stopped: set to NULL with the last mail */
};

/* Starts answering. `unix_ms` NULL: the system clock. Settings are borrowed until the loop has
 * run out after gv_registrar_stop. Returns GV_OK, or an error with its sentence. */
int gv_registrar_start(struct gv_registrar **out, uv_loop_t *loop,
                       const struct gv_registry_settings *settings, uint64_t (*unix_ms)(void),
                       struct gv_text *error);
uint16_t gv_registrar_port(const struct gv_registrar *registrar, size_t server);
/* Answers nobody any more. Mails under way are finished first; *held becomes NULL when all is done,
 * at once or later, and must be there until then. The loop must run on until it is empty. A NULL in
 * *held is allowed. */
void gv_registrar_stop(struct gv_registrar **held);

/* Frees it once it is stopped and no mail is under way. */
void gv_registrar_release(struct gv_registrar *registrar);

uint32_t gv_registrar_now_min(const struct gv_registrar *registrar);

/* Reads the descriptor, and the keys, anew when its file has changed. One that does not verify, is
 * of another network, older, or without our key is logged and left alone. Then sees which key signs
 * now. */
void gv_registrar_refresh(struct gv_registrar *registrar);

/* DIR "/" NAME, malloc'd. */
char *gv_data_path(const char *folder, const char *name);

/* Reads and verifies a descriptor file. */
int gv_descriptor_read(struct gv_descriptor *out, struct gv_buf *wire, const char *path,
                       struct gv_text *error);

extern const struct gv_http_route gv_registry_routes[];
extern const size_t gv_registry_route_count;

#endif
