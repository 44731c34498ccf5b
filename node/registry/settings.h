/* The registry's configuration: the table of its keys and the struct they fill. */
#ifndef GV_NODE_REGISTRY_SETTINGS_H
#define GV_NODE_REGISTRY_SETTINGS_H

#include "node/base/config.h"
#include "node/base/mail.h"

#define GV_INSTANCES_MAX 1000 /* of an owner: as many as a limit can allow */

enum gv_enrolment { GV_ENROLMENT_OPEN, GV_ENROLMENT_INVITED };

struct gv_registry_settings {
    char *data;     /* folder of keys, descriptor, terms and database */
    char *database; /* postgresql://...; NULL or "": SQLite, in that folder */
    struct gv_config_hosts listen;
    struct gv_config_strings names;             /* accepted in the Host header; none: any */
    struct gv_config_addresses trusted_proxies; /* believed about their client's address */
    char *tls_certificate, *tls_key;            /* PEM files; NULL or "": plain HTTP */
    int enrolment;                              /* enum gv_enrolment */
    int log_level;

    char *mail_url; /* smtp://HOST[:PORT], smtps://HOST[:PORT], or file:/FOLDER */
    char *mail_from;
    char *mail_user, *mail_password_file; /* NULL: without authentication */
    char *mail_template, *mail_leave_template,
        *mail_ca_file; /* NULL or "": built in, the system's */
    int mail_starttls; /* enum gv_starttls */
    int64_t mail_timeout_s;

    int64_t instances_per_owner;
    int64_t certificate_life_s, code_life_s;
    int64_t requests_per_client_minute, enroll_per_client_hour, confirm_per_client_hour;
    int64_t enroll_per_email_hour, enroll_per_domain_day;
    int64_t connections, connections_per_client;
};

extern const struct gv_config_table gv_registry_table;

/* gv_config_load with that table, and what a table cannot say: the form of [mail] url. */
int gv_registry_settings_load(struct gv_registry_settings *out, const char *path,
                              struct gv_buf *errors);

#endif
