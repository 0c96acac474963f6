#include "slurm/slurm_cluster.h"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "slurm/codec.h"
#include "slurm/codec_choice.h"
#include "slurm/credential.h"
#include "slurm/http.h"
#include "slurm/surveyor.h"

namespace kezek::slurm {
namespace {

HttpOptions Http(const Options& options) {
  return {options.url, options.connections, options.meter};
}

// Between two of these a slurmctld cannot have lost its state and given the id to another job.
constexpr DurationMs kSurelyItsOwnMs = 2 * kSecondMs;

// For the log: the attempt, and Slurm's number of it.
std::string About(const AttemptRef& attempt, std::int64_t id) {
  return ClusterName(attempt) + " job=" + std::to_string(id);
}

// After a lost answer: not before slurmrestd has given up on it, and slurmctld on slurmrestd.
TimeMs LookAfter(const Options& options, TimeMs sent) {
  return sent + options.request_timeout_ms + options.message_timeout_ms;
}

ClusterEvent SubmitEvent(const AttemptRef& attempt, const HttpOutcome& outcome, TimeMs look_after) {
  if (outcome.kind == HttpOutcome::Kind::kNotSent) {
    return LaunchRefused{attempt, false, outcome.text};
  }
  if (outcome.kind == HttpOutcome::Kind::kLost) return LaunchUnknown{attempt, look_after};
  const SubmitOutcome parsed = ParseSubmit(outcome.status, outcome.body);
  if (const auto* accepted = std::get_if<SubmitAccepted>(&parsed)) {
    return LaunchAccepted{attempt, accepted->job_id, ""};
  }
  if (const auto* spoilt = std::get_if<SubmitSpoilt>(&parsed)) {
    return LaunchAccepted{attempt, spoilt->job_id, spoilt->text};
  }
  if (const auto* refused = std::get_if<SubmitRefused>(&parsed)) {
    return LaunchRefused{attempt, refused->for_good, refused->text};
  }
  return LaunchUnknown{attempt, look_after};
}

// To whom an id was given, when, and the first of its nodes.
struct Given {
  AttemptRef attempt;
  TimeMs since = 0;
  std::string node;
};

constexpr const char* kNotYet = "slurmrestd has not answered yet";

}  // namespace

// The pool is last: its thread uses the surveyor, and ends first.
struct SlurmCluster::Parts {
  Parts(Options all, Clock& its_clock, const ClusterSink& its_sink)
      : options(std::move(all)),
        clock(its_clock),
        sink(its_sink),
        credential({options.token_file, options.jwt_key_file, options.user}, clock),
        surveyor({.user = options.user,
                  .tag_prefix = options.tag_prefix,
                  .request_timeout_ms = options.request_timeout_ms,
                  .accounting_patience_ms = options.accounting_patience_ms,
                  .has_begun = options.has_begun},
                 Http(options), credential, codecs, clock, its_sink),
        pool(Http(options), credential) {}

  // One of a kind at a time: what is repeated before the first is answered would only pile up.
  // A slurmctld that has lost its state, or has counted round, gives an id to another job: whose it
  // is now is asked before anything is done to it.
  void Send(HttpRequest request, const Followed& job, HttpPool::Done done) {
    std::string kind = request.method + request.path + request.body;
    {
      const std::scoped_lock lock(mutex);
      if (!under_way.insert(kind).second) return;
    }
    auto end = [this, kind = std::move(kind), done = std::move(done)](HttpOutcome outcome) {
      {
        const std::scoped_lock lock(mutex);
        under_way.erase(kind);
      }
      done(std::move(outcome));
    };
    if (IsSurely(job)) return pool.Start(std::move(request), std::move(end));
    HttpRequest question;
    question.path = codecs.chosen()->JobPath(job.cluster_job_id);
    question.user = options.user;
    question.timeout_ms = options.request_timeout_ms;
    pool.Start(std::move(question), [this, job, request = std::move(request),
                                     end = std::move(end)](const HttpOutcome& answer) mutable {
      if (const auto why_not = WhyNot(job, answer)) {
        if (answer.kind == HttpOutcome::Kind::kAnswered) surveyor.Look(job);
        return end({HttpOutcome::Kind::kNotSent, 0, "", *why_not});
      }
      // The id may be given to another before a request about it arrives.
      if (IsGone(answer)) return end(answer);
      pool.Start(std::move(request), std::move(end));
    });
  }

