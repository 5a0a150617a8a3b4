// The schema: every key that a profile may hold, once. The parser, merging, `.agentbox.toml`,
// agentbox-profile(5), `explain` and the completions are made from these rows; to add a key is to add a row
// (and a member of Profile).

#include <array>

#include "narrow.hpp"
#include "rows.hpp"

namespace agentbox::profile {

namespace {

// Where a value lies in a Profile; `at(x.y)` reads better in a table than the lambda that it is.
// NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name
#define AT(member) [](auto& p) -> auto& { return p.member; }

constexpr std::array defaults_of{std::pair{std::string_view("deny"), Default::deny},
                                 std::pair{std::string_view("ask"), Default::ask},
                                 std::pair{std::string_view("allow"), Default::allow}};
constexpr std::array modes{std::pair{std::string_view("direct"), WorkspaceMode::direct},
                           std::pair{std::string_view("review"), WorkspaceMode::review},
                           std::pair{std::string_view("read-only"), WorkspaceMode::read_only}};
constexpr std::array git_configs{std::pair{std::string_view("none"), GitConfig::none},
                                 std::pair{std::string_view("inert"), GitConfig::inert}};
constexpr std::array requirements{std::pair{std::string_view("human"), Require::human},
                                  std::pair{std::string_view("human+reviewer"), Require::human_and_reviewer}};

constexpr std::array<std::string_view, 2> of_message{"{to}", "{subject}"};
constexpr std::array<std::string_view, 6> of_payment{"{amount}", "{minor}", "{currency}", "{to}", "{memo}", "{key}"};
constexpr ArgvForm room_command{.references = true};
constexpr ArgvForm message_command{.placeholders = of_message, .placed = ArgvForm::Placed::alone};
constexpr ArgvForm payment_command{.placeholders = of_payment, .placed = ArgvForm::Placed::alone};
constexpr ArgvForm host_command{};

constexpr std::int64_t most_processes = 4194304;   // PID_MAX_LIMIT of a 64-bit kernel
constexpr std::int64_t most_open_files = 1048576;  // fs.nr_open as the kernel sets it
constexpr std::int64_t most_cpu_weight = 10000;    // cgroup v2, cpu.weight

constexpr std::string_view adds = "adds up", replaced = "replaced", by_key = "by key";
constexpr std::string_view more = "may add", less = "may be made smaller", stricter = "may be made stricter",
                           off = "may be switched off", asking = "may add what is allowed already";

void read_extends(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::list) return reading.expected(node, "a list of strings");
  for (const Node& item : node.items) {
    if (item.kind != Node::Kind::string) {
      reading.error(item.at, fmt::format("expected a list of strings, found {} in it", name_of(item.kind)));
      continue;
    }
    bool is_path = item.text.find('/') != std::string::npos && item.text.find('\0') == std::string::npos;
    if (!is_path && !is_profile_name(item.text)) {
      reading.error(item.at, fmt::format("'{}' is not a profile's name", base::escape(item.text)),
                    item.text.ends_with(".toml") ? "a path has a '/': \"./name.toml\""
                                                 : "a name is made of a-z, 0-9, '_' and '-'; a path has a '/'");
      continue;
    }
    // A file that extends its own name means the one behind it in the order of the folders.
    std::size_t folder = item.text == reading.source.name ? reading.source.folder + 1 : 0;
    reading.draft.parents.push_back({.name = item.text, .from_folder = folder, .origin = reading.origin(item)});
  }
}

void read_variables(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::table) return reading.expected(node, "a table of strings", "set = { NAME = \"value\" }");
  for (const Entry& entry : node.entries) {
    if (Parsed<std::string> name = environment_name(entry.key); !name) {
      reading.error(entry.at, name.error().message);
    } else if (entry.value.kind != Node::Kind::string) {
      std::string hint =
          entry.value.kind == Node::Kind::integer ? fmt::format("write \"{}\"", entry.value.integer) : "";
      reading.expected(entry.value, "a string", hint);
    } else if (Parsed<std::string> text = value(entry.value.text); !text) {
      reading.fault(entry.value, text.error());
    } else {
      reading.draft.own.environment.set.emplace_back(
          entry.key, Located<std::string>{entry.value.text, reading.origin(entry.value)});
    }
  }
}

void fold_variables(Folding& folding) {
  auto& into = folding.result.environment.set;
  for (const auto& variable : folding.from().own.environment.set) {
    auto same = std::ranges::find(into, variable.first, [](const auto& other) { return other.first; });
    if (same == into.end()) {
      into.push_back(variable);
    } else {
      *same = variable;
    }
  }
}

