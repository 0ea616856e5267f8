// How much of the conformance tests runs. All of it, or a choice for builds where the reference backend is slow: every
// checkpoint and GGUF type on every backend, every form of cache and activations, prompts of several blocks and of both
// forms of attention on the cpu backend. What a choice leaves out are longer prompts on the backends that compute with
// the reference's loops, and products of settings of which each is visited.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace test {

// ABYSSAL_CONFORMANCE=whole or =few decides; without it, the build: the sanitizers' take the choice.
inline bool few() {
  const char *given = std::getenv("ABYSSAL_CONFORMANCE");
  const std::string asked = given == nullptr ? "" : given;
  if (asked == "whole" || asked == "few")
    return asked == "few";
  if (!asked.empty())
    FAIL("ABYSSAL_CONFORMANCE is '" << asked << "', expected whole or few");
#ifdef ABYSSAL_CONFORMANCE_FEW
  return true;
#else
  return false;
#endif
}

// Of the reference values: p0 has 1 token, p1 7, p2 65, one more than a block, and p3 300, which attention expands.
inline std::vector<std::string> prompts(const std::string &backend) {
  if (few() && backend != "cpu")
    return {"p1", "p2"};
  return {"p0", "p1", "p2", "p3"};
}

// Those with a continuation of 48 tokens, which goes from p1's 7 into no second block, from p2's 65 within one.
inline bool continues(const std::string &prompt, const std::string &backend) {
  return !few() || prompt == (backend == "cpu" ? "p2" : "p1");
}

} // namespace test
