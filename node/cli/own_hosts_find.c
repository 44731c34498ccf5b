/* Where this host's configuration says who is its own. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/cli/own_hosts.h"
#include "node/cli/run.h"

#define VALUE_MAX (64u << 10)
#define FILE_MAX  (256u << 10)
#define JAILS_MAX 256

/* "/etc/postfix/networks" in a list of Postfix's stands for the lines of that file; a table
 * ("hash:/...") is the admin's to look at. */
static void take_files(struct gv_own_hosts *out, const char *source, char *list)
{
    char *state = NULL;

    for (char *word = strtok_r(list, " \t\r\n,", &state); word;
         word = strtok_r(NULL, " \t\r\n,", &state)) {
        struct gv_buf text;

        gv_buf_init(&text);
        if (*word == '/' && gv_file_read(&text, word, FILE_MAX, NULL) == GV_OK)
            gv_own_hosts_words(out, source, (const char *)text.data, text.len, true);
        else
            gv_own_hosts_words(out, source, word, strlen(word), false);
        gv_buf_free(&text);
    }
}

static void ask(struct gv_own_hosts *out, const char *source, const char *const argv[])
{
    struct gv_buf value;

    gv_buf_init(&value);
    if (gv_cli_run(&value, VALUE_MAX, argv) == 0) {
        gv_buf_append(&value, "", 1);
        if (!value.failed)
            take_files(out, source, (char *)value.data);
    }
    gv_buf_free(&value);
}

static void ask_postfix(struct gv_own_hosts *out)
{
    static const char *const names[][2] = {
        {"mynetworks", "mynetworks of Postfix"},
        {"proxy_interfaces", "proxy_interfaces of Postfix"},
        {"smtpd_authorized_xclient_hosts", "smtpd_authorized_xclient_hosts of Postfix"},
        {"smtpd_authorized_xforward_hosts", "smtpd_authorized_xforward_hosts of Postfix"}};

    if (gv_cli_has_program("postconf"))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            ask(out, names[i][1], (const char *const[]){"postconf", "-xh", names[i][0], NULL});
}

static void ask_exim(struct gv_own_hosts *out)
{
    static const char *const names[][2] = {{"+relay_from_hosts", "relay_from_hosts of Exim"},
                                           {"hosts_proxy", "hosts_proxy of Exim"}};
    const char *program = gv_cli_has_program("exim4") ? "exim4" : "exim";
    struct gv_buf value;

    if (!gv_cli_has_program(program))
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        gv_buf_init(&value);
        if (gv_cli_run(&value, VALUE_MAX,
                       (const char *const[]){program, "-bP", names[i][0], NULL}) == 0 &&
            value.len > 0)
            gv_own_hosts_exim(out, names[i][1], (const char *)value.data, value.len);
        gv_buf_free(&value);
    }
}

static void ask_dovecot(struct gv_own_hosts *out)
{
    static const char *const names[][2] = {
        {"login_trusted_networks", "login_trusted_networks of Dovecot"},
        {"haproxy_trusted_networks", "haproxy_trusted_networks of Dovecot"}};

    if (gv_cli_has_program("doveconf"))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            ask(out, names[i][1], (const char *const[]){"doveconf", "-h", names[i][0], NULL});
}

static void read_jail(struct gv_own_hosts *out, const char *path)
{
    struct gv_buf text;

    gv_buf_init(&text);
    if (gv_file_read(&text, path, FILE_MAX, NULL) == GV_OK)
        gv_own_hosts_fail2ban(out, (const char *)text.data, text.len);
    gv_buf_free(&text);
}

static int is_jail(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 5 && (strcmp(entry->d_name + len - 5, ".conf") == 0 ||
                       (len > 6 && strcmp(entry->d_name + len - 6, ".local") == 0));
}

static void read_fail2ban(struct gv_own_hosts *out, const char *root)
{
    char path[PATH_MAX];
    struct dirent **entries = NULL;

    snprintf(path, sizeof path, "%s/etc/fail2ban/jail.conf", root);
    read_jail(out, path);
    snprintf(path, sizeof path, "%s/etc/fail2ban/jail.local", root);
    read_jail(out, path);
    snprintf(path, sizeof path, "%s/etc/fail2ban/jail.d", root);
    int count = scandir(path, &entries, is_jail, alphasort);
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX + 256];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (i < JAILS_MAX)
            read_jail(out, file);
        free(entries[i]);
    }
    free(entries);
}

void gv_own_hosts_find(struct gv_own_hosts *out, const char *root)
{
    memset(out, 0, sizeof *out);
    ask_postfix(out);
    ask_exim(out);
    ask_dovecot(out);
    read_fail2ban(out, root);
}
