// `agentbox explain`: what the room will hold, why, and which line says so, for a person who wants to know before
// trusting it.

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/policy/room_addresses.hpp"

#include "explain.hpp"
#include "wrap.hpp"

namespace agentbox::cli {

namespace {

using base::AbsPath;
using base::escape;
using policy::Access;
using policy::Mount;
using policy::Note;
using policy::Policy;
using Why = Mount::Why;

constexpr std::size_t wrap_at = 100;
constexpr std::size_t most_first = 48;  // columns of what stands first in a row
constexpr std::size_t most_names = 4;   // of what is missing: a few say more than their number

std::string bytes(std::uint64_t size) {
  constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (size >= 1024 && size % 1024 == 0 && unit + 1 < std::size(units)) size /= 1024, ++unit;
  return fmt::format("{} {}", size, units[unit]);
}

std::string duration(std::chrono::seconds time) {
  auto count = time.count();
  if (count % 3600 == 0) return fmt::format("{} h", count / 3600);
  if (count % 60 == 0) return fmt::format("{} min", count / 60);
  return fmt::format("{} s", count);
}

struct Style {
  std::string_view bold, dim, green, yellow, red, off;
};
constexpr Style styles[] = {{}, {"\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[0m"}};

// One line: what, something about it, and which line of which file says so.
struct Row {
  std::string what, about, where;
};

class Text {
 public:
  Text(const Explained& explained, Layout layout)
      : policy_(explained.policy),
        unbuilt_(explained.unbuilt),
        more_(explained.more),
        layout_(layout),
        width_(prose_width(layout.width)),
        style_(styles[layout.colour == base::Colour::on ? 1 : 0]) {
    for (const std::string& file : policy_.files) ++names_[base_name(file)];
  }

  std::string run() {
    head();
    unbuilt();
    // What a person looks for before trusting it comes first.
    writable();
    network();
    commands();
    messages();
    spending();
    reviewer();
    notes(Note::Kind::exposes, "What this still exposes", style_.yellow);
    notes(Note::Kind::warning, "Look at this", style_.yellow, more_);
    readable();
    private_folders();
    hidden();
    protected_places();
    held();
    devices();
    environment();
    limits();
    notes(Note::Kind::changed, "Different from outside", {});
    skipped();
    notes(Note::Kind::shadowed, "Without effect", {});
    return std::move(out_);
  }

 private:
  static std::string base_name(std::string_view file) { return std::string(file.substr(file.rfind('/') + 1)); }

  // "base.toml:12"; the whole path where two files of the profile share a name.
  std::string where(const profile::Origin& origin) const {
    if (origin.file.empty()) return {};
    std::string name = base_name(origin.file);
    auto same = names_.find(name);
    if (same != names_.end() && same->second > 1) name = origin.file;
    return origin.at.line == 0 ? escape(origin.file) : fmt::format("{}:{}", escape(name), origin.at.line);
  }

  // "~/notes", "./src" below the workspace.
  std::string path(const AbsPath& path) const {
    const AbsPath& home = policy_.user.home;
    if (path != policy_.workspace && path.is_within(policy_.workspace)) {
      return escape("./" + std::string(path.relative_to(policy_.workspace)));
    }
    if (path == home) return "~";
    if (path.is_within(home)) return escape("~/" + std::string(path.relative_to(home)));
    return escape(path.str());
  }
  std::string place(const Mount& mount) const {
    return path(mount.target) + (mount.kind == policy::FileKind::directory && !mount.target.is_root() ? "/" : "");
  }