  // It was given to the attempt just now.
  bool IsSurely(const Followed& job) {
    const std::scoped_lock lock(mutex);
    const auto given = accepted.find(job.cluster_job_id);
    if (given == accepted.end() || given->second.attempt != job.attempt) return false;
    return clock.Now() - given->second.since < kSurelyItsOwnMs;
  }

  void Accepted(const AttemptRef& attempt, std::int64_t id, const std::string& node) {
    const std::scoped_lock lock(mutex);
    const TimeMs now = clock.Now();
    std::erase_if(accepted,
                  [now](const auto& entry) { return now - entry.second.since >= kSurelyItsOwnMs; });
    accepted.insert_or_assign(id, Given{attempt, now, node});
  }

  // The first node that it was submitted for; empty: not known any more.
  std::string NodeOf(const AttemptRef& attempt, std::int64_t id) {
    const std::scoped_lock lock(mutex);
    const auto given = accepted.find(id);
    return given == accepted.end() || given->second.attempt != attempt ? "" : given->second.node;
  }

  // There is no such job any more, as the answer to any request about it would say.
  static bool IsGone(const HttpOutcome& answer) {
    const auto jobs = ParseJobs(answer.status, answer.body);
    return !jobs && jobs.error().code == Code::kNotFound;
  }

  // Why nothing may be done to it: none, if it is the attempt's, or there is no such job any more.
  std::optional<std::string> WhyNot(const Followed& job, const HttpOutcome& answer) {
    if (answer.kind != HttpOutcome::Kind::kAnswered) return answer.text;
    const auto jobs = ParseJobs(answer.status, answer.body);
    if (IsGone(answer)) return std::nullopt;
    if (!jobs) return jobs.error().message;
    Followed known = job;
    {
      const std::scoped_lock lock(mutex);
      const auto told = followed.find(job.attempt);
      if (told != followed.end()) known = told->second;
    }
    for (const auto& live : jobs->jobs) {
      if (live.job.id != job.cluster_job_id || live.job.attempt == job.attempt) continue;
      if (!IsStill(known, live.job)) return "its id is another job's now";
    }
    return std::nullopt;
  }

  // In the name of the job's owner.
  HttpRequest RequestOf(std::string method, std::string path, const Followed& job) const {
    HttpRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.user = job.unix_account;
    request.about = About(job.attempt, job.cluster_job_id);
    request.timeout_ms = options.request_timeout_ms;
    return request;
  }

  // Ends in a look at the job: soon, as something will happen to it, or at once if it is gone, or
  // if that is not told. `done` gets the verdict, if there is one.
  void Act(const Codec& codec, HttpRequest request, Followed job,
           std::function<void(const Verdict*)> done) {
    const bool told = request.method != "DELETE" || codec.can().tells_refusals;
    Send(std::move(request), job,
         [this, told, job, done = std::move(done)](const HttpOutcome& outcome) {
           if (outcome.kind != HttpOutcome::Kind::kAnswered) return done(nullptr);
           const Verdict verdict = ParseVerdict(outcome.status, outcome.body);
           if (verdict.kind == Verdict::Kind::kDone) surveyor.Expect(job.cluster_job_id);
           if (verdict.kind != Verdict::Kind::kDone || !told) surveyor.Look(job);
           done(&verdict);
         });
  }

