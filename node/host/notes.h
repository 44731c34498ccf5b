/* What the core notes, as log lines for the admin: one sentence, and what to do where something can
 * be done. Strangers can cause many of them, so they are rate limited per kind. */
#ifndef GV_NODE_HOST_NOTES_H
#define GV_NODE_HOST_NOTES_H

#include "proto/effect.h"

/* `unnamed`: what stands in the line for the subject's address, which is no matter of the log;
 * NULL: it is named. */
void gv_notes_log(const struct gv_effect *note, const char *unnamed);

#endif
