/* A node without a daemon round it: core, store, network and control socket in a loop of their own
 * thread, with a scratch folder and, if wanted, a place in a lab network made for the test. */
#ifndef GV_TESTS_HELPER_NODE_H
#define GV_TESTS_HELPER_NODE_H

#include <jansson.h>
#include <stdbool.h>

#include "helper_tcp.h"
#include "node/host/driver.h"
#include "node/host/membership.h"
#include "node/serve/api.h"
#include "node/serve/surfaces.h"

struct node {
    struct loop_thread thread;
    char folder[64], socket[96];
    bool enrolled;       /* before node_start */
    enum gv_share share; /* likewise */
    uint16_t port;       /* likewise; 0: does not listen */
    bool http;           /* likewise: the HTTP port too, at http_port from then on */
    uint16_t http_port;
    const struct gv_settings *settings; /* likewise; NULL: only `share` */
    void (*storing)(void *node);        /* likewise: struct gv_driver_options has it */
    struct gv_identity identity, root, registry;
    struct gv_descriptor descriptor;
    struct gv_persist *persist;
    struct gv_membership *membership;
    struct gv_driver *driver;
    struct gv_api *api;
    struct gv_surfaces *surfaces;
    struct gv_text error;
    int result;
};

void node_make(struct node *node); /* folder and keys; node is all zero */
int node_start(struct node *node); /* result, and error when it is not GV_OK */
void node_stop(struct node *node);
void node_remove(struct node *node);

/* Asks the control socket. *json (may be NULL) receives the body; returns the HTTP status. */
unsigned node_get(const struct node *node, const char *path, json_t **json);
unsigned node_post(const struct node *node, const char *path, const char *body, json_t **json);

/* `count` failed attempts of one address, each in a visit of its own. */
void node_fails(struct node *node, const char *address, unsigned count);
/* Runs in the loop's thread. */
void node_command(struct node *node, const struct gv_event *event, int *result);

#endif
