#pragma once

// The values that a profile's TOML becomes: typed, checked, each with the place that says so. Nothing is
// resolved yet: "~" and variables are still text, because what they mean is a fact of the machine.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agentbox/base/diagnostic.hpp"

namespace agentbox::profile {

// Which file, line and column says a thing. `file` as the user knows it: a path, or "--read" for a flag.
struct Origin {
  std::string file;
  base::Position at;
  std::string source_line;
  friend bool operator==(const Origin&, const Origin&) = default;
};

template <class T>
struct Located {
  T value;
  Origin origin;
  friend bool operator==(const Located&, const Located&) = default;
};

// A list as it stands after merging. Each item carries its canonical text, which is what `"!x"` compares.
template <class T>
using List = std::vector<Located<T>>;

// "~/notes", "$XDG_CACHE_HOME/x", "${workspace}/deploy", "/data": begins with '/', '~' or a variable.
// Canonical: no trailing slash, no empty, "." or ".." component, no NUL, no wildcard; "$HOME" is written "~",
// the XDG folders
// "$XDG_CONFIG_HOME", "$XDG_STATE_HOME", "$XDG_CACHE_HOME", "$XDG_DATA_HOME", the workspace "${workspace}".
struct PathText {
  std::string text;
  bool directory = false;  // it was written with a trailing slash
  friend bool operator==(const PathText&, const PathText&) = default;
};

// A pattern of `hide`, `protect` and `hold`: '*' any bytes of one component, '**' alone as a component any
// number of components, a trailing '/' a directory. Without a '/' inside it matches at any depth; relative
// ones count from the workspace's root; "${roots}/x" counts at the workspace's root and at the root of each
// repository and package in it;
// "${gitdirs}/x" in each of their git directories. Canonical as a PathText ("./x" becomes "${workspace}/x",
// "**/x" becomes "x"). One that begins outside the workspace ('/', '~', an XDG folder) holds no wildcard.
struct PatternText {
  std::string text;  // without the trailing slash
  bool directory = false;
  friend bool operator==(const PatternText&, const PatternText&) = default;
};

enum class Default { deny, ask, allow };

// ---- network
// -------------------------------------------------------------------------------------------------
enum class PortSet { web, all, one };                     // web: 80 and 443
enum class HostKind { localhost, name, below, address };  // below: "*.example.org"
enum class Speech { any, llm };  // `as = "llm"`: only the model API's harmless methods and paths

struct HostRule {
  std::string text;  // canonical: "localhost:8080", "*.example.org", "10.0.0.0/8:443", "[fd00::1]:*"
  HostKind kind = HostKind::name;
  std::string host;  // without port, brackets and "*."; lower case; an address with "/prefix" for a CIDR
  PortSet ports = PortSet::web;
  std::uint16_t port = 0;  // 1-65535 with PortSet::one
  Speech speech = Speech::any;
  std::optional<std::string> via;
  friend bool operator==(const HostRule&, const HostRule&) = default;
};

// "3000": this port of the room appears at the host's loopback; "8080:3000": host port 8080, room port 3000.
// pages: HTTP under a name of the session's own, every answer with a content security policy; raw: every protocol, as is.
enum class Serves { pages, raw };

struct Publication {
  std::string text;
  std::uint16_t outside = 0;
  std::uint16_t inside = 0;
  Serves serves = Serves::pages;
  friend bool operator==(const Publication&, const Publication&) = default;
};

// ---- commands
// ------------------------------------------------------------------------------------------------ Split like
// POSIX shell words; '*' any bytes within one element, "**" alone as the last element any number of them.
// words[0] is a bare name or an absolute path, and literal.
struct CommandPattern {
  std::string text;  // canonical: one space between words, quoted where needed
  // One per element, quotes gone. '*' is the wildcard; a quoted star is "\\*", a backslash "\\\\".
  std::vector<std::string> words;
  friend bool operator==(const CommandPattern&, const CommandPattern&) = default;
};

// ---- budgets
// -------------------------------------------------------------------------------------------------
enum class Period { session, minute, hour, day };
// "20/day", "50 MB/session", "100 USD/day": `amount` in the unit's smallest part (bytes, cents, one), never
// negative.
struct Budget {
  std::string text;  // canonical
  std::int64_t amount = 0;
  std::string unit;                 // "", "B" or a currency code
  Period period = Period::session;  // means nothing for `spending.single`
  std::chrono::seconds every{0};    // for "10/10min" forms; 0: as `period` says
  friend bool operator==(const Budget&, const Budget&) = default;
};

enum class WorkspaceMode { direct, review, read_only };
enum class GitConfig { none, inert };  // inert: the room gets the owner's identity, default branch and plain aliases
enum class Require { human, human_and_reviewer };
// What a yes costs that the reviewer didn't agree to.
struct Friction {
  std::chrono::seconds wait{20};
  enum class Phrase { none, typed } phrase = Phrase::typed;
  friend bool operator==(const Friction&, const Friction&) = default;
};

// ---- messages
// Canonical: as base::parse_recipient_rule gives it. "me@example.org", "*@example.org", "+1555010".
struct RecipientRule {
  std::string text;
  friend bool operator==(const RecipientRule&, const RecipientRule&) = default;
};
// A server of this machine that takes messages: "http://127.0.0.1:6000/send".
struct PostAddress {
  std::string text;  // canonical
  std::string host;  // "127.0.0.1" or "::1"
  std::uint16_t port = 0;
  std::string path;  // begins with '/'
  friend bool operator==(const PostAddress&, const PostAddress&) = default;
};
// What a program reads on its standard input: a mail with its headers, or the body alone.
enum class MessageFormat { mail, text };
struct MessageBackend {
  std::string name;  // "email", "signal", ...
  std::optional<Located<std::vector<std::string>>> send;
  std::optional<Located<PostAddress>> post;
  std::optional<Located<MessageFormat>> format;
};

// Everything that a profile can say. An absent scalar is nullopt: what it defaults to is the policy's
// decision.
struct Profile {
  std::string name;  // "pi", or the path of a file
  std::optional<Located<std::string>> description;
  // The profiles that went into it, in the order of merging, the file itself last; absolute, for the guard.
  std::vector<std::string> files;
  std::optional<Located<std::vector<std::string>>> command;

