/* Where this host's mail programs log, found without asking anybody but them. (SPEC 19.1) */
#ifndef GV_NODE_CLI_FIND_LOG_H
#define GV_NODE_CLI_FIND_LOG_H

#include <limits.h>
#include <stddef.h>

#define GV_FOUND_LOGS_MAX    4
#define GV_FOUND_ROTATED_MAX 60

/* As [log] file takes them: paths of files, or "journal". The files that a mail program names
 * itself, or that were written to within three days; with none of those the journal, if there is
 * one; or else /var/log/messages, or an old file. Each line has one way only: the journal is not
 * named beside a syslog file. Returns how many. ROOT is "" on a living host. */
size_t gv_find_logs(char out[GV_FOUND_LOGS_MAX][PATH_MAX], const char *root);

/* The log itself and its rotated generations, plain or compressed, of the last 31 days; 0 when it
 * is no file. In no order: the import looks at the stamps. */
size_t gv_find_rotated(char out[GV_FOUND_ROTATED_MAX][PATH_MAX], size_t cap, const char *log);

#endif