// The one of [messages.NAME] that is read now.
MessageBackend& backend_of(Reading& reading) {
  auto& all = reading.draft.own.messages.backends;
  auto same = std::ranges::find(all, reading.table, &MessageBackend::name);
  if (same != all.end()) return *same;
  return all.emplace_back(MessageBackend{.name = std::string(reading.table)});
}

void check_one_way(Reading& reading, const Node& node) {
  const MessageBackend& backend = backend_of(reading);
  if (!backend.send || !backend.post) return;
  reading.error(node.at, fmt::format("[messages.{}] has both send and post", backend.name),
                "each is a way to send: give one of them a table of its own");
}

void read_send(Reading& reading, const Node& node) {
  if (auto argv = read_argv(reading, node, message_command)) {
    backend_of(reading).send = Located<std::vector<std::string>>{std::move(*argv), reading.origin(node)};
    check_one_way(reading, node);
  }
}

void read_post(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::string) return reading.expected(node, "a string");
  if (Parsed<PostAddress> address = post_address(node.text); !address) {
    reading.fault(node, address.error());
  } else {
    backend_of(reading).post = Located<PostAddress>{std::move(*address), reading.origin(node)};
    check_one_way(reading, node);
  }
}

void read_format(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::string || (node.text != "mail" && node.text != "text")) {
    return reading.expected(node, "\"mail\" or \"text\"");
  }
  backend_of(reading).format =
      Located<MessageFormat>{node.text == "mail" ? MessageFormat::mail : MessageFormat::text, reading.origin(node)};
}

void fold_backends(Folding& folding) {
  auto& into = folding.result.messages.backends;
  for (const MessageBackend& backend : folding.from().own.messages.backends) {
    auto same = std::ranges::find(into, backend.name, &MessageBackend::name);
    if (same == into.end()) {
      into.push_back(backend);
      continue;
    }
    // Each is another way to the same: the later one is it.
    if (backend.send) {
      same->send = backend.send;
      same->post.reset();
    }
    if (backend.post) {
      same->post = backend.post;
      same->send.reset();
    }
    if (backend.format) same->format = backend.format;
  }
}
void fold_nothing(Folding& /*folding*/) {}  // `send` folds the whole table

// { wait = "20s", phrase = true }, each of them optional.
void read_friction(Reading& reading, const Node& node) {
  if (node.kind != Node::Kind::table) {
    return reading.expected(node, "a table", "friction = { wait = \"20s\", phrase = true }");
  }
  Friction friction;
  for (const Entry& entry : node.entries) {
    if (entry.key == "wait") {
      if (entry.value.kind != Node::Kind::string) {
        reading.expected(entry.value, "a string", "for example \"20s\"");
      } else if (auto time = duration(entry.value.text)) {
        friction.wait = *time;
      } else {
        reading.fault(entry.value, time.error());
      }
    } else if (entry.key == "phrase") {
      if (entry.value.kind != Node::Kind::boolean) {
        reading.expected(entry.value, "true or false");
      } else {
        friction.phrase = entry.value.boolean ? Friction::Phrase::typed : Friction::Phrase::none;
      }
    } else {
      reading.error(entry.at, fmt::format("unknown key '{}'", base::escape(entry.key)),
                    "wait and phrase are known here");
    }
  }
  reading.draft.own.approval.friction = {friction, reading.origin(node)};
}

