/* The one error enum of the project and its one string table. Zero is success, errors are
 * negative. It lives on the lowest floor because every floor above returns it. */
#ifndef GV_CRYPTO_ERROR_H
#define GV_CRYPTO_ERROR_H

#define GV_ERROR_MAP(X)                                                                            \
    X(GV_OK, 0, "success")                                                                         \
    X(GV_ERR_MEMORY, -1, "out of memory")                                                          \
    X(GV_ERR_MALFORMED, -2, "malformed")                                                           \
    X(GV_ERR_SIGNATURE, -3, "signature does not verify")                                           \
    X(GV_ERR_RANGE, -4, "value out of range")                                                      \
    X(GV_ERR_SPACE, -5, "does not fit")                                                            \
    X(GV_ERR_STATE, -6, "not allowed in this state")                                               \
    X(GV_ERR_EXPIRED, -7, "expired")                                                               \
    X(GV_ERR_EARLY, -8, "not valid yet")                                                           \
    X(GV_ERR_NETWORK, -9, "of another network")                                                    \
    X(GV_ERR_REVOKED, -10, "revoked")                                                              \
    X(GV_ERR_SIGNER, -11, "signed by a key that the descriptor does not name")                     \
    X(GV_ERR_NO_CERTIFICATE, -12, "its certificate is not known here")                             \
    X(GV_ERR_DUPLICATE, -13, "known already")                                                      \
    X(GV_ERR_RATE, -14, "over its rate limit")                                                     \
    X(GV_ERR_SUBJECT, -15, "subject may not be shared")                                            \
    X(GV_ERR_FULL, -16, "table is full")                                                           \
    X(GV_ERR_IO, -17, "input or output failed")                                                    \
    X(GV_ERR_NOT_FOUND, -18, "not found")                                                          \
    X(GV_ERR_DECRYPT, -19, "does not decrypt")                                                     \
    X(GV_ERR_PROTOCOL, -20, "breaks the protocol")                                                 \
    X(GV_ERR_FAULT, -21, "its author contradicted itself")                                         \
    X(GV_ERR_SUPERSEDED, -22, "a newer one is held")                                               \
    X(GV_ERR_FORBIDDEN, -23, "not allowed")                                                        \
    X(GV_ERR_BUSY, -24, "busy, try again later")                                                   \
    X(GV_ERR_VERSION, -25, "of an unknown version")                                                \
    X(GV_ERR_CONFIG, -26, "configuration is not valid")

enum gv_error {
#define GV_ERROR_ENUM(name, value, text) name = value,
    GV_ERROR_MAP(GV_ERROR_ENUM)
#undef GV_ERROR_ENUM
};

/* Returns a static, lower-case phrase; "unknown error" for a value outside the enum. */
const char *gv_strerror(int error);

/* Asserts preconditions and invariants of our own, in release builds too. Nothing that comes from
 * a peer, a log, a database, a file or a socket may ever reach one. */
#define gv_assert(condition)                                                                       \
    ((condition) ? (void)0 : gv_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void gv_assert_failed(const char *condition, const char *file, int line);

#endif
