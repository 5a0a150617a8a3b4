#pragma once

// Profile + HostFacts + Flags → Policy: what the room will be, with nothing left to decide.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agentbox/base/diagnostic.hpp"
#include "agentbox/policy/facts.hpp"
#include "agentbox/policy/reviewer.hpp"
#include "agentbox/policy/ruling.hpp"
#include "agentbox/profile/profile.hpp"

namespace agentbox::policy {

// What the command line adds to the profile. Each says its flag as its origin.
struct Flags {
  std::vector<std::string> command;
  profile::List<profile::PathText> read, write;
  profile::List<profile::PatternText> hide;
  profile::List<profile::HostRule> allow;
};

// Strictest first, so that std::min is the stricter one.
enum class Access { hidden, read, write };

// One thing of the host that appears in the room. Inside and outside it has the same path: `target` equals
// `source`.
struct Mount {
  base::AbsPath target;  // in the room; no symbolic link on the way to it
  base::AbsPath source;  // on the host, resolved; unused when hidden
  // directory, regular, socket, fifo, character_device; symlink: the link itself, never what it points to.
  FileKind kind = FileKind::directory;
  Access access = Access::read;
  enum class Why {
    floor,  // a system folder
    grant,  // files.read, files.write, a flag
    workspace,
    git,       // a common directory that the workspace's repository needs
    ancestor,  // a directory on the way to a protected path: a mount point, so that it can't be renamed
    protect,   // read-only because of `protect`
    hide,
    ghost,  // a directory kind that is missing: an empty directory is made, mounted over, removed at the end
    device,
    // A symbolic link on the way to something protected: the link itself is mounted on its own place
    // (open_tree on an O_PATH | O_NOFOLLOW fd; works on Linux 5.2 and later), so that it can't be replaced
    // and still is a link for git. Where it leads is protected for itself. Its target's content is never
    // mounted in its place: a link that an earlier agent planted would then make a foreign file readable.
    pin,
  } why = Why::grant;
  profile::Origin origin;  // whose line says so
};

struct Tmpfs {
  base::AbsPath target;
  std::uint64_t size = 0;  // bytes
  std::uint32_t mode = 0700;
};
struct RoomFile {  // generated, read-only in the room
  base::AbsPath target;
  std::string content;
  std::uint32_t mode = 0444;
};
struct RoomLink {
  base::AbsPath target;
  std::string to;
};

// A file kind that is missing now: whoever makes it during the run is stopped, and it goes to quarantine.
struct Watched {
  base::AbsPath directory;  // exists
  std::string name;         // one component
  enum class Why { protect, hide } why = Why::protect;
  profile::Origin origin;
  base::AbsPath wanted;  // what the pattern names: directory/name, or below it (only with hide)
};

// A file that stays writable and is shown at the end: keep or restore.
struct Held {
  base::AbsPath path;
  // At the start: regular, directory, missing; symlink: the link itself is held (its text), and where it
  // leads is in the list for itself if the room can write there.
  FileKind kind = FileKind::missing;
  profile::Origin origin;
};

// A directory that `write` with a trailing '/' makes before the launch, mode 0700, with the parents that are
// missing.
struct ToMake {
  base::AbsPath path;
  profile::Origin origin;
};

struct Loopback {  // 127.0.0.1 and ::1, same port on both sides
  std::uint16_t port = 0;
  enum class Asks : std::uint8_t { no, yes } asks = Asks::no;  // each connection is ruled on
  profile::Speech speech = profile::Speech::any;
  profile::Origin origin;
};

// What becomes of connections to anywhere but granted ports of the loopback.
enum class Outside : std::uint8_t {
  closed,  // there is no way
  ruled,   // the gate rules on each, by name
};

// Is the gate offered as a proxy too?
enum class Proxy : std::uint8_t { none, offered };

// How the owner is asked.
struct Approval {
  std::chrono::seconds timeout{120};       // then a question is denied
  std::size_t questions = 10;              // so many may be put
  std::chrono::seconds questions_in{600};  // within this time; 0: the session
  std::vector<std::string> notify;         // argv, run when a question is put; empty: nothing
  std::optional<Reviewer> reviewer;
  Consent consent = Consent::human;
  Friction friction;
};

struct Limits {
  std::uint64_t processes = 512;
  std::uint64_t open_files = 4096;
  std::uint64_t file_size = 20ULL << 30;                                  // bytes
  std::chrono::seconds cpu_time{0};                                       // per process; 0: none
  std::chrono::seconds time{0};                                           // of the room; 0: none
  std::uint64_t memory = 0;                                               // bytes; 0: none; needs a delegated cgroup
  std::uint64_t cpu = 0;                                                  // cgroup cpu.weight 1-10000; 0: none
  std::uint64_t home = 1ULL << 30, tmp = 2ULL << 30, shm = 256ULL << 20;  // bytes of each private tmpfs
};

// Something that the reader of `explain` must know: a grant that was skipped, a shadowed rule, what is
// exposed.
struct Note {
  // absent: skipped because it isn't there.
  enum class Kind { absent, skipped, shadowed, exposes, changed, warning } kind = Kind::exposes;
  std::string text;  // one sentence; paths in it are escaped
  profile::Origin origin;
};

struct Policy {
  std::string profile;
  std::vector<std::string> files;  // which went into it
  User user;
  std::vector<std::string> command;  // argv
  base::AbsPath workspace;           // resolved
  base::AbsPath directory;           // where the command starts
  profile::WorkspaceMode mode = profile::WorkspaceMode::direct;

