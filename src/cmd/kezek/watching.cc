#include "cmd/kezek/watching.h"

#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/render.h"
#include "cmd/kezek/usage_error.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kSettleMs = 1'000;  // what happens together is shown together
constexpr std::int64_t kAwayMs = 1'000;

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// One look, with what it prints.
struct Look {
  Result<int> result = kDone;
  std::string out;
  std::string err;
};

Look LookOnce(Session& session, const Watched& watched, bool as_log) {
  Host& host = session.host;
  if (host.measure) host.measure(host);
  std::ostringstream out;
  std::ostringstream err;
  std::ostream* const real_out = std::exchange(host.out, &out);
  std::ostream* const real_err = std::exchange(host.err, &err);
  Look look;
  look.result = watched.look(as_log);
  host.out = real_out;
  host.err = real_err;
  look.out = out.str();
  look.err = err.str();
  return look;
}

bool WasAway(const Result<int>& result) {
  return !result && (result.error().code == Code::kUnavailable ||
                     result.error().code == Code::kDeadlineExceeded);
}

class Screen {
 public:
  explicit Screen(const Host& host) : host_(host) {}

  void Show(const Look& look) {
    if (look.result) {
      lines_ = LinesOf(look.out + look.err);
      Draw("As of " + ExactMoment(host_.now_ms()).substr(11) + ". Ctrl-C ends this.");
    } else {
      Draw(look.result.error().message + ". Trying again.");
    }
  }

 private:
  // Over what is there, so that nothing flickers.
  void Draw(const std::string& title) {
    std::string frame = std::exchange(drawn_, true) ? "\x1b[H" : "\x1b[H\x1b[2J";
    const std::size_t room =
        host_.rows > 3 ? static_cast<std::size_t>(host_.rows) - 2 : lines_.size();
    frame += Styled(host_, Style::kDim, title) + "\x1b[K\n";
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (i + 1 >= room && lines_.size() > room) {
        frame += "… and " + Count(static_cast<std::int64_t>(lines_.size() - i), "more line") +
                 "\x1b[K\n";
        break;
      }
      frame += lines_[i] + "\x1b[K\n";
    }
    *host_.out << frame << "\x1b[J" << std::flush;
  }

  const Host& host_;
  std::vector<std::string> lines_;
  bool drawn_ = false;
};

// Lines for a pipe: the heading once, then rows that the look before did not have.
class Log {
 public:
  Log(const Host& host, Format format) : host_(host), format_(format) {}

  void Show(const Look& look) {
    if (!look.result) {
      if (!std::exchange(away_, true)) PrintWarning(host_, look.result.error().message);
      return;
    }
    away_ = false;
    if (look.err != warned_) *host_.err << look.err;
    warned_ = look.err;
    if (format_ == Format::kTable || format_ == Format::kWide) {
      ShowRows(LinesOf(look.out));
    } else if (look.out != document_) {
      *host_.out << (format_ == Format::kYaml ? "---\n" : "") << look.out << std::flush;
      document_ = look.out;
    }
  }

 private:
  void ShowRows(const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    if (heading_ != lines.front()) *host_.out << "TIME\t" << lines.front() << '\n';
    heading_ = lines.front();
    const std::string now = ExactMoment(host_.now_ms());
    std::set<std::string> rows;
    for (std::size_t i = 1; i < lines.size(); ++i) {
      if (!rows_.contains(lines[i])) *host_.out << now << '\t' << lines[i] << '\n';
      rows.insert(lines[i]);
    }
    *host_.out << std::flush;
    rows_ = std::move(rows);
  }

  const Host& host_;
  const Format format_;
  std::string heading_;
  std::set<std::string> rows_;
  std::string document_;
  std::string warned_;
  bool away_ = false;
};

template <class Shown>
Result<int> Watch(Session& session, const WatchFlags& flags, const Watched& watched, Shown& shown,
                  bool as_log) {
  for (bool reached = false;;) {
    const Look look = LookOnce(session, watched, as_log);
    if (!look.result && (!reached || !WasAway(look.result))) return look.result;
    reached = true;
    shown.Show(look);
    if (!session.host.go_on || !session.host.go_on()) return kDone;
    const std::int64_t limit_ms = std::int64_t{flags.interval_s} * 1000;
    if (!look.result) {
      session.host.sleep(kAwayMs);
    } else if (watched.await) {
      watched.await(limit_ms);
      session.host.sleep(kSettleMs);
    } else {
      session.host.sleep(limit_ms);
    }
  }
}

}  // namespace

void WatchFlags::AddTo(CLI::App& command, int default_interval_s) {
  interval_s = default_interval_s;
  command.add_flag("--watch", watch, "look again and again: in place, in a pipe line by line");
  command
      .add_option("--interval", interval_s,
                  "with --watch: seconds between two looks at most; " +
                      std::to_string(default_interval_s) + " if not given")
      ->type_name("N")
      ->check(Between(1, 86'400));
}

Result<int> LookOrWatch(Session& session, const WatchFlags& flags, const Watched& watched) {
  if (!flags.watch) return watched.look(false);
  const Format format = session.format();
  if (format == Format::kName) {
    return Error{Code::kInvalidArgument, "--watch: not with --format name\nTake table or json", {}};
  }
  const bool for_people = format == Format::kTable || format == Format::kWide;
  if (session.host.out_is_terminal && for_people) {
    Screen screen(session.host);
    return Watch(session, flags, watched, screen, false);
  }
  Log log(session.host, format);
  return Watch(session, flags, watched, log, for_people);
}

void AwaitEvent(Session& session, std::int64_t seq, const std::vector<std::string>& jobs,
                std::int64_t limit_ms) {
  Result<Client*> client = session.Connect();
  if (!client) return;
  v1::WatchRequest request;
  request.set_after_seq(seq);
  for (const std::string& job : jobs) request.add_jobs(job);
  v1::WatchResponse response;
  const Result<void> streamed = (*client)->Stream(
      request, response, [&response] { return response.events().empty(); }, limit_ms);
  if (!streamed) session.host.sleep(kAwayMs);
}

}  // namespace kezek::cli
