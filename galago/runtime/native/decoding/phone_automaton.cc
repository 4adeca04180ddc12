#include "decoding/phone_automaton.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <string>

#include "base/status.h"

namespace galago {
namespace {

constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kArcBytes = 16;
constexpr size_t kOutputBytes = 8;
constexpr uint32_t kMaxCount = 2000000;  // of states, arcs, outputs and strings
constexpr uint32_t kMaxStringBytes = 64u << 20;
constexpr uint16_t kEpsilon = 0xFFFF;
constexpr uint16_t kMaxPhone = 255;
// Of what the automaton becomes without epsilon arcs, and of the work to make it.
constexpr size_t kMaxEntries = 8000000;
constexpr size_t kMaxEpsilonSteps = 64000000;
constexpr float kMinWeight = -1e4f;
constexpr float kImpossible = -std::numeric_limits<float>::infinity();

#define CORRUPT(...) fail(GALAGO_E_CORRUPT, "compiled grammar: " __VA_ARGS__)

// Little-endian whatever the machine.
class Reader {
 public:
  Reader(const void* bytes, size_t num_bytes)
      : at_(static_cast<const unsigned char*>(bytes)), end_(at_ + num_bytes) {}

  const unsigned char* take(size_t num_bytes) {
    if (static_cast<size_t>(end_ - at_) < num_bytes)
      fail(GALAGO_E_INTERNAL, "compiled grammar: read past the end");
    const unsigned char* taken = at_;
    at_ += num_bytes;
    return taken;
  }
  uint8_t u8() { return *take(1); }
  uint16_t u16() {
    const unsigned char* b = take(2);
    return static_cast<uint16_t>(b[0] | b[1] << 8);
  }
  uint32_t u32() {
    const unsigned char* b = take(4);
    return static_cast<uint32_t>(b[0]) | static_cast<uint32_t>(b[1]) << 8 |
           static_cast<uint32_t>(b[2]) << 16 | static_cast<uint32_t>(b[3]) << 24;
  }
  float f32() {
    const uint32_t bits = u32();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

 private:
  const unsigned char* at_;
  const unsigned char* end_;
};

// Well-formed UTF-8 (RFC 3629) without NUL.
bool is_text(const unsigned char* s, size_t n) {
  for (size_t i = 0; i < n;) {
    const unsigned char lead = s[i];
    if (lead == 0) return false;
    const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length == 0 || lead > 0xF4 || n - i < length) return false;
    for (size_t k = 1; k < length; ++k)
      if ((s[i + k] & 0xC0) != 0x80) return false;
    if (length > 2) {
      const unsigned char second = s[i + 1];
      const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
      const bool surrogate = lead == 0xED && second > 0x9F;
      const bool too_large = lead == 0xF4 && second > 0x8F;
      if (overlong || surrogate || too_large) return false;
    }
    i += length;
  }
  return true;
}

struct FileArc {
  uint32_t next_state;
  uint32_t output;
  uint16_t phone;
  float weight;
};

struct FileOutput {
  uint32_t kind;
  uint32_t string;
};

}  // namespace

class PhoneAutomatonParser {
 public:
  PhoneAutomatonParser(const void* bytes, size_t num_bytes) : reader_(bytes, num_bytes) {
    num_bytes_ = num_bytes;
  }

  std::shared_ptr<const PhoneAutomaton> parse(const std::array<uint8_t, 32>& phones_sha256) {
    result_.reset(new PhoneAutomaton());
    read_header(phones_sha256);
    read_states_and_arcs();
    read_outputs_and_strings();
    order_by_epsilon();
    find_useful_states();
    number_phone_arcs();
    remove_epsilon();
    return result_;
  }

 private:
  // -- the bytes ------------------------------------------------------------

