/* The real program grapevine-registry, as an admin runs it, with a real SMTP conversation. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "helper_registry.h"
#include "helper_tcp.h"
#include "node/base/json.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"

#define PROGRAM GV_BIN_DIR "/grapevine-registry"

/* ---- an SMTP server of a few lines ---------------------------------------------------------- */

enum smtp_mood { SMTP_ACCEPTS, SMTP_REFUSES, SMTP_IS_ILL, SMTP_IS_SLOW };

static struct {
    int listener;
    uint16_t port;
    enum smtp_mood mood;
    pthread_t thread;
    char sender[300], recipients[300], mail[8192];
    int mails, begun;
    int go_on[2]; /* a pipe: a slow one waits for a byte before it takes a mail */
} smtp;

static int listen_any(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void gather(char *out, size_t cap, const char *text)
{
    size_t len = strlen(out);

    snprintf(out + len, cap - len, "%s", text);
}

static void smtp_talk(FILE *in, FILE *out)
{
    char line[1200];
    bool data = false;

    fprintf(out, "220 test ESMTP\r\n");
    smtp.recipients[0] = smtp.mail[0] = '\0';
    while (fflush(out) == 0 && fgets(line, sizeof line, in)) {
        if (data && strcmp(line, ".\r\n") != 0) {
            gather(smtp.mail, sizeof smtp.mail, line);
            continue;
        }
        if (data) {
            char byte;
            data = false;
            __atomic_add_fetch(&smtp.begun, 1, __ATOMIC_SEQ_CST);
            if (smtp.mood == SMTP_IS_SLOW && read(smtp.go_on[0], &byte, 1) != 1)
                break;
            smtp.mails++;
            fprintf(out, "250 taken\r\n");
            break; /* it hangs up: the registry must not mind, whatever it kept */
        } else if (strncmp(line, "MAIL FROM:", 10) == 0) {
            snprintf(smtp.sender, sizeof smtp.sender, "%.*s", (int)strcspn(line + 10, "\r\n"),
                     line + 10);
            fprintf(out, smtp.mood == SMTP_IS_ILL ? "451 not now\r\n" : "250 ok\r\n");
        } else if (strncmp(line, "RCPT TO:", 8) == 0) {
            gather(smtp.recipients, sizeof smtp.recipients, line + 8);
            fprintf(out, smtp.mood == SMTP_REFUSES ? "550 no such user\r\n" : "250 ok\r\n");
        } else if (strncmp(line, "DATA", 4) == 0) {
            data = true;
            fprintf(out, "354 go on\r\n");
        } else if (strncmp(line, "QUIT", 4) == 0) {
            fprintf(out, "221 bye\r\n");
            break;
        } else {
            fprintf(out, "250 ok\r\n");
        }
    }
}

static void *smtp_run(void *context)
{
    int fd;

    while ((fd = accept(smtp.listener, NULL, NULL)) >= 0) {
        FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
        smtp_talk(in, out);
        fclose(in);
        fclose(out);
    }
    return NULL;
}

/* ---- the program ---------------------------------------------------------------------------- */

static struct registry r; /* only its client half is used here */
static char folder[64], data[96], config[128], descriptor[128];
static uint16_t port;
static pid_t server;
static char output[16384];

/* Runs the program to its end; its output, both streams, is in `output`. Returns the exit code. */
static int run(const char *arguments)
{
    char command[1024];
    size_t len;

    snprintf(command, sizeof command, "cd '%s' && exec " PROGRAM " %s 2>&1", folder, arguments);
    FILE *pipe = popen(command, "r");
    len = fread(output, 1, sizeof output - 1, pipe);
    output[len] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void expect(int wanted, const char *arguments, const char *part)
{
    int code = run(arguments);

    if (code != wanted || !strstr(output, part))
        fail_msg("%s\nwanted %d and '%s', got %d and:\n%s", arguments, wanted, part, code, output);
}

static void serve(void)
{
    char log[128];
    struct gv_fetch_result result;
    char url[128];

    fflush(NULL);
    server = fork();
    if (server == 0) {
        snprintf(log, sizeof log, "%s/log", folder);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDERR_FILENO);
        execl(PROGRAM, PROGRAM, "--config", config, (char *)NULL);
        _exit(127);
    }
    snprintf(url, sizeof url, "%s/v1/health", r.url);
    struct gv_fetch_request request = {.url = url};
    for (int i = 0; i < 100; i++) {
        int rc = gv_fetch_blocking(&result, &request);
        gv_fetch_result_free(&result);
        if (rc == GV_OK)
            return;
        usleep(50000);
    }
    fail_msg("the registry does not answer");
}

static void stop(void)
{
    int status = 0;

    if (!server)
        return;
    kill(server, SIGTERM);
    waitpid(server, &status, 0);
    server = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int setup(void **state)
{
    char arguments[400];
    struct gv_buf wire;
    struct gv_text why = {""};
    struct timespec now;

    assert_true(sodium_init() >= 0);
    memset(&r, 0, sizeof r);
    memset(&smtp, 0, sizeof smtp);
    clock_gettime(CLOCK_REALTIME, &now);
    registry_clock_ms = (uint64_t)now.tv_sec * 1000;
    strcpy(folder, "/tmp/gv-program-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(config, sizeof config, "%s/registry.conf", data);
    snprintf(descriptor, sizeof descriptor, "%s/network.descriptor", data);
    smtp.listener = listen_any(&smtp.port);
    pthread_create(&smtp.thread, NULL, smtp_run, NULL);
    close(listen_any(&port)); /* a port that is free now */
    snprintf(arguments, sizeof arguments,
             "init --data data --name real-one --lab --listen 127.0.0.1:%u --mail "
             "smtp://127.0.0.1:%u --seed 127.1.0.1:4727 --seed 127.2.0.1:4727",
             port, smtp.port);
    expect(EX_OK, arguments, "network real-one ");
    uv_loop_init(&r.loop);
    snprintf(r.url, sizeof r.url, "http://127.0.0.1:%u", port);
    gv_buf_init(&wire);
    if (gv_descriptor_read(&r.descriptor, &wire, descriptor, &why) != GV_OK)
        fail_msg("%s", why.text);
    memcpy(r.signer.sign_public, r.descriptor.keys[0].key, GV_KEY_LEN);
    gv_buf_free(&wire);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    stop();
    uv_run(&r.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&r.loop), 0);
    if (smtp.listener >= 0) {
        shutdown(smtp.listener, SHUT_RDWR);
        close(smtp.listener);
    }
    pthread_join(smtp.thread, NULL);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- stories -------------------------------------------------------------------------------- */

static char word[32];
static uint8_t wire_certificate[GV_CERTIFICATE_LEN];

static unsigned enroll(const struct gv_identity *who, const char *email)
{
    struct gv_proof proof = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};

    return registry_post(&r, "/v1/enroll", registry_signed(&r, who, &proof), word,
                         wire_certificate);
}

static void test_a_network_from_init_to_revocation(void **state)
{
    struct gv_identity node;
    char code[16] = "", id[2 * GV_ID_LEN + 1], arguments[128];
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM, .code = code};
    struct gv_fetch_result result;

    registry_identity(&node, 1);
    serve();
    assert_int_equal(enroll(&node, "Admin+x@Example.org"), 202);
    assert_string_equal(smtp.sender, "<grapevine@localhost.localdomain>");
    assert_string_equal(smtp.recipients, "<admin@example.org>\r\n");
    assert_non_null(strstr(smtp.mail, "\r\nSubject: Your code for the mesh real-one\r\n"));
    char *at = strstr(smtp.mail, "The code is:\r\n\r\n    ");
    assert_non_null(at);
    memcpy(code, at + 20, GV_CODE_LEN + 1);
    assert_int_equal(registry_post(&r, "/v1/confirm", registry_signed(&r, &node, &confirm), word,
                                   wire_certificate),
                     200);

    gv_hex(id, node.id, GV_ID_LEN);
    expect(EX_OK, "list --data data", id); /* beside the running one */
    assert_non_null(strstr(output, "admin@example.org"));
    assert_non_null(strstr(output, "valid"));
    expect(EX_OK, "list --json --data data", "\"email\":\"admin@example.org\"");
    assert_non_null(strstr(output, id));
    expect(EX_OK, "export --config data/registry.conf ADMIN+else@example.org", id);
    assert_non_null(strstr(output, "\"email_stored\": true"));
    assert_non_null(strstr(output, "\"terms\": \"2026-11\""));
    expect(EX_OK, "export --data data other@example.org", "\"instances\": []");
    expect(EX_USAGE, "export --data data nonsense", "not an email address");
    snprintf(arguments, sizeof arguments, "revoke --config data/registry.conf -r by-owner %s", id);
    expect(EX_OK, arguments, "revoked");
    expect(EX_CANTCREAT, arguments, "is revoked already");
    expect(EX_OK, "list --data data", "(erased)");
    registry_fetch(&r, &result, "/v1/revocations", NULL);
    assert_true(result.len > 20);
    gv_fetch_result_free(&result);

    expect(EX_OK, "descriptor --data data --seed 127.3.0.1:4727", "version 2 ");
    expect(EX_OK, "show-descriptor data/network.descriptor", "127.3.0.1:4727");
    assert_null(strstr(output, "127.1.0.1"));
    expect(EX_OK, "show-descriptor --json data/network.descriptor", "\"version\": 2");
    registry_fetch(&r, &result, "/v1/health", NULL);
    gv_fetch_result_free(&result);
    registry_fetch(&r, &result, "/v1/network", NULL);
    struct gv_descriptor opened;
    assert_int_equal(gv_descriptor_open(&opened, NULL, result.body, result.len), GV_OK);
    assert_int_equal(opened.version, 2);
    gv_fetch_result_free(&result);
    registry_fetch(&r, &result, "/v1/terms", NULL);
    assert_int_equal(result.status, 200);
    assert_non_null(strstr((char *)result.body, "version 2026-11"));
    gv_fetch_result_free(&result);
}

static void join_by_mail(const struct gv_identity *node, const char *email)
{
    char code[16] = "";
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM, .code = code};

    assert_int_equal(enroll(node, email), 202);
    char *at = strstr(smtp.mail, "The code is:\r\n\r\n    ");
    assert_non_null(at);
    memcpy(code, at + 20, GV_CODE_LEN + 1);
    assert_int_equal(registry_post(&r, "/v1/confirm", registry_signed(&r, node, &confirm), word,
                                   wire_certificate),
                     200);
}

