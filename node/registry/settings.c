#include "node/registry/settings.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/log.h"
#include "node/registry/sql.h"

static const char *const enrolments[] = {"open", "invited", NULL};
static const char *const starttls[] = {"required", "try", "no", NULL};

#define AT(field) offsetof(struct gv_registry_settings, field)

static const struct gv_config_key keys[] = {
    {.section = "registry",
     .key = "data",
     .type = GV_CONFIG_PATH,
     .offset = AT(data),
     .doc = "The folder made by 'grapevine-registry init': keys, descriptor, terms, database."},
    {.section = "registry",
     .key = "database",
     .type = GV_CONFIG_STRING,
     .offset = AT(database),
     .fallback = "",
     .max = 1024,
     .doc = "postgresql://USER@HOST/NAME or postgresql:///NAME?host=/SOCKET/FOLDER: a PostgreSQL "
            "database, which several registry processes may share. Empty: registry.db in the data "
            "folder (SQLite), for one process."},
    {.section = "registry",
     .key = "listen",
     .type = GV_CONFIG_HOSTS,
     .offset = AT(listen),
     .fallback = "127.0.0.1:4728",
     .min = 1,
     .max = 8,
     .doc = "Addresses to answer on."},
    {.section = "registry",
     .key = "names",
     .type = GV_CONFIG_STRINGS,
     .offset = AT(names),
     .fallback = "",
     .max = 32,
     .doc = "Host names this registry goes by; a request for another is refused. Empty: any."},
    {.section = "registry",
     .key = "trusted_proxy",
     .type = GV_CONFIG_ADDRESSES,
     .offset = AT(trusted_proxies),
     .fallback = "",
     .max = 32,
     .doc = "TLS proxies before this registry: a request from one of these counts as coming from "
            "the last address in its X-Forwarded-For, which the proxy must set. Without this all "
            "nodes behind a proxy share its limits and its network group."},
    {.section = "registry",
     .key = "tls_certificate",
     .type = GV_CONFIG_PATH,
     .offset = AT(tls_certificate),
     .fallback = "",
     .doc =
         "Certificate chain in PEM: everything on `listen` is HTTPS then. Read anew when the file "
         "changes. Empty: HTTP, for a proxy on this host that does TLS."},
    {.section = "registry",
     .key = "tls_key",
     .type = GV_CONFIG_PATH,
     .offset = AT(tls_key),
     .fallback = "",
     .doc = "Its private key in PEM, which only the registry's user and group may read."},
    {.section = "registry",
     .key = "enrolment",
     .type = GV_CONFIG_ENUM,
     .offset = AT(enrolment),
     .fallback = "open",
     .choices = enrolments,
     .doc = "open: whoever has an email address and accepts the terms. invited: whoever has an "
            "invitation besides (grapevine-registry invite)."},
    {.section = "registry",
     .key = "log_level",
     .type = GV_CONFIG_ENUM,
     .offset = AT(log_level),
     .fallback = "info",
     .choices = gv_log_level_names,
     .doc = "The least important lines to log."},

    {.section = "mail",
     .key = "url",
     .type = GV_CONFIG_STRING,
     .offset = AT(mail_url),
     .min = 6,
     .max = 512,
     .doc = "How codes are sent: smtp://HOST[:PORT], smtps://HOST[:PORT], or file:/FOLDER, where "
            "each mail becomes a file."},
    {.section = "mail",
     .key = "from",
     .type = GV_CONFIG_STRING,
     .offset = AT(mail_from),
     .fallback = "grapevine@localhost.localdomain",
     .min = 3,
     .max = 254,
     .doc = "Sender of the mails: an address that the mail server lets this host send from."},
    {.section = "mail",
     .key = "starttls",
     .type = GV_CONFIG_ENUM,
     .offset = AT(mail_starttls),
     .fallback = "try",
     .choices = starttls,
     .doc = "Encryption of smtp://: refuse to send without it and without a certificate that "
            "verifies, "
            "use it where offered with any certificate, or never."},
    {.section = "mail",
     .key = "ca_file",
     .type = GV_CONFIG_PATH,
     .offset = AT(mail_ca_file),
     .fallback = "",
     .doc =
         "Certificates in PEM, one of which must have signed the mail server's. Empty: those that "
         "this system trusts."},
    {.section = "mail",
     .key = "template",
     .type = GV_CONFIG_PATH,
     .offset = AT(mail_template),
     .fallback = "",
     .doc = "File with the text of the mail, in UTF-8: a line \"Subject: ...\", an empty line, the "
            "text; {network} {code} {minutes} {instance} {link} are filled in. Empty: the built-in "
            "one."},
    {.section = "mail",
     .key = "leave_template",
     .type = GV_CONFIG_PATH,
     .offset = AT(mail_leave_template),
     .fallback = "",
     .doc =
         "Likewise the mail by which an owner ends his registration; {network} {minutes} {link}. "
         "Empty: the built-in one."},
    {.section = "mail",
     .key = "user",
     .type = GV_CONFIG_STRING,
     .offset = AT(mail_user),
     .fallback = "",
     .max = 254,
     .doc = "Login at the mail server. Empty: none."},
    {.section = "mail",
     .key = "password_file",
     .type = GV_CONFIG_PATH,
     .offset = AT(mail_password_file),
     .fallback = "",
     .doc = "File whose first line is the password of that login."},
    {.section = "mail",
     .key = "timeout",
     .type = GV_CONFIG_DURATION,
     .offset = AT(mail_timeout_s),
     .fallback = "15s", /* a node waits for 20 */
     .min = 1,
     .max = 300,
     .doc = "A mail that takes longer has failed."},

    {.section = "limits",
     .key = "instances_per_owner",
     .type = GV_CONFIG_INT,
     .offset = AT(instances_per_owner),
     .fallback = "5",
     .min = 1,
     .max = GV_INSTANCES_MAX,
     .doc = "Nodes that one email address may enrol."},
    {.section = "limits",
     .key = "certificate_life",
     .type = GV_CONFIG_DURATION,
     .offset = AT(certificate_life_s),
     .fallback = "90d",
     .min = 120,
     .max = 34128000,
     .doc = "A certificate is good for so long, and renewed from half of it."},
    {.section = "limits",
     .key = "code_life",
     .type = GV_CONFIG_DURATION,
     .offset = AT(code_life_s),
     .fallback = "30m",
     .min = 60,
     .max = 86400,
     .doc = "A mailed code is good for so long."},
    {.section = "limits",
     .key = "requests_per_client_minute",
     .type = GV_CONFIG_INT,
     .offset = AT(requests_per_client_minute),
     .fallback = "120",
     .min = 1,
     .max = 1000000,
     .doc = "All requests of one client address (IPv6: /64)."},
    {.section = "limits",
     .key = "enroll_per_client_hour",
     .type = GV_CONFIG_INT,
     .offset = AT(enroll_per_client_hour),
     .fallback = "10",
     .min = 1,
     .max = 1000000,
     .doc = "Codes that one client address may ask for."},
    {.section = "limits",
     .key = "confirm_per_client_hour",
     .type = GV_CONFIG_INT,
     .offset = AT(confirm_per_client_hour),
     .fallback = "30",
     .min = 1,
     .max = 1000000,
     .doc = "Codes that one client address may hand in."},
    {.section = "limits",
     .key = "enroll_per_email_hour",
     .type = GV_CONFIG_INT,
     .offset = AT(enroll_per_email_hour),
     .fallback = "5",
     .min = 1,
     .max = 1000000,
     .doc = "Codes sent to one email address."},
    {.section = "limits",
     .key = "enroll_per_domain_day",
     .type = GV_CONFIG_INT,
     .offset = AT(enroll_per_domain_day),
     .fallback = "50",
     .min = 1,
     .max = 1000000,
     .doc = "Codes sent to the addresses of one email domain."},
    {.section = "limits",
     .key = "connections",
     .type = GV_CONFIG_INT,
     .offset = AT(connections),
     .fallback = "512",
     .min = 8,
     .max = 100000,
     .doc = "Open connections in all."},
    {.section = "limits",
     .key = "connections_per_client",
     .type = GV_CONFIG_INT,
     .offset = AT(connections_per_client),
     .fallback = "16",
     .min = 1,
     .max = 100000,
     .doc = "Open connections of one client address."},
};