  void read_header(const std::array<uint8_t, 32>& phones_sha256) {
    if (num_bytes_ < kHeaderBytes)
      CORRUPT("%zu bytes, the header alone has %zu", num_bytes_, kHeaderBytes);
    if (std::memcmp(reader_.take(4), "GGRM", 4) != 0) CORRUPT("does not begin with \"GGRM\"");
    const uint32_t version = reader_.u32();
    if (version != kVersion)
      fail(GALAGO_E_UNSUPPORTED, "compiled grammar: version %u, this library reads %u", version,
           kVersion);
    const uint32_t kind = reader_.u32();
    if (kind != 1 && kind != 2)
      fail(GALAGO_E_UNSUPPORTED, "compiled grammar: kind %u is unknown here", kind);
    result_->kind_ = static_cast<PhoneAutomaton::Kind>(kind);
    num_states_ = count("states", 1);
    num_arcs_ = count("arcs", 0);
    num_outputs_ = count("outputs", 0);
    num_strings_ = count("strings", 0);
    string_bytes_ = reader_.u32();
    if (string_bytes_ > kMaxStringBytes)
      CORRUPT("%u bytes of strings, at most %u are allowed", string_bytes_, kMaxStringBytes);
    const size_t expected_bytes = kHeaderBytes + 4 * (size_t{num_states_} + 1) +
                                  (size_t{num_states_} + 3) / 4 * 4 + kArcBytes * num_arcs_ +
                                  kOutputBytes * num_outputs_ + 4 * (size_t{num_strings_} + 1) +
                                  string_bytes_;
    if (expected_bytes != num_bytes_)
      CORRUPT("%zu bytes, its header tells of %zu", num_bytes_, expected_bytes);
    if (std::memcmp(reader_.take(32), phones_sha256.data(), 32) != 0)
      fail(GALAGO_E_INVALID_ARGUMENT,
           "compiled grammar: made for other phones than this bundle's; compile it again");
  }

  uint32_t count(const char* what, uint32_t least) {
    const uint32_t number = reader_.u32();
    if (number < least || number > kMaxCount)
      CORRUPT("%u %s, must be %u to %u", number, what, least, kMaxCount);
    return number;
  }

  void read_states_and_arcs() {
    arc_begin_.resize(size_t{num_states_} + 1);
    for (uint32_t s = 0; s <= num_states_; ++s) {
      arc_begin_[s] = reader_.u32();
      const uint32_t least = s == 0 ? 0 : arc_begin_[s - 1];
      if (arc_begin_[s] < least || arc_begin_[s] > num_arcs_)
        CORRUPT("arc_begin[%u] is %u, must be %u to %u", s, arc_begin_[s], least, num_arcs_);
    }
    if (arc_begin_[0] != 0) CORRUPT("arc_begin[0] is %u, must be 0", arc_begin_[0]);
    if (arc_begin_[num_states_] != num_arcs_)
      CORRUPT("arc_begin[%u] is %u, must be %u", num_states_, arc_begin_[num_states_], num_arcs_);
    is_final_.resize(num_states_);
    for (uint32_t s = 0; s < num_states_; ++s) {
      is_final_[s] = reader_.u8();
      if (is_final_[s] > 1) CORRUPT("is_final[%u] is %u, must be 0 or 1", s, is_final_[s]);
    }
    for (uint32_t s = num_states_; s % 4 != 0; ++s)
      if (reader_.u8() != 0) CORRUPT("padding after is_final is not zero");
    arcs_.resize(num_arcs_);
    for (uint32_t a = 0; a < num_arcs_; ++a) {
      FileArc& arc = arcs_[a];
      arc.next_state = reader_.u32();
      arc.output = reader_.u32();
      arc.phone = reader_.u16();
      const uint16_t reserved = reader_.u16();
      arc.weight = reader_.f32();
      if (arc.next_state >= num_states_)
        CORRUPT("arc %u leads to state %u of %u", a, arc.next_state, num_states_);
      if (arc.output > num_outputs_)
        CORRUPT("arc %u puts out %u of %u", a, arc.output, num_outputs_);
      if (arc.phone != kEpsilon && (arc.phone == 0 || arc.phone > kMaxPhone))
        CORRUPT("arc %u has phone %u", a, arc.phone);
      if (reserved != 0) CORRUPT("arc %u: reserved bytes are not zero", a);
      if (!(arc.weight >= kMinWeight && arc.weight <= 0.0f))
        CORRUPT("arc %u has weight %g, must be in [%g, 0]", a, static_cast<double>(arc.weight),
                static_cast<double>(kMinWeight));
    }
  }

