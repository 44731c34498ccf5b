/* Who must never be held back here, as far as this host's own configuration knows it: Postfix's
 * networks and proxies, Exim's relays and proxies, Dovecot's webmail and proxies, and what fail2ban
 * ignores. Found, and
 * offered for the allow list; nothing is decided here. (SPEC 19.2)
 *
 * The parsers take any bytes: bounded, each word at most GV_OWN_WORD bytes, each list capped. */
#ifndef GV_NODE_CLI_OWN_HOSTS_H
#define GV_NODE_CLI_OWN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "node/base/config.h"

#define GV_OWN_HOSTS_MAX   256
#define GV_OWN_UNCLEAR_MAX 16
#define GV_OWN_WORD        64
#define GV_OWN_PREFIX_TEXT 64

struct gv_own_host {
    struct gv_config_address address;
    const char *source; /* "mynetworks of Postfix"; static */
};
struct gv_own_unclear {
    char text[GV_OWN_WORD]; /* as it stands there, cut; print it made safe */
    const char *source, *why;
};
struct gv_own_hosts {
    size_t count, unclear_count;
    struct gv_own_host hosts[GV_OWN_HOSTS_MAX];
    struct gv_own_unclear unclear[GV_OWN_UNCLEAR_MAX];
    size_t left_out; /* more than there is room for */
};

/* A list as Postfix and Dovecot write it: words between blanks and commas, "[2001:db8::]/32",
 * "192.0.2.0/255.255.255.0". A loopback address is passed over (it is this host), also one that an
 * entry before covers. What is no address (a name, a table, an exclusion), or a network so wide
 * that it is no host's own (below /8, of IPv6 /16), is `unclear`. `file`: '#' begins a comment. */
void gv_own_hosts_words(struct gv_own_hosts *out, const char *source, const char *text, size_t len,
                        bool file);

/* Every `ignoreip` of one of fail2ban's files, of any jail. */
void gv_own_hosts_fail2ban(struct gv_own_hosts *out, const char *text, size_t len);

/* A host list as `exim -bP` prints it, "hostlist relay_from_hosts = 192.0.2.1 : 2001::db8::::1":
 * items between colons, a doubled one is part of the item; "<;" at the beginning makes it ';'. This
 * host
 * ("@", "@[]", "localhost") is passed over. */
void gv_own_hosts_exim(struct gv_own_hosts *out, const char *source, const char *text, size_t len);

/* Asks postconf, exim4 and doveconf (found by PATH, 5 s at most each), and reads ROOT/etc/fail2ban.
 * ROOT is
 * "" on a living host. Starts from nothing. */
void gv_own_hosts_find(struct gv_own_hosts *out, const char *root);

/* On the list already: within one of its entries. */
bool gv_own_host_listed(const struct gv_own_host *host, const struct gv_config_addresses *allow);

/* "192.0.2.0/24", "2001:db8::1". */
void gv_own_host_text(char out[GV_OWN_PREFIX_TEXT], const struct gv_own_host *host);

#endif
