/* Keeps house: who may include whom, what the libraries may call, what lies at the top, how long a
 * file may grow. Every rule is first seen to refuse something planted, then applied to the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#define LINES_MAX 700
#define LIST_MAX  48

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

/* Lists end with NULL. An entry that ends with '*' stands for everything that begins so. */
static bool listed(const char *const *list, const char *text)
{
    for (; *list; list++) {
        size_t len = strlen(*list);
        if (len > 0 && (*list)[len - 1] == '*' ? strncmp(*list, text, len - 1) == 0
                                               : strcmp(*list, text) == 0)
            return true;
    }
    return false;
}

/* The floors, and what each may include of ours: folders, without what lies below them. */
struct house_floor {
    const char *folder;
    const char *may_include[LIST_MAX];
};

#define GROUND "crypto", "proto"
#define PROTO  GROUND, "proto/wire", "proto/trust", "proto/mesh"
static const struct house_floor floors[] = {
    {"crypto", {"crypto"}},
    {"proto", {PROTO}},
    {"proto/wire", {GROUND, "proto/wire"}},
    {"proto/trust", {GROUND, "proto/wire", "proto/trust"}},
    {"proto/mesh", {PROTO}},
    {"node",
     {PROTO, "node", "node/base", "node/host", "node/ingest", "node/serve"}}, /* grapevined */
    {"node/base", {PROTO, "node/base"}},
    {"node/host", {PROTO, "node/base", "node/host"}},
    {"node/ingest", {PROTO, "node/base", "node/ingest"}},
    {"node/serve", {PROTO, "node/base", "node/host", "node/serve", "node/web"}},
    {"node/web", {"node/web"}},
    {"node/firewall", {PROTO, "node/base", "node/host", "node/firewall"}},
    {"node/registry", {PROTO, "node/base", "node/registry"}},
    {"node/cli", {PROTO, "node/base", "node/ingest", "node/cli"}},
    {"sim", {PROTO, "sim", "sim/table"}},
    {"sim/actors", {PROTO, "sim/actors"}},
    {"sim/rivals", {PROTO, "sim/actors", "sim/rivals"}},
    {"sim/table", {PROTO, "sim/actors", "sim/rivals", "sim/table"}},
};

/* Headers of the system and of libraries. The two lowest floors have a list of what they may use,
 * which is stronger than one of what they may not: no I/O, clock, thread, locale, printf, float. */
static const char *const crypto_headers[] = {"limits.h", "sodium.h", "stdbool.h", "stddef.h",
                                             "stdint.h", "stdlib.h", "string.h",  NULL};
static const char *const proto_headers[] = {"endian.h",   "limits.h", "msgpack.h", "msgpack/*",
                                            "stdbool.h",  "stddef.h", "stdint.h",  "stdlib.h",
                                            "stdalign.h", "string.h", NULL};
/* The simulator prints and reads options, but knows no socket, thread or wall clock (design). */
static const char *const sim_refused[] = {
    "arpa/*",       "curl/*",       "microhttpd.h", "netdb.h",     "netinet/*",
    "poll.h",       "pthread.h",    "sqlite3.h",    "sys/epoll.h", "sys/poll.h",
    "sys/random.h", "sys/select.h", "sys/socket.h", "sys/time.h",  "sys/timerfd.h",
    "sys/un.h",     "threads.h",    "time.h",       "uv.h",        NULL};
/* How long a run took is told at its end, and is no part of it. */
#define STOPWATCH_FILE "sim/main.c"
/* gv_assert's last words, and nothing else down there, go to standard error. */
#define ASSERT_FILE "crypto/error.c"