/* What `list` says a year later: of a certificate that was not renewed, and of the keys. */
static void test_what_has_ended_is_told_by_list(void **state)
{
    struct gv_certificate certificate;
    struct gv_identity node, root;
    uint8_t secret[GV_SECRET_LEN];
    char path[400], hex[2 * GV_CERTIFICATE_LEN + 1], command[1024];

    registry_identity(&node, 1);
    serve();
    join_by_mail(&node, "admin@example.org");
    stop();
    expect(EX_OK, "list --data data", "valid");
    assert_null(strstr(output, "none follows"));
    assert_int_equal(gv_certificate_parse(&certificate, wire_certificate, sizeof wire_certificate),
                     GV_OK);
    certificate.since_min = certificate.issued_min = gv_now_min() - 200000;
    certificate.expires_min = gv_now_min() - 1;
    snprintf(path, sizeof path, "%s/registry.key", data);
    assert_int_equal(gv_keyfile_read(secret, path, NULL), GV_OK);
    gv_identity_from_secret(&root, secret);
    gv_certificate_issue(wire_certificate, &certificate, root.sign_secret, r.descriptor.network_id);
    gv_hex(hex, wire_certificate, sizeof wire_certificate);
    snprintf(command, sizeof command,
             "sqlite3 %s/registry.db \"UPDATE instance SET certificate = x'%s'\"", data, hex);
    assert_int_equal(system(command), 0);
    r.descriptor.version++;
    r.descriptor.keys[0].until_min = gv_now_min() + 30 * 1440;
    snprintf(path, sizeof path, "%s/root.key", data);
    assert_int_equal(gv_keyfile_read(secret, path, NULL), GV_OK);
    gv_identity_from_secret(&root, secret);
    assert_int_equal(gv_write_descriptor(&r.descriptor, data, root.sign_secret, NULL), GV_OK);
    expect(EX_OK, "list --data data", "ended");
    assert_null(strstr(output, "valid"));
    assert_non_null(strstr(output, "none follows: run grapevine-registry keys --rotate"));
}