// Rows by kind, so that the table below says only what differs.
template <auto Get, auto Parse, void (*Narrow)(Narrowing&) = nullptr>
constexpr Row list(std::string_view section, std::string_view key, std::string_view type, std::string_view text,
                   std::string_view example) {
  std::string_view tightening = Narrow == nullptr ? "" : key == "ask" ? asking : more;
  return {{section, key, type, "[]", text, example, adds, tightening}, read_list<Get, Parse>, fold_list<Get>, Narrow};
}
template <auto Get, auto Parse, void (*Narrow)(Narrowing&) = nullptr>
constexpr Row scalar(std::string_view section, std::string_view key, std::string_view type, std::string_view fallback,
                     std::string_view text, std::string_view example) {
  return {{section, key, type, fallback, text, example, replaced, Narrow == nullptr ? "" : less},
          read_text<Get, Parse>,
          fold_value<Get>,
          Narrow};
}
template <auto Get, const ArgvForm& Form>
constexpr Row argv(std::string_view section, std::string_view key, std::string_view text, std::string_view example) {
  return {{section, key, "command and its arguments", "", text, example, replaced, ""},
          read_command<Get, Form>,
          fold_value<Get>,
          nullptr};
}
template <auto Get>
constexpr Row default_of(std::string_view section, std::string_view fallback, std::string_view text,
                         std::string_view example) {
  return {{section, "default", "\"deny\", \"ask\" or \"allow\"", fallback, text, example, replaced, stricter},
          read_word<Get, defaults_of>,
          fold_value<Get>,
          narrow_default<Get>};
}
template <auto Get>
constexpr Row device(std::string_view key, std::string_view text, std::string_view example) {
  return {{"devices", key, "true or false", "false", text, example, replaced, off},
          read_flag<Get>,
          fold_value<Get>,
          narrow_off<Get>};
}
template <auto Get, std::int64_t Least, std::int64_t Most>
constexpr Row limit(std::string_view key, std::string_view fallback, std::string_view text, std::string_view example) {
  return {{"limits", key, "integer", fallback, text, example, replaced, less},
          read_number<Get, Least, Most>,
          fold_value<Get>,
          narrow_smaller<Get>};
}
template <auto Get, auto Parse>
constexpr Row limit_text(std::string_view key, std::string_view type, std::string_view fallback, std::string_view text,
                         std::string_view example) {
  return scalar<Get, Parse, narrow_smaller<Get>>("limits", key, type, fallback, text, example);
}