  void section(std::string_view title, std::string_view about, const std::vector<Row>& rows,
               std::string_view colour = {}) {
    if (rows.empty()) return;
    out_ += fmt::format("\n{}{}{}{}", style_.bold, colour, title, style_.off);
    if (!about.empty()) {
      out_ += fmt::format("  {}{}{}", style_.dim, wrapped(about, width_, 4, title.size() + 2), style_.off);
    }
    out_ += '\n';
    std::size_t first = 0, second = 0;
    bool prose = true;
    for (const Row& row : rows) prose = prose && row.about.empty();
    prose = prose && std::ranges::any_of(rows, [](const Row& row) { return row.what.size() > most_first; });
    for (const Row& row : rows) {
      if (prose || (row.about.empty() && row.where.empty())) continue;
      first = std::max(first, std::min(row.what.size(), most_first));
      if (!row.where.empty()) second = std::max(second, std::min<std::size_t>(row.about.size(), 44));
    }
    if (width_ > 0) first = std::min(first, width_ * 2 / 5);
    for (const Row& row : rows) {
      std::string line = fmt::format("  {:<{}}", row.what, first);
      if (second > 0 || !row.about.empty()) line += fmt::format("  {:<{}}", row.about, second);
      const std::size_t size = columns_of(line) + (row.where.empty() ? 0 : 2 + row.where.size());
      if (width_ > 0 && size > width_ && columns_of(line.substr(0, line.find_last_not_of(' ') + 1)) > 2) {
        line = broken(row, first);
      } else if (!row.where.empty()) {
        line += fmt::format("  {}{}{}", style_.dim, row.where, style_.off);
      }
      while (line.ends_with(' ')) line.pop_back();
      out_ += line + '\n';
    }
  }

  // A row that is longer than the terminal is wide.
  std::string broken(const Row& row, std::size_t first) const {
    std::size_t indent = 4;
    std::string line;
    if (row.about.empty()) {
      line = "  " + wrapped(row.what, width_, indent, 2);
    } else if (columns_of(row.what) > first) {
      line = fmt::format("  {}\n    {}", row.what, wrapped(row.about, width_, indent, indent));
    } else {
      indent = 2 + first + 2;
      line = fmt::format("  {:<{}}  {}", row.what, first, wrapped(row.about, width_, indent, indent));
    }
    if (row.where.empty()) return line;
    const std::size_t last = columns_of(std::string_view(line).substr(line.rfind('\n') + 1));  // npos + 1 is 0
    line += last + 2 + row.where.size() <= width_ ? "  " : '\n' + std::string(indent, ' ');
    return line + fmt::format("{}{}{}", style_.dim, row.where, style_.off);
  }

  // Words beside one another, broken before they grow too wide.
  void paragraph(std::string_view lead, const std::vector<std::string>& words) {
    if (words.empty()) return;
    std::string line = fmt::format("  {}", lead);
    for (const std::string& word : words) {
      if (columns_of(line) + 1 + columns_of(word) > (width_ == 0 ? wrap_at : width_)) {
        out_ += line + '\n';
        line = "   ";
      }
      line += ' ' + word;
    }
    out_ += line + '\n';
  }

  // What isn't there, and what would become of it: `what` follows "N more names are".
  void missing_names(std::string_view lead, std::string_view what, const std::vector<std::string>& names) {
    if (layout_.names == Layout::Names::all || names.size() <= most_names) return paragraph(lead, names);
    out_ += fmt::format("  {}{} more names are {} (--all){}\n", style_.dim, names.size(), what, style_.off);
  }

  void head() {
    out_ += fmt::format("{}{}{}", style_.bold, escape(policy_.profile), style_.off);
    if (!policy_.command.empty()) {
      out_ += fmt::format(" runs {}", base::quote(std::span<const std::string>(policy_.command)));
    }
    out_ += fmt::format(" in {}\n", path(policy_.workspace));
    std::vector<std::string> files;
    for (const std::string& file : policy_.files) files.push_back(escape(file));
    paragraph("from", files);
  }

  void unbuilt() {
    std::vector<Row> rows;
    for (const base::Diagnostic& one : unbuilt_) {
      rows.push_back({one.message, {}, where({one.file, one.at, one.source_line})});
    }
    section("Refused by `agentbox run`", {}, rows, style_.red);
  }