/* Everything of one owner, and nothing of another. */
static void test_an_owner_is_forgotten(void **state)
{
    struct gv_identity nodes[3];
    struct gv_fetch_result result;

    serve();
    for (unsigned i = 0; i < 3; i++) {
        registry_identity(&nodes[i], 10 + i);
        join_by_mail(&nodes[i], i < 2 ? "leaves@example.org" : "stays@example.org");
    }
    expect(EX_OK, "backup --config data/registry.conf copy", "holds all of the registry's secrets");
    expect(EX_CANTCREAT, "backup --data data copy", "name a folder that is not there");
    expect(EX_OK, "forget --data data Leaves+tag@Example.org",
           "revoked 2 instances, erased leaves@example.org");
    expect(EX_OK, "list --data data", "stays@example.org");
    assert_null(strstr(output, "leaves@"));
    assert_non_null(strstr(output, "(erased)"));
    expect(EX_NOINPUT, "forget --data data leaves@example.org", "nothing is held of this address");
    expect(EX_OK, "export --data data leaves@example.org", "\"email_stored\": false");
    assert_non_null(strstr(output, "\"revoked\": true")); /* that must stay */
    registry_fetch(&r, &result, "/v1/revocations", NULL);
    json_t *list = json_loads((char *)result.body, 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
    gv_fetch_result_free(&result);
    expect(EX_OK, "forget --data data stays@example.org", "revoked 1 instance, ");
    expect(EX_OK, "list --data copy", "stays@example.org"); /* as it was then */
    assert_non_null(strstr(output, "leaves@example.org"));
    expect(EX_OK, "serve --check --config copy/registry.conf", "");
}

static void test_mail_servers_that_do_not_take_it(void **state)
{
    struct gv_identity node;

    registry_identity(&node, 1);
    serve();
    smtp.mood = SMTP_REFUSES;
    assert_int_equal(enroll(&node, "nobody@example.org"), 502);
    assert_string_equal(word, "mail-refused");
    smtp.mood = SMTP_IS_ILL;
    assert_int_equal(enroll(&node, "a@example.org"), 503);
    assert_string_equal(word, "mail");
    smtp.mood = SMTP_ACCEPTS;
    assert_int_equal(enroll(&node, "a@example.org"), 202);
    shutdown(smtp.listener, SHUT_RDWR);
    close(smtp.listener);
    smtp.listener = -1;
    assert_int_equal(enroll(&node, "a@example.org"), 503);
    assert_string_equal(word, "mail");
}

/* ---- impatience ----------------------------------------------------------------------------- */

static void send_signals(const int *numbers, size_t count)
{
    assert_true(server > 0);
    for (size_t i = 0; i < count; i++) {
        kill(server, numbers[i]);
        usleep(30000);
    }
}

static bool has_ended(int *status, unsigned ms)
{
    for (unsigned i = 0; i <= ms / 5; i++) {
        if (waitpid(server, status, WNOHANG) == server) {
            server = 0;
            return true;
        }
        usleep(5000);
    }
    return false;
}

static void must_have_said(const char *part)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof path, "%s/log", folder);
    file = fopen(path, "r");
    assert_non_null(file);
    output[fread(output, 1, sizeof output - 1, file)] = '\0';
    fclose(file);
    if (!strstr(output, part))
        fail_msg("it did not say '%s':\n%s", part, output);
}

