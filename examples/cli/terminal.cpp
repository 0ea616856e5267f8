#include "terminal.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <unistd.h>

namespace cli {

namespace {

bool is_plain_terminal(int fd) {
  const char *term = std::getenv("TERM");
  return isatty(fd) == 1 && std::getenv("NO_COLOR") == nullptr && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

std::string scaled(double value, double step, const std::array<const char *, 5> &units) {
  std::size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

} // namespace

bool output_is_terminal() { return is_plain_terminal(STDOUT_FILENO); }
bool error_is_terminal() { return is_plain_terminal(STDERR_FILENO); }

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return;
  if (errno == EPIPE) // whoever read has gone
    std::_Exit(0);
  throw std::runtime_error(std::string("standard output: ") + std::strerror(errno));
}

void print_json(const nlohmann::ordered_json &value) {
  print(value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

std::string bytes_text(std::uint64_t bytes) {
  return scaled(static_cast<double>(bytes), 1000, {"B", "kB", "MB", "GB", "TB"});
}

std::string count_text(std::uint64_t count) {
  std::string text = scaled(static_cast<double>(count), 1000, {"", "k", "M", "G", "T"});
  if (text.back() == ' ')
    text.pop_back();
  return text;
}

void ProgressBar::show(std::uint64_t done, std::uint64_t total) {
  constexpr int kWidth = 30;
  const int percent =
      total > 0 ? static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total)) : 100;
  if (percent == percent_ || !error_is_terminal())
    return;
  percent_ = percent;
  const int filled = percent * kWidth / 100;
  std::fprintf(stderr, "\r%s [%s%s] %3d %%", label_.c_str(), std::string(static_cast<std::size_t>(filled), '#').c_str(),
               std::string(static_cast<std::size_t>(kWidth - filled), '.').c_str(), percent);
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (percent_ >= 0)
    std::fputs("\r\033[K", stderr);
  percent_ = -1;
}

} // namespace cli
