#include "base/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

using abyssal::ThreadPool;

TEST_CASE("every task runs once, on a worker of the pool") {
  for (const unsigned threads : {1u, 2u, 3u, 8u}) {
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (const std::int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      std::atomic<bool> good_worker{true};
      pool.run(tasks, [&](std::int64_t task, unsigned worker) {
        ++runs[static_cast<std::size_t>(task)];
        if (worker >= threads)
          good_worker = false;
      });
      for (const auto &count : runs)
        CHECK(count == 1);
      CHECK(good_worker);
    }
  }
}

TEST_CASE("what a region wrote is seen after it, many regions in a row") {
  ThreadPool pool(3);
  std::vector<std::int64_t> values(64, 0);
  for (int region = 0; region < 3000; ++region)
    pool.run(64, [&](std::int64_t task, unsigned) { values[static_cast<std::size_t>(task)] += task; });
  for (std::int64_t i = 0; i < 64; ++i)
    CHECK(values[static_cast<std::size_t>(i)] == 3000 * i);
}

TEST_CASE("an exception comes out of run, and the pool goes on") {
  for (const unsigned threads : {1u, 4u}) {
    ThreadPool pool(threads);
    for (int i = 0; i < 20; ++i) {
      CHECK_THROWS_WITH(pool.run(100,
                                 [](std::int64_t task, unsigned) {
                                   if (task == 13)
                                     throw std::runtime_error("thirteen");
                                 }),
                        "thirteen");
      std::atomic<int> runs{0};
      pool.run(50, [&](std::int64_t, unsigned) { ++runs; });
      CHECK(runs == 50);
    }
  }
}

TEST_CASE("callers on several threads take turns") {
  ThreadPool pool(2);
  std::atomic<int> inside{0}, together{0}, runs{0};
  const auto call = [&] {
    for (int i = 0; i < 200; ++i) {
      pool.run(4, [&](std::int64_t, unsigned worker) {
        if (worker == 0 && inside.fetch_add(1) != 0)
          ++together;
        ++runs;
        if (worker == 0)
          --inside;
      });
    }
  };
  std::thread a(call), b(call), c(call);
  a.join();
  b.join();
  c.join();
  CHECK(together == 0);
  CHECK(runs == 3 * 200 * 4);
}

TEST_CASE("by default there is a worker for each core that may be used") {
  const ThreadPool pool(0);
  CHECK(pool.size() >= 1);
  CHECK(pool.size() <= std::thread::hardware_concurrency());
}
