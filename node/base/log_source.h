/* Where mail logs come from, as [log] file names it:
 *
 *   /var/log/mail.log           a file, followed through rotation
 *   -                           standard input
 *   journal                     the systemd journal of this host
 *   journal:/var/log/journal/X  the journal files of a folder
 *   syslog:udp:127.0.0.1:5514   syslog datagrams; ":5514" alone is 127.0.0.1
 *   syslog:unix:/run/x/log      the same on a unix datagram socket, made at the start */
#ifndef GV_NODE_BASE_LOG_SOURCE_H
#define GV_NODE_BASE_LOG_SOURCE_H

#include <stdbool.h>
#include <sys/types.h>

#include "node/base/config.h"
#include "node/base/text.h"
#include "proto/address.h"

enum gv_log_source_kind {
    GV_LOG_FILE = 0,
    GV_LOG_INPUT,
    GV_LOG_JOURNAL,
    GV_LOG_SYSLOG_UDP,
    GV_LOG_SYSLOG_UNIX
};

struct gv_log_source {
    enum gv_log_source_kind kind;
    const char *path;          /* borrowed: of a file, folder or socket; NULL: none */
    struct gv_address address; /* of GV_LOG_SYSLOG_UDP */
};

/* Only the words are judged, not what is there. Returns GV_OK or GV_ERR_CONFIG, and then says what
 * would be right. */
int gv_log_source_parse(struct gv_log_source *out, const char *text, struct gv_text *error);

/* Who may send datagrams. */
struct gv_syslog_access {
    const struct gv_config_address *from; /* over UDP, beside this host itself */
    size_t count;
    mode_t mode; /* of a unix socket */
};

/* 127.0.0.0/8, ::1, and the same mapped. */
bool gv_log_source_is_loopback(const struct gv_address *address);

#endif
