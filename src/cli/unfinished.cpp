// Stand-ins for subcommands whose own file is not there yet: weak, so that the real one wins. Delete this
// file when the last of them has come.

#include "agentbox/base/error.hpp"

#include "options.hpp"
#include "report.hpp"

namespace agentbox::cli {

namespace {
int unfinished(const char* name, const Terminal& terminal) {
  return refuse({{.message = std::string("`agentbox ") + name + "` is not built yet"}}, terminal,
                base::ExitCode::agentbox_failed);
}
}  // namespace

[[gnu::weak]] int run(const RunOptions&, const Terminal& t) {
  return unfinished("run", t);
}
[[gnu::weak]] int explain(const ExplainOptions&, const Terminal& t) {
  return unfinished("explain", t);
}
[[gnu::weak]] int doctor(const DoctorOptions&, const Terminal& t) {
  return unfinished("doctor", t);
}
[[gnu::weak]] int ps(const PsOptions&, const Terminal& t) {
  return unfinished("ps", t);
}
[[gnu::weak]] int stop(const StopOptions&, const Terminal& t) {
  return unfinished("stop", t);
}
[[gnu::weak]] int quarantine(const QuarantineOptions&, const Terminal& t) {
  return unfinished("quarantine", t);
}
[[gnu::weak]] int demo(const DemoOptions&, const Terminal& t) {
  return unfinished("demo", t);
}

}  // namespace agentbox::cli
