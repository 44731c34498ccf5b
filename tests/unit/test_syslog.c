/* Syslog over UDP and a unix socket: what a datagram may hold, who may send, and the real logger(1)
 * and rsyslogd as senders. SPEC 10.5 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "helper_sources.h"
#include "node/ingest/syslog.h"

#define FAILED                                                                                     \
    "imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<u>, method=PLAIN, "       \
    "rip=198.51.100.7, lip=127.0.0.1, session=<s>"

/* ---- one datagram --------------------------------------------------------------------------- */

static void a_datagram_is_at_most_one_line(void **state)
{
    static const struct {
        const char *datagram;
        size_t len;
        const char *line;
    } cases[] = {
#define CASE(text, line) {text, sizeof(text) - 1, line}
        CASE("<22>Nov 22 12:00:00 vm dovecot: x", "<22>Nov 22 12:00:00 vm dovecot: x"),
        CASE("<22>Nov 22 12:00:00 dovecot: x\n", "<22>Nov 22 12:00:00 dovecot: x"),
        CASE("<22>x\r\n\0", "<22>x"),
        CASE("<191>1 - - - - - -", "<191>1 - - - - - -"),
        /* A second line inside, or the end of a C string, is text of the first. */
        CASE("<22>a\n<22>b", "<22>a?<22>b"),
        CASE("<22>a\0b\rc\033[1m\177", "<22>a?b?c?[1m?"),
        /* No message of syslog. */
        CASE("", ""),
        CASE("\n\n\0\0", ""),
        CASE("<>x", ""),
        CASE("<22", ""),
        CASE("<22>", "<22>"),
        CASE("<1>", ""),
        CASE("<1234>x", ""),
        CASE("<-1>x", ""),
        CASE("<2 >x", ""),
        CASE("Nov 22 12:00:00 vm dovecot: x", ""),
        CASE("x22>Nov 22 12:00:00 vm dovecot: x", ""),
#undef CASE
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *exact = malloc(cases[i].len ? cases[i].len : 1); /* ASan sees a byte beyond */
        assert_non_null(exact);
        memcpy(exact, cases[i].datagram, cases[i].len);
        size_t len = gv_syslog_line(exact, cases[i].len);
        assert_int_equal(len, strlen(cases[i].line));
        assert_memory_equal(exact, cases[i].line, len);
        free(exact);
    }
}

/* ---- where it listens ----------------------------------------------------------------------- */

static void the_words_for_sources(void **state)
{
    static const struct {
        const char *text;
        int kind; /* -1: refused */
        unsigned port;
    } cases[] = {
        {"/var/log/mail.log", GV_LOG_FILE, 0},
        {"-", GV_LOG_INPUT, 0},
        {"journal", GV_LOG_JOURNAL, 0},
        {"journal:/var/log/journal/remote", GV_LOG_JOURNAL, 0},
        {"syslog:udp:127.0.0.1:5514", GV_LOG_SYSLOG_UDP, 5514},
        {"syslog:udp::5514", GV_LOG_SYSLOG_UDP, 5514},
        {"syslog:udp:[::1]:514", GV_LOG_SYSLOG_UDP, 514},
        {"syslog:unix:/run/grapevine/log", GV_LOG_SYSLOG_UNIX, 0},
        {"mail.log", -1, 0},
        {"", -1, 0},
        {"journal:", -1, 0},
        {"journal:x", -1, 0},
        {"journald", -1, 0},
        {"syslog:udp:5514", -1, 0},
        {"syslog:udp:127.0.0.1", -1, 0},
        {"syslog:udp:127.0.0.1:0", -1, 0},
        {"syslog:udp:127.0.0.1:65536", -1, 0},
        {"syslog:udp:localhost:514", -1, 0},
        {"syslog:unix:run/log", -1, 0},
        {"syslog:tcp:127.0.0.1:514", -1, 0},
        {"syslog:unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345"
         "67890123456789012345678901234567",
         -1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gv_log_source source;
        struct gv_text error = {""};
        int rc = gv_log_source_parse(&source, cases[i].text, &error);

        if ((rc == GV_OK) != (cases[i].kind >= 0))
            fail_msg("%s: %d %s", cases[i].text, rc, error.text);
        if (rc != GV_OK) {
            assert_true(strlen(error.text) > 20);
            continue;
        }
        assert_int_equal(source.kind, cases[i].kind);
        assert_int_equal(source.address.port, cases[i].port);
    }
}

/* ---- sockets -------------------------------------------------------------------------------- */

static const char *udp_name(char out[64], unsigned *port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof any;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    close(fd);
    *port = ntohs(any.sin_port);
    snprintf(out, 64, "syslog:udp:127.0.0.1:%u", *port);
    return out;
}

static void send_udp(unsigned port, const char *text, size_t len)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_int_equal(sendto(fd, text, len, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)len);
    close(fd);
}

