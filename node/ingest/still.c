#include "node/ingest/still.h"

#include <time.h>

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           is_same_time(&a->st_mtim, &b->st_mtim) && is_same_time(&a->st_ctim, &b->st_ctim);
}

static bool is_settled(const struct stat *is)
{
    time_t now = time(NULL);

    return is->st_mtim.tv_sec <= now - GV_STILL_S && is->st_ctim.tv_sec <= now - GV_STILL_S;
}

bool gv_still(struct gv_still *still, const char *path)
{
    struct stat is;

    if (stat(path, &is) != 0) {
        still->known = false;
        still->left = 0;
        return false;
    }
    if (still->known && still->left > 0 && is_same(&still->was, &is)) {
        still->left--;
        return true;
    }
    still->was = is;
    still->known = is_settled(&is);
    return false;
}

void gv_still_looked(struct gv_still *still, bool at_end)
{
    still->known = still->known && at_end;
    still->left = still->known ? GV_STILL_MAX - 1 : 0;
}
