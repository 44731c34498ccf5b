#include "node/cli/find_log.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "node/base/log_source.h"
#include "node/cli/run.h"

#define FRESH_S (3 * 86400)
#define PAST_S  (31 * 86400)

struct finding {
    char (*out)[PATH_MAX];
    size_t count;
    const char *root;
};

static bool is_file(const char *path, int64_t age_s)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
           (age_s < 0 || time(NULL) - st.st_mtime < age_s);
}

/* The place that the daemon would read: one with a control character or a comment in its name is
 * none of ours. */
static bool is_nameable(const char *path)
{
    for (const char *at = path; *at; at++)
        if ((unsigned char)*at <= ' ' || strchr(";#,\x7f", *at))
            return false;
    return *path == '/';
}

static bool offer(struct finding *f, const char *path, int64_t age_s)
{
    if (f->count == GV_FOUND_LOGS_MAX || !is_nameable(path) || !is_file(path, age_s))
        return false;
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->out[i], path) == 0)
            return true;
    snprintf(f->out[f->count++], PATH_MAX, "%s", path);
    return true;
}

static bool offer_below(struct finding *f, const char *path, int64_t age_s)
{
    char full[PATH_MAX];

    snprintf(full, sizeof full, "%s%s", f->root, path);
    return offer(f, full, age_s);
}

/* What a mail program says that it logs to, when that is a file. */
static void offer_named(struct finding *f, const char *const argv[])
{
    struct gv_buf value;

    gv_buf_init(&value);
    if (gv_cli_has_program(argv[0]) && gv_cli_run(&value, PATH_MAX - 1, argv) == 0) {
        gv_buf_append(&value, "", 1);
        char *path = (char *)value.data;
        if (!value.failed) {
            path[strcspn(path, "\r\n")] = '\0';
            offer(f, path, -1);
        }
    }
    gv_buf_free(&value);
}

static const char *const syslog_files[] = {"/var/log/mail.log", "/var/log/maillog",
                                           "/var/log/mail"};

static void offer_syslog(struct finding *f, int64_t age_s)
{
    for (size_t i = 0; i < sizeof syslog_files / sizeof *syslog_files; i++)
        if (offer_below(f, syslog_files[i], age_s))
            return; /* two of them would hold the same lines */
}

static bool has_journal(const char *root)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/var/log/journal", root);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    snprintf(path, sizeof path, "%s/run/log/journal", root);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

size_t gv_find_logs(char out[GV_FOUND_LOGS_MAX][PATH_MAX], const char *root)
{
    struct finding f = {.out = out, .root = root};

    offer_syslog(&f, FRESH_S);
    bool syslog = f.count > 0;
    offer_named(&f, (const char *const[]){"postconf", "-xh", "maillog_file", NULL});
    offer_named(&f, (const char *const[]){"doveconf", "-h", "log_path", NULL});
    /* Logins and failures are of level info, which may have a file of its own. */
    offer_named(&f, (const char *const[]){"doveconf", "-h", "info_log_path", NULL});
    if (!offer_below(&f, "/var/log/exim4/mainlog", FRESH_S))
        offer_below(&f, "/var/log/exim/mainlog", FRESH_S);
    if (!syslog && f.count < GV_FOUND_LOGS_MAX && has_journal(root))
        snprintf(out[f.count++], PATH_MAX, "journal");
    if (f.count == 0 && !offer_below(&f, "/var/log/messages", FRESH_S)) /* busybox's syslogd */
        offer_syslog(&f, -1);
    return f.count;
}

size_t gv_find_rotated(char out[GV_FOUND_ROTATED_MAX][PATH_MAX], size_t cap, const char *log)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(log, '/'), *name = slash ? slash + 1 : log;
    size_t count = 0, len = strlen(name);
    struct dirent *entry;

    if (*log != '/' || strlen(log) >= sizeof folder)
        return 0;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - log) + 1, log);
    DIR *dir = opendir(folder);
    while (dir && count < cap && (entry = readdir(dir))) {
        char path[PATH_MAX];
        const char *rest = entry->d_name + len;
        if (strncmp(entry->d_name, name, len) != 0 || (*rest && *rest != '.' && *rest != '-'))
            continue;
        int n = snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
        if (n > 0 && (size_t)n < sizeof path && is_file(path, PAST_S))
            memcpy(out[count++], path, (size_t)n + 1);
    }
    if (dir)
        closedir(dir);
    return count;
}
