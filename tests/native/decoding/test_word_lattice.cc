// The n best texts: exactly those that detours lead to, and what happens where there is no room.
#include "decoding/word_lattice.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "check.h"

using galago::HeardWord;
using galago::WordLattice;

namespace {

HeardWord heard(char word, int32_t begin_row = 0, int32_t end_row = 1) {
  return {static_cast<uint16_t>(word), begin_row, end_row, 0.5f};
}

// A word is a letter here.
int32_t append(WordLattice* lattice, const std::string& words, int32_t text = WordLattice::kEmpty) {
  for (const char word : words) text = lattice->append(text, heard(word));
  return text;
}

std::string words_of(const WordLattice& lattice, int32_t text) {
  std::vector<HeardWord> words;
  lattice.append_reversed(text, &words);
  std::string letters;
  for (auto word = words.rbegin(); word != words.rend(); ++word)
    letters += static_cast<char>(word->word);
  return letters;
}

std::vector<std::string> alternatives(const WordLattice& lattice) {
  std::vector<std::string> texts;
  for (const WordLattice::Alternative& found : lattice.alternatives())
    texts.push_back(words_of(lattice, found.text));
  return texts;
}

}  // namespace

TEST(a_text_is_the_same_whoever_says_it) {
  WordLattice lattice(10, 10, 4);
  const int32_t ab = append(&lattice, "ab");
  CHECK_EQ(append(&lattice, "ab"), ab);
  CHECK(append(&lattice, "ba") != ab);
  CHECK_EQ(words_of(lattice, ab), "ab");
  CHECK_EQ(words_of(lattice, WordLattice::kEmpty), "");
  lattice.clear();
  CHECK_EQ(words_of(lattice, append(&lattice, "ba")), "ba");
}

TEST(a_word_that_goes_on_ends_later_but_begins_no_earlier) {
  WordLattice lattice(10, 10, 4);
  const int32_t text = lattice.append(WordLattice::kEmpty, heard('a', 3, 5));
  const auto ends_at = [&] {
    std::vector<HeardWord> words;
    lattice.append_reversed(text, &words);
    CHECK_EQ(words.size(), 1u);
    CHECK_EQ(words[0].begin_row, 3);
    return words[0].end_row;
  };
  lattice.append(WordLattice::kEmpty, heard('a', 3, 7));
  CHECK_EQ(ends_at(), 7);
  lattice.append(WordLattice::kEmpty, heard('a', 3, 6));
  CHECK_EQ(ends_at(), 7);
  lattice.append(WordLattice::kEmpty, heard('a', 2, 9));
  CHECK_EQ(ends_at(), 7);
}

TEST(detours_are_taken_on_every_text_that_goes_on_from_theirs_and_on_each_other) {
  WordLattice lattice(100, 10, 10);
  lattice.add_detour(append(&lattice, "ab"), append(&lattice, "cb"), 1.0f);
  lattice.add_detour(append(&lattice, "cb"), append(&lattice, "dcb"), 0.5f);
  lattice.add_detour(append(&lattice, "abe"), append(&lattice, "abf"), 2.0f);
  lattice.offer({-1.0f, append(&lattice, "abe"), 7});
  lattice.take_detours();
  const std::vector<std::string> expected = {"abe", "cbe", "dcbe", "abf", "cbf", "dcbf"};
  CHECK(alternatives(lattice) == expected);
  const float scores[] = {-1.0f, -2.0f, -2.5f, -3.0f, -4.0f, -4.5f};
  for (size_t i = 0; i < std::min(expected.size(), lattice.alternatives().size()); ++i)
    CHECK_NEAR(lattice.alternatives()[i].score, scores[i], 1e-6);
  CHECK_EQ(lattice.alternatives()[0].link, 7);
  CHECK_EQ(lattice.alternatives()[1].link, WordLattice::kNoText);
}

TEST(what_is_settled_stays) {
  for (const std::string& settled : std::vector<std::string>{"", "a", "ab", "abe"}) {
    WordLattice lattice(100, 10, 10);
    lattice.add_detour(append(&lattice, "a"), append(&lattice, "d"), 1.0f);
    lattice.add_detour(append(&lattice, "ab"), append(&lattice, "ac"), 1.5f);
    lattice.add_detour(append(&lattice, "abe"), append(&lattice, "xbe"), 2.0f);
    lattice.offer({0.0f, append(&lattice, "abe"), 7});
    lattice.take_detours(append(&lattice, settled));
    std::vector<std::string> expected = {"abe"};
    if (settled == "a") expected = {"abe", "ace"};
    if (settled.empty()) expected = {"abe", "dbe", "ace", "xbe", "dce"};
    CHECK(alternatives(lattice) == expected);
  }
  WordLattice lattice(100, 10, 10);
  lattice.add_detour(append(&lattice, "a"), append(&lattice, "d"), 1.0f);
  lattice.offer({0.0f, append(&lattice, "a"), 7});
  lattice.take_detours(WordLattice::kNoText);
  CHECK((alternatives(lattice) == std::vector<std::string>{"a"}));
}

