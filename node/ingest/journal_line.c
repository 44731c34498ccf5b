#include <stdio.h>
#include <string.h>
#include <time.h>

#include "node/ingest/journal.h"
#include "node/ingest/line.h"

/* People who log in. A line of theirs (`logger -t postfix/smtpd ...`, a web page's script that runs
 * as its owner) is no mail server's; mail servers run as root or as a system user. */
/* Who is no service of the system may write whatever he likes to the journal: people of all kinds
 * (local, systemd-homed, of a directory) and nobody. Services with a dynamic user are in between.
 */
#define USERS_FIRST   1000
#define DYNAMIC_FIRST 61184
#define DYNAMIC_LAST  65519

static bool is_number(const struct gv_journal_field *field, uint32_t *value)
{
    uint32_t n = 0;

    if (!field->at || field->len == 0 || field->len > 10)
        return false;
    for (size_t i = 0; i < field->len; i++) {
        if (field->at[i] < '0' || field->at[i] > '9')
            return false;
        n = 10 * n + (uint32_t)(field->at[i] - '0');
    }
    *value = n;
    return true;
}

/* Letters, digits and a few signs: nothing that ends a word, a tag or a pid early. */
static bool is_plain(const struct gv_journal_field *field, const char *signs)
{
    if (!field->at || field->len == 0 || field->len > 64)
        return false;
    for (size_t i = 0; i < field->len; i++) {
        char c = field->at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(signs, c))))
            return false;
    }
    return true;
}

size_t gv_journal_line(char out[GV_JOURNAL_LINE], const struct gv_journal_entry *entry)
{
    static const struct gv_journal_field nobody = {"localhost", 9};
    const struct gv_journal_field *host = is_plain(&entry->host, "-._") ? &entry->host : &nobody;
    time_t second = (time_t)(entry->realtime_us / 1000000);
    uint32_t uid, pid;
    char tail[16] = "";
    struct tm tm;

    if (is_number(&entry->uid, &uid) && uid >= USERS_FIRST &&
        !(uid >= DYNAMIC_FIRST && uid <= DYNAMIC_LAST))
        return 0;
    if (!is_plain(&entry->name, "-._/") || !entry->text.at || entry->text.len == 0 ||
        !gmtime_r(&second, &tm) || tm.tm_year > 8099)
        return 0;
    if (is_number(&entry->pid, &pid))
        snprintf(tail, sizeof tail, "[%u]", pid);
    int n = snprintf(out, GV_JOURNAL_LINE,
                     "%04d-%02d-%02dT%02d:%02d:%02d.%06u+00:00 %.*s %.*s%s: ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     (unsigned)(entry->realtime_us % 1000000), (int)host->len, host->at,
                     (int)entry->name.len, entry->name.at, tail);
    if (n < 0 || (size_t)n + entry->text.len > GV_LINE_MAX)
        return SIZE_MAX;
    memcpy(out + n, entry->text.at, entry->text.len);
    gv_line_tame(out + n, entry->text.len);
    return (size_t)n + entry->text.len;
}