std::vector<Row> make_rows() {
  std::vector<Row> table;
  auto add = [&](const Row& row) { table.push_back(row); };

  // clang-format off
  // ---- top level
  add(scalar<AT(description), description>("", "description", "string", "",
      "One line for `agentbox profiles`: what the profile is for.",
      "description = \"pi with a local model behind llama-server\""));
  add({{"", "extends", "list of profiles", "[]",
      "The profiles that this one builds on, merged from left to right before the file itself; see "
      "MERGING. A name is looked up as on the command line, a path (it has a '/') counts from the folder "
      "of this file. The file's own name means the profile of that name in the next folder, so that a "
      "profile of your own can extend the shipped one that it replaces. What protects the workspace comes from base: a "
      "profile that extends nothing protects nothing, but what it names itself.", "extends = [\"base\", \"node\"]",
      "not inherited", ""}, read_extends, nullptr, nullptr});
  add(argv<AT(command), room_command>("", "command",
      "What `agentbox run PROFILE` starts where the command line names no command. ${SHELL} (the login "
      "shell), ${HOME}, ${USER}, ${workspace} and the XDG folders are replaced; '$${' is a literal '${'. '~/' at the "
      "start of the program's name is the home folder.", "command = [\"${SHELL}\"]"));

  // ---- workspace
  add({{"workspace", "mode", "\"direct\", \"review\" or \"read-only\"", "\"direct\"",
      "What a write in the workspace does. direct: it is done. read-only: it fails. review: it goes to a copy, and at the "
      "end the owner sees the changes and applies them. Not built yet: `agentbox run` refuses review.",
      "[workspace]\nmode = \"read-only\"", replaced, stricter}, read_word<AT(workspace.mode), modes>,
      fold_value<AT(workspace.mode)>, narrow_mode});
  add(list<AT(workspace.protect), workspace_pattern, narrow_add<AT(workspace.protect)>>("workspace",
      "protect", "list of patterns",
      "Read-only in the room: what a program outside will execute, such as git's hooks or an editor's "
      "tasks. A missing directory (a pattern with a '/' at its end) cannot be made; a missing file that "
      "is made goes to quarantine.", "[workspace]\nprotect = [\"deploy/\", \"${roots}/.envrc\"]"));
  add(list<AT(workspace.hold), workspace_pattern, narrow_add<AT(workspace.hold)>>("workspace", "hold",
      "list of patterns",
      "Writable, but kept only after a yes at the end: what a person or a program outside will obey, such "
      "as AGENTS.md or a CI workflow. Where nobody can be asked, the old content is restored and the new "
      "one goes to quarantine.", "[workspace]\nhold = [\"docs/policy.md\"]"));
  add(list<AT(workspace.hide), workspace_pattern, narrow_add<AT(workspace.hide)>>("workspace", "hide",
      "list of patterns",
      "Not even readable: a directory is empty and cannot be written, a file is empty and has no "
      "permissions. It wins over everything beneath.", "[workspace]\nhide = [\"**/.env\", \"secrets/\"]"));

  // ---- files
  add(list<AT(files_section.read), path>("files", "read", "list of paths",
      "Readable, at the path that it has outside. A missing one is skipped, and `agentbox explain` names "
      "it.", "[files]\nread = [\"~/world_knowledge\"]"));
  add(list<AT(files_section.write), path>("files", "write", "list of paths",
      "Readable and writable. One with a '/' at its end is made if it is missing (mode 0700); any other "
      "that is missing is an error.", "[files]\nwrite = [\"~/.pi/agent/sessions/\"]"));
  add(list<AT(files_section.ask), path, narrow_files_ask>("files", "ask", "list of paths",
      "Listed and visible; each open and each change needs a yes. Not built yet: `agentbox run` refuses it.",
      "[files]\nask = [\"~/notes\", \"~/Documents\"]"));
  add(list<AT(files_section.hide), outside_pattern, narrow_add<AT(files_section.hide)>>("files", "hide",
      "list of paths",
      "Taken out of what read, write and ask grant: neither readable nor writable, with everything "
      "beneath. No wildcards.", "[files]\nhide = [\"~/notes/private/\"]"));
  add(scalar<AT(files_section.deletes), count_budget, narrow_budget<AT(files_section.deletes),
      Without::unlimited>>("files", "deletes", "count and period", "",
      "How many files may be deleted or overwritten in what needs no question; the next one asks. Not built yet: "
      "`agentbox run` refuses it.",
      "[files]\ndeletes = \"20/session\""));

  // ---- network
  add(list<AT(network.allow), host_rule>("network", "allow", "list of hosts",
      "Connections that need no question. A plain grant means: whatever that server can do, the agent can "
      "do. { to = HOST, as = \"llm\" } lets through only the harmless methods and paths of a model "
      "server; { to = HOST, via = URL } takes its own upstream.",
      "[network]\nallow = [{ to = \"localhost:8080\", as = \"llm\" }, \"docs.example.org:443\"]"));
  add(list<AT(network.ask), host_rule, narrow_ask<AT(network)>>("network", "ask", "list of hosts",
      "Connections that need a yes, also where allow or the default would let them through.",
      "[network]\nask = [\"*.example.org\"]"));
  add(list<AT(network.deny), host_rule, narrow_add<AT(network.deny)>>("network", "deny", "list of hosts",
      "Connections that are refused without a question.", "[network]\ndeny = [\"*.doubleclick.net\"]"));
  add(default_of<AT(network.default_)>("network", "\"deny\"", "What holds for a host that no list names.",
      "[network]\ndefault = \"ask\""));
  add(list<AT(network.publish), publication>("network", "publish", "list of ports",
      "Ports of the room that are reachable on the host's loopback: \"3000\", or \"8080:3000\" for the "
      "host's port 8080 and the room's 3000. They serve HTTP at http://SESSION.localhost:PORT/, which the run "
      "prints when it starts and to which http://localhost:PORT/ leads; every answer carries a content security policy, "
      "so that a page loads nothing from elsewhere and sends nothing there. It can still lead the browser itself to "
      "another address, in plain sight. { port = 3000, raw = true } passes every protocol, unchanged: a "
      "browser that opens such a page can carry data out.",
      "[network]\npublish = [\"3000\", { port = 5432, raw = true }]"));
  add(scalar<AT(network.via), upstream>("network", "via", "URL", "",
      "The upstream through which every connection goes: socks5h://HOST:PORT (Tor, with its own circuit "
      "for each destination) or http://HOST:PORT. One that is down is an error, never a direct "
      "connection.", "[network]\nvia = \"socks5h://127.0.0.1:9050\""));
  add({{"network", "proxy", "true or false", "false",
      "Offer the gate as a proxy too, and set the usual variables, for programs that must be told of one.",
      "[network]\nproxy = true", replaced, off}, read_flag<AT(network.proxy)>,
      fold_value<AT(network.proxy)>, narrow_off<AT(network.proxy)>});
  add(scalar<AT(network.bytes_out), bytes_budget, narrow_budget<AT(network.bytes_out), Without::unlimited>>(
      "network", "bytes_out", "size and period", "",
      "How much may leave in all without a question, to whatever hosts; what is beyond waits for a yes, which lets as "
      "much go again. Nothing that stays on this machine counts.", "[network]\nbytes_out = \"50 MB/session\""));
  add(scalar<AT(network.bytes_out_per_host), bytes_budget,
             narrow_budget<AT(network.bytes_out_per_host), Without::unlimited>>(
      "network", "bytes_out_per_host", "size and period", "\"100 MB/session\"",
      "The same for one host, also one that is allowed: a granted forge is no open drain. Hosts below one registered "
      "domain count as one, so that no pattern grants as much for each name that it matches.",
      "[network]\nbytes_out_per_host = \"20 MB/day\""));
  add(scalar<AT(network.connections_per_host), count_budget,
             narrow_budget<AT(network.connections_per_host), Without::unlimited>>(
      "network", "connections_per_host", "count and period", "\"600/minute\"",
      "How many connections may be made to one host without a question: their number and their times can carry data "
      "out, too. Counted in each session by itself.", "[network]\nconnections_per_host = \"60/minute\""));

  // ---- commands
  add(list<AT(commands.allow), command_pattern>("commands", "allow", "list of commands",
      "Commands that run on the host, outside the room, without a question. A rule goes by the words: \"git push origin "
      "*\" holds for whatever address the remote is set to, where a remembered yes holds for those that were shown.",
      "[commands]\nallow = [\"notify-send **\"]"));
  add(list<AT(commands.ask), command_pattern, narrow_ask<AT(commands)>>("commands", "ask",
      "list of commands", "Commands that run on the host after a yes. No star stands for an option: what a first push "
      "needs is named, too.",
      "[commands]\nask = [\"git push **\", \"git push -u **\", \"xdg-open *\"]"));
  add(list<AT(commands.deny), command_pattern, narrow_add<AT(commands.deny)>>("commands", "deny",
      "list of commands", "Commands that are refused without a question.",
      "[commands]\ndeny = [\"git push * main\"]"));
  add(default_of<AT(commands.default_)>("commands", "\"deny\"",
      "What holds for a command that no list names.", "[commands]\ndefault = \"deny\""));

  // ---- messages
  add(list<AT(messages.self), recipient>("messages", "self", "list of recipients",
      "The owner's own addresses and numbers: sending to them needs no question. Compared exactly, but for a "
      "name before the address and the case of the domain: me+notes@example.org is somebody else.",
      "[messages]\nself = [\"me@example.org\", \"+1555010\"]"));
  add(list<AT(messages.allow), recipient>("messages", "allow", "list of recipients",
      "Others who may be written to without a question, but for the first message to each, which always "
      "asks. \"*@example.org\" is everybody there, \"*@*.example.org\" below it, \"team+*@example.org\" each "
      "address with a tag behind the plus.", "[messages]\nallow = [\"team@example.org\", \"*@family.example\"]"));
  add(list<AT(messages.ask), recipient, narrow_ask<AT(messages)>>("messages", "ask", "list of recipients",
      "Those for whom each message needs a yes, also where another list would let it through.",
      "[messages]\nask = [\"boss@example.org\"]"));
  add(list<AT(messages.deny), recipient, narrow_add<AT(messages.deny)>>("messages", "deny",
      "list of recipients",
      "Those who are never written to: in whatever case, and with whatever tag behind a plus.",
      "[messages]\ndeny = [\"press@example.org\"]"));
  add(default_of<AT(messages.default_)>("messages", "\"ask\"",
      "What holds for a recipient whom no list names; without any way to send, every message is denied.",
      "[messages]\ndefault = \"deny\""));
  add(scalar<AT(messages.limit), count_budget, narrow_budget<AT(messages.limit), Without::unlimited>>(
      "messages", "limit", "count and period", "\"20/hour\"",
      "How many messages may be sent without a question; the next one asks, whoever receives it. A message "
      "counts once for each of its recipients, also after a yes, and where it could not be sent.",
      "[messages]\nlimit = \"20/day\""));
  add(scalar<AT(messages.delay), duration>("messages", "delay", "time", "",
      "How long a message waits before it is sent, after its yes or where no question was needed: visible and "
      "cancellable with `agentbox approve`. One that is cancelled counts against the limit all the same. If agentbox "
      "ends before, it is not sent.",
      "[messages]\ndelay = \"30s\""));
  add({{"messages.NAME", "send", "command and its arguments", "",
      "How a message of this kind is really sent: a program of this machine with its arguments; no shell. "
      "{to}, the recipients, and {subject} stand alone as an argument and are replaced in it. The program "
      "reads the message on its standard input; its exit code 0 says that it was sent, another one that it "
      "was not, and a signal that nobody knows. It runs with your rights in /, with a fixed environment, for "
      "two minutes at most. The agent must not be able to change anything that it names.",
      "[messages.signal]\nsend = [\"signal-cli\", \"-a\", \"+1555010\", \"send\", "
      "\"--message-from-stdin\", \"{to}\"]", by_key, ""}, read_send, fold_backends, nullptr});
  add({{"messages.NAME", "format", "\"mail\" or \"text\"", "",
      "What the program of send reads. mail: a whole mail with its headers (RFC 5322), as sendmail -t takes "
      "it; the recipients are mail addresses. text: the body alone, for one recipient, without subject or "
      "attachments. Without it: text where {to} is an argument, else mail.",
      "[messages.email]\nformat = \"mail\"\nsend = [\"msmtp\", \"-t\"]", by_key, ""},
      read_format, fold_nothing, nullptr});
  add({{"messages.NAME", "post", "URL", "",
      "In place of send: a server on this machine to which the message is posted as JSON, an object with "
      "to (list of strings), subject, body, and attachments (list of objects with name and base64). "
      "A status of 2xx says that it was sent. The agent must not reach it by itself: a rule of [network] "
      "for the same port is an error.",
      "[messages.home]\npost = \"http://127.0.0.1:6000/send\"", by_key, ""},
      read_post, fold_nothing, nullptr});

  // ---- spending
  add(scalar<AT(spending.limit), money_budget, narrow_budget<AT(spending.limit), Without::nothing>>(
      "spending", "limit", "amount and period", "",
      "What may be spent without a question; the next payment asks, with friction. Without it every "
      "payment is denied. Everything that was paid or may have been counts, also after a yes. A day is "
      "the calendar's, in your time zone; an hour or a minute is the last one before the payment.",
      "[spending]\nlimit = \"100 USD/day\""));
  add(scalar<AT(spending.single), money, narrow_budget<AT(spending.single), Without::unlimited>>("spending",
      "single", "amount", "", "The most that one payment may be without a question.",
      "[spending]\nsingle = \"25 USD\""));
  add(scalar<AT(spending.per_recipient), money_budget,
             narrow_budget<AT(spending.per_recipient), Without::unlimited>>("spending", "per_recipient",
      "amount and period", "",
      "What may be paid to one and the same recipient without a question. Whoever spells a recipient in "
      "two ways makes two of it.", "[spending]\nper_recipient = \"40 USD/day\""));
  add(scalar<AT(spending.count), count_budget, narrow_budget<AT(spending.count), Without::unlimited>>(
      "spending", "count", "count and period", "\"20/day\"",
      "How many payments may be made without a question: their number can carry data out, too. One "
      "that was tried counts, also where nothing was paid.",
      "[spending]\ncount = \"20/day\""));
  add(scalar<AT(spending.delay), duration>("spending", "delay", "time", "",
      "How long a payment waits before it is made, after its yes or where no question was needed: visible and "
      "cancellable with `agentbox approve`. What it costs is reserved meanwhile. If agentbox ends before, it is not "
      "made.",
      "[spending]\ndelay = \"30s\""));
  add(argv<AT(spending.pay_command), payment_command>("spending.pay", "command",
      "How a payment is really made: a program of this machine with its arguments; no shell. {amount} "
      "(12.50), {minor} (1250: cents, or whatever the currency's smallest unit is), {currency}, {to}, "
      "{memo} and {key} stand alone as an argument and are replaced in it. Its exit code must say what "
      "became of the payment: 0 it was paid, 1 it was not paid and will not be. Anything else, a signal "
      "too, means that nobody knows: the amount stays reserved until `agentbox ledger settle` is told. "
      "It runs with your rights in /, with a fixed environment and nothing to read, for ten minutes at "
      "most. The agent must not be able to change anything that it names.",
      "[spending.pay]\ncommand = [\"wallet-cli\", \"send\", \"{amount}\", \"{to}\"]"));

  // ---- environment
  add(list<AT(environment.pass), environment_pattern>("environment", "pass", "list of names",
      "Variables that enter the room with the value that they have outside; \"LC_*\" is every name that "
      "begins so. Nothing else is inherited.", "[environment]\npass = [\"LANG\", \"LC_*\", \"TERM\"]"));
  add({{"environment", "set", "table of strings", "{}",
      "Variables with the value that stands here; ${HOME} and its like are replaced as in command. It wins over pass.",
      "[environment]\nset = { PI_OFFLINE = \"1\" }", by_key, ""}, read_variables, fold_variables, nullptr});

  // ---- seccomp, git, devices
  add(list<AT(seccomp.allow), system_call>("seccomp", "allow", "list of system calls",
      "Lifts a denial of the base filter; say why in a comment. \"userns\" allows nested user namespaces, "
      "for programs that bring a sandbox of their own.", "[seccomp]\nallow = [\"ptrace\"]"));
  add(list<AT(seccomp.deny), system_call, narrow_add<AT(seccomp.deny)>>("seccomp", "deny",
      "list of system calls", "Denied beyond the base filter.", "[seccomp]\ndeny = [\"personality\"]"));
  add({{"git", "config", "\"none\" or \"inert\"", "\"none\"",
      "inert: the room gets a generated git configuration with what cannot execute anything of the "
      "owner's own: identity, default branch, aliases without '!'. Signing is off in it.",
      "[git]\nconfig = \"inert\"", replaced, ""}, read_word<AT(git.config), git_configs>,
      fold_value<AT(git.config)>, nullptr});
  add(device<AT(devices.gpu)>("gpu", "The nodes of the GPU, and /sys readable.", "[devices]\ngpu = true"));
  add(device<AT(devices.audio)>("audio", "The socket of PipeWire: it can play and record.",
      "[devices]\naudio = true"));
  add(device<AT(devices.display)>("display",
      "The socket of the Wayland compositor: it can open windows, and read the clipboard while one has "
      "the focus.", "[devices]\ndisplay = true"));

  // ---- limits
  add(limit<AT(limits.processes), 1, most_processes>("processes", "512",
      "Processes and threads in the room at a time.", "[limits]\nprocesses = 512"));
  add(limit<AT(limits.open_files), 16, most_open_files>("open_files", "4096", "Open files of each process.",
      "[limits]\nopen_files = 4096"));
  add(limit_text<AT(limits.file_size), size>("file_size", "size", "\"20G\"",
      "The largest file that a process may write.", "[limits]\nfile_size = \"20G\""));
  add(limit_text<AT(limits.home), size>("home", "size", "\"1G\"",
      "How much the private home folder holds; it is in memory, and gone at the end.",
      "[limits]\nhome = \"1G\""));
  add(limit_text<AT(limits.tmp), size>("tmp", "size", "\"2G\"", "How much the private /tmp holds.",
      "[limits]\ntmp = \"2G\""));
  add(limit_text<AT(limits.shm), size>("shm", "size", "\"256M\"", "How much the private /dev/shm holds.",
      "[limits]\nshm = \"256M\""));
  add(limit_text<AT(limits.cpu_time), duration>("cpu_time", "time", "", "Processor time of each process.",
      "[limits]\ncpu_time = \"1h\""));
  add(limit_text<AT(limits.time), duration>("time", "time", "", "How long the room lives.",
      "[limits]\ntime = \"8h\""));
  add(limit_text<AT(limits.memory), size>("memory", "size", "",
      "Memory of the whole room. It needs a cgroup that is delegated to the user; without one the launch "
      "is refused.", "[limits]\nmemory = \"8G\""));
  add(limit<AT(limits.cpu), 1, most_cpu_weight>("cpu", "",
      "Share of the processor against other groups, as cgroup v2 counts it (cpu.weight; 100 is the "
      "usual). Needs a delegated cgroup, too.", "[limits]\ncpu = 50"));

  // ---- approval
  add(scalar<AT(approval.timeout), duration>("approval", "timeout", "time", "\"2m\"",
      "How long a question waits for its answer. Then it is denied.", "[approval]\ntimeout = \"2m\""));
  add(scalar<AT(approval.reviewer), reviewer>("approval", "reviewer", "URL", "",
      "A model server with an OpenAI-compatible address, on this machine (http or https), or elsewhere with https and "
      "reviewer_remote. It gives a second opinion on each "
      "question. It can only object: its word is shown beside the question, and never answers it. It sees what "
      "agentbox measured, not what the agent says. The room must not be able to change it: a grant for the same "
      "address needs as = \"llm\". See agentbox-broker(7).", "[approval]\nreviewer = \"http://127.0.0.1:8080/v1\""));
  add(scalar<AT(approval.reviewer_model), model_name>("approval", "reviewer_model", "string", "",
      "The model to ask, by the name that the server gives it. A server that doesn't say it runs this model is taken "
      "for silent. Without it the server must run one model and no more.",
      "[approval]\nreviewer_model = \"qwen3-8b\""));
  add(scalar<AT(approval.reviewer_instructions), instructions>("approval", "reviewer_instructions", "string", "",
      "What the model is told besides agentbox's own words: what to look for, what is usual here.",
      "[approval]\nreviewer_instructions = \"Pushing to any branch but main is usual.\""));
  add(scalar<AT(approval.reviewer_timeout), duration>("approval", "reviewer_timeout", "time", "\"20s\"",
      "How long the reviewer may take; then it is silent.", "[approval]\nreviewer_timeout = \"20s\""));
  add({{"approval", "reviewer_remote", "true or false", "false",
      "Lets the reviewer be on another machine, with https: each question's content goes there. That connection is "
      "agentbox's own, and no rule of [network] hinders it. With default = \"allow\" there, the room must be denied that "
      "host, or allowed it with as = \"llm\"; it is known by this name alone.",
      "[approval]\nreviewer_remote = true", replaced, ""},
      read_flag<AT(approval.reviewer_remote)>, fold_value<AT(approval.reviewer_remote)>, nullptr});
  add(scalar<AT(approval.reviewer_key_file), path>("approval", "reviewer_key_file", "path", "",
      "A file whose first line is the key that the reviewer's server wants (Authorization: Bearer). Nobody but you may "
      "be able to read it (chmod 600), and no room is given it: where the room could read it, that is an error.",
      "[approval]\nreviewer_key_file = \"~/.config/agentbox/reviewer.key\""));
  add({{"approval", "require", "\"human\" or \"human+reviewer\"", "\"human\"",
      "Who must agree. human+reviewer: where the reviewer objects, is silent or is down, a yes takes what friction "
      "says. While it has not answered yet it counts as silent.", "[approval]\nrequire = \"human\"", replaced, ""},
      read_word<AT(approval.require), requirements>, fold_value<AT(approval.require)>, nullptr});
  add({{"approval", "friction", "table", "{ wait = \"20s\", phrase = true }",
      "What it takes to say yes to what the reviewer did not agree to, with require = \"human+reviewer\": so long must "
      "the question have been shown, and the phrase that it shows must be typed.",
      "[approval]\nfriction = { wait = \"20s\", phrase = true }", replaced, ""},
      read_friction, fold_value<AT(approval.friction)>, nullptr});
  add(scalar<AT(approval.questions), count_budget>("approval", "questions", "count and period",
      "\"10/10min\"",
      "How many questions a session may put. Beyond it there is one banner instead: pause, deny the rest, "
      "or go on.", "[approval]\nquestions = \"10/10min\""));
  add(argv<AT(approval.notify), host_command>("approval", "notify",
      "Run on the host when a question waits, with the question's title as its last argument. The agent must not be "
      "able to change anything that it names.",
      "[approval]\nnotify = [\"notify-send\", \"--app-name=agentbox\"]"));
  // clang-format on
  return table;
}