static void real_logger(struct stage *stage)
{
    unsigned port = *(unsigned *)stage->context;

    /* Without --id the program has no pid; RFC 5424 comes with structured data. */
    stage_shell("logger --rfc3164 -n 127.0.0.1 -P %u -d -p mail.info -t dovecot -- '%s'", port,
                FAILED);
    stage_shell("logger --rfc5424 --id=9 -n 127.0.0.1 -P %u -d -p mail.info -t dovecot -- '%s'",
                port, FAILED);
    stage_shell("logger --rfc5424=notime,nohost -n 127.0.0.1 -P %u -d -t dovecot -- '%s'", port,
                FAILED); /* without a stamp: it is of now */
    stage_shell("logger -u '%s' -p mail.info -t dovecot -- '%s'", stage_path(stage, "socket"),
                FAILED);
}

static void the_real_logger_over_udp_and_a_unix_socket(void **state)
{
    struct stage *stage = *state;
    char udp[64], un[200];
    unsigned port;
    struct stat st;

    snprintf(un, sizeof un, "syslog:unix:%s", stage_path(stage, "socket"));
    const char *paths[] = {udp_name(udp, &port), un};
    stage->act = real_logger;
    stage->context = &port;
    stage_run(stage, paths, 2, 4, 6000);
    assert_string_equal(stage_take(stage),
                        "198.51.100.7 1|198.51.100.7 1|198.51.100.7 1|198.51.100.7 1|");
    assert_int_equal(stage->status[0].counters.lines, 3);
    assert_int_equal(stage->status[1].counters.lines, 1);
    assert_int_equal(stage->status[0].refused, 0);
    assert_int_equal(stat(stage_path(stage, "socket"), &st), -1); /* tidied up */
}

static void hostile_datagrams(struct stage *stage)
{
    static const char prefix[] = "<22>Nov 22 02:00:00 vm dovecot: ";
    unsigned port = *(unsigned *)stage->context;
    char *big = malloc(60000);

    assert_non_null(big);
    memset(big, 'x', 60000);
    memcpy(big, prefix, sizeof prefix - 1);
    send_udp(port, big, 60000);
    send_udp(port, big, GV_LINE_MAX + 1);
    /* A second line, forged in what a client may choose. */
    static const char forged[] = "<22>Nov 22 02:00:00 vm dovecot: imap-login: Info: "
                                 "x\n<22>Nov 22 02:00:00 vm dovecot: " FAILED;
    static const char nul[] = "<22>Nov 22 02:00:00 vm dovecot: imap-login: x\0\0"
                              "<22>Nov 22 02:00:00 vm dovecot: " FAILED;
    send_udp(port, forged, sizeof forged - 1);
    send_udp(port, nul, sizeof nul - 1);
    send_udp(port, FAILED, sizeof FAILED - 1); /* no <PRI> */
    send_udp(port, "", 0);
    for (unsigned i = 0; i < 300; i++) {
        for (int j = 0; j < 64; j++)
            big[j] = (char)(rand() >> 7);
        send_udp(port, big, i % 64);
    }
    send_udp(port, "<22>Nov 22 02:00:00 vm dovecot: " FAILED "\n",
             sizeof prefix + sizeof FAILED - 1);
    free(big);
}

