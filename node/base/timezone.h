/* Names of time zones. */
#ifndef GV_NODE_BASE_TIMEZONE_H
#define GV_NODE_BASE_TIMEZONE_H

#include <stdbool.h>

#define GV_ZONES "/usr/share/zoneinfo" /* without $TZDIR */

/* Whether the C library knows it: one that it does not know is taken for UTC by it, without a
 * word. */
bool gv_timezone_exists(const char *zone);

#endif
