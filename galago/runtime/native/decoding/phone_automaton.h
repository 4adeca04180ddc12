// A compiled grammar or a set of phrases: an automaton over phones ("GGRM", version 1).
//
// The bytes are untrusted: every bound is checked before anything is read. Epsilon arcs are
// removed while parsing. What remains is, for every state that a phone leads to, the phone
// arcs that can follow it, each with what the epsilon arcs on the way put out:
//
//   file:     s0 --eps:INTENT--> s1 --eps:WORD stop--> s2 --S--> s3 ...
//   entries:  s0: [ arc s2--S-->s3, outputs (INTENT, WORD stop), weight ]
//
// Of several ways by epsilon arcs to one phone arc the heaviest is kept.
#ifndef GALAGO_NATIVE_DECODING_PHONE_AUTOMATON_H_
#define GALAGO_NATIVE_DECODING_PHONE_AUTOMATON_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace galago {

class PhoneAutomaton {
 public:
  enum class Kind : uint32_t { kGrammar = 1, kPhrases = 2 };
  enum class OutputKind : uint32_t {
    kWord = 1,       // a word begins; its spelling
    kSlotBegin = 2,  // the slot's name
    kSlotEnd = 3,    // the slot's value
    kIntent = 4,     // the intent's name
    kPhrase = 5,     // the phrase's text
  };

  struct Output {
    OutputKind kind;
    std::string_view text;  // UTF-8, a NUL follows it; lives as long as the automaton
  };

  // A phone: its state is entered by `Entry`s of other states, and left from next_state.
  struct Arc {
    uint32_t next_state;
    uint16_t phone;  // [1, num_phones)
  };

  // A way into a phone arc from a state.
  struct Entry {
    uint32_t arc;
    uint32_t outputs;  // 0: none; otherwise for outputs()
    float weight;      // log, <= 0
  };

  // The entries of a state, grouped by phone: a decoder skips a phone that the sound rules out.
  struct EntryGroup {
    uint32_t entry_begin;
    uint32_t entry_end;
    float max_weight;
    uint16_t phone;
  };

  // A way to end in a state.
  struct Final {
    float weight;      // log, <= 0; -infinity where the state is not final
    uint32_t outputs;  // as in Entry
  };

  template <typename T>
  struct Span {
    const T* first;
    const T* last;
    const T* begin() const { return first; }
    const T* end() const { return last; }
    size_t size() const { return static_cast<size_t>(last - first); }
    const T& operator[](size_t i) const { return first[i]; }
  };

  // phones_sha256: of the bundle's phones joined by newlines. Throws Error: GALAGO_E_CORRUPT says
  // what is wrong where; GALAGO_E_INVALID_ARGUMENT that the automaton was compiled for other
  // phones; GALAGO_E_UNSUPPORTED that it is too large or of a version or kind unknown here.
  static std::shared_ptr<const PhoneAutomaton> parse(const void* bytes, size_t num_bytes,
                                                     const std::array<uint8_t, 32>& phones_sha256);

  Kind kind() const { return kind_; }
  uint32_t num_states() const { return static_cast<uint32_t>(finals_.size()); }
  uint32_t num_arcs() const { return static_cast<uint32_t>(arcs_.size()); }
  uint32_t num_entries() const { return static_cast<uint32_t>(entries_.size()); }
  // One more than the largest phone of any arc.
  int min_num_phones() const { return min_num_phones_; }

  // State 0 is the start.
  Span<EntryGroup> groups(uint32_t state) const {
    return {groups_.data() + group_begin_[state], groups_.data() + group_begin_[state + 1]};
  }
  const Entry& entry(uint32_t index) const { return entries_[index]; }
  const Arc& arc(uint32_t index) const { return arcs_[index]; }
  const Final& final(uint32_t state) const { return finals_[state]; }
  Span<Output> outputs(uint32_t index) const {
    return {output_lists_.data() + output_list_begin_[index],
            output_lists_.data() + output_list_begin_[index + 1]};
  }

 private:
  friend class PhoneAutomatonParser;
  PhoneAutomaton() = default;

  Kind kind_ = Kind::kGrammar;
  int min_num_phones_ = 1;
  std::vector<Arc> arcs_;
  std::vector<Entry> entries_;
  std::vector<EntryGroup> groups_;
  std::vector<uint32_t> group_begin_;  // [num_states + 1]
  std::vector<Final> finals_;          // [num_states]
  std::vector<Output> output_lists_;
  std::vector<uint32_t> output_list_begin_;
  std::vector<char> strings_;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_PHONE_AUTOMATON_H_
