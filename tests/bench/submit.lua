-- wrk's script: submits held jobs to slurmrestd and counts those that got a number.
-- BENCH_BODY names the file with the request, BENCH_USER and BENCH_TOKEN say who submits.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  good, bad = 0, 0
  local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
  local body = file:read("*a")
  file:close()
  request_text = wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["X-SLURM-USER-NAME"] = os.getenv("BENCH_USER"),
    ["X-SLURM-USER-TOKEN"] = os.getenv("BENCH_TOKEN"),
  }, body)
end

function request()
  return request_text
end

-- 22.05 answers a held submission with an error besides the number: the number decides.
function response(status, headers, body)
  local id = tonumber(string.match(body, '"job_id"%s*:%s*(%d+)') or "0")
  if id > 0 then good = good + 1 else bad = bad + 1 end
end

function done(summary, latency, requests)
  local all_good, all_bad = 0, 0
  for _, thread in ipairs(threads) do
    all_good = all_good + thread:get("good")
    all_bad = all_bad + thread:get("bad")
  end
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write +
    summary.errors.timeout
  print(string.format('{"per_s": %.1f, "good": %d, "failed": %d}',
    all_good / (summary.duration / 1e6), all_good, all_bad + lost))
end
