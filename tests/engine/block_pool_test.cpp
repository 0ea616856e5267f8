#include "engine/block_pool.h"

#include <doctest/doctest.h>

#include <thread>

using abyssal::BlockPool;

TEST_CASE("blocks are taken lowest first, all or none, and shared by reference") {
  BlockPool pool(3);
  std::vector<std::int32_t> blocks;
  CHECK(pool.take(2, blocks));
  CHECK(blocks == std::vector<std::int32_t>{0, 1});
  CHECK_FALSE(pool.take(2, blocks));
  CHECK(blocks.size() == 2);
  CHECK(pool.free() == 1);
  CHECK(pool.take(0, blocks));

  CHECK_FALSE(pool.shared(0));
  pool.add_reference(0);
  CHECK(pool.shared(0));
  pool.release(0);
  CHECK_FALSE(pool.shared(0));
  CHECK(pool.free() == 1);
  pool.release(0);
  CHECK(pool.free() == 2);
  CHECK(pool.take(2, blocks));
  CHECK(pool.free() == 0);
}

TEST_CASE("threads taking and giving back lose no block") {
  BlockPool pool(16);
  const auto work = [&] {
    for (int i = 0; i < 2000; ++i) {
      std::vector<std::int32_t> mine;
      if (!pool.take(3, mine))
        continue;
      pool.add_reference(mine[0]);
      pool.release(mine[0]);
      for (const std::int32_t block : mine)
        pool.release(block);
    }
  };
  std::thread a(work), b(work), c(work);
  a.join();
  b.join();
  c.join();
  CHECK(pool.free() == 16);
}