  void read_outputs_and_strings() {
    outputs_.resize(num_outputs_);
    for (uint32_t o = 0; o < num_outputs_; ++o) {
      outputs_[o] = {reader_.u32(), reader_.u32()};
      if (outputs_[o].kind < 1 || outputs_[o].kind > 5)
        CORRUPT("output %u has kind %u", o, outputs_[o].kind);
      if (outputs_[o].string >= num_strings_)
        CORRUPT("output %u has string %u of %u", o, outputs_[o].string, num_strings_);
    }
    std::vector<uint32_t> begin(size_t{num_strings_} + 1);
    for (uint32_t i = 0; i <= num_strings_; ++i) {
      begin[i] = reader_.u32();
      const uint32_t least = i == 0 ? 0 : begin[i - 1];
      if (begin[i] < least || begin[i] > string_bytes_)
        CORRUPT("string_offset[%u] is %u, must be %u to %u", i, begin[i], least, string_bytes_);
    }
    if (begin[0] != 0) CORRUPT("string_offset[0] is %u, must be 0", begin[0]);
    if (begin[num_strings_] != string_bytes_)
      CORRUPT("string_offset[%u] is %u, must be %u", num_strings_, begin[num_strings_],
              string_bytes_);
    const unsigned char* bytes = reader_.take(string_bytes_);
    // The views must stay where they point: no growth after this.
    result_->strings_.reserve(size_t{string_bytes_} + num_strings_);
    for (uint32_t i = 0; i < num_strings_; ++i) {
      const size_t length = begin[i + 1] - begin[i];
      if (!is_text(bytes + begin[i], length)) CORRUPT("string %u is not UTF-8 text", i);
      const char* first = result_->strings_.data() + result_->strings_.size();
      result_->strings_.insert(result_->strings_.end(), bytes + begin[i],
                               bytes + begin[i] + length);
      result_->strings_.push_back('\0');
      strings_.push_back({first, length});
    }
  }

  // -- the graph ------------------------------------------------------------

  bool is_epsilon(uint32_t arc) const { return arcs_[arc].phone == kEpsilon; }

  // rank_[s] < rank_[t] where an epsilon arc leads from s to t; refuses cycles.
  void order_by_epsilon() {
    enum : uint8_t { kNew, kOpen, kDone };
    std::vector<uint8_t> mark(num_states_, kNew);
    std::vector<uint32_t> next_arc(arc_begin_.begin(), arc_begin_.end() - 1);
    std::vector<uint32_t> stack;
    rank_.resize(num_states_);
    uint32_t next_rank = num_states_;
    for (uint32_t root = 0; root < num_states_; ++root) {
      if (mark[root] != kNew) continue;
      mark[root] = kOpen;
      stack.push_back(root);
      while (!stack.empty()) {
        const uint32_t state = stack.back();
        if (next_arc[state] == arc_begin_[state + 1]) {
          mark[state] = kDone;
          rank_[state] = --next_rank;
          stack.pop_back();
          continue;
        }
        const uint32_t a = next_arc[state]++;
        if (!is_epsilon(a)) continue;
        const uint32_t next = arcs_[a].next_state;
        if (mark[next] == kOpen) CORRUPT("epsilon arcs go round in a circle at state %u", next);
        if (mark[next] == kDone) continue;
        mark[next] = kOpen;
        stack.push_back(next);
      }
    }
  }

  // From where a final state can be reached. Arcs to elsewhere are dead ends.
  void find_useful_states() {
    std::vector<uint32_t> from_begin(size_t{num_states_} + 1, 0);
    for (const FileArc& arc : arcs_) ++from_begin[size_t{arc.next_state} + 1];
    for (uint32_t s = 0; s < num_states_; ++s) from_begin[size_t{s} + 1] += from_begin[s];
    std::vector<uint32_t> from(num_arcs_);
    std::vector<uint32_t> fill(from_begin.begin(), from_begin.end() - 1);
    for (uint32_t s = 0; s < num_states_; ++s)
      for (uint32_t a = arc_begin_[s]; a < arc_begin_[s + 1]; ++a)
        from[fill[arcs_[a].next_state]++] = s;
    is_useful_.assign(is_final_.begin(), is_final_.end());
    std::vector<uint32_t> queue;
    for (uint32_t s = 0; s < num_states_; ++s)
      if (is_final_[s] != 0) queue.push_back(s);
    for (size_t i = 0; i < queue.size(); ++i) {
      for (uint32_t k = from_begin[queue[i]]; k < from_begin[size_t{queue[i]} + 1]; ++k) {
        if (is_useful_[from[k]] != 0) continue;
        is_useful_[from[k]] = 1;
        queue.push_back(from[k]);
      }
    }
    if (is_useful_[0] == 0) CORRUPT("no final state can be reached from the start");
  }

