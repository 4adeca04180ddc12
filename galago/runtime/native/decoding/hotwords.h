// Hotwords: phrases that the prefix beam search prefers, as shallow fusion.
//
// The phrases form an Aho-Corasick automaton over tokens. Each is matched with its word
// boundaries, as " phrase ", where the start and the end of an utterance are boundaries too:
//
//   hotword "art", boost b      " a r t "  ->  bonus 0 b 2b 3b 3b     kept, the word is complete
//                               " a r e "  ->  bonus 0 b 2b 0  0      taken back where it fails
//                               " c a r t" ->  bonus 0 0 0  0  0      not at the start of a word
//
// A bonus counts in the ranking of hypotheses only, never in a word's confidence.
#ifndef GALAGO_NATIVE_DECODING_HOTWORDS_H_
#define GALAGO_NATIVE_DECODING_HOTWORDS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace galago {

struct Hotword {
  std::string phrase;  // UTF-8; one or more words
  // Nats a token, (0, 20]. Where phrases begin alike the largest boost counts for what they share.
  float boost = 0.0f;
};

// Immutable, so that it can be built on one thread and handed to a decoder on another.
class HotwordGraph {
 public:
  // `tokens` are the model's; word_separator is the index of " ". Letters are lowered where
  // only the lower case is a token. Throws Error (GALAGO_E_INVALID_ARGUMENT) naming the phrase and
  // the character that no token spells, an empty phrase, or a boost out of range.
  static std::shared_ptr<const HotwordGraph> build(const std::vector<std::string>& tokens,
                                                   int word_separator,
                                                   const std::vector<Hotword>& hotwords);

  // Where a hypothesis stands: a node, and the bonus of the phrases it has completed.
  struct State {
    int32_t node = 0;
    float completed = 0.0f;
  };

  State start() const { return {start_node_, 0.0f}; }
  State advance(State state, int32_t token) const;

  // What the hypothesis has now, partial matches included.
  float bonus(State state) const { return state.completed + nodes_[state.node].partial_bonus; }

  // What it has if the utterance ends here: unfinished phrases count nothing.
  float final_bonus(State state) const { return advance(state, word_separator_).completed; }

  size_t num_nodes() const { return nodes_.size(); }

 private:
  struct Node {
    int32_t arc_begin = 0;  // children in arcs_, sorted by token
    int32_t arc_end = 0;
    int32_t failure = 0;            // the longest proper suffix that is a node
    float partial_bonus = 0.0f;     // of the tokens since the last complete phrase on this path
    float completion_bonus = 0.0f;  // earned for good on arriving here
  };
  struct Arc {
    int32_t token;
    int32_t node;
  };

  HotwordGraph() = default;
  int32_t find_child(int32_t node, int32_t token) const;  // -1: none

  std::vector<Node> nodes_;
  std::vector<Arc> arcs_;
  int32_t start_node_ = 0;
  int32_t word_separator_ = 0;
};

}  // namespace galago

#endif  // GALAGO_NATIVE_DECODING_HOTWORDS_H_
