// Tasks of functions that give a value.
#pragma once

#include "bridge.h"
#include "convert.h"

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace abyssal::node {

// The promise of what work returns: of undefined when it returns nothing. A Convert is used as it is.
template <typename Work> Task make_task(std::shared_ptr<Lane> lane, Work work, std::shared_ptr<void> keep = nullptr) {
  // std::function copies; what works may hold must not be copied.
  auto shared = std::make_shared<Work>(std::move(work));
  return {std::move(lane),
          [shared]() -> Convert {
            using Result = std::invoke_result_t<Work>;
            if constexpr (std::is_void_v<Result>) {
              (*shared)();
              return [](Napi::Env env) { return env.Undefined(); };
            } else if constexpr (std::is_same_v<Result, Convert>) {
              return (*shared)();
            } else {
              auto result = std::make_shared<Result>((*shared)());
              return [result](Napi::Env env) { return to_js(env, *result); };
            }
          },
          std::move(keep)};
}

// The flag of one call, which the library reads.
class CancelFlag : public Cancellable {
public:
  void cancel() noexcept override { __atomic_store_n(&raised_, 1, __ATOMIC_RELAXED); }
  const std::int32_t *raw() const noexcept { return &raised_; }

private:
  std::int32_t raised_ = 0;
};

// What a script raises it with.
class Cancel {
public:
  void cancel() { flag_->cancel(); }
  const std::shared_ptr<CancelFlag> &flag() const { return flag_; }

private:
  std::shared_ptr<CancelFlag> flag_ = std::make_shared<CancelFlag>();
};

} // namespace abyssal::node
