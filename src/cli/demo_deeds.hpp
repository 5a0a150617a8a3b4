#pragma once

// What the record of the demo's own world says of a scene.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agentbox/base/path.hpp"
#include "agentbox/store/store.hpp"

namespace agentbox::cli::stage {

// One request, its verdict and what came of it.
struct Deed {
  std::string session, question, kind;  // as store::Event has them
  std::string verdict, by, reason;      // the same; empty: there is none yet
  std::string outcome;                  // empty: nothing was done
};

class Deeds {
 public:
  explicit Deeds(base::AbsPath record) : file_(std::move(record)) {}
  // Those since the last `begin`, in the order of their requests. Empty while there is no record.
  [[nodiscard]] std::vector<Deed> look();
  void begin();

 private:
  [[nodiscard]] store::Store* open();

  base::AbsPath file_;
  std::optional<store::Store> store_;
  std::int64_t after_ = 0;
};

}  // namespace agentbox::cli::stage
