/* A DNS list of N random addresses (the same for every run), served until it is ended: what
 * dnsbl.sh asks. Writes the addresses to LIST, one a line, and "port P, B bytes an entry" when it
 * is ready. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "crypto/drbg.h"
#include "crypto/error.h"
#include "node/serve/dnsbl.h"
#include "node/serve/listing.h"

static bool listed(void *context, enum gv_dns_zone zone, const struct gv_subject *subject)
{
    return gv_listing_get(context, subject) &
           (zone == GV_DNS_REFUSE ? GV_LISTED_REFUSED : GV_LISTED_UNTRUSTED);
}

static void reason(void *context, char out[GV_DNS_TEXT_MAX + 1], enum gv_dns_zone zone,
                   const struct gv_subject *subject)
{
    (void)context;
    (void)zone;
    (void)subject;
    memcpy(out, "listed", sizeof "listed");
}

static void soon(void *context, const struct gv_subject *subject)
{
    gv_listing_soon(context, subject);
}

static uint32_t serial(void *context)
{
    return (uint32_t)gv_listing_serial(context);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    gv_dnsbl_stop(handle->data);
    uv_close((uv_handle_t *)handle, NULL);
}

static bool fill(struct gv_listing *listing, size_t count, const char *path)
{
    uint8_t seed[GV_SEED_LEN] = {1};
    struct gv_drbg drbg;
    FILE *out = fopen(path, "w");

    if (!out)
        return false;
    gv_drbg_init(&drbg, seed);
    while (gv_listing_count(listing) < count) {
        uint8_t bytes[4];
        char text[GV_SUBJECT_TEXT];
        struct gv_subject subject;
        gv_drbg_fill(&drbg, bytes, sizeof bytes);
        if (bytes[0] == 127 || gv_subject_from_address(&subject, bytes, sizeof bytes) != GV_OK ||
            gv_listing_set(listing, &subject, GV_LISTED_REFUSED | GV_LISTED_UNTRUSTED) != GV_OK)
            continue;
        gv_subject_text(text, &subject);
        fprintf(out, "%s\n", text);
    }
    return fclose(out) == 0;
}

int main(int argc, char **argv)
{
    const uint8_t key[16] = {2};
    struct gv_address address = {.family = GV_FAMILY_IPV4, .bytes = {127, 0, 0, 1}};
    struct gv_listing *listing = gv_listing_new(key);
    struct gv_text error = {""};
    struct gv_dnsbl *dnsbl;
    uv_signal_t term;
    uv_loop_t loop;

    if (argc != 3 || !listing || !fill(listing, strtoul(argv[1], NULL, 10), argv[2])) {
        fprintf(stderr, "usage: bench_dnsbl ENTRIES LIST\n");
        return 64;
    }
    uv_loop_init(&loop);
    struct gv_dnsbl_options options = {
        .loop = &loop,
        .listen = &address,
        .listen_count = 1,
        .source = {.context = listing, .listed = listed, .reason = reason},
        .serial = serial,
        .soon = soon,
    };
    if (gv_dnsbl_start(&dnsbl, &options, &error) != GV_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 71;
    }
    uv_signal_init(&loop, &term);
    term.data = dnsbl;
    uv_signal_start(&term, on_signal, SIGTERM);
    printf("port %u, %.1f bytes an entry\n", gv_dnsbl_port(dnsbl),
           (double)gv_listing_bytes(listing) / (double)gv_listing_count(listing));
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    gv_listing_free(listing);
    return 0;
}