static char *question;

static void *ask_for_a_code(void *context)
{
    struct gv_fetch_result result;
    char url[128];

    snprintf(url, sizeof url, "%s/v1/enroll", r.url);
    struct gv_fetch_request request = {.url = url, .body = question, .body_len = strlen(question)};
    (void)gv_fetch_blocking(&result, &request); /* the registry goes before it answers */
    gv_fetch_result_free(&result);
    free(question);
    return NULL;
}

/* A registry that was told to stop while a code is being mailed. */
static pthread_t stopping_while_a_code_is_mailed(void)
{
    static const int first[] = {SIGTERM, SIGHUP};
    struct gv_proof proof = {
        .kind = GV_PROOF_ENROLL, .email = "slow@example.org", .terms = "2026-11"};
    struct gv_identity node;
    pthread_t asking;

    registry_identity(&node, 1);
    json_t *json = registry_signed(&r, &node, &proof);
    question = json_dumps(json, 0);
    json_decref(json);
    assert_int_equal(pipe(smtp.go_on), 0);
    smtp.mood = SMTP_IS_SLOW;
    serve();
    assert_int_equal(pthread_create(&asking, NULL, ask_for_a_code, NULL), 0);
    for (int i = 0; i < 2000 && __atomic_load_n(&smtp.begun, __ATOMIC_SEQ_CST) == 0; i++)
        usleep(5000);
    assert_int_equal(__atomic_load_n(&smtp.begun, __ATOMIC_SEQ_CST), 1);
    send_signals(first, 2);
    return asking;
}

