// Compiled automata: what is read from good bytes, and that damaged ones are refused, never obeyed.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/status.h"
#include "check.h"
#include "decoding/automaton_builder.h"

namespace {

using galago::PhoneAutomaton;

AutomatonBuilder two_words() {
  AutomatonBuilder builder;
  const uint32_t intent = builder.put_out(0, kIntent, "Light");
  const uint32_t on = builder.say(intent, "on", {2, 3});
  const uint32_t off = builder.say(intent, "off", {2, 4});
  const uint32_t end = builder.add_state();
  builder.add_arc(on, end, kEpsilonPhone, 0.0f, kSlotEnd, "1");
  builder.add_arc(off, end, kEpsilonPhone, -0.5f, kSlotEnd, "0");
  builder.set_final(end);
  return builder;
}

std::string outputs_of(const PhoneAutomaton& automaton, uint32_t index) {
  std::string joined;
  for (const PhoneAutomaton::Output& output : automaton.outputs(index))
    joined += std::to_string(static_cast<uint32_t>(output.kind)) + ":" + std::string(output.text) +
              (output.text.data()[output.text.size()] == '\0' ? ";" : "!");
  return joined;
}

// Overwrites bytes of a good automaton; answers what parsing says.
template <typename T>
std::string complaint(size_t offset, T value) {
  Bytes bytes = two_words().bytes();
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  try {
    PhoneAutomaton::parse(bytes.data(), bytes.size(), test_phones_sha256());
  } catch (const galago::Error& error) {
    return error.what();
  }
  return "parsed";
}

bool says(const std::string& text, const char* part) {
  if (text.find(part) != std::string::npos) return true;
  std::cerr << "said: " << text << "\n";
  return false;
}

constexpr size_t kNumStatesAt = 12, kNumArcsAt = 16, kNumOutputsAt = 20, kNumStringsAt = 24,
                 kStringBytesAt = 28, kShaAt = 32, kArcBeginAt = 64;
// 9 states (start, intent, 3 + 3 of the words, the end), 9 arcs, 5 outputs, 5 strings.
constexpr size_t kNumStates = 9, kNumArcs = 9, kNumOutputs = 5, kNumStrings = 5;
constexpr size_t kFinalAt = kArcBeginAt + 4 * (kNumStates + 1);
constexpr size_t kArcsAt = kFinalAt + 12;
constexpr size_t kOutputsAt = kArcsAt + 16 * kNumArcs;
constexpr size_t kOffsetsAt = kOutputsAt + 8 * kNumOutputs;
constexpr size_t kStringsAt = kOffsetsAt + 4 * (kNumStrings + 1);

TEST(epsilon_arcs_are_gone_and_their_outputs_are_kept) {
  const auto automaton = two_words().parse();
  CHECK(automaton->kind() == PhoneAutomaton::Kind::kGrammar);
  CHECK_EQ(automaton->num_arcs(), 4u);
  CHECK_EQ(automaton->num_entries(), 4u);
  CHECK_EQ(automaton->min_num_phones(), 5);
  const auto groups = automaton->groups(0);
  CHECK_EQ(groups.size(), 1u);
  CHECK_EQ(groups[0].phone, 2);
  CHECK_EQ(groups[0].entry_end - groups[0].entry_begin, 2u);
  CHECK_EQ(outputs_of(*automaton, automaton->entry(groups[0].entry_begin).outputs),
           "4:Light;1:on;");
  CHECK_EQ(outputs_of(*automaton, automaton->entry(groups[0].entry_begin + 1).outputs),
           "4:Light;1:off;");
  CHECK(std::isinf(automaton->final(0).weight));
  for (uint32_t a = 0; a < automaton->num_arcs(); ++a) {
    const PhoneAutomaton::Arc& arc = automaton->arc(a);
    if (arc.phone == 3) {
      CHECK_EQ(outputs_of(*automaton, automaton->final(arc.next_state).outputs), "3:1;");
      CHECK_EQ(automaton->final(arc.next_state).weight, 0.0f);
    }
    if (arc.phone == 4) CHECK_EQ(automaton->final(arc.next_state).weight, -0.5f);
  }
}

TEST(of_two_epsilon_ways_to_an_arc_the_heavier_is_kept) {
  AutomatonBuilder builder;
  const uint32_t a = builder.add_state(), b = builder.add_state(), c = builder.add_state();
  builder.add_arc(0, b, kEpsilonPhone, -3.0f, kIntent, "short");
  builder.add_arc(0, a, kEpsilonPhone, -1.0f, kIntent, "long");
  builder.add_arc(a, b, kEpsilonPhone, -1.0f);
  builder.add_arc(b, c, 1, -0.25f);
  builder.set_final(c);
  const auto automaton = builder.parse();
  CHECK_EQ(automaton->num_entries(), 1u);
  CHECK_EQ(automaton->entry(0).weight, -2.25f);
  CHECK_EQ(outputs_of(*automaton, automaton->entry(0).outputs), "4:long;");
  CHECK_EQ(automaton->groups(0)[0].max_weight, -2.25f);
}

TEST(dead_ends_are_cut) {
  AutomatonBuilder builder;
  const uint32_t end = builder.add_state(), dead = builder.add_state();
  builder.add_arc(0, end, 1);
  builder.add_arc(0, dead, 2);
  builder.add_arc(dead, dead, 3);
  builder.set_final(end);
  CHECK_EQ(builder.parse()->num_arcs(), 1u);
}

TEST(epsilon_cycles_are_refused) {
  AutomatonBuilder builder = two_words();
  builder.add_arc(8, 0, kEpsilonPhone);
  builder.parse();  // a cycle through phones is none of epsilon arcs
  AutomatonBuilder cycle;
  const uint32_t a = cycle.add_state(), b = cycle.add_state(), end = cycle.add_state();
  cycle.add_arc(0, a, kEpsilonPhone);
  cycle.add_arc(a, b, kEpsilonPhone);
  cycle.add_arc(b, a, kEpsilonPhone);
  cycle.add_arc(b, end, 1);
  cycle.set_final(end);
  CHECK_THROWS(cycle.parse(), "circle");
  AutomatonBuilder self;
  self.add_arc(0, 0, kEpsilonPhone);
  self.set_final(0);
  CHECK_THROWS(self.parse(), "circle");
}

TEST(a_grammar_without_a_reachable_end_is_refused) {
  AutomatonBuilder builder;
  const uint32_t a = builder.add_state(), b = builder.add_state();
  builder.add_arc(0, a, 1);
  builder.set_final(b);
  CHECK_THROWS(builder.parse(), "no final state");
}

TEST(every_damage_is_named) {
  CHECK(says(complaint<char>(0, 'X'), "GGRM"));
  CHECK(says(complaint<uint32_t>(4, 2), "version 2"));
  CHECK(says(complaint<uint32_t>(8, 3), "kind 3"));
  CHECK(says(complaint<uint32_t>(kNumStatesAt, 0), "0 states"));
  CHECK(says(complaint<uint32_t>(kNumStatesAt, 0xFFFFFFFF), "states"));
  CHECK(says(complaint<uint32_t>(kNumStatesAt, 13), "its header tells of"));
  CHECK(says(complaint<uint32_t>(kNumArcsAt, 2000001), "arcs"));
  CHECK(says(complaint<uint32_t>(kNumOutputsAt, 6), "its header tells of"));
  CHECK(says(complaint<uint32_t>(kNumStringsAt, 4), "its header tells of"));
  CHECK(says(complaint<uint32_t>(kStringBytesAt, 0xFFFFFFFF), "bytes of strings"));
  CHECK(says(complaint<uint8_t>(kShaAt + 31, 0), "other phones"));
  CHECK(says(complaint<uint32_t>(kArcBeginAt, 1), "arc_begin[0]"));
  CHECK(says(complaint<uint32_t>(kArcBeginAt + 4, 100), "arc_begin[1]"));
  CHECK(says(complaint<uint32_t>(kArcBeginAt + 8, 0), "arc_begin[2]"));
  CHECK(says(complaint<uint32_t>(kArcBeginAt + 4 * kNumStates, 8), "arc_begin[9]"));
  CHECK(says(complaint<uint8_t>(kFinalAt, 2), "is_final[0]"));
  CHECK(says(complaint<uint8_t>(kFinalAt + kNumStates, 1), "padding"));
  CHECK(says(complaint<uint32_t>(kArcsAt, 9), "leads to state 9 of 9"));
  CHECK(says(complaint<uint32_t>(kArcsAt + 4, 6), "puts out 6 of 5"));
  CHECK(says(complaint<uint16_t>(kArcsAt + 8, 0), "phone 0"));
  CHECK(says(complaint<uint16_t>(kArcsAt + 8, 256), "phone 256"));
  CHECK(says(complaint<uint16_t>(kArcsAt + 10, 1), "reserved"));
  CHECK(says(complaint<float>(kArcsAt + 12, 0.5f), "weight"));
  CHECK(says(complaint<float>(kArcsAt + 12, NAN), "weight"));
  CHECK(says(complaint<float>(kArcsAt + 12, -INFINITY), "weight"));
  CHECK(says(complaint<uint32_t>(kOutputsAt, 0), "output 0 has kind 0"));
  CHECK(says(complaint<uint32_t>(kOutputsAt, 6), "output 0 has kind 6"));
  CHECK(says(complaint<uint32_t>(kOutputsAt + 4, 5), "string 5 of 5"));
  CHECK(says(complaint<uint32_t>(kOffsetsAt, 1), "string_offset[0]"));
  CHECK(says(complaint<uint32_t>(kOffsetsAt + 4, 1000), "string_offset[1]"));
  CHECK(says(complaint<uint32_t>(kOffsetsAt + 4 * kNumStrings, 9), "string_offset[5]"));
  CHECK(says(complaint<uint8_t>(kStringsAt, 0xFF), "string 0 is not UTF-8"));
  CHECK(says(complaint<uint8_t>(kStringsAt, 0x00), "string 0 is not UTF-8"));
  CHECK(says(complaint<uint16_t>(kStringsAt, 0x80C0), "string 0 is not UTF-8"));  // overlong
}

TEST(every_truncation_is_refused) {
  const Bytes bytes = two_words().bytes();
  CHECK_EQ(bytes.size(), kStringsAt + std::strlen("LightOnOff10"));
  for (size_t n = 0; n < bytes.size(); ++n) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK_THROWS(PhoneAutomaton::parse(part.data(), n, test_phones_sha256()), "compiled grammar");
  }
  Bytes longer = bytes;
  longer.push_back(0);
  CHECK_THROWS(PhoneAutomaton::parse(longer.data(), longer.size(), test_phones_sha256()),
               "its header tells of");
  CHECK_THROWS(PhoneAutomaton::parse(nullptr, 0, test_phones_sha256()), "no bytes");
}

