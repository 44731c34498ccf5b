#include "helper_postgres.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#define NOBODY 65534

/* PostgreSQL refuses to run as root. */
static pid_t spawn(const char *path, char *const argv[], const char *log)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(126);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    if (chdir("/") == 0)
        execv(path, argv);
    _exit(127);
}

static void show_log(const struct postgres *p)
{
    char command[128];

    snprintf(command, sizeof command, "tail -5 %s/log >&2", p->folder);
    if (system(command) != 0)
        print_message("no log\n");
}

bool postgres_make(struct postgres *p)
{
    char program[160], data[96], log[96];
    glob_t found;
    int status;

    memset(p, 0, sizeof *p);
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0 || found.gl_pathc == 0) {
        print_message("SKIPPED: no PostgreSQL on this host (Debian: postgresql-15)\n");
        return false;
    }
    snprintf(program, sizeof program, "%s", found.gl_pathv[found.gl_pathc - 1]);
    snprintf(p->bin, sizeof p->bin, "%.*s", (int)(strlen(program) - strlen("/initdb")), program);
    globfree(&found);
    strcpy(p->folder, "/tmp/gv-postgres-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    if (geteuid() == 0)
        assert_int_equal(chown(p->folder, NOBODY, NOBODY), 0);
    snprintf(data, sizeof data, "%s/data", p->folder);
    snprintf(log, sizeof log, "%s/log", p->folder);
    char *argv[] = {"initdb",    "-D",        data, "-A",   "trust",      "-U",
                    "grapevine", "--no-sync", "-E", "UTF8", "--locale=C", NULL};
    pid_t pid = spawn(program, argv, log);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        show_log(p);
        fail_msg("initdb failed");
    }
    snprintf(p->url, sizeof p->url, "postgresql://grapevine@/postgres?host=%s", p->folder);
    postgres_start(p);
    return true;
}

void postgres_start(struct postgres *p)
{
    char program[160], data[96], log[96], folder[80];

    snprintf(program, sizeof program, "%s/postgres", p->bin);
    snprintf(data, sizeof data, "%s/data", p->folder);
    snprintf(log, sizeof log, "%s/log", p->folder);
    snprintf(folder, sizeof folder, "%s", p->folder);
    char *argv[] = {"postgres",
                    "-D",
                    data,
                    "-k",
                    folder,
                    "-c",
                    "listen_addresses=",
                    "-c",
                    "fsync=off",
                    "-c",
                    "shared_buffers=16MB",
                    NULL};
    p->pid = spawn(program, argv, log);
    for (int i = 0; i < 600; i++) {
        if (PQping(p->url) == PQPING_OK)
            return;
        usleep(50000);
    }
    show_log(p);
    fail_msg("PostgreSQL did not start within 30 s");
}

void postgres_stop(struct postgres *p)
{
    if (!p->pid)
        return;
    kill(p->pid, SIGQUIT);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

void postgres_remove(struct postgres *p)
{
    char command[128];

    if (!p->folder[0])
        return;
    postgres_stop(p);
    snprintf(command, sizeof command, "rm -rf '%s'", p->folder);
    assert_int_equal(system(command), 0);
    p->folder[0] = '\0';
}

void postgres_query(const char *url, const char *sql, char out[128])
{
    PGconn *connection = PQconnectdb(url);
    PGresult *result = PQexec(connection, sql);

    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(connection));
    snprintf(out, 128, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(connection);
}

void postgres_database(struct postgres *p, const char *name, char url[224])
{
    char sql[96], unused[128];

    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    postgres_query(p->url, sql, unused);
    snprintf(url, 224, "postgresql://grapevine@/%s?host=%s", name, p->folder);
}
