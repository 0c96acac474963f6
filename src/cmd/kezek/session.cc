#include "cmd/kezek/session.h"

#include <algorithm>
#include <iterator>
#include <ostream>
#include <string_view>
#include <utility>

#include "cmd/kezek/render.h"
#include "cmd/kezek/sign_in.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {

ExitCode ExitCodeOf(Code code) {
  switch (code) {
    case Code::kOk:
      return kDone;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      return kUsage;
    case Code::kFailedPrecondition:
    case Code::kResourceExhausted:
    case Code::kAborted:
    case Code::kAlreadyExists:
      return kRefused;
    case Code::kNotFound:
      return kNotFound;
    case Code::kPermissionDenied:
    case Code::kUnauthenticated:
      return kNotAllowed;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return kUnreachable;
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kUnimplemented:
    case Code::kInternal:
    case Code::kDataLoss:
      return kFailed;
  }
  return kFailed;
}

Result<Client*> Session::Connect() {
  if (client_ == nullptr) {
    Result<Context> context = ResolveContext(host, flags);
    if (!context) return context.error();
    context_ = std::move(*context);
    const bool unknown = context_.token.empty();
    if (unknown) {
      Result<std::string> token = TokenOfThisUser(context_, host);
      if (!token) return token.error();
      context_.token = std::move(*token);
    }
    client_ = std::make_unique<Client>(context_, host);
    // What was kept may have been revoked since, with all tokens of a user who left and is back.
    if (unknown && !context_.token.empty()) {
      client_->SignInWith([this] { return SignInByMunge(context_, host); });
    }
  }
  return client_.get();
}

namespace {

// The lines after the first under the text of the first.
void PrintIndented(const Host& host, const std::string& label, Style style,
                   const std::string& text) {
  const std::string margin(label.size(), ' ');
  *host.err << (host.colour && host.err_is_terminal ? Styled(host, style, label) : label);
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    *host.err << (start == 0 ? "" : margin) << text.substr(start, end - start) << '\n';
    start = end + 1;
  }
}

}  // namespace

void PrintError(const Host& host, const Error& error) {
  std::string text = error.message.empty() ? "failed" : error.message;
  if (error.details.size() == 1) {
    // The command's one kind of argument need not be named.
    const FieldError& only = error.details.front();
    constexpr std::string_view kPlain[] = {"job", "jobs", "account", "node", "nodes", "name"};
    const bool plain =
        std::find(std::begin(kPlain), std::end(kPlain), only.field) != std::end(kPlain);
    if (plain && text == only.field + ": " + only.message) text = only.message;
  }
  for (const FieldError& detail : error.details) {
    if (detail.message.empty() || text.find(detail.message) != std::string::npos) continue;
    text += "\n" + (detail.field.empty() ? "" : detail.field + ": ") + detail.message;
  }
  if (const std::string way_out = WayOut(error); !way_out.empty()) text += "\n" + way_out;
  PrintIndented(host, "error: ", Style::kBad, text);
}

void PrintWarning(const Host& host, const std::string& text) {
  PrintIndented(host, "warning: ", Style::kBusy, text);
}

}  // namespace kezek::cli
