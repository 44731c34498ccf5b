/* Evidence (SPEC 21): what a verdict was made of leaves one host, and anybody makes the verdict
 * again from it; whatever is changed in it is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "crypto/error.h"
#include "helper_puppet.h"
#include "node/base/evidence.h"

#define NOW     STAGE_MINUTE
#define PUPPETS 6

static struct network network;
static struct host host;
static struct puppet puppets[PUPPETS];

static int stage_up(void **state)
{
    network_open(&network, 1, false);
    assert_int_equal(host_open(&host, &network, 1, NULL), GV_OK);
    for (unsigned i = 0; i < PUPPETS; i++) {
        puppet_make(&puppets[i], &network, 2 + i);
        struct gv_buf record = certificate_record(&puppets[i]);
        assert_int_equal(host_news(&host, record.data, record.len), GV_OK);
        gv_buf_free(&record);
    }
    return 0;
}

static int stage_down(void **state)
{
    for (unsigned i = 0; i < PUPPETS; i++)
        puppet_free(&puppets[i]);
    host_close(&host);
    network_close(&network);
    return 0;
}

static void hear(struct gv_buf record)
{
    assert_int_equal(host_news(&host, record.data, record.len), GV_OK);
    gv_buf_free(&record);
}

static char *export_text(unsigned subject)
{
    struct gv_subject s = subject_of(subject);
    json_t *json;

    assert_int_equal(gv_evidence_write(&json, host.core, &s), GV_OK);
    char *text = json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    return text;
}

/* Judges a text; the sentence says why not. */
static struct gv_text why;
static struct gv_verdict verdict;

static int verify(const char *text)
{
    struct gv_descriptor *descriptor = malloc(sizeof *descriptor);
    struct gv_evidence_file file;

    memset(&why, 0, sizeof why);
    int rc = gv_evidence_open(&file, text, strlen(text), &why);
    if (rc == GV_OK) {
        rc = gv_evidence_verify(&verdict, descriptor, &file, &why);
        gv_evidence_close(&file);
    }
    assert_int_equal(rc == GV_OK, why.text[0] == '\0');
    free(descriptor);
    return rc;
}

static void agrees(unsigned subject, enum gv_verdict_state wanted)
{
    struct gv_subject s = subject_of(subject);
    struct gv_verdict here;
    char *text = export_text(subject);

    gv_core_verdict(host.core, &here, &s);
    assert_int_equal(here.state, wanted);
    assert_int_equal(verify(text), GV_OK);
    assert_true(gv_verdict_equal(&here, &verdict));
    free(text);
}

static void test_a_verdict_is_made_again(void **state)
{
    agrees(9, GV_VERDICT_UNKNOWN);
    hear(puppet_signal_on(&puppets[0], 9, NOW));
    agrees(9, GV_VERDICT_REPORTED);
    hear(puppet_signal_on(&puppets[1], 9, NOW));
    hear(puppet_signal_on(&puppets[2], 9, NOW - 60));
    agrees(9, GV_VERDICT_UNTRUSTED);
    hear(puppet_signal_on(&puppets[3], 8, NOW));
    agrees(9, GV_VERDICT_UNTRUSTED); /* what is said of others is not in it */
    host_run(&host, 3 * 3600 * 1000);
    agrees(9, GV_VERDICT_UNTRUSTED); /* as of a later minute */
}

static void test_retracted_revoked_and_at_fault(void **state)
{
    for (unsigned i = 0; i < 4; i++)
        hear(puppet_signal_on(&puppets[i], 9, NOW));
    agrees(9, GV_VERDICT_UNTRUSTED);
    hear(puppet_retraction_on(&puppets[0], 9, NOW));
    agrees(9, GV_VERDICT_UNTRUSTED);
    hear(revocation_record(&network, puppets[1].identity.id, NOW - 1));
    agrees(9, GV_VERDICT_UNTRUSTED);
    /* One who contradicted himself on another subject weighs nothing here. */
    struct gv_buf a = puppet_signal_on(&puppets[2], 5, NOW);
    puppets[2].sequence--;
    struct gv_buf b = puppet_signal_on(&puppets[2], 6, NOW), proof = fault_record(&a, &b);
    hear(proof);
    gv_buf_free(&a);
    gv_buf_free(&b);
    agrees(9, GV_VERDICT_REPORTED);
    assert_int_equal(verdict.owners, 1);
}

/* As much as its author may say of one subject in a day: six of them say more than fits a file, of
 * which nothing counts but what each said last. */
static void test_many_words_of_few(void **state)
{
    for (uint32_t hour = 0; hour < 24; hour++)
        for (unsigned i = 0; i < PUPPETS; i++)
            for (uint32_t n = 0; n < 32; n++)
                hear(puppet_signal_on(&puppets[i], 9, NOW - 60 * hour - n));
    assert_true(host_status(&host).statements > GV_EVIDENCE_RECORDS);
    hear(puppet_signal_on(&puppets[0], 9, NOW + 5)); /* dated ahead: it counts from then on */
    hear(revocation_record(&network, puppets[1].identity.id, NOW - 100));
    agrees(9, GV_VERDICT_UNTRUSTED);
    assert_int_equal(verdict.owners, PUPPETS);
    host_run(&host, 23 * 3600 * 1000);
    agrees(9, GV_VERDICT_UNTRUSTED);
    assert_int_equal(verdict.owners,
                     PUPPETS - 1); /* the last that counted of the revoked is over */
}

