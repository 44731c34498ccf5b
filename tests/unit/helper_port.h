/* A node that shares, with its HTTP port, and a client that knows the token. One at a time. */
#ifndef GV_TESTS_HELPER_PORT_H
#define GV_TESTS_HELPER_PORT_H

#include "helper_node.h"

extern struct node port_node;
extern char port_token[128];      /* as a line of a request's head */
extern char port_answer[1 << 20]; /* the last one, with its head */

/* A set-up and its tear-down; fails the test when the node does not start. */
void port_open(const struct gv_settings *settings);
int port_close(void **state);

/* Asks as localhost:4729, with these lines in the head; returns the status. */
int port_ask(const char *method, const char *target, const char *headers);
int port_post(const char *path, const char *headers, const char *json); /* below /api/v1/ */
const char *port_body(void);
/* What follows this name, colon and blank in the last answer's head. */
void port_header(char out[128], const char *name);

#endif