TEST(of_equal_texts_the_best_is_kept_and_of_equal_detours_the_cheapest) {
  WordLattice lattice(100, 10, 10);
  const int32_t a = append(&lattice, "a"), b = append(&lattice, "b");
  lattice.offer({-2.0f, a, 1});
  lattice.offer({-1.0f, a, 2});
  lattice.offer({-3.0f, a, 3});
  for (const float cost : {2.0f, 1.0f, 3.0f}) lattice.add_detour(a, b, cost);
  lattice.add_detour(b, a, 0.0f);  // and back again
  lattice.add_detour(a, a, 0.0f);
  lattice.take_detours();
  CHECK((alternatives(lattice) == std::vector<std::string>{"a", "b"}));
  CHECK_EQ(lattice.alternatives()[0].link, 2);
  CHECK_NEAR(lattice.alternatives()[1].score, -2.0, 1e-6);
}

TEST(the_best_are_found_among_all) {
  std::mt19937 random(5);
  constexpr size_t kNumBest = 8, kMaxWords = 8;
  for (int draw = 0; draw < 200; ++draw) {
    const size_t num_best = draw % 2 == 0 ? kNumBest : 250;
    WordLattice lattice(20'000, kMaxWords, num_best);
    // Texts as a search makes them: detours lead from one text to another of the same last word.
    std::map<std::string, std::map<std::string, float>> detours;
    const auto random_words = [&random](size_t num_words) {
      std::string words;
      while (words.size() < num_words) words += static_cast<char>('a' + random() % 3);
      return words;
    };
    const std::string best = random_words(5);
    for (int i = 0; i < 6; ++i) {
      const std::string from = best.substr(0, 1 + random() % 5);
      const std::string to = random_words(random() % 4) + from.back();
      if (from == to || detours[from].count(to) != 0) continue;
      const float cost = static_cast<float>(1 + random() % 1000) / 100.0f;
      detours[from][to] = cost;
      lattice.add_detour(append(&lattice, from), append(&lattice, to), cost);
    }
    lattice.offer({0.0f, append(&lattice, best), 1});
    lattice.take_detours();
    // The cheapest way to each text, Bellman and Ford's: until nothing changes.
    std::map<std::string, float> costs = {{best, 0.0f}};
    for (bool is_changed = true; is_changed;) {
      is_changed = false;
      const auto known = costs;
      for (const auto& [text, cost] : known) {
        for (size_t length = 1; length <= text.size(); ++length) {
          const auto found = detours.find(text.substr(0, length));
          if (found == detours.end()) continue;
          for (const auto& [other, more] : found->second) {
            const std::string next = other + text.substr(length);
            if (next.size() > kMaxWords) continue;
            const auto held = costs.find(next);
            if (held != costs.end() && held->second <= cost + more + 1e-4f) continue;
            costs[next] = cost + more;
            is_changed = true;
          }
        }
      }
    }
    std::vector<float> cheapest;
    for (const auto& [text, cost] : costs) cheapest.push_back(cost);
    std::sort(cheapest.begin(), cheapest.end());
    const size_t num_expected = std::min(num_best, cheapest.size());
    CHECK_EQ(lattice.alternatives().size(), num_expected);
    for (size_t i = 0; i < std::min(num_expected, lattice.alternatives().size()); ++i) {
      const WordLattice::Alternative& found = lattice.alternatives()[i];
      CHECK_NEAR(found.score, -cheapest[i], 1e-3);
      CHECK_NEAR(found.score, -costs[words_of(lattice, found.text)], 1e-3);
    }
  }
}

TEST(without_room_texts_are_left_out) {
  WordLattice none(0, 10, 2);
  CHECK_EQ(append(&none, "a"), WordLattice::kNoText);
  CHECK_EQ(append(&none, "b", WordLattice::kNoText), WordLattice::kNoText);
  none.add_detour(WordLattice::kNoText, WordLattice::kEmpty, 1.0f);
  none.offer({-2.0f, WordLattice::kNoText, 4});
  none.offer({-1.0f, WordLattice::kNoText, 5});
  none.offer({-1.0f, WordLattice::kNoText, 6});
  none.take_detours();
  CHECK_EQ(none.alternatives().size(), 2u);
  CHECK_EQ(none.alternatives()[0].link, 5);
  CHECK_EQ(none.alternatives()[1].link, 6);

  WordLattice little(3, 2, 2);
  CHECK_EQ(append(&little, "abc"), WordLattice::kNoText);  // three words
  CHECK_EQ(words_of(little, append(&little, "b")), "b");
  CHECK_EQ(append(&little, "c"), WordLattice::kNoText);  // the fourth text
  CHECK_EQ(words_of(little, append(&little, "ab")), "ab");
}
