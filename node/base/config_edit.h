/* One key of an INI file set to another value, and everything else left as the admin wrote it: his
 * comments, blanks, order. Only text in, text out; who calls decides what becomes of it. Reads
 * lines as config.h does. */
#ifndef GV_NODE_BASE_CONFIG_EDIT_H
#define GV_NODE_BASE_CONFIG_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

/* Appends the whole new text to *out. Where the key stands, its line (and what continues it) is
 * replaced, a comment behind it kept; with `add`, a line of its own comes after it instead (lists
 * that may be given several times). Where it only stands as a comment (";key = x"), the new line
 * follows that; else it ends the section. A section that is not there, or that would take the next
 * line for its own, ends the file. Returns GV_OK; GV_ERR_RANGE: the value cannot stand in one line
 * as it is (control characters, a comment sign, blanks around it, more than 2,000 bytes);
 * GV_ERR_MEMORY. */
int gv_config_edit(struct gv_buf *out, const char *text, size_t len, const char *section,
                   const char *key, const char *value, bool add);

#endif