static void folder_of(char *out, size_t cap, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, cap, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static const struct house_floor *floor_of(const char *path)
{
    char folder[256];

    folder_of(folder, sizeof folder, path);
    for (size_t i = 0; i < sizeof floors / sizeof *floors; i++)
        if (strcmp(floors[i].folder, folder) == 0)
            return &floors[i];
    return NULL;
}

/* The core stands on wire, trust and mesh, although it lies in the same folder as their ground. */
static bool is_core(const char *included)
{
    return starts(included, "proto/core") || starts(included, "proto/registry");
}

static bool own_include_allowed(const char *path, const char *included)
{
    const struct house_floor *floor = floor_of(path);
    char folder[256];

    if (!floor || starts(included, "node/grapevined"))
        return false;
    if (starts(path, "proto/") && strcmp(floor->folder, "proto") != 0 && is_core(included))
        return false;
    folder_of(folder, sizeof folder, included);
    return listed(floor->may_include, folder);
}

static bool system_include_allowed(const char *path, const char *included)
{
    if (strcmp(path, ASSERT_FILE) == 0 && strcmp(included, "unistd.h") == 0)
        return true;
    if (strcmp(path, STOPWATCH_FILE) == 0 && strcmp(included, "time.h") == 0)
        return true;
    if (starts(path, "crypto/"))
        return listed(crypto_headers, included);
    if (starts(path, "proto/"))
        return listed(proto_headers, included);
    if (starts(path, "sim/"))
        return !listed(sim_refused, included);
    return true;
}

/* Counts the includes of one source text that `path` may not have, and says which unless quiet.
 * Quoted names are paths from the top of the tree, so that a floor is visible in each. */
static int check_includes(const char *path, const char *text, bool quiet)
{
    int violations = 0;

    for (const char *line = text; line; line = strchr(line, '\n')) {
        char open, name[256];

        line += *line == '\n';
        line += strspn(line, " \t");
        if (sscanf(line, "# include %c%255[^\">\n]", &open, name) != 2)
            continue;
        if (open == '"' ? own_include_allowed(path, name)
                        : open == '<' && system_include_allowed(path, name))
            continue;
        if (!quiet)
            print_error("%s includes %c%s: not from this floor (design: the house)\n", path, open,
                        name);
        violations++;
    }
    return violations;
}

/* Pure functions of the C library, and what compilers and sanitizers add. */
#define PURE                                                                                       \
    "memchr", "memcmp", "memcpy", "memmem", "memmove", "mempcpy", "memrchr", "memset", "stpcpy",   \
        "strcasecmp", "strchr", "strchrnul", "strcmp", "strcpy", "strcspn", "strlen",              \
        "strncasecmp", "strncmp", "strnlen", "strpbrk", "strrchr", "strspn", "strstr", "strtol",   \
        "strtoll", "strtoul", "strtoull", "bcmp", "bsearch", "qsort"
#define COMPILER                                                                                   \
    "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail", "__memcpy_chk", "__memmove_chk", "__memset_chk",  \
        "__mempcpy_chk", "__asan_*", "__ubsan_*", "__sanitizer_*", "__sancov_*", "__start___san*", \
        "__stop___san*", "__udivti3", "__umodti3", "__divti3", "__modti3", "__popcountdi2"
static const char *const crypto_symbols[] = {
    PURE, COMPILER, "gv_*", "crypto_*", "sodium_memzero", "sodium_memcmp", "sodium_is_zero", NULL};
static const char *const proto_symbols[] = {PURE,        COMPILER,  "gv_*", "malloc",
                                            "calloc",    "realloc", "free", "reallocarray",
                                            "msgpack_*", NULL};

/* libsodium's key generators take their own randomness; ours enters as a seed. */
static bool draws_randomness(const char *symbol)
{
    return starts(symbol, "randombytes") || ends(symbol, "_keygen") ||
           (ends(symbol, "_keypair") && !ends(symbol, "_seed_keypair"));
}

static bool symbol_allowed(const char *const *list, const char *object, const char *symbol)
{
    if (strcmp(object, "error.c.o") == 0 && list == crypto_symbols &&
        (strcmp(symbol, "write") == 0 || strcmp(symbol, "abort") == 0))
        return true;
    return listed(list, symbol) && !draws_randomness(symbol);
}

/* Reads what `nm -u` prints of an archive: "object.o:" and then "    U symbol" lines. */
static int check_symbols(const char *const *list, FILE *nm, size_t *seen, bool quiet)
{
    char line[512], symbol[256], object[256] = "";
    int violations = 0;

    while (fgets(line, sizeof line, nm)) {
        char kind;

        if (line[0] == ' ' && sscanf(line, " %c %255s", &kind, symbol) == 2) {
            ++*seen;
            if (symbol_allowed(list, object, symbol))
                continue;
            if (!quiet)
                print_error("%s calls %s: not on the list of its library\n", object, symbol);
            violations++;
        } else if (sscanf(line, "%255[^:\n]:", symbol) == 1) {
            memcpy(object, symbol, sizeof object);
        }
    }
    return violations;
}

static bool top_level_allowed(const char *name)
{
    static const char *const entries[] = {
        ".",         "..",      ".git",    ".ci",           ".clang-format", ".clang-tidy",
        "crypto",    "proto",   "node",    "sim",           "tests",         "CMakeLists.txt",
        "README.md", "SPEC.md", "LICENSE", ".editorconfig", ".gitignore",    "build",
        "build-*", /* made by building, never committed (.gitignore) */
        NULL};
    return listed(entries, name);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text; text++)
        lines += *text == '\n' || text[1] == '\0';
    return lines;
}

