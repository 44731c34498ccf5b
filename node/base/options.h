/* The configuration of a node, /etc/grapevine/grapevine.conf: read by grapevined, and by the
 * grapevine command to find the control socket. The table in options.c is its documentation
 * (`grapevined --help-config` prints it). */
#ifndef GV_NODE_BASE_OPTIONS_H
#define GV_NODE_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "crypto/identity.h"
#include "node/base/config.h"
#include "node/base/log_source.h"
#include "proto/address.h"
#include "proto/settings.h"

#define GV_OPTIONS_PATH       "/etc/grapevine/grapevine.conf"
#define GV_FIREWALL_PORTS_MAX 32

struct gv_options {
    /* [node] */
    char *data, *control, *control_group; /* control: NULL means DATA/control.sock */
    char *user;                           /* NULL or "": not changed */
    struct gv_config_strings groups;
    struct gv_config_hosts listen, advertise;
    struct gv_config_addresses bind;
    /* [network] */
    char *registry, *registry_ca, *descriptor, *id;
    struct gv_config_hosts seeds;
    /* [share] */
    int share;             /* enum gv_share */
    bool share_statistics; /* where `share` is yes */
    /* [log] */
    struct gv_config_strings logs;
    struct gv_config_addresses syslog_from;
    char *syslog_mode;
    char *timezone;
    int level; /* index into gv_log_level_names */
    bool from_start;
    /* [policy] */
    int refuse_on; /* 0: own, 1: consensus */
    int feed;      /* what bouncers and the firewall get. 0: refuse, 1: consensus */
    struct gv_config_addresses allow, deny;
    struct gv_config_strings enforce;
    /* [dnsbl] */
    struct gv_config_hosts dnsbl_listen;
    struct gv_config_addresses dnsbl_clients;
    /* [http] */
    struct gv_config_hosts http_listen;
    struct gv_config_addresses http_clients;
    struct gv_config_strings http_names;
    /* [firewall], [hooks]: options_enforce.c */
    char *firewall_socket, *firewall_user;
    struct gv_config_strings firewall_ports;
    int firewall_action; /* 0: drop, 1: reject */
    char *hook_exec, *webhook, *webhook_key;
    char *alert_mail, *alert_smtp;
    int64_t hook_timeout_s, hook_queue;
    /* [limits] */
    int64_t connections, statements, history, traffic_kb, telemetry_s, journal_s, statistics_s;

    struct gv_config_said *said; /* what the file said of each key; owned; NULL: not from a file */

    /* Derived from these, valid until gv_options_free. */
    struct gv_syslog_access syslog;
    char *control_path;
    bool has_id;
    uint8_t network_id[GV_KEY_LEN];
    struct gv_address *listen_at; /* listen.count of them */
    struct gv_address bind_to[2]; /* bind.count of them */
    char bind_text[64];           /* the first of them, "" without */
    struct gv_address advertised; /* GV_FAMILY_NONE: none */
    char **seed_texts;            /* seeds.count of them */
    struct gv_prefix *allowed, *denied;
    unsigned enforced;           /* bits of enum gv_enforce */
    struct gv_address *dnsbl_at; /* dnsbl_listen.count of them */
    struct gv_prefix *dnsbl_client_ranges;
    uint16_t firewall_port[GV_FIREWALL_PORTS_MAX]; /* firewall_ports.count of them */
};

/* Where this host refuses what it should; elsewhere it only watches. */
enum gv_enforce {
    GV_ENFORCE_DOVECOT = 1,
    GV_ENFORCE_DNSBL = 2,
    GV_ENFORCE_BOUNCERS = 4,
    GV_ENFORCE_NFTABLES = 8
};

/* Reads and checks the whole file. Errors, one line each with its newline, go to `errors`. Returns
 * GV_OK (free with gv_options_free), GV_ERR_CONFIG, GV_ERR_IO, GV_ERR_MEMORY. */
int gv_options_load(struct gv_options *out, const char *path, struct gv_buf *errors);
/* The same for a daemon, which does what the file says: also GV_ERR_FORBIDDEN, with a line, when
 * somebody else can write to it (gv_file_check_writers). */
int gv_options_load_own(struct gv_options *out, const char *path, struct gv_buf *errors);
void gv_options_free(struct gv_options *options);
/* For a program that cannot use its options: the lines go to standard error, or one that memory is
 * short, and what is returned is its exit status: EX_CONFIG, EX_NOPERM, or EX_OSERR for memory. */
int gv_options_refused(int error, const struct gv_buf *errors, const char *program);
/* What only shows on the host where the daemon runs, as its user: the time zone, the group, the
 * data folder's place, the descriptor's file. For grapevined; the grapevine command may be run by
 * somebody who sees less. Returns GV_OK or GV_ERR_CONFIG, with lines as above. */
int gv_options_check_host(const struct gv_options *options, const char *path,
                          struct gv_buf *errors);
void gv_options_help(FILE *out);
const struct gv_config_table *gv_options_table(void);
/* {"file", "restart", "settings": [{"section", "key", "value", "line" (null: not given), "default",
 * "doc"}]}: every key as it was read, and where it comes from; "restart" is the first, "[http]
 * listen", whose value is another than in `started` and takes effect at the next start only, or
 * null. `started` may be NULL: nothing has changed. A webhook's path is left out: it may be a
 * secret. NULL when out of memory. (options_shown.c) */
json_t *gv_options_json(const struct gv_options *options, const struct gv_options *started,
                        const char *path);

/* Whether [node] advertise names an address that others cannot dial: a private one, outside a lab.
 * Only the network's descriptor says which it is. */
bool gv_options_advertise_in_vain(const struct gv_options *options, bool lab);

/* The core's settings, with `own` (addresses of this host) added to the allow list. *allow receives
 * the joined list, to be freed when the core has copied it. Returns GV_OK or GV_ERR_MEMORY. */
int gv_options_settings(struct gv_settings *out, struct gv_prefix **allow,
                        const struct gv_options *options, const struct gv_prefix *own,
                        size_t own_count);

/* The first setting that cannot change while the node runs and differs, as "[section] key", or
 * NULL. */
const char *gv_options_fixed_change(const struct gv_options *now, const struct gv_options *next);

#endif
