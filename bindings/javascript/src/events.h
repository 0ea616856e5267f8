// Events on their way to a script.
#pragma once

#include <abyssal/abyssal.hpp>

#include <napi.h>

#include <cstddef>
#include <string>
#include <vector>

namespace abyssal::node {

inline constexpr std::size_t kEventNumbers = 10; // of each event, as stream.cjs reads them

class Events {
public:
  void add(const aby_events &step);
  std::size_t size() const noexcept { return numbers_.size() / kEventNumbers; }
  bool empty() const noexcept { return numbers_.empty(); }
  // {text, numbers}: one text, which the script cuts. Making a string of each event takes longer than all the rest.
  Napi::Value to_js(Napi::Env env) const;

private:
  std::string text_;
  std::size_t text_end_ = 0; // in characters of JavaScript
  std::vector<double> numbers_;
};

} // namespace abyssal::node
