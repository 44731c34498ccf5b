/* What `grapevine doctor` finds: a pure judgement of the configuration, of what the host shows and
 * of the daemon's status, so that every sentence of it can be tested. */
#ifndef GV_NODE_CLI_DOCTOR_H
#define GV_NODE_CLI_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/base/options.h"
#include "node/cli/own_hosts.h"

enum gv_finding_level { GV_FINDING_OK, GV_FINDING_NOTE, GV_FINDING_WARNING, GV_FINDING_FAILURE };
extern const char *const gv_finding_names[]; /* "ok", "note", "warning", "failure" */

#define GV_DOCTOR_UNKNOWN (-1)

/* What only this host shows; GV_DOCTOR_UNKNOWN where it could not be found out. */
struct gv_doctor_host {
    int64_t now_unix;                    /* seconds */
    int64_t disk_free;                   /* bytes where the data folder lies */
    int folder_mode, key_mode;           /* permission bits */
    int key_foreign;                     /* 0, 1: the key belongs to another user than the folder */
    int clock_synchronised;              /* 0, 1: what the kernel says of NTP */
    const struct gv_own_hosts *unlisted; /* of this host's own, those on no allow list; or NULL */
    char stale[96];                      /* the first key whose value the daemon has not read; "" */
    char restart[96];                    /* the first that it has, and that waits for its start */
};

/* Appends one object to `findings` for each check, in a fixed order: {"check", "level", "found",
 * "advice": null or what to do}. `status`: the daemon's answer, NULL when it gave none. Returns the
 * worst level, or -1 when out of memory. */
int gv_doctor_judge(json_t *findings, const struct gv_options *options,
                    const struct gv_doctor_host *host, const json_t *status);

#endif
