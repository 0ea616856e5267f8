// Errors inside the library are exceptions of this one type; lib/api and the backends turn them into status and text.
#pragma once

#include <abyssal/abyssal.h>

#include <exception>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace abyssal {

class Error : public std::exception {
public:
  Error(aby_status status, std::string text) : status_(status), text_(std::move(text)) {}
  aby_status status() const noexcept { return status_; }
  const std::string &text() const noexcept { return text_; }
  const char *what() const noexcept override { return text_.c_str(); }

private:
  aby_status status_;
  std::string text_;
};

// The parts, printed one after another.
template <typename... Parts> std::string concat(const Parts &...parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

// fail(ABY_ERROR_FORMAT, "tensor ", name, ": ...") throws an Error.
template <typename... Parts> [[noreturn]] void fail(aby_status status, const Parts &...parts) {
  throw Error(status, concat(parts...));
}

// The name of a status, as in abyssal.h.
const char *status_name(aby_status status) noexcept;

// Runs body and returns ABY_OK; turns anything thrown into its status and gives the text to set_text (noexcept).
template <typename Body, typename SetText> aby_status guarded(Body &&body, SetText &&set_text) noexcept {
  try {
    body();
    return ABY_OK;
  } catch (const Error &error) {
    set_text(error.what());
    return error.status();
  } catch (const std::bad_alloc &) {
    set_text("out of memory");
    return ABY_ERROR_NO_MEMORY;
  } catch (const std::length_error &) {
    set_text("out of memory: a size exceeds what can be addressed");
    return ABY_ERROR_NO_MEMORY;
  } catch (const std::system_error &error) { // std::filesystem's too
    set_text(error.what());
    return ABY_ERROR_IO;
  } catch (const std::exception &error) {
    set_text(error.what());
    return ABY_ERROR_INTERNAL;
  } catch (...) {
    set_text("unknown exception");
    return ABY_ERROR_INTERNAL;
  }
}

} // namespace abyssal