  struct {
    std::optional<Located<WorkspaceMode>> mode;
    List<PatternText> protect, hold, hide;
  } workspace;
  struct {
    List<PathText> read, write, ask;
    List<PatternText> hide;
    std::optional<Located<Budget>> deletes;
  } files_section;
  struct {
    List<HostRule> allow, ask, deny;
    std::optional<Located<Default>> default_;
    List<Publication> publish;
    std::optional<Located<std::string>> via;
    std::optional<Located<bool>> proxy;
    std::optional<Located<Budget>> bytes_out, bytes_out_per_host, connections_per_host;
  } network;
  struct {
    List<CommandPattern> allow, ask, deny;
    std::optional<Located<Default>> default_;
  } commands;
  struct {
    List<RecipientRule> self, allow, ask, deny;
    std::optional<Located<Default>> default_;
    std::optional<Located<Budget>> limit;
    std::optional<Located<std::chrono::seconds>> delay;
    std::vector<MessageBackend> backends;
  } messages;
  struct {
    std::optional<Located<Budget>> limit, single, per_recipient, count;
    std::optional<Located<std::chrono::seconds>> delay;
    std::optional<Located<std::vector<std::string>>> pay_command;
  } spending;
  struct {
    List<std::string> pass;  // names; "LC_*" is allowed
    std::vector<std::pair<std::string, Located<std::string>>> set;
  } environment;
  struct {
    List<std::string> allow, deny;  // "ptrace", or "userns" for nesting
  } seccomp;
  struct {
    std::optional<Located<bool>> gpu, audio, display;
  } devices;
  struct {
    std::optional<Located<GitConfig>> config;
  } git;
  struct {
    std::optional<Located<std::uint64_t>> processes, open_files;
    std::optional<Located<std::uint64_t>> file_size, memory, home, tmp, shm;  // bytes
    std::optional<Located<std::uint64_t>> cpu;                                // share: 1-10000, cgroup's cpu.weight
    std::optional<Located<std::chrono::seconds>> cpu_time, time;
  } limits;
  struct {
    std::optional<Located<std::chrono::seconds>> timeout;
    std::optional<Located<std::string>> reviewer, reviewer_model, reviewer_instructions;
    std::optional<Located<bool>> reviewer_remote;
    std::optional<Located<PathText>> reviewer_key_file;
    std::optional<Located<std::chrono::seconds>> reviewer_timeout;
    std::optional<Located<Friction>> friction;
    std::optional<Located<Require>> require;
    std::optional<Located<Budget>> questions;
    std::optional<Located<std::vector<std::string>>> notify;
  } approval;
};

}  // namespace agentbox::profile
