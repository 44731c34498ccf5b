/* How `grapevine setup` talks. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "node/cli/setup.h"

void gv_setup_say(struct gv_setup *setup, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(setup->out, format, arguments);
    va_end(arguments);
}

void gv_setup_heading(struct gv_setup *setup, const char *text)
{
    gv_setup_say(setup, setup->cli->colour ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

int gv_setup_missing(const char *option)
{
    fprintf(stderr, "grapevine setup: %s is missing, and --non-interactive asks nobody\n", option);
    return EX_USAGE;
}

static void on_interrupt(int number)
{
    (void)number; /* it ends the read */
}

static void leave(struct gv_setup *setup, int status)
{
    fprintf(stderr, "\n%s\n",
            setup->applied ? "What is done stays; run `grapevine setup` again to go on from here."
                           : "Nothing was changed.");
    exit(status);
}

/* SIGINT is let in only while it waits, so that none falls between two of these lines. */
static ssize_t read_byte(char *out, const sigset_t *waiting)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    if (ppoll(&input, 1, NULL, waiting) < 0)
        return -1;
    return read(STDIN_FILENO, out, 1);
}

/* One line without its newline. Interrupted or ended: does not return. */
static void read_answer(struct gv_setup *setup, char *out, size_t cap)
{
    struct sigaction catch = {.sa_handler = on_interrupt}, before;
    sigset_t interrupt, waiting;
    size_t len = 0;
    char c = 0;
    ssize_t n = 0;

    sigemptyset(&catch.sa_mask);
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &waiting);
    sigaction(SIGINT, &catch, &before);
    fflush(setup->out); /* nobody answers a question before it stands there */
    while ((n = read_byte(&c, &waiting)) == 1 && c != '\n')
        if (len < cap - 1)
            out[len++] = c;
    bool interrupted = n < 0 && errno == EINTR;
    sigaction(SIGINT, &before, NULL);
    sigprocmask(SIG_SETMASK, &waiting, NULL);
    if (interrupted)
        leave(setup, 130);
    if (n <= 0)
        leave(setup, EX_NOINPUT);
    while (len && strchr(" \t\r", out[len - 1]))
        len--;
    out[len] = '\0';
    memmove(out, out + strspn(out, " \t"), strlen(out + strspn(out, " \t")) + 1);
}

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

void gv_setup_ask(struct gv_setup *setup, char *out, size_t cap, const char *question,
                  const char *fallback)
{
    for (;;) {
        if (fallback && *fallback)
            gv_setup_say(setup, "%s [%s] ", question, fallback);
        else
            gv_setup_say(setup, "%s ", question);
        read_answer(setup, out, cap);
        if (!*out && fallback)
            snprintf(out, cap, "%s", fallback);
        if (is_plain(out) && (*out || fallback))
            return;
        gv_setup_say(setup, "Please answer in one line of plain text, or press Ctrl-C to leave.\n");
    }
}

bool gv_setup_ask_yes(struct gv_setup *setup, const char *question, bool fallback)
{
    char answer[64];

    for (;;) {
        gv_setup_say(setup, "%s [%s] ", question, fallback ? "Y/n" : "y/N");
        read_answer(setup, answer, sizeof answer);
        if (!*answer)
            return fallback;
        if (*answer == 'y' || *answer == 'Y')
            return true;
        if (*answer == 'n' || *answer == 'N')
            return false;
        gv_setup_say(setup, "Please answer y or n.\n");
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool gv_setup_wait(struct gv_setup *setup, bool (*is_there)(struct gv_setup *setup))
{
    int64_t end = now_ms() + (int64_t)setup->answers.wait_s * 1000;

    for (;;) {
        if (is_there(setup))
            return true;
        if (now_ms() >= end)
            return false;
        usleep(200000);
    }
}