  void readable() {
    std::vector<Row> rows;
    std::vector<std::string> system, etc;
    for (const Mount& mount : policy_.mounts) {
      if (mount.access != Access::read) continue;
      if (mount.why == Why::floor) {
        bool is_etc = mount.target.str().starts_with("/etc/");
        (is_etc ? etc : system).push_back(is_etc ? escape(mount.target.str().substr(5)) : escape(mount.target.str()));
      } else if (mount.why == Why::grant || mount.why == Why::workspace || mount.why == Why::git) {
        rows.push_back({place(mount), about(mount), where(mount.origin)});
      }
    }
    rows.insert(rows.begin(), {joined(system), "the system", {}});
    section("Readable", {}, rows, style_.green);
    for (const policy::RoomFile& file : policy_.room_files) {
      if (file.target.str().starts_with("/etc/")) etc.push_back(escape(file.target.str().substr(5)) + "*");
    }
    std::ranges::sort(etc);
    paragraph("of /etc (* made for the room):", etc);
  }

  void writable() {
    std::vector<Row> rows;
    for (const Mount& mount : policy_.mounts) {
      if (mount.access != Access::write || mount.why == Why::ancestor || mount.why == Why::device) continue;
      std::string text = about(mount);
      if (std::ranges::find(policy_.to_make, mount.target, &policy::ToMake::path) != policy_.to_make.end()) {
        text = "made before the start";
      }
      rows.push_back({place(mount), std::move(text), where(mount.origin)});
    }
    section("Writable", {}, rows, style_.yellow);
  }

  void private_folders() {
    std::vector<Row> rows;
    for (const policy::Tmpfs& one : policy_.tmpfs) rows.push_back({path(one.target), "up to " + bytes(one.size), {}});
    section("Private", "empty at the start, gone at the end", rows);
  }

  void hidden() {
    std::vector<Row> rows;
    std::vector<std::string> missing;
    for (const Mount& mount : policy_.mounts) {
      if (mount.access == Access::hidden) rows.push_back({place(mount), {}, where(mount.origin)});
    }
    for (const policy::Watched& one : policy_.watched) {
      if (one.why == policy::Watched::Why::hide) missing.push_back(path(one.wanted));
    }
    section("Hidden", "not even readable", or_nothing(std::move(rows), missing));
    std::ranges::sort(missing);
    missing_names("missing, and hidden if made:", "hidden if they are made", missing);
  }

  void protected_places() {
    std::vector<Row> rows;
    std::vector<std::string> missing;
    std::size_t ancestors = 0;
    for (const Mount& mount : policy_.mounts) {
      if (mount.why == Why::protect) rows.push_back({place(mount), {}, where(mount.origin)});
      if (mount.why == Why::pin) rows.push_back({path(mount.target), "the link itself", where(mount.origin)});
      if (mount.why == Why::ghost) missing.push_back(path(mount.target) + "/");
      if (mount.why == Why::ancestor) ++ancestors;
    }
    for (const policy::Watched& one : policy_.watched) {
      if (one.why == policy::Watched::Why::protect) missing.push_back(path(one.wanted));
    }
    section("Protected", "read-only: programs outside would execute it", or_nothing(std::move(rows), missing));
    std::ranges::sort(missing);
    missing_names("missing, and kept from being made:", "kept from being made", missing);
    if (std::ranges::any_of(policy_.mounts, [](const Mount& mount) { return mount.why == Why::ghost; })) {
      out_ += fmt::format("  {}for the run, an empty folder stands in the place of each missing folder/{}\n",
                          style_.dim, style_.off);
    }
    if (ancestors > 0) {
      out_ += fmt::format("  {}{} on the way to these can't be renamed, and files can't be moved across {}{}\n",
                          style_.dim, ancestors == 1 ? "one folder" : fmt::format("{} folders", ancestors),
                          ancestors == 1 ? "its edge" : "their edges", style_.off);
    }
  }

