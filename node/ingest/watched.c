#include "node/ingest/watched.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#define ZFS_MAGIC 0x2fc12fc1

/* Those that only this machine writes to, through this kernel. */
static bool is_told_of(const char *path)
{
    struct statfs is;

    if (statfs(path, &is) != 0)
        return false;
    switch ((unsigned long)is.f_type) {
    case EXT4_SUPER_MAGIC: /* and its elders */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case ZFS_MAGIC:
        return true;
    default:
        return false;
    }
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct gv_watched *watched = event->data;

    (void)name;
    (void)events;
    (void)status; /* an error shows when it is looked at */
    gv_watched_end(watched);
    watched->stirred(watched->context);
}

bool gv_watched_begin(struct gv_watched *watched, uv_loop_t *loop, const char *path,
                      const struct stat *is, void (*stirred)(void *context), void *context)
{
    gv_watched_end(watched); /* of another one */
    if (!is_told_of(path))
        return false;
    if (!watched->open && uv_fs_event_init(loop, &watched->event) != 0)
        return false;
    watched->open = true;
    watched->event.data = watched;
    watched->stirred = stirred;
    watched->context = context;
    watched->device = is->st_dev;
    watched->inode = is->st_ino;
    watched->on = uv_fs_event_start(&watched->event, on_event, path, 0) == 0;
    return watched->on;
}

bool gv_watched_is(const struct gv_watched *watched, const struct stat *is)
{
    return watched->on && watched->device == is->st_dev && watched->inode == is->st_ino;
}

void gv_watched_end(struct gv_watched *watched)
{
    if (watched->on)
        (void)uv_fs_event_stop(&watched->event);
    watched->on = false;
}

void gv_watched_close(struct gv_watched *watched)
{
    gv_watched_end(watched);
    if (watched->open)
        uv_close((uv_handle_t *)&watched->event, NULL);
    watched->open = false;
}