// Whatever a flipped byte does, the outcome is an Error or an automaton whose indices all hold.
TEST(flipped_bytes_are_refused_or_harmless) {
  std::mt19937 random(5);
  const Bytes good = two_words().bytes();
  int num_parsed = 0;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = good;
    for (unsigned flips = 1 + random() % 3; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    try {
      const auto automaton =
          PhoneAutomaton::parse(bytes.data(), bytes.size(), test_phones_sha256());
      ++num_parsed;
      for (uint32_t s = 0; s < automaton->num_states(); ++s) {
        outputs_of(*automaton, automaton->final(s).outputs);
        for (const PhoneAutomaton::EntryGroup& group : automaton->groups(s)) {
          for (uint32_t e = group.entry_begin; e < group.entry_end; ++e) {
            const PhoneAutomaton::Entry& entry = automaton->entry(e);
            CHECK(automaton->arc(entry.arc).next_state < automaton->num_states());
            CHECK_EQ(automaton->arc(entry.arc).phone, group.phone);
            outputs_of(*automaton, entry.outputs);
          }
        }
      }
    } catch (const galago::Error&) {
    }
  }
  CHECK(num_parsed > 100);
}

// 1000 optional words in a row: a path of epsilon arcs from each to each, too many to keep.
TEST(a_grammar_that_explodes_is_refused_in_time) {
  AutomatonBuilder builder;
  uint32_t state = 0;
  for (int i = 0; i < 20000; ++i) {
    const uint32_t next = builder.add_state();
    builder.add_arc(state, next, 1);
    builder.add_arc(state, next, kEpsilonPhone);
    state = next;
  }
  builder.set_final(state);
  CHECK_THROWS(builder.parse(), "compiled grammar");
}

}  // namespace