/* What is whispered to a keeper has a quota of its own: together more than anybody may say in an
 * hour. */
static void test_public_and_whispered_words(void **state)
{
    struct gv_buf message;

    assert_true(puppet_join(&puppets[0], &host));
    for (uint32_t n = 0; n < 32; n++) {
        struct gv_buf record = puppet_signal_on(&puppets[0], 9, NOW);
        gv_buf_init(&message);
        gv_message_whisper_start(&message, 1);
        gv_message_record(&message, record.data, record.len);
        puppet_say_buf(&puppets[0], &message);
        gv_buf_free(&record);
        hear(puppet_signal_on(&puppets[0], 9, NOW));
    }
    assert_int_equal(host_status(&host).kept, 32);
    assert_int_equal(host_status(&host).statements, 32);
    hear(puppet_signal_on(&puppets[1], 9, NOW));
    agrees(9, GV_VERDICT_UNTRUSTED);
}

/* Its only signal that counts is of its youngest member: the others take back, or speak ahead. */
static void hear_a_network_of_one_voice(uint32_t as)
{
    for (unsigned i = 0; i < 5; i++) {
        struct puppet one;
        puppet_make(&one, &network, 2000 + i);
        one.facts.group = (uint64_t)GV_GROUP_AS << 56 | as;
        if (i == 0)
            one.facts.since_min += 3 * (NOW - one.facts.since_min) / 5;
        puppet_certify(&one);
        hear(certificate_record(&one));
        hear(i == 0  ? puppet_signal_on(&one, 9, NOW)
             : i < 3 ? puppet_retraction_on(&one, 9, NOW)
                     : puppet_signal_on(&one, 9, NOW + 5));
        puppet_free(&one);
    }
}

/* More reporters than fit: the best of each network that count are in it, so state and weight are
 * the same, and it says how many words it is without. */
static void test_more_reporters_than_fit(void **state)
{
    struct gv_subject s = subject_of(9);
    struct gv_verdict here;

    hear_a_network_of_one_voice(61);
    for (unsigned i = 0; i < GV_EVIDENCE_WORDS + 7; i++) {
        struct puppet one;
        puppet_make(&one, &network, 100 + i);
        one.facts.group = (uint64_t)GV_GROUP_AS << 56 | (1 + i % 60);
        puppet_certify(&one);
        hear(certificate_record(&one));
        hear(puppet_signal_on(&one, 9, NOW));
        puppet_free(&one);
    }
    char *text = export_text(9);
    assert_non_null(strstr(text, "\"left_out\": 12,"));
    assert_int_equal(verify(text), GV_OK);
    gv_core_verdict(host.core, &here, &s);
    assert_int_equal(here.owners, GV_EVIDENCE_WORDS + 8);
    assert_int_equal(here.groups, 61);
    assert_int_equal(verdict.owners, GV_EVIDENCE_WORDS);
    assert_int_equal(verdict.groups, here.groups);
    assert_int_equal(verdict.state, GV_VERDICT_UNTRUSTED);
    assert_int_equal(verdict.weight, here.weight);
    free(text);
}

/* Every digit of every record counts: a signature is over it, or the verdict follows from it. */
static void test_whatever_is_changed_is_noticed(void **state)
{
    for (unsigned i = 0; i < 3; i++)
        hear(puppet_signal_on(&puppets[i], 9, NOW));
    char *text = export_text(9);
    size_t tried = 0, len = strlen(text);

    for (char *at = strstr(text, "\"records\""); at < text + len; at += 7) {
        if (!((*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'f')) || at[1] == ':')
            continue;
        char kept = *at;
        *at = kept == '0' ? '1' : '0';
        if (verify(text) == GV_OK)
            fail_msg("a change at %zu went unnoticed", (size_t)(at - text));
        *at = kept;
        tried++;
    }
    assert_true(tried > 100);
    assert_int_equal(verify(text), GV_OK);
    free(text);
}

static void replace(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from);

    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
}

