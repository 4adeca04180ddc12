// Makes the bytes of compiled grammars ("GGRM", version 1) for tests, arc by arc.
#ifndef GALAGO_TESTS_NATIVE_DECODING_AUTOMATON_BUILDER_H_
#define GALAGO_TESTS_NATIVE_DECODING_AUTOMATON_BUILDER_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decoding/phone_automaton.h"

using Bytes = std::vector<uint8_t>;

constexpr uint16_t kEpsilonPhone = 0xFFFF;
constexpr uint32_t kWord = 1, kSlotBegin = 2, kSlotEnd = 3, kIntent = 4, kPhrase = 5;

inline std::array<uint8_t, 32> test_phones_sha256() {
  std::array<uint8_t, 32> sha256;
  sha256.fill(0x5A);
  return sha256;
}

class AutomatonBuilder {
 public:
  AutomatonBuilder() { add_state(); }

  uint32_t add_state() {
    states_.emplace_back();
    return static_cast<uint32_t>(states_.size()) - 1;
  }
  void set_final(uint32_t state) { states_[state].is_final = true; }

  void add_arc(uint32_t from, uint32_t to, uint16_t phone, float weight = 0.0f,
               uint32_t output_kind = 0, const std::string& text = "") {
    uint32_t output = 0;
    if (output_kind != 0) {
      strings_.push_back(text);
      outputs_.push_back({output_kind, static_cast<uint32_t>(strings_.size()) - 1});
      output = static_cast<uint32_t>(outputs_.size());
    }
    states_[from].arcs.push_back({to, output, phone, weight});
  }

  // A new state after `from`; an epsilon arc that puts something out leads there.
  uint32_t put_out(uint32_t from, uint32_t kind, const std::string& text) {
    const uint32_t to = add_state();
    add_arc(from, to, kEpsilonPhone, 0.0f, kind, text);
    return to;
  }

  // A word and its phones after `from`; answers the state behind it.
  uint32_t say(uint32_t from, const std::string& word, const std::vector<uint16_t>& phones) {
    uint32_t state = put_out(from, kWord, word);
    for (const uint16_t phone : phones) {
      const uint32_t next = add_state();
      add_arc(state, next, phone);
      state = next;
    }
    return state;
  }

  Bytes bytes(uint32_t kind = 1) const {
    Bytes out = {'G', 'G', 'R', 'M'};
    size_t num_arcs = 0, string_bytes = 0;
    for (const State& state : states_) num_arcs += state.arcs.size();
    for (const std::string& text : strings_) string_bytes += text.size();
    for (const size_t number : {size_t{1}, size_t{kind}, states_.size(), num_arcs, outputs_.size(),
                                strings_.size(), string_bytes})
      put(&out, static_cast<uint32_t>(number));
    const auto sha256 = test_phones_sha256();
    out.insert(out.end(), sha256.begin(), sha256.end());
    uint32_t arc_begin = 0;
    put(&out, 0u);
    for (const State& state : states_)
      put(&out, arc_begin += static_cast<uint32_t>(state.arcs.size()));
    for (const State& state : states_) out.push_back(state.is_final ? 1 : 0);
    while (out.size() % 4 != 0) out.push_back(0);
    for (const State& state : states_) {
      for (const Arc& arc : state.arcs) {
        put(&out, arc.next_state);
        put(&out, arc.output);
        put(&out, arc.phone);
        put(&out, uint16_t{0});
        put(&out, arc.weight);
      }
    }
    for (const auto& [kind_of_output, string] : outputs_) {
      put(&out, kind_of_output);
      put(&out, string);
    }
    uint32_t offset = 0;
    put(&out, offset);
    for (const std::string& text : strings_)
      put(&out, offset += static_cast<uint32_t>(text.size()));
    for (const std::string& text : strings_) out.insert(out.end(), text.begin(), text.end());
    return out;
  }

  std::shared_ptr<const galago::PhoneAutomaton> parse(uint32_t kind = 1) const {
    const Bytes made = bytes(kind);
    return galago::PhoneAutomaton::parse(made.data(), made.size(), test_phones_sha256());
  }

 private:
  struct Arc {
    uint32_t next_state;
    uint32_t output;
    uint16_t phone;
    float weight;
  };
  struct State {
    bool is_final = false;
    std::vector<Arc> arcs;
  };

  template <typename T>
  static void put(Bytes* out, T value) {
    uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    out->insert(out->end(), raw, raw + sizeof(T));
  }

  std::vector<State> states_;
  std::vector<std::pair<uint32_t, uint32_t>> outputs_;
  std::vector<std::string> strings_;
};

#endif  // GALAGO_TESTS_NATIVE_DECODING_AUTOMATON_BUILDER_H_
