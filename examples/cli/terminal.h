// What the terminal can show, and writing to it.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace cli {

// Whether standard output or error is a terminal that may be written to with escape codes (NO_COLOR is honoured).
bool output_is_terminal();
bool error_is_terminal();

// Writes to standard output and flushes. Throws when it cannot be written; a closed pipe ends the program quietly.
void print(std::string_view text);

// One JSON value and a line end. Bytes that are not UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json &value);

// "1.5 GB", "312.0 MB", "640 B"
std::string bytes_text(std::uint64_t bytes);
// "671.0 G", "2.4 M"
std::string count_text(std::uint64_t count);

// A bar on standard error, drawn only on a terminal and cleared when done.
class ProgressBar {
public:
  explicit ProgressBar(std::string label) : label_(std::move(label)) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar &) = delete;
  ProgressBar &operator=(const ProgressBar &) = delete;
  void show(std::uint64_t done, std::uint64_t total);
  void clear();

private:
  std::string label_;
  int percent_ = -1;
};

} // namespace cli