static void test_a_false_claim_is_noticed(void **state)
{
    const char *claims[][2] = {
        {"\"weight\": 3000", "\"weight\": 3001"},
        {"\"owners\": 3", "\"owners\": 4"},
        {"\"groups\": 3", "\"groups\": 2"},
        {"\"standing\": 1000", "\"standing\": 1001"},
        {"\"published\": true", "\"published\": null"},
        {"\"until_min\": ", "\"until_min\":1"},
    };

    for (unsigned i = 0; i < 3; i++)
        hear(puppet_signal_on(&puppets[i], 9, NOW));
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        char *text = export_text(9);
        replace(text, claims[i][0], claims[i][1]);
        assert_int_not_equal(verify(text), GV_OK);
        free(text);
    }
    /* The network that the file names is the records' own. */
    char *foreign = export_text(9), *id = strstr(foreign, "\"network\": \"") + 12;
    *id = *id == '0' ? '1' : '0';
    assert_int_equal(verify(foreign), GV_ERR_NETWORK);
    memcpy(strstr(foreign, "\"network\""), "\"nothing\"", 9);
    assert_int_equal(verify(foreign), GV_ERR_MALFORMED);
    free(foreign);
    /* A record that is left out gives another verdict; a minute in which they were over, too. */
    char *text = export_text(9);
    json_t *json = json_loads(text, 0, NULL);
    json_t *records = json_object_get(json, "records");
    json_array_remove(records, json_array_size(records) - 1);
    char *fewer = json_dumps(json, 0);
    assert_int_equal(verify(fewer), GV_ERR_PROTOCOL);
    assert_non_null(strstr(why.text, "another verdict"));
    json_decref(json);
    json = json_loads(text, 0, NULL);
    json_object_set_new(json, "minute", json_integer(NOW + 1441));
    char *late = json_dumps(json, 0);
    assert_int_not_equal(verify(late), GV_OK);
    json_decref(json);
    free(fewer);
    free(late);
    free(text);
}

static void test_rubbish_is_refused(void **state)
{
    const char *rubbish[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"format\":\"grapevine evidence 2\"}",
        "{\"format\":\"grapevine evidence 1\",\"subject\":\"300.1.1.1\"}",
        "{\"format\":\"grapevine evidence 1\",\"subject\":\"1.2.3.4\",\"minute\":-1}",
        "{\"format\":\"grapevine evidence 1\",\"subject\":\"1.2.3.4\",\"minute\":1,"
        "\"verdict\":{\"state\":\"unknown\",\"published\":false,\"weight\":0,\"owners\":0,"
        "\"groups\":0,\"since_min\":0,\"until_min\":null,\"votes\":[]},\"records\":[]}",
        "{\"format\":\"grapevine evidence 1\",\"subject\":\"1.2.3.4\",\"minute\":1,"
        "\"verdict\":{\"state\":\"unknown\",\"published\":false,\"weight\":0,\"owners\":0,"
        "\"groups\":0,\"since_min\":0,\"until_min\":null,\"votes\":[]},\"records\":[\"07\"]}",
        "{\"format\":\"grapevine evidence 1\",\"subject\":\"1.2.3.4\",\"minute\":1,"
        "\"verdict\":{\"state\":\"unknown\",\"published\":false,\"weight\":0,\"owners\":0,"
        "\"groups\":0,\"since_min\":0,\"until_min\":null,\"votes\":[]},\"records\":[\"01ff\",5]}",
    };

    for (size_t i = 0; i < sizeof rubbish / sizeof *rubbish; i++)
        assert_int_not_equal(verify(rubbish[i]), GV_OK);
}

/* ---- the program: on another machine, so to speak, without a daemon
 * ------------------------------- */

static int run(const char *arguments, const char *path)
{
    char command[400];

    snprintf(command, sizeof command, GV_BIN_DIR "/grapevine verify %s %s >/dev/null 2>&1",
             arguments, path);
    return WEXITSTATUS(system(command));
}

static void test_the_program_says_yes_or_no(void **state)
{
    char path[] = "/tmp/gv-evidence-XXXXXX", network_option[100], id[2 * GV_KEY_LEN + 1];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    hear(puppet_signal_on(&puppets[0], 9, NOW));
    hear(puppet_signal_on(&puppets[1], 9, NOW));
    char *text = export_text(9);
    FILE *file = fdopen(fd, "w");
    fputs(text, file);
    fclose(file);
    if (getenv("GV_EVIDENCE_SEED")) { /* a seed for the fuzzer */
        file = fopen(getenv("GV_EVIDENCE_SEED"), "w");
        fputs(text, file);
        fclose(file);
    }
    gv_hex(id, network.descriptor.network_id, GV_KEY_LEN);
    snprintf(network_option, sizeof network_option, "--network %s", id);
    assert_int_equal(run("", path), 0);
    assert_int_equal(run("--json", path), 0);
    assert_int_equal(run(network_option, path), 0);
    network_option[12] = network_option[12] == '0' ? '1' : '0';
    assert_int_equal(run(network_option, path), 1);
    assert_int_equal(run("--network 12", path), 64);
    replace(text, "\"weight\": 2000", "\"weight\": 4000");
    file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    assert_int_equal(run("", path), 1);
    assert_int_equal(run("", "/nonexistent"), 66);
    remove(path);
    free(text);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        STORY(test_a_verdict_is_made_again),    STORY(test_retracted_revoked_and_at_fault),
        STORY(test_many_words_of_few),          STORY(test_public_and_whispered_words),
        STORY(test_more_reporters_than_fit),    STORY(test_whatever_is_changed_is_noticed),
        STORY(test_a_false_claim_is_noticed),   STORY(test_rubbish_is_refused),
        STORY(test_the_program_says_yes_or_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
