// The scenario through abyssal.hpp. Usage: scenario_cpp STEPS     Prints the transcript.
#include "scenario_cpp.h"

#include <fstream>

namespace {

void close(const step &s) {
  if (step_find(&s, "model") != nullptr)
    model_of(s).close();
  if (step_find(&s, "sequence") != nullptr)
    sequence_of(s).close();
  if (step_find(&s, "device") != nullptr)
    device_of(s).close();
  if (step_find(&s, "layer") != nullptr)
    close_layer(text(s, "layer"));
}

const std::map<std::string, void (*)(const step &)> kSteps{
    {"version", version},
    {"backends", backends},
    {"device", device},
    {"plan", plan},
    {"open", open_model},
    {"tensor", tensor},
    {"open_tensors", open_tensors},
    {"update", update},
    {"info", info},
    {"tokenize", tokenize},
    {"detokenize", detokenize},
    {"render_chat", render_chat},
    {"sequence", sequence},
    {"eval", eval},
    {"eval_batch", eval_batch},
    {"interrupt", interrupt},
    {"output", output},
    {"tokens", tokens},
    {"truncate", truncate_to},
    {"fork", fork_into},
    {"generate", generate},
    {"chat", chat},
    {"route", route},
    {"experts", experts},
    {"run_experts", run_experts},
    {"mla", mla},
    {"attend", attend},
    {"close", close},
};

} // namespace

int main(int argc, char **argv) {
  std::ifstream steps(argc == 2 ? argv[1] : "");
  if (!steps) {
    std::fputs("usage: scenario_cpp STEPS\n", stderr);
    return 2;
  }
  for (std::string line; std::getline(steps, line);) {
    const step now = step_of(line.data());
    try {
      kSteps.at(now.kind)(now);
    } catch (const abyssal::error &failed) {
      say_error(now, failed);
    }
    say(now, "done");
  }
}
