/* Syslog datagrams, RFC 3164 and RFC 5424, over UDP or a unix socket: one datagram is at most one
 * line, whatever it holds. (SPEC 10.5) */
#ifndef GV_INGEST_SYSLOG_H
#define GV_INGEST_SYSLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/log_source.h"
#include "node/ingest/ingest.h"
#include "proto/ip_address.h"

/* ---- one datagram --------------------------------------------------------------------------- */

/* The line of a datagram, in place: without its newline or NUL at the end, and with '?' for every
 * control character inside. Returns its length; 0: it is no syslog message (no <PRI>). */
size_t gv_syslog_line(char *datagram, size_t len);

/* ---- a socket ------------------------------------------------------------------------------- */

struct gv_syslog {
    const struct gv_log_source *where;  /* borrowed */
    const struct gv_syslog_access *who; /* borrowed */
    int fd;                             /* -1: none */
    uint64_t device, inode;             /* of the unix socket's name */
    enum gv_source_state state;
    int error;
    uint64_t refused; /* datagrams of senders that are not listed, or without <PRI> */
};

void gv_syslog_init(struct gv_syslog *syslog, const struct gv_log_source *where,
                    const struct gv_syslog_access *who);
/* Binds; a unix socket that nobody listens on any more is replaced. Sets state and error. */
void gv_syslog_open(struct gv_syslog *syslog);
/* Closes, and removes the unix socket's name if it is still ours. */
void gv_syslog_close(struct gv_syslog *syslog);

/* Reads at most GV_SYSLOG_BUDGET datagrams. Returns true when more may be waiting. */
#define GV_SYSLOG_BUDGET 256
bool gv_syslog_read(struct gv_syslog *syslog, gv_line_taker *on_line, void *context);

#endif
