#include "node/base/users.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/error.h"

/* What comes back through the pipe, in one piece: it is smaller than PIPE_BUF. */
struct answer {
    int rc;
    struct gv_user user;
};

/* What getpwnam(3) names for "there is none"; all else is a name service in trouble. */
static int error_of(int number)
{
    switch (number) {
    case 0:
    case ENOENT:
    case ESRCH:
    case EBADF:
    case EPERM:
        return GV_ERR_NOT_FOUND;
    case ENOMEM:
        return GV_ERR_MEMORY;
    default:
        return GV_ERR_IO;
    }
}

/* ---- in the child --------------------------------------------------------------------------- */

static void look_up_user(struct answer *answer, const char *name)
{
    int count = GV_USER_GROUPS_MAX;

    errno = 0;
    const struct passwd *found = getpwnam(name);
    if (!found) {
        answer->rc = error_of(errno);
        return;
    }
    answer->user.uid = found->pw_uid;
    answer->user.gid = found->pw_gid;
    /* Less than none, and no larger count: its own memory was short. */
    if (getgrouplist(found->pw_name, found->pw_gid, answer->user.groups, &count) < 0)
        answer->rc = count > GV_USER_GROUPS_MAX ? GV_ERR_SPACE : GV_ERR_MEMORY;
    else
        answer->user.group_count = (size_t)count;
}

static void look_up_group(struct answer *answer, const char *name)
{
    errno = 0;
    const struct group *found = getgrnam(name);
    if (found)
        answer->user.gid = found->gr_gid;
    else
        answer->rc = error_of(errno);
}

/* What a library says as it dies is of no use to anybody, and its core neither. */
static _Noreturn void answer_to(int fd, void (*look_up)(struct answer *, const char *),
                                const char *name)
{
    const struct rlimit none = {0, 0};
    struct answer answer;
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)setrlimit(RLIMIT_CORE, &none);
    if (nowhere >= 0)
        (void)dup2(nowhere, 2); /* what name-service modules complain of */
    memset(&answer, 0, sizeof answer);
    look_up(&answer, name);
    _exit(write(fd, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

/* ---- and here ------------------------------------------------------------------------------- */

static ssize_t receive(int fd, struct answer *answer)
{
    ssize_t n;

    do
        n = read(fd, answer, sizeof *answer);
    while (n < 0 && errno == EINTR);
    return n;
}

static int ask(struct answer *answer, void (*look_up)(struct answer *, const char *),
               const char *name, struct gv_text *error)
{
    int ends[2], status = 0;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return gv_fail(error, GV_ERR_IO, "\"%s\" cannot be looked up: %s", name, strerror(errno));
    pid_t child = fork();
    if (child == 0)
        answer_to(ends[1], look_up, name);
    int number = errno;
    close(ends[1]);
    ssize_t n = child > 0 ? receive(ends[0], answer) : 0;
    close(ends[0]);
    if (child < 0)
        return gv_fail(error, GV_ERR_MEMORY, /* or processes: as short */
                       "\"%s\" cannot be looked up: %s", name, strerror(number));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof *answer)
        return gv_fail(error, GV_ERR_MEMORY,
                       "\"%s\" cannot be looked up: the system's name service has crashed (signal "
                       "%d), as it does when memory is short; try again",
                       name, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    switch (answer->rc) {
    case GV_ERR_MEMORY:
        return gv_fail(error, answer->rc, "\"%s\" cannot be looked up: out of memory", name);
    case GV_ERR_SPACE:
        return gv_fail(error, answer->rc, "the user %s is in more than %d groups", name,
                       GV_USER_GROUPS_MAX);
    case GV_ERR_IO:
        return gv_fail(error, answer->rc,
                       "\"%s\" cannot be looked up: the system's name service does not answer",
                       name);
    default:
        return answer->rc;
    }
}

int gv_user_find(struct gv_user *out, const char *name, struct gv_text *error)
{
    struct answer answer;
    int rc = ask(&answer, look_up_user, name, error);

    if (rc == GV_OK)
        *out = answer.user;
    return rc;
}

int gv_group_find(gid_t *out, const char *name, struct gv_text *error)
{
    struct answer answer;
    int rc = ask(&answer, look_up_group, name, error);

    if (rc == GV_OK)
        *out = answer.user.gid;
    return rc;
}