const struct gv_config_table gv_registry_table = {
    .title = "registry.conf", .keys = keys, .count = sizeof keys / sizeof *keys};

/* ---- what a table cannot say ----------------------------------------------------------------- */

/* Reads the file once more with a table that takes none but these words for the key, so that the
 * line and the form of the complaint are those of every other mistake. */
static int complain(const char *path, const char *section, const char *key,
                    const char *const *forms, struct gv_buf *errors)
{
    struct gv_registry_settings unused;
    struct gv_config_key copy[sizeof keys / sizeof *keys];
    struct gv_config_table table = gv_registry_table;

    memcpy(copy, keys, sizeof keys);
    table.keys = copy;
    for (size_t i = 0; i < table.count; i++) {
        if (strcmp(copy[i].section, section) != 0 || strcmp(copy[i].key, key) != 0)
            continue;
        copy[i].type = GV_CONFIG_ENUM;
        copy[i].fallback = NULL;
        copy[i].choices = forms;
    }
    int rc = gv_config_load(&table, &unused, path, errors);
    if (rc == GV_OK) /* the file was changed in between */
        gv_config_free(&table, &unused);
    return rc == GV_ERR_MEMORY ? rc : GV_ERR_CONFIG;
}

static bool is_set(const char *text)
{
    return text && *text;
}

