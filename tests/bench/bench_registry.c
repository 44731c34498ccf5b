/* Enrols as many nodes as it can at a running registry, as nodes do: asks for a code, receives the
 * mail (it is the mail server itself), hands the code in, checks the certificate. Prints one line:
 * enrolments, wall seconds, enrolments a second, and the p50 and p99 of one, in ms.
 *   bench_registry HTTP-PORT SMTP-PORT DESCRIPTOR COUNT WORKERS */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/error.h"
#include "node/base/text.h"
#include "node/registry/registrar.h"
#include "proto/registry.h"

#define COUNT_MAX   200000
#define WORKERS_MAX 256

static uint16_t http_port;
static struct gv_descriptor descriptor;
static unsigned count, next_number;
static char codes[COUNT_MAX][16];
static double took_ms[COUNT_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
    fprintf(stderr, "bench_registry: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the mail server ------------------------------------------------------------------------ */

static void note_code(const char *mail)
{
    const char *to = strstr(mail, "To: <n"), *code = strstr(mail, "The code is:\r\n\r\n    ");

    if (!to || !code)
        die("a mail without address or code");
    unsigned number = (unsigned)strtoul(to + 6, NULL, 10);
    if (number >= count)
        die("a mail for nobody");
    memcpy(codes[number], code + 20, GV_CODE_LEN + 1); /* read after the registry's answer */
}

static void *serve_mail(void *arg)
{
    FILE *in = fdopen((int)(intptr_t)arg, "r+");
    char line[2048], mail[8192];
    size_t len = 0;
    bool data = false;

    if (!in)
        die("fdopen");
    setvbuf(in, NULL, _IONBF, 0);
    int fd = fileno(in);
    FILE *lines = fdopen(dup(fd), "r");
#define SAY(text)                                                                                  \
    if (write(fd, text, sizeof text - 1) < 0)                                                      \
    break
    if (write(fd, "220 sink\r\n", 10) < 0)
        return NULL;
    while (fgets(line, sizeof line, lines)) {
        if (data && strcmp(line, ".\r\n") == 0) {
            mail[len] = '\0';
            note_code(mail);
            data = false;
            SAY("250 taken\r\n");
        } else if (data) {
            size_t more = strlen(line);
            if (len + more < sizeof mail)
                memcpy(mail + len, line, more);
            len += len + more < sizeof mail ? more : 0;
        } else if (strncmp(line, "DATA", 4) == 0) {
            data = true;
            len = 0;
            SAY("354 go on\r\n");
        } else if (strncmp(line, "QUIT", 4) == 0) {
            break;
        } else {
            SAY("250 OK\r\n");
        }
    }
    fclose(lines);
    fclose(in);
    return NULL;
}

static void *accept_mail(void *arg)
{
    int listener = (int)(intptr_t)arg;
    pthread_t thread;

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (pthread_create(&thread, NULL, serve_mail, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}

static void start_mail(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 256) != 0)
        die("the SMTP port is in use");
    pthread_create(&thread, NULL, accept_mail, (void *)(intptr_t)fd);
}

/* ---- a node --------------------------------------------------------------------------------- */

static int connect_http(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(http_port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
        die("the registry does not answer");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

/* One exchange on a connection that stays; returns the status. */
static int post(int fd, const char *path, const char *body, char *answer, size_t cap)
{
    char request[2048];
    size_t got = 0;
    int len = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       path, strlen(body), body);

    if (write(fd, request, (size_t)len) != len)
        die("write");
    for (;;) {
        ssize_t n = read(fd, answer + got, cap - 1 - got);
        if (n <= 0)
            die("the registry hung up");
        got += (size_t)n;
        answer[got] = '\0';
        const char *end = strstr(answer, "\r\n\r\n");
        const char *length = strcasestr(answer, "content-length:");
        if (end && length && got >= (size_t)(end - answer) + 4 + strtoul(length + 15, NULL, 10))
            return atoi(answer + 9);
    }
}

static void make_body(char out[1024], const struct gv_identity *identity, struct gv_proof *proof)
{
    uint8_t signature[GV_SIGNATURE_LEN];
    char key[65], nonce[17], hex[129];

    proof->minute = (uint32_t)(time(NULL) / 60);
    randombytes_buf(proof->nonce, sizeof proof->nonce);
    memcpy(proof->key, identity->sign_public, GV_KEY_LEN);
    if (gv_proof_sign(signature, proof, identity->sign_secret, descriptor.network_id) != GV_OK)
        die("sign");
    gv_hex(key, proof->key, GV_KEY_LEN);
    gv_hex(nonce, proof->nonce, GV_PROOF_NONCE);
    gv_hex(hex, signature, sizeof signature);
    int n =
        snprintf(out, 1024, "{\"key\":\"%s\",\"minute\":%u,\"nonce\":\"%s\",\"signature\":\"%s\",",
                 key, proof->minute, nonce, hex);
    if (proof->kind == GV_PROOF_ENROLL)
        snprintf(out + n, 1024 - (size_t)n, "\"email\":\"%s\",\"terms\":\"%s\"}", proof->email,
                 proof->terms);
    else
        snprintf(out + n, 1024 - (size_t)n, "\"code\":\"%s\"}", proof->code);
}

static void check_certificate(const char *answer, const struct gv_identity *identity)
{
    const char *at = strstr(answer, "\"certificate\":");
    uint8_t wire[GV_CERTIFICATE_LEN];
    struct gv_certificate certificate;
    char text[256] = "";
    size_t len = 0;

    at = at ? strchr(at + 14, '"') : NULL;
    if (at)
        snprintf(text, sizeof text, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
    if (gv_unbase64(wire, sizeof wire, &len, text) != GV_OK ||
        gv_certificate_parse(&certificate, wire, len) != GV_OK ||
        memcmp(certificate.key, identity->sign_public, GV_KEY_LEN) != 0)
        die("no certificate in the answer");
}

static void enrol(int fd, unsigned number)
{
    char email[64], body[1024], answer[4096];
    struct gv_identity identity;
    uint8_t secret[GV_SECRET_LEN];
    struct gv_proof enroll = {.kind = GV_PROOF_ENROLL, .email = email, .terms = descriptor.terms};
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM, .code = codes[number]};
    double start = now_s();

    randombytes_buf(secret, sizeof secret);
    gv_identity_from_secret(&identity, secret);
    snprintf(email, sizeof email, "n%u@d%u.example.org", number, number % 1000);
    make_body(body, &identity, &enroll);
    int status = post(fd, "/v1/enroll", body, answer, sizeof answer);
    while (status == 503 && strstr(answer, "\"busy\"")) { /* 64 mails are under way */
        usleep(20000);
        make_body(body, &identity, &enroll);
        status = post(fd, "/v1/enroll", body, answer, sizeof answer);
    }
    if (status != 202) {
        fprintf(stderr, "%s\n", answer);
        die("enroll was refused");
    }
    make_body(body, &identity, &confirm);
    status = post(fd, "/v1/confirm", body, answer, sizeof answer);
    if (status != 200) {
        fprintf(stderr, "%s\n", answer);
        die("confirm was refused");
    }
    check_certificate(answer, &identity);
    took_ms[number] = (now_s() - start) * 1000;
}

static void *work(void *unused)
{
    int fd = connect_http();

    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        unsigned number = next_number++;
        pthread_mutex_unlock(&lock);
        if (number >= count)
            break;
        enrol(fd, number);
    }
    close(fd);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

int main(int argc, char **argv)
{
    pthread_t threads[WORKERS_MAX];
    struct gv_buf wire;
    struct gv_text why = {""};

    if (argc != 6 || sodium_init() < 0)
        die("HTTP-PORT SMTP-PORT DESCRIPTOR COUNT WORKERS");
    unsigned workers = (unsigned)atoi(argv[5]);
    http_port = (uint16_t)atoi(argv[1]);
    count = (unsigned)atoi(argv[4]);
    if (count < 100 || count > COUNT_MAX || workers < 1 || workers > WORKERS_MAX)
        die("100 to 200000 enrolments, 1 to 256 workers");
    gv_buf_init(&wire);
    if (gv_descriptor_read(&descriptor, &wire, argv[3], &why) != GV_OK)
        die(why.text);
    start_mail((uint16_t)atoi(argv[2]));
    double start = now_s();
    for (unsigned i = 0; i < workers; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (unsigned i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
    double seconds = now_s() - start;
    qsort(took_ms, count, sizeof *took_ms, compare);
    printf("%u %.2f %.0f %.1f %.1f\n", count, seconds, count / seconds, took_ms[count / 2],
           took_ms[count / 100 * 99]);
    gv_buf_free(&wire);
    return 0;
}
