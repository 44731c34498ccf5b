#include "node/ingest/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

/* How often a journal that is not there is looked for. */
#define RETRY_MS 2000

/* The cursor of a journal that was looked for in vain: all that it holds once it comes is new. */
#define AWAITED "awaited"

/* syslog's facility mail, and who logs to another one: Cyrus (local6 or as it is set), the SASL
 * daemon (auth), and everybody who lets its standard output be caught. */
static const char *const matches[] = {
    "SYSLOG_FACILITY=2",
    "SYSLOG_IDENTIFIER=dovecot",
    "SYSLOG_IDENTIFIER=saslauthd",
    "SYSLOG_IDENTIFIER=exim",
    "SYSLOG_IDENTIFIER=exim4",
    "SYSLOG_IDENTIFIER=imap",
    "SYSLOG_IDENTIFIER=imaps",
    "SYSLOG_IDENTIFIER=pop3",
    "SYSLOG_IDENTIFIER=pop3s",
    "SYSLOG_IDENTIFIER=cyrus/imap",
    "SYSLOG_IDENTIFIER=cyrus/imaps",
    "SYSLOG_IDENTIFIER=cyrus/pop3",
    "SYSLOG_IDENTIFIER=cyrus/pop3s",
    "SYSLOG_IDENTIFIER=imapd",
    "SYSLOG_IDENTIFIER=imapd-ssl",
    "SYSLOG_IDENTIFIER=pop3d",
    "SYSLOG_IDENTIFIER=pop3d-ssl",
    "SYSLOG_IDENTIFIER=authdaemond",
    "SYSLOG_IDENTIFIER=sendmail",
    "SYSLOG_IDENTIFIER=sm-mta",
};

void gv_journal_init(struct gv_journal *journal, const char *folder, const char *cursor,
                     bool from_start)
{
    memset(journal, 0, sizeof *journal);
    journal->folder = folder;
    journal->from_start = from_start;
    snprintf(journal->cursor, sizeof journal->cursor, "%s", cursor ? cursor : "");
    journal->awaited = strcmp(journal->cursor, AWAITED) == 0;
}

void gv_journal_close(struct gv_journal *journal)
{
    sd_journal_close(journal->journal);
    journal->journal = NULL;
}

static void fail(struct gv_journal *journal, int error)
{
    gv_journal_close(journal);
    journal->error = error;
    journal->state = error == ENOENT                       ? GV_SOURCE_WAITING
                     : error == EACCES || error == EPERM   ? GV_SOURCE_DENIED
                     : error == ENOTDIR || error == EINVAL ? GV_SOURCE_NOT_A_FILE
                                                           : GV_SOURCE_FAILED;
    if (error == ENOENT && !journal->cursor[0]) {
        journal->awaited = true;
        snprintf(journal->cursor, sizeof journal->cursor, AWAITED);
    }
}

/* Whether there are journal files in a folder: 0, EACCES (none that may be read), ENOENT, ... For
 * libsystemd opens what it can read and says nothing of the rest. */
static int look_into(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int answer = dir ? ENOENT : errno;

    while (dir && answer != 0 && (entry = readdir(dir))) {
        const char *end = strrchr(entry->d_name, '.');
        if (end && (strcmp(end, ".journal") == 0 || strcmp(end, ".journal~") == 0))
            answer = faccessat(dirfd(dir), entry->d_name, R_OK, 0) == 0 ? 0 : errno;
    }
    if (dir)
        closedir(dir);
    return answer;
}

