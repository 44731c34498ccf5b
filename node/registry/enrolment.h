/* The three requests that need a proof of possession, after the limits per client. Each answers
 * its request, now or (enrolment, which waits for the mail server) later. */
#ifndef GV_NODE_REGISTRY_ENROLMENT_H
#define GV_NODE_REGISTRY_ENROLMENT_H

#include "node/registry/registrar.h"

void gv_enroll_handle(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_confirm_handle(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_renew_handle(struct gv_registrar *registrar, struct gv_http_request *request);

/* The page behind the link in the mail, and its button. */
#define GV_LINK_PATH "/confirm/"
#define GV_LINK_LEN  16 /* random bytes of a link's token, in hex */
void gv_page_show(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_page_confirm(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_link_hash(uint8_t out[GV_HASH_LEN], const struct gv_registrar *registrar,
                  const uint8_t token[GV_LINK_LEN]);

/* Pages: what each begins with, and an answer with the headers of all. */
extern const char gv_page_head[];
void gv_page_answer(struct gv_http_request *request, unsigned status, const char *body);

/* Leaving (leave.c): by the instance's key; and by mail: a form that asks for the address, the
 * link's page, and its button. */
#define GV_LEAVE_PATH "/leave"
void gv_leave_handle(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_leave_show(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_leave_post(struct gv_registrar *registrar, struct gv_http_request *request);

/* The log of issued certificates. */
void gv_log_head_handle(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_log_entries_handle(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_log_inclusion_handle(struct gv_registrar *registrar, struct gv_http_request *request);
void gv_log_consistency_handle(struct gv_registrar *registrar, struct gv_http_request *request);

/* Shared answers. */
bool gv_client_allowed(struct gv_registrar *registrar, struct gv_http_request *request,
                       struct gv_rate *rate, int64_t limit);
void gv_refuse_rate(struct gv_http_request *request, const char *word, const char *who,
                    uint32_t wait_min);
void gv_refuse_revoked(struct gv_http_request *request);
/* What stands for an email domain in the database. */
void gv_domain_tag(uint8_t out[GV_ID_LEN], const uint8_t secret[GV_SECRET_LEN], const char *name);
/* 503 for what went wrong on our side; logged. */
void gv_refuse_internal(struct gv_http_request *request, int error);

#endif
