// Sleeping for news. Built twice: with the system's own means, and polling as where there are none.
#include "session/waker.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"

namespace {

using galago::Waker;

constexpr int64_t kForEver = -1;

TEST(news_from_before_the_sleep_end_it_at_once) {
  Waker waker;
  const uint32_t seen = waker.count();
  waker.signal();
  CHECK(waker.wait(seen, kForEver));
  CHECK(waker.wait(seen, 0));
}

TEST(without_news_the_time_passes) {
  Waker waker;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(!waker.wait(waker.count(), 30'000'000));
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(30));
  CHECK(!waker.wait(waker.count(), 0));
}

TEST(every_sleeper_hears_every_news) {
  Waker waker;
  constexpr uint32_t kNumNews = 200;
  std::atomic<uint32_t> num_heard[2] = {{0}, {0}};
  const auto sleep = [&waker](std::atomic<uint32_t>* heard) {
    for (uint32_t seen = 0; seen < kNumNews; seen = waker.count()) {
      heard->store(seen);
      CHECK(waker.wait(seen, kForEver));
    }
    heard->store(kNumNews);
  };
  std::thread first(sleep, &num_heard[0]);
  std::thread second(sleep, &num_heard[1]);
  for (uint32_t news = 0; news < kNumNews; ++news) {
    waker.signal();
    if (news % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  first.join();
  second.join();
  CHECK_EQ(num_heard[0].load(), kNumNews);
  CHECK_EQ(num_heard[1].load(), kNumNews);
}

}  // namespace
