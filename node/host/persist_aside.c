/* Copies of the store that were set aside beside it: a damaged one, what a restore replaced, or
 * what somebody had put in its place; and a new one that was never finished. Whom they name nobody erases row by row: they go as a whole. (SPEC 15.1) */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/host/persist_schema.h"

static bool is_aside(const char *name, const char *store)
{
    static const char *const words[] = {".corrupt-", ".before-restore-", ".replaced-", ".new"};
    size_t len = strlen(store);

    if (strncmp(name, store, len) != 0)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(name + len, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

int gv_persist_aside(const struct gv_persist *persist, uint64_t before_ms, size_t *count,
                     struct gv_text *error)
{
    const char *slash = strrchr(persist->path, '/');
    int folder_len = slash ? (int)(slash - persist->path) + 1 : 0, rc = GV_OK;
    char path[4400];
    struct dirent *entry;
    struct stat info;

    *count = 0;
    snprintf(path, sizeof path, "%.*s.", folder_len, persist->path);
    DIR *folder = opendir(path);
    if (!folder)
        return gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    while ((entry = readdir(folder))) {
        if (!is_aside(entry->d_name, slash ? slash + 1 : persist->path))
            continue;
        snprintf(path, sizeof path, "%.*s%s", folder_len, persist->path, entry->d_name);
        if (lstat(path, &info) != 0 || !S_ISREG(info.st_mode))
            continue;
        /* The change of its name; what it holds may have been written long before. */
        if (before_ms == 0)
            ++*count;
        else if ((uint64_t)info.st_ctime * 1000 >= before_ms)
            continue;
        else if (unlink(path) == 0)
            ++*count;
        else if (errno != ENOENT)
            rc = gv_fail(error, GV_ERR_IO, "%s: %s", path, strerror(errno));
    }
    closedir(folder);
    if (before_ms != 0 && *count > 0 && gv_file_sync_folder(persist->path) != 0 && rc == GV_OK)
        rc = gv_fail(error, GV_ERR_IO, "%s: %s", persist->path, strerror(errno));
    return rc;
}
