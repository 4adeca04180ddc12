#include "decoding/hotwords.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <unordered_map>

#include "base/status.h"

namespace galago {
namespace {

constexpr int32_t kRoot = 0;
constexpr size_t kMaxNodes = size_t{1} << 20;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Bytes of the UTF-8 character that begins at text[at], for an error message.
size_t character_bytes(const std::string& text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return end - at;
}

// Spells phrases in tokens, the longest token that fits first.
class Speller {
 public:
  explicit Speller(const std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string& token = tokens[i];
      const bool is_special = token.size() > 2 && token.front() == '<' && token.back() == '>';
      if (token.empty() || is_special) continue;
      token_of_text_.emplace(token, static_cast<int32_t>(i));
      max_token_bytes_ = std::max(max_token_bytes_, token.size());
    }
  }

  // " phrase ", with single spaces; empty for a phrase without a letter.
  std::vector<int32_t> spell(const std::string& phrase, int32_t word_separator) const {
    std::vector<int32_t> spelled = {word_separator};
    size_t at = 0;
    while (at < phrase.size()) {
      if (is_space(phrase[at])) {
        if (spelled.back() != word_separator) spelled.push_back(word_separator);
        ++at;
        continue;
      }
      const size_t num_bytes = match(phrase, at, &spelled);
      if (num_bytes == 0)
        fail(GALAGO_E_INVALID_ARGUMENT, "hotword \"%s\": no token spells \"%s\" at byte %zu",
             phrase.c_str(), phrase.substr(at, character_bytes(phrase, at)).c_str(), at);
      at += num_bytes;
    }
    if (spelled.size() == 1) return {};
    if (spelled.back() != word_separator) spelled.push_back(word_separator);
    return spelled;
  }

 private:
  // Appends the token that phrase[at...] begins with; answers its bytes, 0 for none.
  size_t match(const std::string& phrase, size_t at, std::vector<int32_t>* spelled) const {
    for (size_t n = std::min(max_token_bytes_, phrase.size() - at); n > 0; --n) {
      std::string part = phrase.substr(at, n);
      auto found = token_of_text_.find(part);
      if (found == token_of_text_.end()) {
        for (char& c : part)
          if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        found = token_of_text_.find(part);
      }
      if (found == token_of_text_.end()) continue;
      spelled->push_back(found->second);
      return n;
    }
    return 0;
  }

  std::unordered_map<std::string, int32_t> token_of_text_;
  size_t max_token_bytes_ = 0;
};

struct TrieNode {
  std::map<int32_t, int32_t> children;  // by token
  float boost = 0.0f;                   // of the arc that leads here
  int32_t parent = kRoot;
  bool is_terminal = false;
};

void insert_phrase(const std::vector<int32_t>& spelled, float boost, std::vector<TrieNode>* trie) {
  int32_t node = kRoot;
  for (size_t i = 0; i < spelled.size(); ++i) {
    // The spaces around a phrase are there without it; those within it are part of it.
    const bool is_boundary = i == 0 || i + 1 == spelled.size();
    const auto found = (*trie)[static_cast<size_t>(node)].children.find(spelled[i]);
    if (found != (*trie)[static_cast<size_t>(node)].children.end()) {
      node = found->second;
    } else {
      if (trie->size() >= kMaxNodes)
        fail(GALAGO_E_INVALID_ARGUMENT, "hotwords: more than %zu letters", kMaxNodes);
      const int32_t child = static_cast<int32_t>(trie->size());
      (*trie)[static_cast<size_t>(node)].children[spelled[i]] = child;
      trie->emplace_back();
      trie->back().parent = node;
      node = child;
    }
    TrieNode& here = (*trie)[static_cast<size_t>(node)];
    if (!is_boundary) here.boost = std::max(here.boost, boost);
  }
  (*trie)[static_cast<size_t>(node)].is_terminal = true;
}

}  // namespace