  // In the order of placing: parents before what is inside them; a later one lies on top (ARCHITECTURE.md,
  // "Order").
  std::vector<Mount> mounts;
  std::vector<Tmpfs> tmpfs;
  std::vector<RoomFile> room_files;
  std::vector<RoomLink> room_links;
  std::vector<ToMake> to_make;
  std::vector<Watched> watched;
  std::vector<Held> held;
  std::vector<GitFact> repositories;  // for the scan at the end

  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> seccomp_allow, seccomp_deny;
  bool nested_userns = false;  // seccomp.allow has "userns"
  std::vector<Loopback> loopback;
  Outside outside = Outside::closed;
  Proxy proxy = Proxy::none;  // where connections can't be captured it is offered all the same
  std::vector<profile::Publication> publish;
  struct {
    bool gpu = false, audio = false, display = false;
  } devices;
  Limits limits;
  Approval approval;
  Rules rules;  // for what leaves the room while it runs
  std::vector<Note> notes;
};

// The profile as the command line changes it: --read, --write, --hide and --allow appended to their lists. Where it
// changes nothing, that is `profile` itself, which must live as long.
[[nodiscard]] std::shared_ptr<const profile::Profile> with_flags(const profile::Profile& profile, const Flags& flags);

// All errors at once. Does not refuse what isn't built yet: see `unbuilt`.
[[nodiscard]] base::Result<Policy> decide(const profile::Profile& profile, const HostFacts& facts, const Flags& flags);

// May the room read, or write, this path of the host? Answered from the mounts, as the kernel will answer: `resolved` has
// no symbolic link in it. `write` of a held file asks: it works, and is kept only after a yes at the end.
[[nodiscard]] Ruling rule_on_path(const Policy& policy, const base::AbsPath& resolved, Open::For purpose);

// What the profile uses and this version cannot do yet, one error each with its line. Empty: `run` may go on.
[[nodiscard]] base::Diagnostics unbuilt(const profile::Profile& profile, const Flags& flags);

// What programs read that can be told of a proxy.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> proxy_variables();

// What a model reads in its room about asking: /run/agentbox/SKILL.md.
[[nodiscard]] std::string room_skill(const Rules& rules);

// Does a variable of this name usually hold what must not be shown? Only for deciding what to print.
[[nodiscard]] bool names_secret(std::string_view variable);

// Is this a directory that may be a workspace? $HOME, /, system folders, and whatever holds or lies in the
// state folder are refused.
[[nodiscard]] base::Diagnostics check_workspace(const base::AbsPath& resolved, const HostFacts& facts);

}  // namespace agentbox::policy
