#include "base/usable_memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace abyssal {

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// The number in a file of the system; "max", or no such file, is no limit.
std::uint64_t limit_in(const std::filesystem::path &file) {
  std::ifstream stream(file);
  std::uint64_t limit = 0;
  return stream >> limit ? limit : kNoLimit;
}

// Of a group and those it lies in.
std::uint64_t limit_of_group(const std::filesystem::path &root, const std::filesystem::path &group, const char *file) {
  std::uint64_t limit = limit_in(root / file);
  std::filesystem::path at = root;
  for (const std::filesystem::path &part : group.relative_path()) {
    at /= part;
    limit = std::min(limit, limit_in(at / file));
  }
  return limit;
}

// Lines of /proc/self/cgroup are "number:controllers:path"; version 2 has the number 0 and no controllers.
std::uint64_t limit_of_groups() {
  std::uint64_t limit = kNoLimit;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty())
      limit = std::min(limit, limit_of_group("/sys/fs/cgroup", group, "memory.max"));
    else if (controllers == "memory")
      limit = std::min(limit, limit_of_group("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
  }
  return limit;
}

std::uint64_t limit_of_addresses() {
  rlimit limit{};
  return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : kNoLimit;
}

} // namespace

std::uint64_t usable_memory() {
  const std::uint64_t all =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min({all, limit_of_groups(), limit_of_addresses()});
}

} // namespace abyssal
