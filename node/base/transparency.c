#include "node/base/transparency.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "node/base/file.h"

#define DOMAIN "grapevine transparency 1"
#define HASH   GV_TRANSPARENCY_HASH
/* How every entry ends. Quotes inside a string are escaped, so one that is cut off never ends so.
 */
#define END        ",\"v\":1}"
#define LOCK_WAITS 100 /* times 50 ms; an entry is written in a few */
#define LOCK_PAUSE 50000000L

/* ---- the chain ------------------------------------------------------------------------------ */

void gv_transparency_begin(struct gv_transparency_chain *chain)
{
    memset(chain, 0, sizeof *chain);
    memset(chain->head, '0', HASH);
}

/* SHA-256 of the domain, a zero, and "HEAD JSON". */
static void link_hash(char out[HASH + 1], const char *head, const char *json, size_t len)
{
    char text[HASH + 1 + GV_TRANSPARENCY_LINE];
    uint8_t hash[GV_HASH_LEN];

    memcpy(text, head, HASH);
    text[HASH] = ' ';
    memcpy(text + HASH + 1, json, len);
    gv_hash(hash, DOMAIN, (const uint8_t *)text, HASH + 1 + len);
    gv_hex(out, hash, sizeof hash);
}

static bool is_entry(const char *line, size_t len)
{
    const size_t end = sizeof END - 1;

    if (len < HASH + 2 + end || len >= GV_TRANSPARENCY_LINE || line[HASH] != ' ' ||
        line[HASH + 1] != '{' || memcmp(line + len - end, END, end) != 0)
        return false;
    for (size_t i = 0; i < HASH; i++)
        if (!((line[i] >= '0' && line[i] <= '9') || (line[i] >= 'a' && line[i] <= 'f')))
            return false;
    return memchr(line, 0, len) == NULL;
}

enum gv_transparency_said gv_transparency_take(struct gv_transparency_chain *chain,
                                               const char **json, size_t *json_len,
                                               const char *line, size_t len)
{
    char expected[HASH + 1];

    *json = NULL;
    *json_len = 0;
    chain->lines++;
    if (!is_entry(line, len)) {
        chain->cut++;
        if (chain->first_cut == 0)
            chain->first_cut = chain->lines;
        return GV_TRANSPARENCY_CUT;
    }
    *json = line + HASH + 1;
    *json_len = len - HASH - 1;
    link_hash(expected, chain->head, *json, *json_len);
    bool sound = memcmp(expected, line, HASH) == 0;
    chain->entries++;
    if (!sound) {
        chain->broken++;
        if (chain->first_broken == 0)
            chain->first_broken = chain->lines;
    }
    memcpy(chain->head, line, HASH);
    return sound ? GV_TRANSPARENCY_SOUND : GV_TRANSPARENCY_BROKEN;
}

size_t gv_transparency_line(char out[GV_TRANSPARENCY_LINE],
                            const struct gv_transparency_chain *chain, const char *json,
                            size_t json_len)
{
    gv_assert(json_len + HASH + 2 <= GV_TRANSPARENCY_LINE);
    link_hash(out, chain->head, json, json_len);
    out[HASH] = ' ';
    memcpy(out + HASH + 1, json, json_len);
    out[HASH + 1 + json_len] = '\n';
    return HASH + 2 + json_len;
}

int gv_transparency_reason(const char *reason, struct gv_text *error)
{
    size_t len = strlen(reason), words = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)reason[i];
        if (c < ' ' || c == 0x7f)
            return gv_fail(error, GV_ERR_RANGE, "a reason is one line of text");
        words += c > ' ';
    }
    if (strchr(reason, '@'))
        return gv_fail(
            error, GV_ERR_RANGE,
            "a reason is kept for good, and names no mailbox: leave out what has an '@'");
    if (words < 3 || len > GV_TRANSPARENCY_REASON)
        return gv_fail(error, GV_ERR_RANGE, "a reason says why, in 3 to %d characters",
                       GV_TRANSPARENCY_REASON);
    json_t *text = json_string(reason);
    json_decref(text);
    return text ? GV_OK : gv_fail(error, GV_ERR_RANGE, "a reason is text in UTF-8");
}

/* ---- reading -------------------------------------------------------------------------------- */

static int refused(struct gv_text *error, const char *path)
{
    return gv_fail(error, errno == EACCES || errno == EPERM ? GV_ERR_FORBIDDEN : GV_ERR_IO,
                   "%s: %s", path,
                   errno == ELOOP ? "is a link, and must be a file" : strerror(errno));
}

static bool path_of(char *out, size_t cap, const char *folder)
{
    return (size_t)snprintf(out, cap, "%s/%s", folder, GV_TRANSPARENCY_FILE) < cap;
}

/* *whole: the last line has its newline. */
static int read_lines(FILE *in, struct gv_transparency_chain *chain, gv_transparency_taker *take,
                      void *context, bool *whole)
{
    char line[GV_TRANSPARENCY_LINE + 1];
    size_t len = 0;
    int c, rc = GV_OK;

    *whole = true;
    while (rc == GV_OK && ((c = getc(in)) != EOF || !*whole)) {
        const char *json;
        size_t json_len;
        if (c != '\n' && c != EOF) {
            *whole = false;
            if (len < sizeof line) /* what is longer is no entry */
                line[len++] = (char)c;
            continue;
        }
        /* One that lacks its newline alone is whole, as it is once the next writer adds it. */
        enum gv_transparency_said said = gv_transparency_take(chain, &json, &json_len, line, len);
        rc = take ? take(context, chain, said, json, json_len) : GV_OK;
        len = 0;
        if (c == EOF)
            break;
        *whole = true;
    }
    return rc;
}