  void held() {
    std::vector<Row> rows;
    std::vector<std::string> missing;
    for (const policy::Held& one : policy_.held) {
      if (one.kind == policy::FileKind::missing) {
        missing.push_back(path(one.path));
      } else {
        rows.push_back({path(one.path), {}, where(one.origin)});
      }
    }
    section("Held", "writable, but restored at the end unless you keep the change",
            or_nothing(std::move(rows), missing));
    missing_names("missing, and held if made:", "held if they are made", missing);
  }

  void network() {
    std::vector<Row> rows;
    for (const policy::Loopback& one : policy_.loopback) {
      const bool asks = one.asks == policy::Loopback::Asks::yes, llm = one.speech == profile::Speech::llm;
      rows.push_back({fmt::format("localhost:{}", one.port),
                      asks  ? "this machine's server, after a yes"
                      : llm ? "this machine's model server, as far as a model's user needs it"
                            : "this machine's server, at the same address",
                      where(one.origin)});
    }
    hosts(rows);
    if (policy_.proxy == policy::Proxy::offered) {
      rows.push_back({fmt::format("proxy at {}", policy::room_address_v4),
                      fmt::format("HTTP on port {}, SOCKS5 on port {}, ruled as everything else",
                                  policy::http_proxy_port, policy::socks_proxy_port),
                      {}});
    }
    for (const profile::Publication& one : policy_.publish) {
      rows.push_back(
          {fmt::format("port {} of the room", one.inside),
           one.serves == profile::Serves::raw
               ? fmt::format("reachable as localhost:{} from this machine, every protocol, unchanged", one.outside)
               : fmt::format("a page at http://SESSION.localhost:{}/ that loads nothing from elsewhere", one.outside),
           {}});
    }
    if (policy_.outside == policy::Outside::closed) {
      rows.push_back({rows.empty() ? "nothing" : "nothing else", "no route out, and no name service", {}});
    }
    section("Network", {}, rows);
  }

  // The rules for other hosts, and what becomes of those that none names.
  void hosts(std::vector<Row>& rows) {
    if (policy_.outside == policy::Outside::closed) return;
    const auto& rules = policy_.rules.network;
    auto add = [&](const auto& list, const char* what) {
      for (const auto& rule : list) {
        if (rule.value.kind == profile::HostKind::localhost) continue;  // above
        rows.push_back({escape(rule.value.text), what, where(rule.origin)});
      }
    };
    add(rules.allow, "without a question");
    add(rules.ask, "you are asked");
    add(rules.deny, "never");
    const bool asks = rules.default_ == profile::Default::ask, allows = rules.default_ == profile::Default::allow;
    rows.push_back({"every other name",
                    asks     ? "you are asked"
                    : allows ? "without a question"
                             : "never",
                    rules.default_origin ? where(*rules.default_origin) : std::string()});
    rows.push_back({"this machine, its neighbours", "only by a rule for the address; datagrams and ping never", {}});
    auto limit = [&](const auto& budget, std::string what) {
      if (budget) rows.push_back({escape(budget->value.text), std::move(what), where(budget->origin)});
    };
    const auto& traffic = policy_.rules.traffic;
    limit(traffic.bytes_out, "may go out in all without a question");
    limit(traffic.bytes_out_per_host, "may go out to one host without a question");
    limit(traffic.connections_per_host, "connections to one host without a question");
  }

  // What may run outside. With nothing but the default there is nothing to say.
  void commands() {
    const auto& rules = policy_.rules.commands;
    std::vector<Row> rows;
    auto add = [&](const auto& list, const char* what) {
      for (const auto& rule : list) rows.push_back({escape(rule.value.text), what, where(rule.origin)});
    };
    add(rules.allow, "without a question");
    add(rules.ask, "you are asked");
    add(rules.deny, "never");
    bool asks = rules.default_ == profile::Default::ask, allows = rules.default_ == profile::Default::allow;
    if (rows.empty() && !asks && !allows) return;
    rows.push_back({"everything else", asks ? "you are asked" : allows ? "without a question" : "never", {}});
    section("Commands on the host", "outside the room, with your rights", rows, style_.yellow);
  }