static void no_datagram_makes_a_second_line(void **state)
{
    struct stage *stage = *state;
    char udp[64];
    unsigned port;
    const char *paths[] = {udp_name(udp, &port)};

    stage->act = hostile_datagrams;
    stage->context = &port;
    stage_run(stage, paths, 1, 1, 4000);
    assert_string_equal(stage_take(stage), "198.51.100.7 1|");
    assert_int_equal(stage->status[0].counters.skipped, 2);
    assert_true(stage->status[0].refused > 250);
}

static void log_in_mode(struct stage *stage)
{
    struct stat st;

    assert_int_equal(stat(stage_path(stage, "socket"), &st), 0);
    *(mode_t *)stage->context = st.st_mode & 07777;
    if (access(stage_path(stage, "socket"), W_OK) == 0)
        stage_shell("logger -u '%s' -p mail.info -t dovecot -- '%s'", stage_path(stage, "socket"),
                    FAILED);
}

static void the_mode_of_the_socket_and_one_that_was_left_behind(void **state)
{
    struct stage *stage = *state;
    struct sockaddr_un left = {.sun_family = AF_UNIX};
    char un[200];
    mode_t seen = 0, before = umask(0077);

    /* A killed process leaves its socket behind. */
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(left.sun_path, sizeof left.sun_path, "%s", stage_path(stage, "socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&left, sizeof left), 0);
    close(fd);
    snprintf(un, sizeof un, "syslog:unix:%s", stage_path(stage, "socket"));
    const char *paths[] = {un};
    stage->act = log_in_mode;
    stage->context = &seen;
    stage->access.mode = 0622;
    stage_run(stage, paths, 1, 1, 4000);
    assert_string_equal(stage_take(stage), "198.51.100.7 1|");
    assert_int_equal(seen, 0622);
    umask(before);
}

static void a_place_that_is_taken(void **state)
{
    struct stage *stage = *state;
    struct sockaddr_un other = {.sun_family = AF_UNIX};
    char un[200], nowhere[200];

    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(other.sun_path, sizeof other.sun_path, "%s", stage_path(stage, "socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&other, sizeof other), 0);
    stage_write(stage, "file", "w", "precious", 8);
    snprintf(un, sizeof un, "syslog:unix:%s", stage_path(stage, "socket"));
    snprintf(nowhere, sizeof nowhere, "syslog:unix:%s", stage_path(stage, "none/socket"));
    char file[200];
    snprintf(file, sizeof file, "syslog:unix:%s", stage_path(stage, "file"));
    const char *paths[] = {un, file, nowhere};
    stage_run(stage, paths, 3, 0, 300);
    assert_int_equal(stage->status[0].state, GV_SOURCE_IN_USE);
    assert_int_equal(stage->status[1].state, GV_SOURCE_IN_USE);
    assert_int_equal(stage->status[2].state, GV_SOURCE_FAILED);
    assert_int_equal(access(stage_path(stage, "socket"), F_OK), 0); /* another's: left alone */
    stage_shell("grep -q precious '%s'", stage_path(stage, "file"));
    close(fd);
}

/* ---- who may send --------------------------------------------------------------------------- */

static void count_line(void *context, const char *line, size_t len)
{
    (void)line;
    (void)len;
    ++*(int *)context;
}

/* In a network namespace of its own: 192.0.2.1 is an address that is no loopback one.
 */
static int foreign_sender(const struct gv_config_address *listed)
{
    struct stage *stage;
    void *state;
    static struct gv_address where = {.family = GV_FAMILY_IPV4, .port = 5514};
    struct gv_log_source source = {.kind = GV_LOG_SYSLOG_UDP, .address = where};
    struct gv_syslog_access who = {.from = listed, .count = listed ? 1 : 0};
    struct gv_syslog syslog;

    stage_open(&state);
    stage = state;
    gv_syslog_init(&syslog, &source, &who);
    gv_syslog_open(&syslog);
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000201u)}};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(5514), .sin_addr = {htonl(0xc0000201u)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (syslog.fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        sendto(fd, "<22>x", 5, 0, (struct sockaddr *)&to, sizeof to) != 5)
        return 9;
    usleep(100000);
    int lines = 0;
    gv_syslog_read(&syslog, count_line, &lines);
    int answer = lines * 2 + (int)syslog.refused;
    gv_syslog_close(&syslog);
    close(fd);
    stage_close((void **)&stage);
    return answer;
}

static void other_hosts_are_refused_unless_listed(void **state)
{
    static const struct gv_config_address near = {4, 24, {192, 0, 2, 0}};
    static const struct gv_config_address far = {4, 24, {198, 51, 100, 0}};
    const struct gv_config_address *listed[] = {NULL, &far, &near};
    static const int answers[] = {1, 1, 2}; /* refused, refused, a line */

    (void)state;
    if (geteuid() != 0 || system("unshare -n true 2>/dev/null") != 0) {
        print_message("no network namespace can be made here: SKIPPED\n");
        skip();
    }
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            if (unshare(CLONE_NEWNET) != 0 ||
                system("ip link set lo up && ip addr add 192.0.2.1/32 dev lo") != 0)
                _exit(8);
            _exit(foreign_sender(listed[i]));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), answers[i]);
    }
}