static void test_a_mail_under_way_is_finished_first(void **state)
{
    int status = -1;
    pthread_t asking = stopping_while_a_code_is_mailed();

    assert_false(has_ended(&status, 300));
    must_have_said("1 mail is still under way");
    assert_int_equal(write(smtp.go_on[1], "!", 1), 1);
    assert_true(has_ended(&status, 20000));
    if (status != 0)
        must_have_said("an end with status 0");
    assert_int_equal(smtp.mails, 1);
    pthread_join(asking, NULL);
    close(smtp.go_on[0]);
    close(smtp.go_on[1]);
}

static void test_a_second_signal_leaves_it(void **state)
{
    static const int more[] = {SIGTERM, SIGINT, SIGHUP, SIGTERM};
    int status = -1;
    pthread_t asking = stopping_while_a_code_is_mailed();

    send_signals(more, 4);
    assert_true(has_ended(&status, 10000));
    assert_int_equal(status, 0);
    must_have_said("stopped at once; 1 mail is left");
    pthread_join(asking, NULL);
    close(smtp.go_on[1]); /* which ends the mail server's conversation */
    /* It was not half a stop: the next start knows everything. */
    smtp.mood = SMTP_ACCEPTS;
    serve();
    stop();
}

static void test_a_restart_keeps_what_is_known(void **state)
{
    struct gv_identity node;
    char code[16] = "";
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM, .code = code};

    registry_identity(&node, 1);
    serve();
    assert_int_equal(enroll(&node, "a@example.org"), 202);
    memcpy(code, strstr(smtp.mail, "The code is:\r\n\r\n    ") + 20, GV_CODE_LEN + 1);
    kill(server, SIGKILL); /* not even time to say goodbye */
    waitpid(server, NULL, 0);
    serve();
    assert_int_equal(registry_post(&r, "/v1/confirm", registry_signed(&r, &node, &confirm), word,
                                   wire_certificate),
                     200);
}

static void test_mistakes_get_a_sentence_and_a_code(void **state)
{
    char path[160];
    FILE *file;

    expect(EX_CANTCREAT, "init --data data --name again", "there is a network in this folder");
    expect(EX_USAGE, "init --data other --name Upper", "write 1 to 63 of a-z, 0-9 and -");
    expect(EX_USAGE, "init --data other --name x --seed nowhere", "write HOST:PORT");
    expect(EX_USAGE, "init --data other --name x --url ftp://x", "write http://HOST");
    expect(EX_USAGE, "frobnicate", "no such command");
    expect(EX_USAGE, "serve", "--config FILE is needed");
    expect(EX_USAGE, "revoke --data data xyz", "an instance id is 32 hex digits");
    expect(EX_NOINPUT, "revoke --data data 00000000000000000000000000000000", "no such instance");
    expect(EX_USAGE, "descriptor --data data", "nothing to change");
    expect(EX_NOINPUT, "show-descriptor data/nothing", "No such file");
    expect(EX_DATAERR, "show-descriptor data/root.key", "not a valid network descriptor");
    expect(EX_CONFIG, "serve --config nothing.conf", "No such file");
    expect(EX_OK, "serve --check --config data/registry.conf", "");
    expect(EX_OK, "--help-config", "[limits]");
    expect(EX_OK, "--help", "show-descriptor");
    expect(EX_OK, "--version", "grapevine-registry 0");

    snprintf(path, sizeof path, "%s/bad.conf", folder);
    file = fopen(path, "w");
    fprintf(file, "[registry]\ndata = data\nlisten = 127.0.0.1\n[mial]\nurl = x\n");
    fclose(file);
    expect(EX_CONFIG, "serve --config bad.conf",
           "bad.conf:3: [registry] listen: '127.0.0.1' will not do, write HOST:PORT");
    assert_non_null(strstr(output, "bad.conf:4: [mial]: no such section, did you mean [mail]?"));

    static const char *const urls[] = {"bogus:x", "smtp:/x", "smtp://", "smtps://:25", "SMTP://x"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char line[160];
        file = fopen(path, "w");
        fprintf(file, "[registry]\ndata = data\n[mail]\n; a remark\nurl = %s\n", urls[i]);
        fclose(file);
        snprintf(line, sizeof line,
                 "bad.conf:5: [mail] url: '%s' will not do, write one of: smtp://HOST[:PORT], "
                 "smtps://HOST[:PORT], file:/FOLDER\n",
                 urls[i]);
        expect(EX_CONFIG, "serve --check --config bad.conf", line);
        expect(EX_CONFIG, "serve --config bad.conf", line);
    }
    file = fopen(path, "w");
    fprintf(file, "[registry]\ndata = data\ndatabase = mysql://x/y\n[mail]\nurl = file:/x\n");
    fclose(file);
    expect(EX_CONFIG, "serve --check --config bad.conf",
           "bad.conf:3: [registry] database: 'mysql://x/y' will not do, write one of: "
           "postgresql://[USER@][HOST]/NAME[?host=/FOLDER]\n");
    expect(EX_CONFIG, "list --config bad.conf", "bad.conf:3: [registry] database");
    file = fopen(path, "w");
    fprintf(file, "[registry]\ndata = data\ntls_certificate = x\n[mail]\nurl = file:/x\n");
    fclose(file);
    expect(EX_CONFIG, "serve --check --config bad.conf", "[registry] tls_key is missing");
    expect(EX_USAGE, "init --data other --name x --mail bogus:x", "write smtp://HOST, smtps://");

    snprintf(path, sizeof path, "%s/registry.key", data);
    chmod(path, 0640);
    expect(EX_NOPERM, "serve --config data/registry.conf", "run: chmod 600 ");
    chmod(path, 0600);
    expect(EX_DATAERR, "descriptor --data data --version-bump --root-key data/owner.key",
           "the root key is of another network");
    snprintf(path, sizeof path, "%s/email.key", data);
    unlink(path);
    expect(EX_NOINPUT, "serve --config data/registry.conf", "email.key: No such file");
}

