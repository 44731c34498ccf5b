#include "helper_registry.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/error.h"
#include "node/base/file.h"
#include "node/base/json.h"
#include "node/base/keyfile.h"
#include "node/registry/commands.h"

uint64_t registry_clock_ms;

uint64_t registry_clock(void)
{
    return registry_clock_ms;
}

void registry_identity(struct gv_identity *out, unsigned number)
{
    uint8_t secret[GV_SECRET_LEN] = {42};

    memcpy(secret + 1, &number, sizeof number);
    gv_identity_from_secret(out, secret);
}

static void make_key(struct registry *r, const char *name, struct gv_identity *identity)
{
    uint8_t secret[GV_SECRET_LEN];
    char *path = gv_data_path(r->folder, name);

    assert_int_equal(gv_keyfile_create(secret, path, NULL), GV_OK);
    gv_identity_from_secret(identity, secret);
    free(path);
}

void registry_make(struct registry *r)
{
    struct gv_identity unused;
    struct gv_descriptor *d = &r->descriptor;
    struct gv_text why;

    assert_true(sodium_init() >= 0);
    memset(r, 0, sizeof *r);
    registry_clock_ms = 1795000000000ULL;
    strcpy(r->folder, "/tmp/gv-registry-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->mail_folder, sizeof r->mail_folder, "%s/mail", r->folder);
    make_key(r, GV_FILE_ROOT_KEY, &r->root);
    make_key(r, GV_FILE_REGISTRY_KEY, &r->signer);
    make_key(r, GV_FILE_OWNER_KEY, &unused);
    make_key(r, GV_FILE_EMAIL_KEY, &unused);
    d->version = 1;
    d->activation_min = d->genesis_min = REGISTRY_NOW - 100;
    memcpy(d->root_key, r->root.sign_public, GV_KEY_LEN);
    strcpy(d->name, "test");
    d->key_count = 1;
    memcpy(d->keys[0].key, r->signer.sign_public, GV_KEY_LEN);
    d->keys[0].from_min = REGISTRY_NOW - 100;
    d->keys[0].until_min = REGISTRY_NOW + 2000000;
    strcpy(d->registry_url, "http://127.0.0.1:4728");
    gv_policy_default(&d->policy, true);
    strcpy(d->terms, "2026-11");
    assert_int_equal(gv_write_descriptor(d, r->folder, r->root.sign_secret, &why), GV_OK);
    assert_int_equal(gv_config_defaults(&gv_registry_table, &r->settings), GV_OK);
    r->settings.data = strdup(r->folder);
    r->settings.mail_url = malloc(128);
    snprintf(r->settings.mail_url, 128, "file:%s", r->mail_folder);
    r->settings.listen.items[0].port = 0;
    uv_loop_init(&r->loop);
}

void registry_start(struct registry *r)
{
    struct gv_text why = {""};

    if (gv_registrar_start(&r->registrar, &r->loop, &r->settings, registry_clock, &why) != GV_OK)
        fail_msg("%s", why.text);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%u", gv_registrar_port(r->registrar, 0));
}

void registry_stop(struct registry *r)
{
    gv_registrar_stop(&r->registrar);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_null(r->registrar);
}

void registry_remove(struct registry *r)
{
    char command[128];

    registry_stop(r);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    gv_config_free(&gv_registry_table, &r->settings);
    snprintf(command, sizeof command, "rm -rf '%s'", r->folder);
    assert_int_equal(system(command), 0);
}

static void on_late(uv_timer_t *timer)
{
    *(int *)timer->data = 1;
}

void registry_run(struct registry *r, const int *done)
{
    uv_timer_t late;
    int too_late = 0;

    uv_timer_init(&r->loop, &late);
    late.data = &too_late;
    uv_timer_start(&late, on_late, 10000, 0);
    while (!*done && !too_late)
        uv_run(&r->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&late, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    if (too_late)
        fail_msg("no answer within 10 s");
}

struct waiting {
    struct gv_fetch_result *out;
    int done;
};

static void on_fetched(void *context, struct gv_fetch_result *result)
{
    struct waiting *waiting = context;

    *waiting->out = *result;
    result->body = NULL;
    waiting->done = 1;
}

void registry_fetch(struct registry *r, struct gv_fetch_result *out, const char *path,
                    const char *body)
{
    char url[128];
    struct waiting waiting = {.out = out};

    snprintf(url, sizeof url, "%s%s", r->url, path);
    struct gv_fetch_request request = {
        .url = url, .body = body, .body_len = body ? strlen(body) : 0};
    assert_int_equal(gv_fetch_start(NULL, &r->loop, &request, on_fetched, &waiting), GV_OK);
    registry_run(r, &waiting.done);
    if (out->error != GV_OK)
        fail_msg("%s", out->text.text);
}

int registry_mails(struct registry *r, char *text, size_t cap, char code[16])
{
    char newest[300] = "", path[512];
    int count = 0;
    struct gv_buf mail;
    DIR *dir = opendir(r->mail_folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        if (strcmp(entry->d_name, newest) > 0)
            snprintf(newest, sizeof newest, "%s", entry->d_name);
    }
    if (dir)
        closedir(dir);
    text[0] = code[0] = '\0';
    if (!count)
        return 0;
    gv_buf_init(&mail);
    snprintf(path, sizeof path, "%s/%s", r->mail_folder, newest);
    assert_int_equal(gv_file_read(&mail, path, cap - 1, NULL), GV_OK);
    memcpy(text, mail.data, mail.len);
    text[mail.len] = '\0';
    gv_buf_free(&mail);
    char *at = strstr(text, "The code is:\r\n\r\n    ");
    if (at) {
        memcpy(code, at + 20, GV_CODE_LEN + 1);
        code[GV_CODE_LEN + 1] = '\0';
    }
    return count;
}

json_t *registry_signed(const struct registry *r, const struct gv_identity *identity,
                        struct gv_proof *proof)
{
    uint8_t signature[GV_SIGNATURE_LEN];

    if (!proof->minute)
        proof->minute = REGISTRY_NOW;
    randombytes_buf(proof->nonce, sizeof proof->nonce);
    memcpy(proof->key, identity->sign_public, GV_KEY_LEN);
    assert_int_equal(
        gv_proof_sign(signature, proof, identity->sign_secret, r->descriptor.network_id), GV_OK);
    json_t *json = json_pack("{s:o,s:I,s:o,s:o}", "key", gv_json_new_hex(proof->key, GV_KEY_LEN),
                             "minute", (json_int_t)proof->minute, "nonce",
                             gv_json_new_hex(proof->nonce, sizeof proof->nonce), "signature",
                             gv_json_new_hex(signature, sizeof signature));
    if (proof->kind == GV_PROOF_ENROLL) {
        json_object_set_new(json, "email", json_string(proof->email));
        json_object_set_new(json, "terms", json_string(proof->terms));
    } else if (proof->kind == GV_PROOF_CONFIRM) {
        json_object_set_new(json, "code", json_string(proof->code));
    } else {
        json_object_set_new(json, "certificate", gv_json_new_hex(proof->certificate, GV_ID_LEN));
    }
    return json;
}

unsigned registry_post(struct registry *r, const char *path, json_t *json, char word[32],
                       uint8_t certificate[GV_CERTIFICATE_LEN])
{
    char *body = json_dumps(json, 0);
    struct gv_fetch_result result;
    struct gv_certificate parsed;
    const char *text = "";
    json_t *answer = NULL;
    size_t len;

    registry_fetch(r, &result, path, body);
    assert_int_equal(gv_json_parse(&answer, result.body, result.len, 8192, NULL), GV_OK);
    gv_json_string(&text, answer, "error", 31, NULL);
    strcpy(word, text);
    if (json_object_get(answer, "certificate")) {
        assert_int_equal(
            gv_json_base64(certificate, GV_CERTIFICATE_LEN, &len, answer, "certificate", NULL),
            GV_OK);
        assert_int_equal(gv_certificate_parse(&parsed, certificate, len), GV_OK);
        assert_int_equal(gv_certificate_verify(NULL, certificate, r->signer.sign_public,
                                               r->descriptor.network_id),
                         GV_OK);
    }
    json_decref(answer);
    json_decref(json);
    free(body);
    gv_fetch_result_free(&result);
    return result.status;
}

void registry_join(struct registry *r, const struct gv_identity *identity, const char *email,
                   uint8_t certificate[GV_CERTIFICATE_LEN])
{
    char text[4096], code[16], word[32];
    struct gv_proof enroll = {.kind = GV_PROOF_ENROLL, .email = email, .terms = "2026-11"};
    struct gv_proof confirm = {.kind = GV_PROOF_CONFIRM, .code = code};

    assert_int_equal(
        registry_post(r, "/v1/enroll", registry_signed(r, identity, &enroll), word, certificate),
        202);
    assert_true(registry_mails(r, text, sizeof text, code) > 0);
    assert_int_equal(
        registry_post(r, "/v1/confirm", registry_signed(r, identity, &confirm), word, certificate),
        200);
}
