#include "node/base/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/users.h"

#define GROUPS_MAX   (2 * GV_USER_GROUPS_MAX)
#define DEFAULT_USER "_grapevine"

/* For every process, root or not. */
static int harden(struct gv_text *error)
{
    const struct rlimit none = {0, 0};

    umask(0077);
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return gv_fail(error, GV_ERR_IO, "privileges cannot be limited: %s", strerror(errno));
    return GV_OK;
}

/* Asking comes first: a service manager's filter may forbid even to drop what is not there. */
static bool has_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2];

    memset(held, 0, sizeof held);
    if (syscall(SYS_capget, &head, held) != 0)
        return true;
    return (held[0].effective | held[0].permitted | held[0].inheritable | held[1].effective |
            held[1].permitted | held[1].inheritable) != 0;
}

/* Also those that a service manager may have handed to somebody who is not root. */
static int drop_capabilities(uint32_t keep, struct gv_text *error)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kept[2];

    memset(kept, 0, sizeof kept);
    kept[0].effective = kept[0].permitted = keep;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if ((keep || has_capabilities()) && syscall(SYS_capset, &head, kept) != 0)
        return keep ? gv_fail(
                          error, GV_ERR_FORBIDDEN,
                          "a capability is missing that is needed: %s; start it as root, or with "
                          "AmbientCapabilities= of systemd",
                          strerror(errno))
                    : gv_fail(error, GV_ERR_IO, "capabilities cannot be dropped: %s",
                              strerror(errno));
    return GV_OK;
}

/* The bounding set is what a process could ever get back. Only root can empty it. */
static void empty_bounding_set(uint32_t keep)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (cap >= 32 || !(keep >> cap & 1))
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int group_of(gid_t *out, const char *name, struct gv_text *error)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    int rc = gv_group_find(out, name, error);

    if (rc == GV_ERR_NOT_FOUND && *name >= '0' && *name <= '9' && !*end && number < UINT32_MAX) {
        *out = (gid_t)number;
        rc = GV_OK;
    }
    if (rc == GV_ERR_NOT_FOUND)
        return gv_fail(error, rc,
                       "there is no group \"%s\"; make it with `groupadd --system %s`, or correct "
                       "[node] groups",
                       name, name);
    if (rc == GV_OK && *out == 0)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "the group \"%s\" is root's own, which may do too much; name the group that "
                       "can read the logs, e.g. adm, in [node] groups",
                       name);
    return rc;
}

static int set_groups(const struct gv_privileges *options, const struct gv_user *user,
                      const char *name, struct gv_text *error)
{
    gid_t groups[GROUPS_MAX];
    size_t count = user->group_count;
    int rc = GV_OK;

    memcpy(groups, user->groups, count * sizeof *groups);
    for (size_t i = 0; i < options->group_count && rc == GV_OK && count < GROUPS_MAX - 1; i++)
        rc = group_of(&groups[count++], options->groups[i], error);
    if (rc == GV_OK && options->control_group && *options->control_group)
        rc = group_of(&groups[count++], options->control_group, error);
    if (rc == GV_OK && setgroups(count, groups) != 0)
        rc = gv_fail(error, GV_ERR_IO, "the groups of %s cannot be taken: %s", name,
                     strerror(errno));
    return rc;
}

static int give_folder(const char *folder, const struct gv_user *user, const char *name,
                       struct gv_text *error)
{
    if (!folder || mkdir(folder, 0700) != 0)
        return GV_OK; /* there already, or told later */
    if (chown(folder, user->uid, user->gid) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: cannot be given to %s: %s", folder, name,
                       strerror(errno));
    return GV_OK;
}

static bool is_root_again(void)
{
    return setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || geteuid() == 0 ||
           getuid() == 0;
}

static int become(const struct gv_privileges *options, const struct gv_user *user, const char *name,
                  struct gv_text *error)
{
    int rc = give_folder(options->folder, user, name, error);

    if (rc == GV_OK)
        rc = set_groups(options, user, name, error);
    if (rc != GV_OK)
        return rc;
    empty_bounding_set(options->keep);
    if (options->keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return gv_fail(error, GV_ERR_IO, "capabilities cannot be kept: %s", strerror(errno));
    if (setresgid(user->gid, user->gid, user->gid) != 0 ||
        setresuid(user->uid, user->uid, user->uid) != 0)
        return gv_fail(error, GV_ERR_IO, "cannot become the user %s: %s", name, strerror(errno));
    rc = drop_capabilities(options->keep, error);
    if (rc == GV_OK && user->uid != 0 && is_root_again())
        rc = gv_fail(error, GV_ERR_FORBIDDEN, "the user %s could become root again", name);
    return rc;
}

/* Nobody runs as root by not having thought of it. */
static int choose_user(struct gv_user *user, const char *name, struct gv_text *error)
{
    int rc = gv_user_find(user, name ? name : DEFAULT_USER, error);

    if (rc == GV_ERR_NOT_FOUND && !name)
        return gv_fail(error, rc,
                       "started as root, and [node] user names nobody to run as: make a user "
                       "with `useradd --system --shell /usr/sbin/nologin " DEFAULT_USER
                       "`, which is taken by itself, or name another one");
    if (rc == GV_ERR_NOT_FOUND)
        return gv_fail(error, rc,
                       "[node] user: there is no user \"%s\"; make it with `useradd --system %s`",
                       name, name);
    if (rc == GV_OK && geteuid() != 0 && user->uid != geteuid())
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "only root can start a daemon that runs as \"%s\"; start it as root or as "
                       "that user, or leave [node] user empty",
                       name);
    return rc;
}

int gv_privileges_drop(const struct gv_privileges *options, struct gv_text *error)
{
    const char *name = options->user && *options->user ? options->user : NULL;
    bool root = geteuid() == 0;
    struct gv_user user;
    int rc = name || root ? choose_user(&user, name, error) : GV_OK;

    if (rc == GV_OK)
        rc = root ? become(options, &user, name ? name : DEFAULT_USER, error)
                  : drop_capabilities(options->keep, error);
    return rc == GV_OK ? harden(error) : rc;
}