std::shared_ptr<const HotwordGraph> HotwordGraph::build(const std::vector<std::string>& tokens,
                                                        int word_separator,
                                                        const std::vector<Hotword>& hotwords) {
  if (word_separator < 0 || static_cast<size_t>(word_separator) >= tokens.size())
    fail(GALAGO_E_INVALID_ARGUMENT, "hotwords: word separator %d is not one of %zu tokens",
         word_separator, tokens.size());
  const Speller speller(tokens);
  std::vector<TrieNode> trie(1);
  for (const Hotword& hotword : hotwords) {
    if (!(hotword.boost > 0.0f && hotword.boost <= 20.0f))
      fail(GALAGO_E_INVALID_ARGUMENT, "hotword \"%s\": boost is %g, must be in (0, 20]",
           hotword.phrase.c_str(), static_cast<double>(hotword.boost));
    const std::vector<int32_t> spelled = speller.spell(hotword.phrase, word_separator);
    if (spelled.empty())
      fail(GALAGO_E_INVALID_ARGUMENT, "hotword \"%s\" is empty", hotword.phrase.c_str());
    insert_phrase(spelled, hotword.boost, &trie);
  }

  std::shared_ptr<HotwordGraph> graph(new HotwordGraph());
  graph->word_separator_ = word_separator;
  graph->nodes_.resize(trie.size());
  for (size_t i = 0; i < trie.size(); ++i) {
    Node& node = graph->nodes_[i];
    node.arc_begin = static_cast<int32_t>(graph->arcs_.size());
    for (const auto& [token, child] : trie[i].children) graph->arcs_.push_back({token, child});
    node.arc_end = static_cast<int32_t>(graph->arcs_.size());
  }
  // Breadth first, so that a failure link leads to a node that is already complete.
  std::vector<int32_t> order = {kRoot};
  for (size_t next = 0; next < order.size(); ++next) {
    const int32_t parent = order[next];
    const Node from = graph->nodes_[static_cast<size_t>(parent)];
    for (int32_t a = from.arc_begin; a < from.arc_end; ++a) {
      const Arc arc = graph->arcs_[static_cast<size_t>(a)];
      const TrieNode& in_trie = trie[static_cast<size_t>(arc.node)];
      Node& node = graph->nodes_[static_cast<size_t>(arc.node)];
      if (parent != kRoot) {
        int32_t suffix = from.failure;
        while (suffix != kRoot && graph->find_child(suffix, arc.token) < 0)
          suffix = graph->nodes_[static_cast<size_t>(suffix)].failure;
        node.failure = std::max(kRoot, graph->find_child(suffix, arc.token));
      }
      // The space behind a complete phrase counts only within a longer one.
      const HotwordGraph::Node& suffix_node = graph->nodes_[static_cast<size_t>(node.failure)];
      node.partial_bonus = in_trie.boost + (in_trie.is_terminal ? 0.0f : from.partial_bonus);
      node.completion_bonus =
          in_trie.is_terminal ? from.partial_bonus : suffix_node.completion_bonus;
      order.push_back(arc.node);
    }
  }
  graph->start_node_ = std::max(kRoot, graph->find_child(kRoot, word_separator));
  return graph;
}

int32_t HotwordGraph::find_child(int32_t node, int32_t token) const {
  const Node& from = nodes_[static_cast<size_t>(node)];
  const auto begin = arcs_.begin() + from.arc_begin;
  const auto end = arcs_.begin() + from.arc_end;
  const auto found = std::lower_bound(
      begin, end, token, [](const Arc& arc, int32_t wanted) { return arc.token < wanted; });
  return found != end && found->token == token ? found->node : -1;
}

HotwordGraph::State HotwordGraph::advance(State state, int32_t token) const {
  int32_t node = state.node;
  int32_t child = find_child(node, token);
  while (child < 0 && node != kRoot) {
    node = nodes_[static_cast<size_t>(node)].failure;
    child = find_child(node, token);
  }
  node = std::max(kRoot, child);
  return {node, state.completed + nodes_[static_cast<size_t>(node)].completion_bonus};
}

}  // namespace galago