  void number_phone_arcs() {
    phone_arc_.resize(num_arcs_);
    for (uint32_t a = 0; a < num_arcs_; ++a) {
      const FileArc& arc = arcs_[a];
      if (is_epsilon(a) || is_useful_[arc.next_state] == 0) continue;
      phone_arc_[a] = static_cast<uint32_t>(result_->arcs_.size());
      result_->arcs_.push_back({arc.next_state, arc.phone});
      result_->min_num_phones_ = std::max(result_->min_num_phones_, arc.phone + 1);
    }
  }

  // The best way by epsilon arcs from the state being closed.
  struct Way {
    float weight;
    uint32_t arc;       // the last epsilon arc of it
    uint32_t previous;  // the state before that arc
  };

  void remove_epsilon() {
    result_->finals_.assign(num_states_, {kImpossible, 0});
    result_->output_list_begin_ = {0, 0};  // list 0 is the empty one
    ways_.resize(num_states_);
    is_reached_.assign(num_states_, 0);

    // Only states where a phone can end, and the start, need entries.
    std::vector<uint32_t> landings = {0};
    std::vector<uint8_t> is_landing(num_states_, 0);
    is_landing[0] = 1;
    std::vector<std::vector<PhoneAutomaton::Entry>> entries(num_states_);
    size_t num_entries = 0;
    for (size_t i = 0; i < landings.size(); ++i) {
      const uint32_t state = landings[i];
      close_state(state, &entries[state]);
      num_entries += entries[state].size();
      if (num_entries > kMaxEntries)
        fail(GALAGO_E_UNSUPPORTED, "compiled grammar: more than %zu ways from phone to phone",
             kMaxEntries);
      for (const PhoneAutomaton::Entry& entry : entries[state]) {
        const uint32_t next = result_->arcs_[entry.arc].next_state;
        if (is_landing[next] != 0) continue;
        is_landing[next] = 1;
        landings.push_back(next);
      }
    }
    result_->entries_.reserve(num_entries);
    for (uint32_t s = 0; s < num_states_; ++s) {
      result_->group_begin_.push_back(static_cast<uint32_t>(result_->groups_.size()));
      append_groups(&entries[s]);
    }
    result_->group_begin_.push_back(static_cast<uint32_t>(result_->groups_.size()));
  }

  void count_step() {
    if (++num_epsilon_steps_ > kMaxEpsilonSteps)
      fail(GALAGO_E_UNSUPPORTED, "compiled grammar: too many epsilon arcs in a row");
  }

  // All phone arcs, and the end, that epsilon arcs lead to from `origin`.
  void close_state(uint32_t origin, std::vector<PhoneAutomaton::Entry>* entries) {
    std::vector<uint32_t> reached = {origin};
    is_reached_[origin] = 1;
    ways_[origin] = {0.0f, 0, origin};
    for (size_t i = 0; i < reached.size(); ++i) {
      const uint32_t state = reached[i];
      for (uint32_t a = arc_begin_[state]; a < arc_begin_[state + 1]; ++a) {
        count_step();
        const uint32_t next = arcs_[a].next_state;
        if (!is_epsilon(a) || is_reached_[next] != 0 || is_useful_[next] == 0) continue;
        is_reached_[next] = 1;
        ways_[next] = {kImpossible, 0, next};
        reached.push_back(next);
      }
    }
    std::sort(reached.begin(), reached.end(),
              [this](uint32_t a, uint32_t b) { return rank_[a] < rank_[b]; });
    PhoneAutomaton::Final& final = result_->finals_[origin];
    for (const uint32_t state : reached) {
      const Way way = ways_[state];
      if (is_final_[state] != 0 && way.weight > final.weight)
        final = {way.weight, list_outputs(origin, state, 0)};
      for (uint32_t a = arc_begin_[state]; a < arc_begin_[state + 1]; ++a) {
        const FileArc& arc = arcs_[a];
        if (is_useful_[arc.next_state] == 0) continue;
        const float weight = way.weight + arc.weight;
        if (!is_epsilon(a)) {
          entries->push_back({phone_arc_[a], list_outputs(origin, state, arc.output), weight});
        } else if (weight > ways_[arc.next_state].weight) {
          ways_[arc.next_state] = {weight, a, state};
        }
      }
    }
    for (const uint32_t state : reached) is_reached_[state] = 0;
  }

