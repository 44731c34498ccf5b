#include "proto/observation.h"

const char *gv_service_name(unsigned service)
{
    switch (service) {
    case GV_SERVICE_SMTP:
        return "smtp";
    case GV_SERVICE_SUBMISSION:
        return "submission";
    case GV_SERVICE_IMAP:
        return "imap";
    case GV_SERVICE_POP3:
        return "pop3";
    case GV_SERVICE_SIEVE:
        return "sieve";
    default:
        return "unknown";
    }
}

const char *gv_kind_name(unsigned kind)
{
    switch (kind) {
    case GV_KIND_UNKNOWN_ACCOUNT:
        return "unknown-account";
    case GV_KIND_WRONG_PASSWORD:
        return "wrong-password";
    case GV_KIND_BAD_MECHANISM:
        return "bad-mechanism";
    case GV_KIND_ABORTED:
        return "aborted";
    case GV_KIND_PROTOCOL:
        return "protocol";
    default:
        return "unspecified";
    }
}
