// The bonus of a text under a set of hotwords.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "decoding/hotwords.h"

namespace {

using galago::Hotword;
using galago::HotwordGraph;

const std::vector<std::string>& letters() {
  static const std::vector<std::string> tokens = [] {
    std::vector<std::string> all = {"<blank>", " ", "'"};
    for (char c = 'a'; c <= 'z'; ++c) all.push_back(std::string(1, c));
    return all;
  }();
  return tokens;
}

int32_t token_of(char c) { return c == ' ' ? 1 : c == '\'' ? 2 : c - 'a' + 3; }

std::shared_ptr<const HotwordGraph> graph_of(const std::vector<Hotword>& hotwords) {
  return HotwordGraph::build(letters(), 1, hotwords);
}

HotwordGraph::State walk(const HotwordGraph& graph, const std::string& text) {
  HotwordGraph::State state = graph.start();
  for (const char c : text) state = graph.advance(state, token_of(c));
  return state;
}

float bonus(const HotwordGraph& graph, const std::string& text) {
  return graph.bonus(walk(graph, text));
}

float final_bonus(const HotwordGraph& graph, const std::string& text) {
  return graph.final_bonus(walk(graph, text));
}

TEST(every_letter_of_a_hotword_earns_its_boost) {
  const auto graph = graph_of({{"art", 2.0f}});
  CHECK_NEAR(bonus(*graph, ""), 0, 0);
  CHECK_NEAR(bonus(*graph, "a"), 2, 1e-6);
  CHECK_NEAR(bonus(*graph, "ar"), 4, 1e-6);
  CHECK_NEAR(bonus(*graph, "art"), 6, 1e-6);
  CHECK_NEAR(bonus(*graph, "art "), 6, 1e-6);
  CHECK_NEAR(bonus(*graph, "art is art"), 12, 1e-6);
}

TEST(a_match_that_fails_gives_its_bonus_back) {
  const auto graph = graph_of({{"art", 2.0f}});
  CHECK_NEAR(bonus(*graph, "ar"), 4, 1e-6);
  CHECK_NEAR(bonus(*graph, "are"), 0, 0);
  CHECK_NEAR(bonus(*graph, "arts"), 0, 0);
  CHECK_NEAR(bonus(*graph, "ar "), 0, 0);
}

TEST(a_hotword_matches_whole_words_only) {
  const auto graph = graph_of({{"art", 2.0f}});
  CHECK_NEAR(bonus(*graph, "cart"), 0, 0);
  CHECK_NEAR(bonus(*graph, "cart art"), 6, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "smart"), 0, 0);
}

TEST(an_unfinished_hotword_counts_nothing_at_the_end) {
  const auto graph = graph_of({{"art", 2.0f}});
  CHECK_NEAR(final_bonus(*graph, "ar"), 0, 0);
  CHECK_NEAR(final_bonus(*graph, "art"), 6, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "art "), 6, 1e-6);
}

TEST(a_phrase_counts_its_inner_spaces_and_a_match_may_begin_within_another) {
  const auto graph = graph_of({{"new york", 1.0f}, {"york city", 1.0f}});
  CHECK_NEAR(final_bonus(*graph, "new york"), 8, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "york city"), 9, 1e-6);
  CHECK_NEAR(bonus(*graph, "new york c"), 8 + 6, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "new york city"), 8 + 9, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "new york cab"), 8, 1e-6);
}

TEST(a_phrase_that_continues_another_counts_each_letter_once) {
  const auto graph = graph_of({{"light", 1.0f}, {"light switch", 1.0f}});
  CHECK_NEAR(final_bonus(*graph, "light"), 5, 1e-6);
  CHECK_NEAR(bonus(*graph, "light sw"), 5 + 3, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "light swan"), 5, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "light switch"), 5 + 7, 1e-6);
}

TEST(the_larger_boost_counts_for_a_shared_beginning) {
  const auto graph = graph_of({{"lamp", 1.0f}, {"lab", 3.0f}});
  CHECK_NEAR(bonus(*graph, "la"), 6, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "lab"), 9, 1e-6);
  CHECK_NEAR(final_bonus(*graph, "lamp"), 3 + 3 + 1 + 1, 1e-6);
}

TEST(upper_case_and_spaces_are_read_as_the_tokens_spell) {
  const auto graph = graph_of({{"  Gal\tAGO ", 1.0f}});
  CHECK_NEAR(final_bonus(*graph, "gal ago"), 7, 1e-6);
}

TEST(what_cannot_be_spelled_is_refused_by_name) {
  CHECK_THROWS(graph_of({{"caf\xC3\xA9", 1.0f}}), "\"caf\xC3\xA9\": no token spells \"\xC3\xA9\"");
  CHECK_THROWS(graph_of({{"ok", 1.0f}, {"r2d2", 1.0f}}), "\"r2d2\"");
  CHECK_THROWS(graph_of({{"<blank>", 1.0f}}), "<");
  CHECK_THROWS(graph_of({{"", 1.0f}}), "empty");
  CHECK_THROWS(graph_of({{"  ", 1.0f}}), "empty");
  CHECK_THROWS(graph_of({{"art", 0.0f}}), "boost");
  CHECK_THROWS(graph_of({{"art", 21.0f}}), "boost");
  CHECK_THROWS(graph_of({{"art", NAN}}), "boost");
  CHECK_THROWS(HotwordGraph::build(letters(), 29, {}), "word separator");
}

TEST(no_hotwords_give_no_bonus) {
  const auto graph = graph_of({});
  CHECK_NEAR(bonus(*graph, "any text at all"), 0, 0);
  CHECK_NEAR(final_bonus(*graph, "any text at all"), 0, 0);
}

// The bonus of a text must not depend on the hypotheses around it: recount it by hand.
TEST(bonus_is_a_function_of_the_text) {
  const auto graph = graph_of({{"an", 1.0f}, {"ant", 1.0f}, {"ant hill", 1.0f}});
  CHECK_NEAR(final_bonus(*graph, "an ant an antenna ant hills ant hill"), 2 + 3 + 2 + 0 + 3 + 3 + 5,
             1e-6);
}

}  // namespace