  // The index of the list of what the way from origin to state puts out, and then `last` (0:
  // nothing). Equal lists are kept once.
  uint32_t list_outputs(uint32_t origin, uint32_t state, uint32_t last) {
    std::vector<uint32_t> list;
    if (last != 0) list.push_back(last);
    for (; state != origin; state = ways_[state].previous) {
      const uint32_t output = arcs_[ways_[state].arc].output;
      if (output != 0) list.push_back(output);
      count_step();
    }
    if (list.empty()) return 0;
    std::reverse(list.begin(), list.end());
    const uint32_t new_index = static_cast<uint32_t>(result_->output_list_begin_.size() - 1);
    const auto [found, is_new] = list_index_.emplace(list, new_index);
    if (is_new) {
      for (const uint32_t output : list) {
        const FileOutput& of_file = outputs_[output - 1];
        result_->output_lists_.push_back(
            {static_cast<PhoneAutomaton::OutputKind>(of_file.kind), strings_[of_file.string]});
      }
      if (result_->output_lists_.size() > kMaxEntries)
        fail(GALAGO_E_UNSUPPORTED, "compiled grammar: more than %zu outputs in a row", kMaxEntries);
      result_->output_list_begin_.push_back(static_cast<uint32_t>(result_->output_lists_.size()));
    }
    return found->second;
  }

  void append_groups(std::vector<PhoneAutomaton::Entry>* entries) {
    const auto phone_of = [this](const PhoneAutomaton::Entry& entry) {
      return result_->arcs_[entry.arc].phone;
    };
    std::sort(entries->begin(), entries->end(),
              [&](const PhoneAutomaton::Entry& a, const PhoneAutomaton::Entry& b) {
                return phone_of(a) != phone_of(b) ? phone_of(a) < phone_of(b) : a.arc < b.arc;
              });
    for (const PhoneAutomaton::Entry& entry : *entries) {
      const uint32_t index = static_cast<uint32_t>(result_->entries_.size());
      const bool same_group =
          &entry != &entries->front() && result_->groups_.back().phone == phone_of(entry);
      if (!same_group) result_->groups_.push_back({index, index, kImpossible, phone_of(entry)});
      PhoneAutomaton::EntryGroup& group = result_->groups_.back();
      group.entry_end = index + 1;
      group.max_weight = std::max(group.max_weight, entry.weight);
      result_->entries_.push_back(entry);
    }
    std::vector<PhoneAutomaton::Entry>().swap(*entries);
  }

  Reader reader_;
  size_t num_bytes_ = 0;
  uint32_t num_states_ = 0;
  uint32_t num_arcs_ = 0;
  uint32_t num_outputs_ = 0;
  uint32_t num_strings_ = 0;
  uint32_t string_bytes_ = 0;
  std::vector<uint32_t> arc_begin_;
  std::vector<uint8_t> is_final_;
  std::vector<FileArc> arcs_;
  std::vector<FileOutput> outputs_;
  std::vector<std::string_view> strings_;
  std::vector<uint32_t> rank_;
  std::vector<uint8_t> is_useful_;
  std::vector<uint32_t> phone_arc_;  // by arc of the file
  std::vector<Way> ways_;
  std::vector<uint8_t> is_reached_;
  size_t num_epsilon_steps_ = 0;
  std::map<std::vector<uint32_t>, uint32_t> list_index_;
  std::shared_ptr<PhoneAutomaton> result_;
};

std::shared_ptr<const PhoneAutomaton> PhoneAutomaton::parse(
    const void* bytes, size_t num_bytes, const std::array<uint8_t, 32>& phones_sha256) {
  if (bytes == nullptr) fail(GALAGO_E_INVALID_ARGUMENT, "compiled grammar: no bytes");
  return PhoneAutomatonParser(bytes, num_bytes).parse(phones_sha256);
}

}  // namespace galago
