#include "node/base/http_tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/wipe.h"
#include "node/base/file.h"
#include "node/base/log.h"

#define CHAIN_MAX 8     /* certificates in the file */
#define FILE_MAX  65536 /* bytes */
#define LOOK_S    10    /* between two looks at the files */
#define KEPT_S    60    /* a handshake that began with a pair ends by then */

struct pair {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
    time_t replaced; /* monotonic */
    struct pair *older;
};

static struct {
    char *certificate_path, *key_path; /* owned */
    struct stat certificate_stat, key_stat;
    struct pair *in_use; /* and behind it those that handshakes may still use */
    time_t looked;
} tls;

static time_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void pair_free(struct pair *pair)
{
    if (!pair)
        return;
    for (unsigned i = 0; i < pair->count; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    gnutls_privkey_deinit(pair->key);
    free(pair);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int read_chain(struct pair *pair, const char *path, struct gv_text *error)
{
    struct gv_buf text;

    gv_buf_init(&text);
    int rc = gv_file_read(&text, path, FILE_MAX, error);
    if (rc == GV_OK) {
        gnutls_datum_t pem = {text.data, (unsigned)text.len};
        unsigned count = CHAIN_MAX;
        int code = text.len == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND
                                 : gnutls_pcert_list_import_x509_raw(pair->chain, &count, &pem,
                                                                     GNUTLS_X509_FMT_PEM, 0);
        if (code == 0)
            pair->count = count;
        else
            rc = gv_fail(error, GV_ERR_MALFORMED,
                         "%s: not a chain of 1 to %d certificates in PEM: %s", path, CHAIN_MAX,
                         gnutls_strerror(code));
    }
    gv_buf_free(&text);
    return rc;
}

static int read_key(struct pair *pair, const char *path, struct gv_text *error)
{
    struct gv_buf text;
    struct stat held;

    gv_buf_init(&text);
    int rc = gv_file_read(&text, path, FILE_MAX, error);
    if (rc == GV_OK && (stat(path, &held) != 0 || (held.st_mode & S_IRWXO)))
        rc = gv_fail(error, GV_ERR_FORBIDDEN, "%s: everybody may use this key; run: chmod o= %s",
                     path, path);
    if (rc == GV_OK && gnutls_privkey_init(&pair->key) != 0)
        rc = gv_fail(error, GV_ERR_MEMORY, "out of memory");
    if (rc == GV_OK) {
        gnutls_datum_t pem = {text.data, (unsigned)text.len};
        int code = gnutls_privkey_import_x509_raw(pair->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (code != 0)
            rc = gv_fail(error, GV_ERR_MALFORMED, "%s: not a private key in PEM: %s", path,
                         gnutls_strerror(code));
    }
    if (text.data)
        gv_wipe(text.data, text.cap);
    gv_buf_free(&text);
    return rc;
}

/* The key signs and the certificate verifies: half a renewal is not taken for one. */
static int check_pair(const struct pair *pair, const char *certificate, const char *key,
                      struct gv_text *error)
{
    static const gnutls_datum_t words = {(unsigned char *)(uintptr_t) "grapevine", 9};
    gnutls_datum_t signature = {NULL, 0};
    int algorithm = gnutls_pubkey_get_pk_algorithm(pair->chain[0].pubkey, NULL);
    gnutls_sign_algorithm_t sign = gnutls_pk_to_sign(
        (gnutls_pk_algorithm_t)algorithm,
        algorithm == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_DIG_SHA512 : GNUTLS_DIG_SHA256);
    bool good = gnutls_privkey_get_pk_algorithm(pair->key, NULL) == algorithm &&
                gnutls_privkey_sign_data2(pair->key, sign, 0, &words, &signature) >= 0 &&
                gnutls_pubkey_verify_data2(pair->chain[0].pubkey, sign, 0, &words, &signature) >= 0;

    gnutls_free(signature.data);
    return good ? GV_OK
                : gv_fail(error, GV_ERR_MALFORMED, "%s: its key is not the one in %s", certificate,
                          key);
}

static int read_pair(struct pair **out, const char *certificate, const char *key,
                     struct gv_text *error)
{
    struct pair *pair = calloc(1, sizeof *pair);

    *out = NULL;
    if (!pair)
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    int rc = read_chain(pair, certificate, error);
    if (rc == GV_OK)
        rc = read_key(pair, key, error);
    if (rc == GV_OK)
        rc = check_pair(pair, certificate, key, error);
    if (rc == GV_OK)
        *out = pair;
    else
        pair_free(pair);
    return rc;
}

/* ---- in use --------------------------------------------------------------------------------- */

static void drop_old(struct pair **from, time_t now)
{
    while (*from && now - (*from)->replaced <= KEPT_S)
        from = &(*from)->older;
    while (*from) {
        struct pair *gone = *from;
        *from = gone->older;
        pair_free(gone);
    }
}

static void use(struct pair *pair)
{
    if (tls.in_use)
        tls.in_use->replaced = monotonic();
    pair->older = tls.in_use;
    tls.in_use = pair;
    drop_old(&pair->older, monotonic());
}

static void note_files(void)
{
    if (stat(tls.certificate_path, &tls.certificate_stat) != 0)
        memset(&tls.certificate_stat, 0, sizeof tls.certificate_stat);
    if (stat(tls.key_path, &tls.key_stat) != 0)
        memset(&tls.key_stat, 0, sizeof tls.key_stat);
    tls.looked = monotonic();
}

int gv_tls_load(const char *certificate_path, const char *key_path, struct gv_text *error)
{
    struct pair *pair;
    int rc = read_pair(&pair, certificate_path, key_path, error);

    if (rc != GV_OK)
        return rc;
    char *certificate = strdup(certificate_path), *key = strdup(key_path);
    if (!certificate || !key) {
        free(certificate);
        free(key);
        pair_free(pair);
        return gv_fail(error, GV_ERR_MEMORY, "out of memory");
    }
    free(tls.certificate_path);
    free(tls.key_path);
    tls.certificate_path = certificate;
    tls.key_path = key;
    note_files();
    use(pair);
    return GV_OK;
}

static bool changed(const char *path, const struct stat *then)
{
    struct stat now;

    return stat(path, &now) == 0 &&
           (now.st_ino != then->st_ino || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != then->st_mtim.tv_nsec || now.st_size != then->st_size);
}

void gv_tls_refresh(void)
{
    struct pair *pair;
    struct gv_text why = {""};

    if (!tls.in_use || (!changed(tls.certificate_path, &tls.certificate_stat) &&
                        !changed(tls.key_path, &tls.key_stat)))
        return;
    note_files();
    if (read_pair(&pair, tls.certificate_path, tls.key_path, &why) == GV_OK) {
        use(pair);
        gv_log(GV_LOG_NOTICE, "%s: this certificate is in use now", tls.certificate_path);
    } else {
        gv_log(GV_LOG_ERROR, "%s; the one before stays in use", why.text);
    }
}

void gv_tls_unload(void)
{
    while (tls.in_use) {
        struct pair *gone = tls.in_use;
        tls.in_use = gone->older;
        pair_free(gone);
    }
    free(tls.certificate_path);
    free(tls.key_path);
    memset(&tls, 0, sizeof tls);
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **chain, unsigned *count, gnutls_privkey_t *key)
{
    (void)session, (void)names, (void)name_count, (void)algorithms, (void)algorithm_count;
    if (monotonic() - tls.looked >= LOOK_S) {
        tls.looked = monotonic();
        gv_tls_refresh();
    }
    if (!tls.in_use)
        return -1;
    *chain = tls.in_use->chain;
    *count = tls.in_use->count;
    *key = tls.in_use->key;
    return 0;
}

void *gv_tls_callback(void)
{
    gnutls_certificate_retrieve_function2 *callback = retrieve;
    void *pointer;

    memcpy(&pointer, &callback,
           sizeof pointer); /* ISO C has no cast for it, and POSIX says it fits */
    return pointer;
}