  Options options;
  Clock& clock;
  ClusterSink sink;
  Credential credential;
  CodecChoice codecs;
  Surveyor surveyor;
  std::mutex mutex;
  // Under mutex.
  std::set<std::string> under_way;         // method, path and body
  std::map<std::int64_t, Given> accepted;  // by id
  std::map<AttemptRef, Followed> followed;
  HttpPool pool;
};

SlurmCluster::SlurmCluster(Options options, Clock& clock, ClusterSink sink)
    : parts_(std::make_unique<Parts>(std::move(options), clock, sink)) {}

SlurmCluster::~SlurmCluster() = default;

void SlurmCluster::Submit(Launch launch) {
  const Codec* codec = parts_->codecs.chosen();
  if (codec == nullptr) return parts_->sink(LaunchRefused{launch.attempt, false, kNotYet});
  HttpRequest request;
  request.method = "POST";
  request.path = codec->Path("/job/submit");
  request.about = ClusterName(launch.attempt);
  request.body = codec->SubmitBody(launch, parts_->options.partition);
  request.user = launch.unix_account;
  request.timeout_ms = parts_->options.request_timeout_ms;
  request.once = true;
  const std::string node = launch.placement.empty() ? "" : launch.placement.front().node;
  parts_->pool.Start(std::move(request), [parts = parts_.get(), attempt = launch.attempt,
                                          node](const HttpOutcome& outcome) {
    const TimeMs look_after = LookAfter(parts->options, parts->clock.Now());
    ClusterEvent event = SubmitEvent(attempt, outcome, look_after);
    if (const auto* taken = std::get_if<LaunchAccepted>(&event)) {
      parts->Accepted(attempt, taken->cluster_job_id, node);
    }
    parts->sink(std::move(event));
  });
}

void SlurmCluster::Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
                           const std::string& unix_account) {
  const Codec* codec = parts_->codecs.chosen();
  if (codec == nullptr) return parts_->sink(ReleaseDone{attempt, cluster_job_id, false, kNotYet});
  const Followed job{attempt, cluster_job_id, unix_account, false};
  HttpRequest request = parts_->RequestOf("POST", codec->JobPath(cluster_job_id), job);
  request.body = kReleaseBody;
  parts_->Send(std::move(request), job,
               [parts = parts_.get(), attempt, cluster_job_id](const HttpOutcome& outcome) {
                 ReleaseDone done{attempt, cluster_job_id, false, outcome.text};
                 if (outcome.kind == HttpOutcome::Kind::kAnswered) {
                   Verdict verdict = ParseVerdict(outcome.status, outcome.body);
                   done.accepted = verdict.kind == Verdict::Kind::kDone;
                   done.text = std::move(verdict.text);
                 }
                 parts->surveyor.Expect(cluster_job_id, parts->NodeOf(attempt, cluster_job_id));
                 parts->sink(std::move(done));
               });
}

void SlurmCluster::Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
                          const std::string& unix_account) {
  const Codec* codec = parts_->codecs.chosen();
  if (codec == nullptr) return;
  const Followed job{attempt, cluster_job_id, unix_account, false};
  parts_->Act(*codec, parts_->RequestOf("DELETE", codec->JobPath(cluster_job_id), job), job,
              [](const Verdict*) {});
}

void SlurmCluster::Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
                          const std::string& unix_account, const std::string& signal,
                          bool batch_shell_only) {
  if (!SlurmSignal(signal)) return parts_->sink(SignalDone{attempt, cluster_job_id, signal, true});
  const Codec* codec = parts_->codecs.chosen();
  if (codec == nullptr) return parts_->sink(SignalDone{attempt, cluster_job_id, signal, false});
  const auto path = codec->SignalPath(cluster_job_id, signal, batch_shell_only);
  const Followed job{attempt, cluster_job_id, unix_account, true};
  parts_->Act(*codec, parts_->RequestOf("DELETE", *path, job), job,
              [parts = parts_.get(), attempt, cluster_job_id, signal](const Verdict* verdict) {
                const bool settled = verdict != nullptr && verdict->kind != Verdict::Kind::kFailed;
                parts->sink(SignalDone{attempt, cluster_job_id, signal, settled});
              });
}

void SlurmCluster::SetLimit(const Followed& job, DurationMs limit_ms) {
  const Codec* codec = parts_->codecs.chosen();
  if (codec == nullptr) return;
  HttpRequest request = parts_->RequestOf("POST", codec->JobPath(job.cluster_job_id), job);
  request.user = parts_->options.user;
  request.body = codec->LimitBody(limit_ms);
  parts_->Act(*codec, std::move(request), job,
              [parts = parts_.get(), job, limit_ms](const Verdict* verdict) {
                if (verdict == nullptr || verdict->kind != Verdict::Kind::kFailed) return;
                parts->sink(LimitRefused{job.attempt, job.cluster_job_id, limit_ms, verdict->text});
              });
}

void SlurmCluster::FindByName(const AttemptRef& attempt) { parts_->surveyor.Find(attempt); }

void SlurmCluster::Look(const Followed& job) { parts_->surveyor.Look(job); }

void SlurmCluster::Reconcile() { parts_->surveyor.Reconcile(); }

void SlurmCluster::Follow(std::vector<Followed> jobs) {
  {
    const std::scoped_lock lock(parts_->mutex);
    parts_->followed.clear();
    for (const Followed& job : jobs) parts_->followed.emplace(job.attempt, job);
  }
  parts_->surveyor.Follow(std::move(jobs));
}

}  // namespace kezek::slurm