/* ---- rsyslogd ------------------------------------------------------------------------------- */

struct relay {
    pid_t pid;
    unsigned port;
};

static void through_rsyslog(struct stage *stage)
{
    int tries = 100;

    while (access(stage_path(stage, "in"), F_OK) != 0 && tries-- > 0)
        usleep(50000);
    stage_shell("logger -u '%s' -p mail.info -t dovecot -- '%s'", stage_path(stage, "in"), FAILED);
}

static void the_real_rsyslogd_forwards(void **state)
{
    struct stage *stage = *state;
    struct relay relay;
    char udp[64], un[200], conf[1200];

    if (access("/usr/sbin/rsyslogd", X_OK) != 0) {
        print_message("rsyslogd is not installed: SKIPPED\n");
        skip();
    }
    const char *paths[] = {udp_name(udp, &relay.port), un};
    snprintf(un, sizeof un, "syslog:unix:%s", stage_path(stage, "out"));
    int n = snprintf(conf, sizeof conf,
                     "module(load=\"imuxsock\" SysSock.Use=\"off\")\n"
                     "input(type=\"imuxsock\" Socket=\"%s\" UseSysTimeStamp=\"off\")\n"
                     "module(load=\"omuxsock\")\n$OMUxSockSocket %s\n"
                     "mail.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"%u\" "
                     "protocol=\"udp\")\n"
                     "mail.* :omuxsock:\n",
                     stage_path(stage, "in"), stage_path(stage, "out"), relay.port);
    stage_write(stage, "conf", "w", conf, (size_t)n);
    relay.pid = fork();
    if (relay.pid == 0) {
        char config[200], pid_file[200];
        snprintf(config, sizeof config, "-f%s", stage_path(stage, "conf"));
        snprintf(pid_file, sizeof pid_file, "-i%s", stage_path(stage, "pid"));
        execl("/usr/sbin/rsyslogd", "rsyslogd", "-n", config, pid_file, (char *)NULL);
        _exit(9);
    }
    stage->act = through_rsyslog;
    stage_run(stage, paths, 2, 2, 10000);
    kill(relay.pid, SIGTERM);
    waitpid(relay.pid, NULL, 0);
    assert_string_equal(stage_take(stage), "198.51.100.7 1|198.51.100.7 1|");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_is_at_most_one_line),
        cmocka_unit_test(the_words_for_sources),
        TEST(the_real_logger_over_udp_and_a_unix_socket),
        TEST(no_datagram_makes_a_second_line),
        TEST(the_mode_of_the_socket_and_one_that_was_left_behind),
        TEST(a_place_that_is_taken),
        cmocka_unit_test(other_hosts_are_refused_unless_listed),
        TEST(the_real_rsyslogd_forwards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
