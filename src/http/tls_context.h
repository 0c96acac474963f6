// The TLS context of new connections, made from PEM files and made again when these change.
#pragma once

#include <functional>
#include <memory>

#include "kezek/result.h"
#include "kezek/time.h"
#include "kezek/tls.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace kezek::http {

// What ServerOptions::tls takes: TLS 1.2 or later, with the files' certificate, and clients' asked
// for if the files say so. Looks at the files at most every `reread_ms`; while new ones are not
// good the old context goes on. INVALID_ARGUMENT: the files are not good now. One thread at a time.
Result<std::function<std::shared_ptr<ssl_ctx_st>()>> TlsFrom(const TlsFiles& files,
                                                             DurationMs reread_ms = 10 * kSecondMs);

}  // namespace kezek::http
