#include "cmd/kezek/logs.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

#include "cmd/kezek/jobs.h"
#include "cmd/kezek/log_file.h"
#include "cmd/kezek/progress.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

using Begin = std::optional<std::int64_t>;

constexpr std::int64_t kLookPauseMs = 250;
constexpr int kLooksPerQuestion = 4;  // at the file, per question to the server
constexpr std::int64_t kLogBlock = 64 * 1024;

// --- From the server. ---

Result<Begin> StreamForwards(Session& session, Client& client, v1::LogsRequest request) {
  Progress progress(session.host);
  if (request.follow()) progress.Show("waiting for what job " + request.job() + " writes");
  Begin begin;
  for (;;) {
    v1::LogsResponse response;
    Result<void> streamed = client.Stream(request, response, [&] {
      progress.Clear();
      if (!begin) begin = response.offset();
      *session.host.out << response.data() << std::flush;
      // Where to go on if the server goes away, and of which attempt.
      request.set_offset(response.offset() + static_cast<std::int64_t>(response.data().size()));
      request.set_attempt(response.attempt());
      return session.host.out->good();
    });
    if (streamed) return begin;
    if (!request.follow() || !IsAway(streamed.error())) return streamed.error();
    progress.Show(streamed.error().message + ", trying again");
    session.host.sleep(kReconnectPauseMs);
  }
}

// Reads towards the beginning, no further than the lines asked for.
Result<Begin> StreamBackwards(Session& session, Client& client, v1::LogsRequest request,
                              std::int64_t lines, std::int64_t before) {
  request.set_backwards(true);
  request.set_offset(before);
  std::string text;
  std::int64_t first = 0;
  std::int64_t breaks = 0;
  v1::LogsResponse response;
  const Result<void> streamed = client.Stream(request, response, [&] {
    text.insert(0, response.data());
    first = response.offset();
    breaks += std::count(response.data().begin(), response.data().end(), '\n');
    return breaks <= lines;
  });
  if (!streamed) return streamed.error();
  const std::size_t start = LastLines(text, lines);
  if (start == text.size()) return Begin();
  *session.host.out << text.substr(start) << std::flush;
  return Begin(first + static_cast<std::int64_t>(start));
}

Result<Begin> FromServer(Session& session, v1::LogsRequest request, const LogPiece& piece) {
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  if (piece.before && piece.tail) {
    return StreamBackwards(session, **client, std::move(request), *piece.tail, *piece.before);
  }
  if (piece.tail) request.set_tail_lines(static_cast<std::int32_t>(*piece.tail));
  if (piece.before) request.set_max_bytes(*piece.before);
  return StreamForwards(session, **client, std::move(request));
}

// --- Here. ---

// The attempt has ended, or will never come. Not known: it has not.
bool IsOver(Session& session, const std::string& name, std::int64_t attempt) {
  const Result<v1::GetJobsResponse> found = GetJobs(session, {name});
  if (!found || found->jobs().empty()) return false;
  const v1::Job& job = found->jobs(0);
  if (IsFinal(job.state())) return true;
  return std::any_of(job.attempts().begin(), job.attempts().end(), [&](const v1::Attempt& one) {
    return one.number() == attempt && one.state() == v1::ATTEMPT_STATE_ENDED;
  });
}

// Prints [offset, end) and moves the offset on.
Result<void> Copy(Session& session, const LogFile& file, std::int64_t end, std::int64_t* offset) {
  while (*offset < end && session.host.out->good()) {
    const auto block = file.Read(*offset, std::min(kLogBlock, end - *offset));
    if (!block) return block.error();
    if (block->empty()) break;
    *session.host.out << *block << std::flush;
    *offset += static_cast<std::int64_t>(block->size());
  }
  return {};
}

struct Elsewhere {
  std::string path;
  std::int64_t attempt = 0;
  Error error;  // what the server said
};

Elsewhere Parse(const Error& error) {
  Elsewhere elsewhere{.error = error};
  for (const FieldError& detail : error.details) {
    const auto path = detail.values.find("path");
    if (detail.reason != "LOG_ELSEWHERE" || path == detail.values.end()) continue;
    elsewhere.path = path->second;
    const auto attempt = detail.values.find("attempt");
    const bool given = attempt != detail.values.end() && attempt->second.size() < 10;
    if (given) elsewhere.attempt = std::atol(attempt->second.c_str());
  }
  return elsewhere;
}

Error NotHere(const Session& session, const Elsewhere& elsewhere, const Error& why) {
  Error error = elsewhere.error;
  error.message = "the script put its output into a file, which cannot be read here, on " +
                  (session.host.name.empty() ? "this host" : session.host.name) + ": " +
                  why.message;
  error.details.clear();
  return error;
}

// Once the attempt is over, what it wrote last may show a moment later on a shared file system.
Result<Begin> FollowFile(Session& session, const v1::LogsRequest& request,
                         const Elsewhere& elsewhere, const LogPiece& piece) {
  Progress progress(session.host);
  std::optional<LogFile> file;
  Begin begin;
  std::int64_t offset = 0;
  bool over = false;
  for (int look = 0;; ++look) {
    const bool last = over;
    const bool ask = !over && look % kLooksPerQuestion == 0;
    if (ask) over = IsOver(session, request.job(), elsewhere.attempt);
    if (!file) {
      Result<LogFile> opened = LogFile::Open(elsewhere.path);
      if (!opened && (opened.error().code != Code::kNotFound || last)) {
        return NotHere(session, elsewhere, opened.error());
      }
      if (opened) file.emplace(std::move(*opened));
      if (!file) progress.Show("waiting for " + elsewhere.path);
      if (file && piece.tail) {
        const auto start = file->TailOffset(file->size(), *piece.tail);
        if (!start) return start.error();
        offset = *start;
      }
    }
    if (file) {
      const std::int64_t size = file->size();
      if (size < offset) offset = 0;  // written anew
      if (size > offset && !begin) begin = offset;
      progress.Clear();
      const auto copied = Copy(session, *file, size, &offset);
      if (!copied) return copied.error();
    }
    if (last || !session.host.out->good()) return begin;
    session.host.sleep(over ? kReconnectPauseMs : kLookPauseMs);
  }
}

Result<Begin> FromHere(Session& session, const v1::LogsRequest& request, const Elsewhere& elsewhere,
                       const LogPiece& piece) {
  if (session.host.err_is_terminal) {
    *session.host.err << Styled(session.host, Style::kDim, "Reading " + elsewhere.path + " here")
                      << '\n';
  }
  if (request.follow()) return FollowFile(session, request, elsewhere, piece);
  const Result<LogFile> file = LogFile::Open(elsewhere.path);
  if (!file) return NotHere(session, elsewhere, file.error());
  const std::int64_t end = std::min(piece.before.value_or(file->size()), file->size());
  std::int64_t offset = 0;
  if (piece.tail) {
    const auto start = file->TailOffset(end, *piece.tail);
    if (!start) return start.error();
    offset = *start;
  }
  const Begin begin = offset < end ? Begin(offset) : Begin();
  const auto copied = Copy(session, *file, end, &offset);
  if (!copied) return copied.error();
  return begin;
}

}  // namespace

Result<Begin> PrintLogs(Session& session, v1::LogsRequest request, const LogPiece& piece) {
  if (piece.before && *piece.before == 0) return Begin();
  Result<Begin> printed = FromServer(session, request, piece);
  if (printed) return printed;
  const Elsewhere elsewhere = Parse(printed.error());
  if (elsewhere.path.empty()) return printed;
  return FromHere(session, request, elsewhere, piece);
}

}  // namespace kezek::cli
