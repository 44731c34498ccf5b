#include "node/base/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypto/error.h"

#define GROUPS_MAX   128
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
        return keep ? gv_fail(error, GV_ERR_FORBIDDEN,
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
    const struct group *group = getgrnam(name);
    char *end;
    unsigned long number = strtoul(name, &end, 10);

    if (!group && (*name < '0' || *name > '9' || *end || number > UINT32_MAX - 1))
        return gv_fail(error, GV_ERR_NOT_FOUND,
                       "there is no group \"%s\"; make it with `groupadd --system %s`, or correct "
                       "[node] groups",
                       name, name);
    *out = group ? group->gr_gid : (gid_t)number;
    if (*out == 0)
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "the group \"%s\" is root's own, which may do too much; name the group that "
                       "can read the logs, e.g. adm, in [node] groups",
                       name);
    return GV_OK;
}

static int set_groups(const struct gv_privileges *options, const struct passwd *user,
                      struct gv_text *error)
{
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX / 2;
    int rc = GV_OK;

    if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        return count > GROUPS_MAX / 2
                   ? gv_fail(error, GV_ERR_IO, "the user %s is in more than %d groups",
                             user->pw_name, GROUPS_MAX / 2)
                   : gv_fail(error, GV_ERR_MEMORY, "the groups of %s cannot be read: out of memory",
                             user->pw_name);
    for (size_t i = 0; i < options->group_count && rc == GV_OK && count < GROUPS_MAX - 1; i++)
        rc = group_of(&groups[count++], options->groups[i], error);
    if (rc == GV_OK && options->control_group && *options->control_group)
        rc = group_of(&groups[count++], options->control_group, error);
    if (rc == GV_OK && setgroups((size_t)count, groups) != 0)
        rc = gv_fail(error, GV_ERR_IO, "the groups of %s cannot be taken: %s", user->pw_name,
                     strerror(errno));
    return rc;
}

static int give_folder(const char *folder, const struct passwd *user, struct gv_text *error)
{
    if (!folder || mkdir(folder, 0700) != 0)
        return GV_OK; /* there already, or told later */
    if (chown(folder, user->pw_uid, user->pw_gid) != 0)
        return gv_fail(error, GV_ERR_IO, "%s: cannot be given to %s: %s", folder, user->pw_name,
                       strerror(errno));
    return GV_OK;
}

static bool is_root_again(void)
{
    return setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || geteuid() == 0 ||
           getuid() == 0;
}

static int become(const struct gv_privileges *options, const struct passwd *user,
                  struct gv_text *error)
{
    int rc = give_folder(options->folder, user, error);

    if (rc == GV_OK)
        rc = set_groups(options, user, error);
    if (rc != GV_OK)
        return rc;
    empty_bounding_set(options->keep);
    if (options->keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
        return gv_fail(error, GV_ERR_IO, "capabilities cannot be kept: %s", strerror(errno));
    if (setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
        return gv_fail(error, GV_ERR_IO, "cannot become the user %s: %s", user->pw_name,
                       strerror(errno));
    rc = drop_capabilities(options->keep, error);
    if (rc == GV_OK && user->pw_uid != 0 && is_root_again())
        rc = gv_fail(error, GV_ERR_FORBIDDEN, "the user %s could become root again",
                     user->pw_name);
    return rc;
}

/* Nobody runs as root by not having thought of it. */
static int choose_user(const struct passwd **user, const char *name, struct gv_text *error)
{
    *user = NULL;
    if (!name && geteuid() == 0) {
        errno = 0;
        *user = getpwnam(DEFAULT_USER);
        if (!*user && errno == ENOMEM)
            return gv_fail(error, GV_ERR_MEMORY, "out of memory");
        if (!*user)
            return gv_fail(error, GV_ERR_NOT_FOUND,
                           "started as root, and [node] user names nobody to run as: make a user "
                           "with `useradd --system --shell /usr/sbin/nologin " DEFAULT_USER
                           "`, which is taken by itself, or name another one");
        return GV_OK;
    }
    errno = 0;
    *user = name ? getpwnam(name) : NULL;
    if (name && !*user && errno == ENOMEM)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    if (name && !*user)
        return gv_fail(error, GV_ERR_NOT_FOUND,
                       "[node] user: there is no user \"%s\"; make it with `useradd --system %s`",
                       name, name);
    if (*user && geteuid() != 0 && (*user)->pw_uid != geteuid())
        return gv_fail(error, GV_ERR_FORBIDDEN,
                       "only root can start a daemon that runs as \"%s\"; start it as root or as "
                       "that user, or leave [node] user empty",
                       name);
    return GV_OK;
}

int gv_privileges_drop(const struct gv_privileges *options, struct gv_text *error)
{
    const struct passwd *user;
    int rc = choose_user(&user, options->user && *options->user ? options->user : NULL, error);

    if (rc == GV_OK)
        rc = user && geteuid() == 0 ? become(options, user, error) : drop_capabilities(options->keep, error);
    return rc == GV_OK ? harden(error) : rc;
}
