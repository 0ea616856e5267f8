// What the parts of the C++ driver share: the objects by their slots, fields of a step, and how results are told.
#ifndef ABYSSAL_TESTS_SCENARIO_CPP_H
#define ABYSSAL_TESTS_SCENARIO_CPP_H

#include "scenario_step.h"

#include <abyssal/abyssal.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

using Floats = std::vector<float>;
using Integers = std::vector<std::int32_t>;

inline std::map<std::int64_t, abyssal::device> devices;
inline std::map<std::int64_t, abyssal::model> models;
inline std::map<std::int64_t, abyssal::sequence> sequences;

template <typename Word> std::vector<Word> words(const char *list, int base, const char **rest = nullptr) {
  std::vector<Word> all(list == nullptr ? 0 : std::strlen(list) / 2 + 1);
  all.resize(step_words(list, base, all.data(), all.size(), rest));
  return all;
}
inline Integers integers(const step &s, const char *name) { return words<std::int32_t>(step_find(&s, name), 10); }
inline Floats floats(const step &s, const char *name) { return words<float>(step_find(&s, name), 16); }

template <typename Number = std::int64_t> Number number(const step &s, const char *name, std::int64_t otherwise = 0) {
  return static_cast<Number>(step_integer(&s, name, otherwise));
}

inline std::string text(const step &s, const char *name) {
  const char *value = step_text(&s, name);
  return value == nullptr ? "" : value;
}

inline std::int32_t place(const std::vector<std::string> &names, const std::string &name) {
  return static_cast<std::int32_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

inline abyssal::device &device_of(const step &s) { return devices.at(number(s, "device")); }
inline abyssal::model &model_of(const step &s) { return models.at(number(s, "model")); }
inline abyssal::sequence &sequence_of(const step &s) { return sequences.at(number(s, "sequence")); }

struct Quoted {
  std::string_view text;
};
inline void write(Quoted part) { say_quoted(part.text.data(), part.text.size()); }
inline void write(std::string_view part) { std::fwrite(part.data(), 1, part.size(), stdout); }
template <typename Number, typename = std::enable_if_t<std::is_integral_v<Number>>> void write(Number part) {
  write(std::to_string(part));
}

template <typename... Parts> void say(const step &s, std::string_view word, Parts... parts) {
  write(s.number);
  write(" ");
  write(word);
  (..., (write(" "), write(parts)));
  write("\n");
}

inline void say_integers_of(const step &s, const char *word, const Integers &all) {
  say_integers(&s, word, all.data(), all.size());
}

inline void say_error(const step &s, const abyssal::error &failed) {
  say(s, "error", failed.name(), failed.status(), Quoted{failed.what()});
}

template <typename Element>
void say_rows(const step &s, const std::vector<Element> &all, std::vector<std::int64_t> shape) {
  say_array(&s, std::is_same_v<Element, std::int32_t>, all.data(), shape.data(), shape.size());
}

// Kinds of steps.
void version(const step &s);
void backends(const step &s);
void device(const step &s);
void plan(const step &s);
void open_model(const step &s);
void tensor(const step &s);
void open_tensors(const step &s);
void update(const step &s);
void info(const step &s);
void tokenize(const step &s);
void detokenize(const step &s);
void render_chat(const step &s);
void sequence(const step &s);
void eval(const step &s);
void eval_batch(const step &s);
void interrupt(const step &s);
void output(const step &s);
void tokens(const step &s);
void truncate_to(const step &s);
void fork_into(const step &s);
void generate(const step &s);
void chat(const step &s);
void route(const step &s);
void experts(const step &s);
void run_experts(const step &s);
void mla(const step &s);
void attend(const step &s);

// Renders the step's messages.
std::string render(const step &s);
void close_layer(const std::string &name);

#endif