#undef AT

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> table = make_rows();
  return table;
}

const std::vector<KeyDoc>& schema() {
  static const std::vector<KeyDoc> docs = [] {
    std::vector<KeyDoc> result;
    for (const Row& row : rows()) result.push_back(row.doc);
    return result;
  }();
  return docs;
}

const std::vector<SectionDoc>& sections() {
  static const std::vector<SectionDoc> table{
      {"", "Before the first section."},
      {"workspace",
       "The directory from which agentbox is launched, or that --workspace names. Writable unless said "
       "otherwise."},
      {"files", "Outside of the workspace. Nothing else of the home folder exists in the room."},
      {"network",
       "Connections to other hosts and to the loopback of this one. Deny beats ask, ask beats allow, allow "
       "beats the default."},
      {"commands",
       "Commands that run on the host, outside of the room. What runs within it needs no rule. Deny beats "
       "ask, ask beats allow, allow beats the default."},
      {"messages", "Messages to people. Deny beats ask, ask beats allow and self, those beat the default."},
      {"messages.NAME",
       "One way to send, by a program or a server; NAME is what `agentbox send --via NAME` says, such as email or "
       "signal."},
      {"spending", "Payments, up to limits. There are no lists: money has no harmless recipient."},
      {"spending.pay", "How a payment is made."},
      {"environment", "The variables of the room. HOME, USER, LOGNAME, SHELL, PATH and PWD are always set."},
      {"seccomp", "Changes to the filter of system calls."},
      {"git", "How git finds itself configured in the room."},
      {"devices", "Each off by default, and each only the nodes and sockets that it needs."},
      {"limits", "What the room may use. Sizes count by 1024."},
      {"approval", "How questions are put and answered."},
  };
  return table;
}

}  // namespace agentbox::profile