  void messages() {
    const policy::Rules::Messages& rules = policy_.rules.messages;
    if (rules.ways.empty()) return;
    std::vector<Row> rows;
    auto add = [&](const auto& list, const char* what) {
      for (const auto& rule : list) rows.push_back({escape(rule.value.text), what, where(rule.origin)});
    };
    add(rules.self, "you: without a question");
    add(rules.lists.allow, "without a question, but for the first message to each");
    add(rules.lists.ask, "you are asked");
    add(rules.lists.deny, "never");
    const profile::Default otherwise = rules.lists.default_;
    rows.push_back({"everybody else",
                    otherwise == profile::Default::ask     ? "you are asked"
                    : otherwise == profile::Default::allow ? "without a question, but for the first message to each"
                                                           : "never",
                    rules.lists.default_origin ? where(*rules.lists.default_origin) : std::string()});
    if (rules.limit) {
      rows.push_back(
          {escape(rules.limit->value.text), "messages at most without a question", where(rules.limit->origin)});
    }
    for (const policy::Rules::Way& way : rules.ways) {
      rows.push_back({escape(way.name),
                      way.post ? "posted to " + escape(way.post->text)
                               : base::quote(way.send) + " reads " +
                                     (way.format == profile::MessageFormat::mail ? "the mail" : "the text"),
                      {}});
    }
    if (rules.delay.count() > 0) {
      rows.push_back({duration(rules.delay), "each message waits, and `agentbox approve` can cancel it", {}});
    }
    section("Messages", "sent outside the room, with your rights", rows, style_.yellow);
  }

  void spending() {
    const policy::Rules::Spending& rules = policy_.rules.spending;
    if (!rules.limit || rules.pay.empty()) return;
    std::vector<Row> rows;
    auto add = [&](const auto& limit, std::string what) {
      if (limit) rows.push_back({escape(limit->value.text), std::move(what), where(limit->origin)});
    };
    add(rules.limit, "without a question; you are asked about what is beyond");
    add(rules.single, "at most in one payment without a question");
    add(rules.per_recipient, "at most to one recipient without a question");
    add(rules.count, "payments at most without a question");
    rows.push_back({base::quote(rules.pay), "pays, outside the room, with your rights", {}});
    if (rules.delay.count() > 0) {
      rows.push_back({duration(rules.delay), "each payment waits, and `agentbox approve` can cancel it", {}});
    }
    section("Payments", "`agentbox ledger` shows what was spent", rows, style_.yellow);
  }

  void reviewer() {
    const policy::Approval& approval = policy_.approval;
    if (!approval.reviewer) return;
    const policy::Reviewer& model = *approval.reviewer;
    std::vector<Row> rows;
    rows.push_back({escape(policy::url_of(model)),
                    model.model.empty() ? "the only model that runs there" : "model " + escape(model.model),
                    {}});
    if (model.key_file) rows.push_back({path(*model.key_file), "holds the key that its server is told", {}});
    if (approval.consent == policy::Consent::human_and_reviewer) {
      const bool typed = approval.friction.phrase == policy::Friction::Phrase::typed;
      rows.push_back({duration(std::chrono::ceil<std::chrono::seconds>(approval.friction.wait)),
                      typed ? "and a phrase to type: what a yes takes that it doesn't agree to"
                            : "to wait: what a yes takes that it doesn't agree to",
                      {}});
    }
    section("Second opinion on questions", "it can object, and never answers", rows, {});
  }

  void devices() {
    std::vector<Row> rows;
    for (const Mount& mount : policy_.mounts) {
      if (mount.why == Why::device) rows.push_back({path(mount.target), {}, where(mount.origin)});
    }
    if (rows.empty()) rows.push_back({"none", "no GPU, no sound, no display", {}});
    section("Devices", {}, rows);
  }

