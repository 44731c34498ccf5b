/* What Prometheus reads at /metrics (text format 0.0.4). node/serve/grafana.json draws it. */
#ifndef GV_NODE_SERVE_METRICS_H
#define GV_NODE_SERVE_METRICS_H

#include "node/base/http.h"
#include "node/host/driver.h"
#include "node/serve/bouncer.h"
#include "node/serve/changes.h"
#include "node/serve/dnsbl.h"
#include "node/serve/dovecot.h"
#include "node/serve/firewall.h"
#include "node/serve/hooks.h"
#include "proto/buf.h"

/* Where the figures come from; all borrowed, each but `driver` may be NULL. */
struct gv_metrics {
    const struct gv_driver *driver;
    const struct gv_changes *changes;
    const struct gv_dnsbl *dnsbl;
    const struct gv_dovecot *dovecot;
    const struct gv_bouncers *bouncers;
    const struct gv_firewall *firewall;
    const struct gv_hooks *hooks;
    const struct gv_http_server *http;
    unsigned enforced; /* bits of enum gv_enforce */
    uint64_t dns_would;
    void *logs_context;
    json_t *(*logs)(void *context); /* as gv_api_options.logs */
};

void gv_metrics_write(struct gv_buf *out, const struct gv_metrics *metrics);

/* GET; the context is the struct. */
void gv_metrics_get(struct gv_http_request *request, void *context);

#endif