static void read_file(const char *path)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    output[fread(output, 1, sizeof output - 1, file)] = '\0';
    fclose(file);
}

static void test_a_proxy_is_hinted_at(void **state)
{
    char path[160], answer[2048];

    assert_null(strstr(output, "trusted_proxy")); /* of init in setup: no https */
    expect(EX_OK, "init --data tls --name x --url https://r.example --mail file:/tmp/x",
           "set trusted_proxy to the proxy's address");
    snprintf(path, sizeof path, "%s/tls/registry.conf", folder);
    read_file(path);
    assert_non_null(strstr(output, "\n;trusted_proxy = 127.0.0.1\n"));
    assert_non_null(strstr(output, "\n;tls_certificate = "));
    assert_non_null(strstr(output, "\nfrom = grapevine@r.example\n"));
    expect(EX_OK, "init --data from --name x --listen 127.0.0.1:1",
           "smtp://localhost from an address that has yet to be set: [mail] url and from");
    expect(EX_OK, "serve --check --config tls/registry.conf", "");
    snprintf(path, sizeof path, "sed -i 's/^;trusted/trusted/' %s/tls/registry.conf", folder);
    assert_int_equal(system(path), 0);
    expect(EX_OK, "serve --check --config tls/registry.conf", "");

    serve();
    for (int i = 0; i < 3; i++) {
        tcp_talk(port,
                 "GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n"
                 "Connection: close\r\n\r\n",
                 answer, sizeof answer);
        assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    }
    stop();
    snprintf(path, sizeof path, "%s/log", folder);
    read_file(path);
    char *at = strstr(output, "a request from 127.0.0.1 carries X-Forwarded-For, which is ignored: "
                              "set [registry] trusted_proxy if this is your proxy");
    assert_non_null(at);
    assert_null(strstr(at + 1, "a request from")); /* once */
}

static void test_a_port_in_use(void **state)
{
    serve();
    expect(EX_UNAVAILABLE, "serve --config data/registry.conf",
           "is in use; stop the other program, or choose another port");
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(test_a_network_from_init_to_revocation),
        WITH(test_what_has_ended_is_told_by_list),
        WITH(test_an_owner_is_forgotten),
        WITH(test_mail_servers_that_do_not_take_it),
        WITH(test_a_mail_under_way_is_finished_first),
        WITH(test_a_second_signal_leaves_it),
        WITH(test_a_restart_keeps_what_is_known),
        WITH(test_mistakes_get_a_sentence_and_a_code),
        WITH(test_a_proxy_is_hinted_at),
        WITH(test_a_port_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