  void environment() {
    std::vector<Row> rows;
    for (const auto& [name, value] : policy_.environment) {
      // What is on the screen is soon in a bug report.
      std::string text = policy::names_secret(name) ? "(not shown)" : base::quote(std::string_view(value));
      rows.push_back({escape(name) + "=" + text, {}, {}});
    }
    section("Environment", "nothing else is passed on", rows);
  }

  void limits() {
    const policy::Limits& limits = policy_.limits;
    std::vector<Row> rows;
    auto add = [&](std::uint64_t value, std::string_view what, std::string text) {
      if (value > 0) rows.push_back({std::string(what), std::move(text), {}});
    };
    add(limits.processes, "processes", std::to_string(limits.processes));
    add(limits.open_files, "open files", fmt::format("{} each process", limits.open_files));
    add(limits.file_size, "file size", bytes(limits.file_size));
    auto seconds = [](std::chrono::seconds time) { return static_cast<std::uint64_t>(time.count()); };
    add(seconds(limits.cpu_time), "processor time", duration(limits.cpu_time) + " each process");
    add(seconds(limits.time), "time", duration(limits.time));
    add(limits.memory, "memory", bytes(limits.memory));
    add(limits.cpu, "processor share", fmt::format("weight {}, where others have 100", limits.cpu));
    section("Limits", {}, rows);
  }

  void notes(Note::Kind kind, std::string_view title, std::string_view colour, const base::Diagnostics& first = {}) {
    std::vector<Row> rows;
    for (const base::Diagnostic& one : first) {
      rows.push_back({one.message + (one.hint.empty() ? "" : "; " + one.hint), {}, {}});
    }
    for (const Note& note : policy_.notes) {
      if (note.kind == kind) rows.push_back({note.text, {}, where(note.origin)});
    }
    section(title, {}, rows, colour);
  }

  // Grants of what isn't there are many: each building block names all places where a tool may be.
  void skipped() {
    std::vector<Row> rows;
    std::vector<std::string> files;
    std::size_t count = 0;
    for (const Note& note : policy_.notes) {
      if (note.kind != Note::Kind::absent && note.kind != Note::Kind::skipped) continue;
      if (layout_.names == Layout::Names::counted && note.kind == Note::Kind::absent) {
        ++count;
        std::string file = escape(base_name(note.origin.file));
        if (std::ranges::find(files, file) == files.end()) files.push_back(std::move(file));
      } else {
        rows.push_back({note.text, {}, where(note.origin)});
      }
    }
    if (count > 0) {
      std::ranges::sort(files);
      rows.push_back(
          {fmt::format("{} of {} {} exist here (--all)", count == 1 ? "one path" : fmt::format("{} paths", count),
                       fmt::join(files, ", "), count == 1 ? "doesn't" : "don't"),
           {},
           {}});
    }
    section("Skipped", {}, rows);
  }

  static std::string about(const Mount& mount) {
    switch (mount.why) {
      case Why::workspace: return "the workspace";
      case Why::git: return "the repository's data";
      default: return mount.kind == policy::FileKind::socket ? "a socket" : "";
    }
  }
  // A heading for what is missing, where nothing of the kind exists.
  static std::vector<Row> or_nothing(std::vector<Row> rows, const std::vector<std::string>& missing) {
    if (rows.empty() && !missing.empty()) rows.push_back({"nothing that is there now", {}, {}});
    return rows;
  }
  static std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
  }

  const Policy& policy_;
  const base::Diagnostics& unbuilt_;
  const base::Diagnostics& more_;
  const Layout layout_;
  const std::size_t width_;
  const Style& style_;
  std::map<std::string, int> names_;
  std::string out_;
};

}  // namespace

std::string explain_text(const Explained& explained, Layout layout) {
  return Text(explained, layout).run();
}

}  // namespace agentbox::cli
