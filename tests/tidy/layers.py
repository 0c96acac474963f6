"""What may depend on what: docs/architecture.md as a table, and the names of outside libraries."""

# Folders that do no input or output and whose archives the purity test looks into.
PURE = ("quota", "scheduler/engine", "scheduler/control", "scheduler/sim")

WORDS = "kezek_words"
PROTO = "kezek_proto"

# Project targets that the target of a folder may declare. For the shells see allowed_depends.
LAYERS = {
    "include/kezek": set(),
    "proto": set(),
    "quota": {WORDS},
    "scheduler/engine": {WORDS, "kezek_quota"},
    "scheduler/control": {WORDS, "kezek_quota", "kezek_engine"},
    "scheduler/sim": {WORDS, "kezek_quota", "kezek_engine", "kezek_control"},
    "scheduler/sim/replay": {WORDS, "kezek_quota", "kezek_engine", "kezek_sim"},
}

# Shells that speak the API.
SHELLS_WITH_PROTO = {"src/rpc", "src/http"}

# Header prefix -> name in DEPENDS.
EXTERNAL = (
    ("google/protobuf/", "ext::protobuf"),
    ("grpcpp/", "ext::grpc"),
    ("grpc/", "ext::grpc"),
    ("absl/", "ext::grpc"),
    ("pqxx/", "ext::pqxx"),
    ("libpq-fe.h", "ext::pqxx"),
    ("curl/", "ext::curl"),
    ("nlohmann/", "ext::json"),
    ("boost/", "ext::boost"),
    ("prometheus/", "ext::prometheus"),
    ("CLI/", "ext::cli11"),
    ("yaml-cpp/", "ext::yaml"),
    ("fmt/", "ext::fmt"),
    ("spdlog/", "ext::spdlog"),
    ("openssl/", "ext::openssl"),
    ("munge.h", "ext::munge"),
    ("acl/", "ext::acl"),
    ("zlib.h", "ext::zlib"),
    ("sys/acl.h", "ext::acl"),
    ("gtest/", "ext::gtest"),
    ("benchmark/", "ext::benchmark"),
)

# The operating system's own headers: for shells and tests, never for pure code.
SYSTEM_FOLDERS = ("sys/", "net/", "netinet/", "arpa/", "linux/")

# Standard headers that pure code has no use for.
IMPURE_STANDARD = {
    "atomic", "barrier", "cfenv", "condition_variable", "csignal", "ctime", "filesystem", "fstream",
    "future", "iostream", "latch", "mutex", "random", "semaphore", "shared_mutex", "stop_token",
    "thread", "unordered_map", "unordered_set",
}


# Pure code that may use a banned one of them, and for what. Its callers do not see it.
SHARED_BETWEEN_THREADS = {"include/kezek/made_once.h": ("atomic",)}


def allowed_depends(folder):
    """The set of project targets the target of `folder` may declare; None means any."""
    if folder in LAYERS:
        return LAYERS[folder]
    if folder.startswith("src/cmd"):
        return None
    if folder.startswith("src/"):
        return {WORDS, PROTO} if folder in SHELLS_WITH_PROTO else {WORDS}
    if folder.startswith("tests"):
        return None
    return set()


def external_name(header):
    for prefix, name in EXTERNAL:
        if header.startswith(prefix):
            return name
    return None