/* What no single line is to blame for. */
static int say(const char *path, const char *what, struct gv_buf *errors)
{
    gv_buf_append(errors, path, strlen(path));
    gv_buf_append(errors, ": ", 2);
    gv_buf_append(errors, what, strlen(what));
    gv_buf_append(errors, "\n", 1);
    return errors->failed ? GV_ERR_MEMORY : GV_ERR_CONFIG;
}

/* TLS from the start, a folder, or a mail server on this very host. */
static bool is_private_way(const char *url)
{
    return strncmp(url, "smtp://", 7) != 0 || gv_mail_url_is_local(url);
}

int gv_registry_settings_load(struct gv_registry_settings *out, const char *path,
                              struct gv_buf *errors)
{
    static const char *const urls[] = {"smtp://HOST[:PORT]", "smtps://HOST[:PORT]", "file:/FOLDER",
                                       NULL};
    static const char *const databases[] = {"postgresql://[USER@][HOST]/NAME[?host=/FOLDER]", NULL};
    int rc = gv_config_load(&gv_registry_table, out, path, errors);

    if (rc != GV_OK)
        return rc;
    if (!gv_mail_url_fits(out->mail_url))
        rc = complain(path, "mail", "url", urls, errors);
    else if (out->database && *out->database && !gv_sql_is_server(out->database))
        rc = complain(path, "registry", "database", databases, errors);
    else if (is_set(out->mail_user) && out->mail_starttls != GV_STARTTLS_REQUIRED &&
             !is_private_way(out->mail_url))
        rc = say(path, "[mail] starttls must be required here: a password is not sent in the clear",
                 errors);
    else if (is_set(out->tls_certificate) != is_set(out->tls_key))
        rc = say(path,
                 is_set(out->tls_key)
                     ? "[registry] tls_certificate is missing: it belongs to tls_key"
                     : "[registry] tls_key is missing: it belongs to tls_certificate",
                 errors);
    if (rc != GV_OK)
        gv_config_free(&gv_registry_table, out);
    return rc;
}
