// What is held survives a sweep, with everything before it; what is not makes room.
#include "decoding/word_links.h"

#include <random>
#include <string>
#include <vector>

#include "check.h"

using galago::WordLinks;

namespace {

constexpr int32_t kNone = WordLinks::kNone;

// A word is a letter here.
int32_t append(WordLinks* links, int32_t previous, char word) {
  return links->append({previous, 7, {static_cast<uint16_t>(word), 0, 1, 0.5f}});
}

int32_t append(WordLinks* links, int32_t previous, const std::string& words) {
  for (const char word : words) previous = append(links, previous, word);
  return previous;
}

std::string words_of(const WordLinks& links, int32_t link) {
  std::string words;
  for (; link != kNone; link = links[link].previous)
    words.insert(words.begin(), static_cast<char>(links[link].heard.word));
  return words;
}

}  // namespace

TEST(hypotheses_share_their_pasts) {
  WordLinks links(6);
  const int32_t we = append(&links, kNone, "we");
  const int32_t wet = append(&links, we, "t"), wed = append(&links, we, "d");
  CHECK_EQ(words_of(links, wet), "wet");
  CHECK_EQ(words_of(links, wed), "wed");
  CHECK_EQ(links.num_free(), 2u);
  WordLinks other(6);
  other.assign(links);
  links.clear();
  CHECK_EQ(links.num_free(), 6u);
  CHECK_EQ(words_of(other, wed), "wed");
}

TEST(what_nobody_holds_is_forgotten) {
  WordLinks links(6);
  const int32_t lost = append(&links, kNone, "x");
  const int32_t a = append(&links, kNone, "a");
  append(&links, lost, "y");
  const int32_t ab = append(&links, a, "b"), ac = append(&links, a, "c");
  links.begin_sweep();
  CHECK(links.keep(ac, 1));
  CHECK(links.keep(kNone, 2));
  CHECK(links.keep(ab, 3));
  links.sweep();
  CHECK_EQ(links.num_free(), 3u);
  CHECK_EQ(words_of(links, links.moved(ab)), "ab");
  CHECK_EQ(words_of(links, links.moved(ac)), "ac");
  CHECK_EQ(links.moved(kNone), kNone);
}

TEST(what_would_leave_too_little_room_is_not_kept) {
  WordLinks links(5);
  const int32_t abc = append(&links, kNone, "abc");
  const int32_t xy = append(&links, kNone, "xy");
  links.begin_sweep();
  CHECK(links.keep(abc, 2));
  CHECK(!links.keep(xy, 1));
  CHECK(links.keep(abc, 2));  // once is enough
  CHECK(!links.keep(abc, 3));
  links.sweep();
  CHECK_EQ(links.num_free(), 2u);
  CHECK_EQ(words_of(links, links.moved(abc)), "abc");
}

// A beam that grows by a word a step, as a search makes it.
TEST(sweeping_changes_no_hypothesis) {
  std::mt19937 random(3);
  constexpr size_t kWidth = 8;
  WordLinks links(200 + 16 * kWidth);
  std::vector<int32_t> held = {kNone};
  std::vector<std::string> expected = {""};
  size_t num_sweeps = 0;
  for (int step = 0; step < 200; ++step) {
    if (links.num_free() < kWidth) {
      ++num_sweeps;
      links.begin_sweep();
      for (const int32_t link : held) CHECK(links.keep(link, kWidth));
      links.sweep();
      for (int32_t& link : held) link = links.moved(link);
    }
    std::vector<int32_t> next;
    std::vector<std::string> next_expected;
    while (next.size() < kWidth) {
      const size_t from = random() % held.size();
      const char word = static_cast<char>('a' + random() % 26);
      next.push_back(append(&links, held[from], word));
      next_expected.push_back(expected[from] + word);
    }
    held = next;
    expected = next_expected;
  }
  for (size_t i = 0; i < held.size(); ++i) CHECK_EQ(words_of(links, held[i]), expected[i]);
  CHECK(num_sweeps > 5);
}