/* The caller frees. */
static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t len = 0;

    if (!f || getdelim(&text, &len, '\0', f) < 0) {
        free(text);
        text = calloc(1, 1);
    }
    if (f)
        fclose(f);
    assert_non_null(text);
    return text;
}

/* nftw has no argument for its visitor. */
static struct {
    int violations;
    size_t files;
} walk;

static int visit(const char *full, const struct stat *info, int kind, struct FTW *at)
{
    const char *path = full + strlen(GV_SOURCE_DIR) + 1;

    (void)info;
    (void)at;
    if (kind != FTW_F || strstr(path, "/node_modules/") ||
        !(ends(path, ".c") || ends(path, ".h") || ends(path, ".re")))
        return 0;
    char *text = read_text(full);
    size_t lines = count_lines(text);
    walk.files++;
    if (!starts(path, "tests/"))
        walk.violations += check_includes(path, text, false);
    if (lines >= LINES_MAX && !ends(path, ".re")) {
        print_error("%s has %zu lines, %d are too many: split it by reason to change\n", path,
                    lines, LINES_MAX);
        walk.violations++;
    }
    free(text);
    return 0;
}

static void the_tree_keeps_its_floors(void **state)
{
    static const char *const folders[] = {"crypto", "proto", "node", "sim", "tests", NULL};

    memset(&walk, 0, sizeof walk);
    for (size_t i = 0; folders[i]; i++) {
        char path[4096];

        snprintf(path, sizeof path, "%s/%s", GV_SOURCE_DIR, folders[i]);
        assert_int_equal(nftw(path, visit, 16, FTW_PHYS), 0);
    }
    assert_true(walk.files > 20); /* a walk that finds nothing would pass for ever */
    assert_int_equal(walk.violations, 0);
}

static void the_top_level_holds_the_house_and_no_more(void **state)
{
    DIR *dir = opendir(GV_SOURCE_DIR);
    struct dirent *entry;
    int violations = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (!top_level_allowed(entry->d_name)) {
            print_error("%s does not belong at the top (design: the house)\n", entry->d_name);
            violations++;
        }
    closedir(dir);
    assert_int_equal(violations, 0);
}

static void library_calls_only(const char *const *list, const char *library)
{
    char command[4200];
    size_t seen = 0;

    snprintf(command, sizeof command, "nm -u '%s/%s'", GV_BUILD_DIR, library);
    FILE *nm = popen(command, "r");
    assert_non_null(nm);
    int violations = check_symbols(list, nm, &seen, false);
    assert_int_equal(pclose(nm), 0);
    assert_true(seen > 10);
    assert_int_equal(violations, 0);
}

static void crypto_calls_libsodium_alone(void **state)
{
    library_calls_only(crypto_symbols, "libgv_crypto.a");
}

static void proto_calls_no_clock_disk_socket_or_dice(void **state)
{
    library_calls_only(proto_symbols, "libgv_proto.a");
}

/* The planted ones. */