static int why_no_files(void)
{
    static const char *const usual[] = {"/var/log/journal/*", "/run/log/journal/*"};
    glob_t found = {0};
    int answer = ENOENT;

    (void)glob(usual[0], 0, NULL, &found);
    (void)glob(usual[1], found.gl_pathc ? GLOB_APPEND : 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (look_into(found.gl_pathv[i]) == EACCES)
            answer = EACCES;
    globfree(&found);
    return answer;
}

static int add_matches(sd_journal *journal)
{
    int rc = 0;

    for (size_t i = 0; i < sizeof matches / sizeof *matches && rc >= 0; i++) {
        rc = sd_journal_add_match(journal, matches[i], 0);
        if (rc >= 0)
            rc = sd_journal_add_disjunction(journal);
    }
    return rc;
}

static int keep_cursor(struct gv_journal *j)
{
    char *cursor = NULL;
    int rc = sd_journal_get_cursor(j->journal, &cursor);

    if (rc < 0)
        return rc;
    if (strlen(cursor) >= sizeof j->cursor)
        rc = -EOVERFLOW;
    else
        strcpy(j->cursor, cursor);
    free(cursor);
    return rc;
}

/* To where the next sd_journal_next gives the first entry that was not given out. */
static int seek(struct gv_journal *j)
{
    int rc;

    if (j->cursor[0] && strcmp(j->cursor, AWAITED) != 0) {
        rc = sd_journal_seek_cursor(j->journal, j->cursor);
        if (rc >= 0)
            rc = sd_journal_next(j->journal);
        if (rc <= 0)
            return rc;
        /* Another one: the entry of the cursor has been deleted, and this is the next that is
         * left. It must not be passed over. */
        if (sd_journal_test_cursor(j->journal, j->cursor) > 0)
            return 0;
        rc = sd_journal_previous(j->journal);
        return rc == 0 ? sd_journal_seek_head(j->journal) : rc < 0 ? rc : 0;
    }
    if (j->from_start && j->since_us > 0)
        return sd_journal_seek_realtime_usec(j->journal, j->since_us);
    if (j->from_start || j->awaited)
        return sd_journal_seek_head(j->journal);
    rc = sd_journal_seek_tail(j->journal);
    if (rc >= 0)
        rc = sd_journal_previous(j->journal);
    if (rc > 0)
        return keep_cursor(j);
    /* Nothing of mail in it yet. */
    return rc < 0 ? rc : sd_journal_seek_head(j->journal);
}

static void open_journal(struct gv_journal *j)
{
    int rc, missing = j->folder ? look_into(j->folder) : 0;

    if (missing) {
        fail(j, missing);
        return;
    }
    rc = j->folder ? sd_journal_open_directory(&j->journal, j->folder, 0)
                   : sd_journal_open(&j->journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

    if (rc < 0) {
        j->journal = NULL;
        fail(j, -rc);
        return;
    }
    /* Without files there is nothing that its watch would wake up for. */
    if (!j->folder && sd_journal_has_persistent_files(j->journal) <= 0 &&
        sd_journal_has_runtime_files(j->journal) <= 0) {
        fail(j, why_no_files());
        return;
    }
    sd_journal_set_data_threshold(j->journal, 2 * GV_LINE_MAX);
    rc = sd_journal_get_fd(j->journal); /* from here on changes are noticed */
    if (rc >= 0)
        rc = add_matches(j->journal);
    if (rc >= 0)
        rc = seek(j);
    if (rc < 0) {
        fail(j, -rc);
        return;
    }
    j->state = GV_SOURCE_READING;
    j->error = 0;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Copied: the library's memory is only good until the next field is asked for. */
static void take_field(struct gv_journal_field *out, char *into, size_t cap, sd_journal *journal,
                       const char *field)
{
    const void *data;
    size_t len, name = strlen(field) + 1; /* "FIELD=" */

    memset(out, 0, sizeof *out);
    if (sd_journal_get_data(journal, field, &data, &len) < 0 || len < name)
        return;
    out->len = len - name < cap ? len - name : cap;
    memcpy(into, (const char *)data + name, out->len);
    out->at = into;
}

static void give_entry(struct gv_journal *j, gv_line_taker *on_line, void *context)
{
    char host[256], name[128], pid[32], uid[32], text[GV_LINE_MAX + 1], line[GV_JOURNAL_LINE];
    struct gv_journal_entry entry;

    if (sd_journal_get_realtime_usec(j->journal, &entry.realtime_us) < 0)
        return;
    take_field(&entry.host, host, sizeof host, j->journal, "_HOSTNAME");
    take_field(&entry.name, name, sizeof name, j->journal, "SYSLOG_IDENTIFIER");
    take_field(&entry.pid, pid, sizeof pid, j->journal, "_PID");
    take_field(&entry.uid, uid, sizeof uid, j->journal, "_UID");
    take_field(&entry.text, text, sizeof text, j->journal, "MESSAGE");
    size_t len = gv_journal_line(line, &entry);
    if (len == 0)
        j->foreign++;
    else
        on_line(context, line, len);
}

bool gv_journal_poll(struct gv_journal *journal, uint64_t now_ms, gv_line_taker *on_line,
                     void *context)
{
    int rc = 0;

    if (!journal->journal) {
        if (journal->looked_ms != 0 && now_ms - journal->looked_ms < RETRY_MS)
            return false;
        journal->looked_ms = now_ms;
        open_journal(journal);
    }
    if (!journal->journal)
        return false;
    rc = sd_journal_process(journal->journal);
    for (int i = 0; rc >= 0 && i < GV_JOURNAL_BUDGET; i++) {
        rc = sd_journal_next(journal->journal);
        if (rc == 0)
            return false;
        if (rc > 0) {
            give_entry(journal, on_line, context);
            rc = keep_cursor(journal);
        }
    }
    if (rc < 0) {
        fail(journal, -rc); /* a damaged or deleted file: opened again, from the cursor */
        return false;
    }
    return true;
}
