/* The TLS of this program's HTTP servers (GnuTLS, through libmicrohttpd): one certificate chain and
 * its key from two PEM files, read anew when they change. One for the process: libmicrohttpd hands
 * its callback no context. Used from the loop's thread alone. */
#ifndef GV_NODE_BASE_HTTP_TLS_H
#define GV_NODE_BASE_HTTP_TLS_H

#include "node/base/text.h"

/* Nothing older than TLS 1.2, nothing weaker than 128 bits. */
#define GV_TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

/* Reads the files and uses them from now on; the paths are copied. Returns GV_OK, GV_ERR_NOT_FOUND,
 * GV_ERR_FORBIDDEN (everybody may read the key), GV_ERR_MALFORMED (no PEM, or they do not belong
 * together), GV_ERR_IO, GV_ERR_MEMORY; then what was in use stays. */
int gv_tls_load(const char *certificate_path, const char *key_path, struct gv_text *error);
/* When the files have changed since: the same, and the log says which certificate is in use. A pair
 * that will not do is logged and left alone, until it changes again. Also done by itself, with the
 * first handshake after ten seconds. */
void gv_tls_refresh(void);
void gv_tls_unload(void);

/* For libmicrohttpd: MHD_OPTION_HTTPS_CERT_CALLBACK. */
void *gv_tls_callback(void);

#endif
