/* node/serve/openapi.json as it was when this program was built. */
#ifndef GV_NODE_SERVE_OPENAPI_H
#define GV_NODE_SERVE_OPENAPI_H

#include <stddef.h>

extern const unsigned char gv_openapi[];
extern const size_t gv_openapi_len;

#endif