static void upward_includes_are_seen(void **state)
{
    static const struct {
        const char *path, *text;
        int violations;
    } cases[] = {
        {"crypto/noise.c", "#include \"crypto/noise.h\"\n#include <sodium.h>\n", 0},
        {"crypto/noise.c", "#include \"proto/buf.h\"\n", 1},
        {"crypto/noise.c", "int x;\n\n\n  #  include <stdio.h>\n\n#include <time.h>", 2},
        {"crypto/noise.c", "#include <unistd.h>\n", 1},
        {"crypto/error.c", "#include <unistd.h>\n", 0},
        {"crypto/error.c", "#include <fcntl.h>\n", 1},
        {"proto/wire/codec.c", "#include \"proto/buf.h\"\n#include \"crypto/hash.h\"\n", 0},
        {"proto/wire/codec.c", "#include <msgpack.h>\n#include <msgpack/pack.h>\n", 0},
        {"proto/wire/codec.c", "#include \"proto/trust/signal.h\"\n", 1},
        {"proto/wire/codec.c", "#include \"codec.h\"\n", 1},
        {"proto/wire/codec.c", "#include \"../../node/base/log.h\"\n", 1},
        {"proto/trust/store.c", "#include \"proto/mesh/roster.h\"\n", 1},
        {"proto/trust/store.c", "#include \"proto/core.h\"\n", 1},
        {"proto/mesh/roster.c", "#include \"proto/trust/store.h\"\n", 0},
        {"proto/core.c", "#include \"proto/mesh/roster.h\"\n#include \"proto/core.h\"\n", 0},
        {"proto/core.c", "#include \"node/base/log.h\"\n#include \"sim/world.h\"\n", 2},
        {"proto/core.c", "#include <uv.h>\n#include <sqlite3.h>\n#include <curl/curl.h>\n", 3},
        {"proto/core.c", "#include <sys/socket.h>\n#include <microhttpd.h>\n", 2},
        {"proto/core.c", "#include <sodium.h>\n#include <math.h>\n#include <pthread.h>\n", 3},
        {"node/base/log.c", "#include \"node/host/driver.h\"\n", 1},
        {"node/host/driver.c", "#include \"node/base/log.h\"\n#include <uv.h>\n", 0},
        {"node/host/driver.c", "#include \"node/serve/api.h\"\n", 1},
        {"node/ingest/tail.c", "#include \"node/host/driver.h\"\n", 1},
        {"node/ingest/parse_postfix.re", "#include \"node/serve/api.h\"\n", 1},
        {"node/serve/api.c", "#include \"node/ingest/tail.h\"\n", 1},
        {"node/serve/api.c", "#include \"node/grapevined.h\"\n", 1},
        {"node/grapevined.c", "#include \"node/serve/api.h\"\n#include \"node/host/net.h\"\n", 0},
        {"node/grapevined.c", "#include \"sim/world.h\"\n#include \"node/cli/cli.h\"\n", 2},
        {"node/registry/main.c", "#include \"node/base/http.h\"\n", 0},
        {"node/registry/main.c", "#include \"node/host/net.h\"\n", 1},
        {"node/cli/main.c", "#include \"node/ingest/ingest.h\"\n", 0},
        {"node/cli/main.c", "#include \"node/serve/api.h\"\n", 1},
        {"sim/world.c", "#include \"proto/core.h\"\n#include <stdio.h>\n", 0},
        {"sim/world.c", "#include \"node/base/log.h\"\n", 1},
        {"sim/main.c", "#include <time.h>\n#include <pthread.h>\n", 1},
        {"sim/world.c", "#include <time.h>\n#include <pthread.h>\n#include <arpa/inet.h>\n", 3},
        {"node/new/file.c", "#include \"crypto/hash.h\"\n", 1}, /* a folder without a floor */
        {"proto/core.c", "/* include \"node/base/log.h\" */\nconst char *include;\n", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (check_includes(cases[i].path, cases[i].text, true) != cases[i].violations)
            fail_msg("%s with %s", cases[i].path, cases[i].text);
}

static int planted_symbols(const char *const *list, const char *printed)
{
    char copy[512];
    size_t seen = 0;

    snprintf(copy, sizeof copy, "%s", printed);
    FILE *nm = fmemopen(copy, strlen(copy), "r");
    assert_non_null(nm);
    int violations = check_symbols(list, nm, &seen, true);
    fclose(nm);
    assert_int_not_equal(seen, 0);
    return violations;
}

static void foreign_symbols_are_seen(void **state)
{
    static const struct {
        const char *const *list;
        const char *printed;
        int violations;
    } cases[] = {
        {proto_symbols, "\ncore.c.o:\n         U gv_hash\n         U memcpy\n", 0},
        {proto_symbols, "core.c.o:\n U msgpack_unpack_next\n U malloc\n U __asan_report_load1\n",
         0},
        {proto_symbols, "core.c.o:\n U time\n U clock_gettime\n U gettimeofday\n", 3},
        {proto_symbols, "core.c.o:\n U printf\n U snprintf\n U __snprintf_chk\n U stderr\n", 4},
        {proto_symbols, "core.c.o:\n U uv_run\n U sqlite3_step\n U curl_easy_init\n", 3},
        {proto_symbols, "core.c.o:\n U rand\n U random\n U getrandom\n U arc4random\n", 4},
        {proto_symbols, "core.c.o:\n U randombytes_buf\n U crypto_sign_detached\n", 2},
        {proto_symbols, "core.c.o:\n U open\n U write\n U socket\n U abort\n w getenv\n", 5},
        {proto_symbols, "error.c.o:\n U write\n U abort\n", 2},
        {crypto_symbols, "error.c.o:\n U write\n U abort\n U strlen\n", 0},
        {crypto_symbols, "error.c.o:\n U open\n\nnoise.c.o:\n U write\n", 2},
        {crypto_symbols, "wipe.c.o:\n U crypto_scalarmult\n U sodium_memzero\n", 0},
        {crypto_symbols, "identity.c.o:\n U crypto_sign_seed_keypair\n", 0},
        {crypto_symbols, "identity.c.o:\n U crypto_sign_keypair\n U crypto_auth_keygen\n", 2},
        {crypto_symbols, "drbg.c.o:\n U randombytes_buf\n U sodium_malloc\n U malloc\n", 3},
        {crypto_symbols, "drbg.c.o:\n U msgpack_pack\n U memcpyx\n", 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (planted_symbols(cases[i].list, cases[i].printed) != cases[i].violations)
            fail_msg("%s", cases[i].printed);
}

static void strangers_at_the_top_are_seen(void **state)
{
    static const char *const welcome[] = {"crypto", "SPEC.md", ".git", "build", "build-asan", NULL};
    static const char *const strangers[] = {"src",      "docs",    "scripts",
                                            "Makefile", "crypto2", "NOTES.md",
                                            "builds",   ".github", "CMakeLists.txt.orig",
                                            "",         NULL};

    for (size_t i = 0; welcome[i]; i++)
        assert_true(top_level_allowed(welcome[i]));
    for (size_t i = 0; strangers[i]; i++)
        assert_false(top_level_allowed(strangers[i]));
}

static void lines_are_counted(void **state)
{
    assert_int_equal(count_lines(""), 0);
    assert_int_equal(count_lines("one"), 1);
    assert_int_equal(count_lines("one\n"), 1);
    assert_int_equal(count_lines("one\n\nthree\n"), 3);
    assert_int_equal(count_lines("one\ntwo"), 2);
}

/* The line of SPEC.md about a suite names each of its tests. Returns how many there are. */
static size_t named_in(const char *spec, const char *path)
{
    char *text = read_text(path), *row, suite[96], word[96];
    const char *name = strrchr(path, '/') + 1;
    size_t count = 0;

    snprintf(suite, sizeof suite, "\n| `%.*s`", (int)strcspn(name, "."), name);
    const char *line = strstr(spec, suite);
    if (!line)
        fail_msg("SPEC.md 10.10 does not name %s", name);
    row = strndup(line + 1, strcspn(line + 1, "\n"));
    assert_non_null(row);
    for (const char *at = text; (at = strstr(at, "cmocka_unit_test(")); count++) {
        at = strchr(at, '(') + 1;
        snprintf(word, sizeof word, "`%.*s`", (int)strcspn(at, ")"), at);
        if (!strstr(row, word))
            fail_msg("SPEC.md 10.10 does not name %s of %s", word, name);
    }
    free(row);
    free(text);
    return count;
}

static void tests_of_forged_addresses_are_in_the_spec(void **state)
{
    char *spec = read_text(GV_SOURCE_DIR "/SPEC.md");
    glob_t suites;
    size_t tests = 0;

    (void)state;
    assert_int_equal(glob(GV_SOURCE_DIR "/tests/unit/test_forged_*.c", 0, NULL, &suites), 0);
    for (size_t i = 0; i < suites.gl_pathc; i++)
        tests += named_in(spec, suites.gl_pathv[i]);
    assert_true(suites.gl_pathc >= 5 && tests >= 50);
    globfree(&suites);
    free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upward_includes_are_seen),
        cmocka_unit_test(foreign_symbols_are_seen),
        cmocka_unit_test(strangers_at_the_top_are_seen),
        cmocka_unit_test(lines_are_counted),
        cmocka_unit_test(tests_of_forged_addresses_are_in_the_spec),
        cmocka_unit_test(the_tree_keeps_its_floors),
        cmocka_unit_test(the_top_level_holds_the_house_and_no_more),
        cmocka_unit_test(crypto_calls_libsodium_alone),
        cmocka_unit_test(proto_calls_no_clock_disk_socket_or_dice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