int gv_transparency_read(const char *folder, struct gv_transparency_chain *chain,
                         gv_transparency_taker *take, void *context, struct gv_text *error)
{
    char path[4096];
    bool whole;

    gv_transparency_begin(chain);
    if (!path_of(path, sizeof path, folder))
        return gv_fail(error, GV_ERR_IO, "%s: too long a path", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? GV_OK : refused(error, path);
    FILE *in = fdopen(fd, "r");
    if (!in) {
        close(fd);
        return GV_ERR_MEMORY;
    }
    int rc = read_lines(in, chain, take, context, &whole);
    if (rc == GV_OK && ferror(in))
        rc = refused(error, path);
    fclose(in);
    return rc;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int take_lock(int fd, const char *path, struct gv_text *error)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return refused(error, path);
        if (i == LOCK_WAITS)
            return gv_fail(error, GV_ERR_BUSY, "%s: somebody else holds it", path);
        nanosleep(&(struct timespec){0, LOCK_PAUSE}, NULL);
    }
    return GV_OK;
}

/* An open and locked file; a link in the folder, which is the daemon's, is not followed. */
static int open_log(int *out, const char *folder, const char *path, struct gv_text *error)
{
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct stat st, home;
    int fd = open(path, flags | O_CREAT | O_EXCL, 0640);
    bool made = fd >= 0;

    if (!made && errno == EEXIST)
        fd = open(path, flags);
    if (fd < 0)
        return refused(error, path);
    int rc = GV_OK;
    if (fstat(fd, &st) != 0)
        rc = refused(error, path);
    else if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        rc = gv_fail(error, GV_ERR_IO, "%s: is no ordinary file of its own", path);
    else if (made && (fchmod(fd, 0640) != 0 || stat(folder, &home) != 0 ||
                      (home.st_gid != st.st_gid && fchown(fd, (uid_t)-1, home.st_gid) != 0 &&
                       errno != EPERM) ||
                      gv_file_sync_folder(path) != 0))
        rc = refused(error, path);
    if (rc == GV_OK)
        rc = take_lock(fd, path, error);
    if (rc == GV_OK)
        *out = fd;
    else
        close(fd);
    return rc;
}

static int write_entry(int fd, struct gv_transparency_chain *chain, const json_t *entry, bool whole,
                       const char *path, struct gv_text *error)
{
    char line[1 + GV_TRANSPARENCY_LINE];
    json_t *numbered = json_pack("{s:I}", "entry", (json_int_t)(chain->entries + 1));
    char *text = NULL;
    int rc = GV_ERR_MEMORY;

    if (!numbered || json_object_update(numbered, (json_t *)entry) != 0 ||
        json_object_set_new(numbered, "v", json_integer(1)) != 0 ||
        !(text = json_dumps(numbered, JSON_COMPACT | JSON_ENSURE_ASCII)))
        goto out;
    size_t text_len = strlen(text);
    if (text_len + HASH + 2 > GV_TRANSPARENCY_LINE) {
        rc = gv_fail(error, GV_ERR_RANGE, "the entry is too long; give a shorter reason");
        goto out;
    }
    /* What was cut off becomes a line of its own. */
    size_t at = whole ? 0 : 1, json_len;
    const char *json;
    line[0] = '\n';
    size_t len = gv_transparency_line(line + at, chain, text, text_len);
    ssize_t n = write(fd, line, at + len);
    if (n < 0 || fsync(fd) != 0)
        rc = refused(error, path);
    else if ((size_t)n != at + len)
        rc = gv_fail(error, GV_ERR_IO, "%s: the disk is full", path);
    else
        rc = gv_transparency_take(chain, &json, &json_len, line + at, len - 1) ==
                     GV_TRANSPARENCY_SOUND
                 ? GV_OK
                 : GV_ERR_IO;
out:
    free(text);
    json_decref(numbered);
    return rc;
}

int gv_transparency_append(const char *folder, struct gv_transparency_chain *chain,
                           const json_t *entry, struct gv_text *error)
{
    char path[4096];
    bool whole = true;
    int fd = -1;

    gv_transparency_begin(chain);
    if (!path_of(path, sizeof path, folder))
        return gv_fail(error, GV_ERR_IO, "%s: too long a path", folder);
    int rc = open_log(&fd, folder, path, error);
    if (rc != GV_OK)
        return rc;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *in = copy >= 0 ? fdopen(copy, "r") : NULL;
    if (!in) {
        if (copy >= 0)
            close(copy);
        rc = refused(error, path);
    } else {
        rc = read_lines(in, chain, NULL, NULL, &whole);
        if (rc == GV_OK && ferror(in))
            rc = refused(error, path);
        fclose(in);
    }
    if (rc == GV_OK)
        rc = write_entry(fd, chain, entry, whole, path, error);
    close(fd); /* and with it the lock goes */
    return rc;
}
