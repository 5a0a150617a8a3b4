#include "support.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace agentbox::profile::test {

Source source(std::string_view name, std::string_view toml) {
  const std::string file = std::string(name) + ".toml";
  return {.name = std::string(name), .file = file, .bytes = std::string(toml), .place = "/usr/share/agentbox/" + file};
}

base::Result<Profile> load(const Files& files, const std::string& first) {
  auto find = [&](const Wanted& wanted) -> base::Result<Source> {
    std::string name = wanted.name;
    if (name.starts_with("./")) name = name.substr(2);
    if (name.ends_with(".toml")) name.resize(name.size() - 5);
    // A name that is looked up behind its own folder: "pi" becomes "pi@1", as if the next folder had it.
    std::string key = wanted.from_folder == 0 ? name : name + "@" + std::to_string(wanted.from_folder);
    auto found = files.find(key);
    if (found == files.end())
      return base::fail("no profile is called '" + name + "'", "`agentbox profiles` lists them");
    Source result = source(key, found->second);
    result.name = name;
    result.folder = wanted.from_folder;
    return result;
  };
  return profile::load(source(first, files.at(first)), find);
}

Profile sound(const Files& files, const std::string& first) {
  base::Result<Profile> profile = load(files, first);
  if (!profile) throw std::runtime_error(base::render(profile.error(), base::Colour::off));
  return *profile;
}
Profile sound(std::string_view toml) {
  return sound(Files{{"profile", std::string(toml)}});
}

std::string errors(const Files& files, const std::string& first) {
  base::Result<Profile> profile = load(files, first);
  return profile ? "" : base::render(profile.error(), base::Colour::off);
}
std::string errors(std::string_view toml) {
  return errors(Files{{"profile", std::string(toml)}});
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

}  // namespace agentbox::profile::test
