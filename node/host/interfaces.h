/* This host's own addresses: allow-listed from the start, so that no verdict of anybody's locks a
 * server out of itself. */
#ifndef GV_NODE_HOST_INTERFACES_H
#define GV_NODE_HOST_INTERFACES_H

#include <stddef.h>

#include "proto/settings.h"

#define GV_INTERFACES_MAX 256

/* Fills in at most GV_INTERFACES_MAX prefixes, full length, sorted and without repetitions.
 * Returns how many; 0 when the kernel would not say. */
size_t gv_interfaces_read(struct gv_prefix out[GV_INTERFACES_MAX]);

#endif
