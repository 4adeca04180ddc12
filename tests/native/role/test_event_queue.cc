// The event queue: order, what is dropped when it is full, and that pointers stay valid.
#include "role/event_queue.h"

#include <string>

#include "check.h"
#include "resident.h"

using namespace galago;

namespace {

void publish(EventQueue* queue, uint32_t type, const std::string& text) {
  queue->begin(type);
  queue->set_text(text);
  queue->publish();
}

std::string take_all(EventQueue* queue) {
  std::string taken;
  galago_event event;
  while (queue->take(&event)) taken += std::to_string(event.sequence) + event.text + " ";
  return taken;
}

}  // namespace

TEST(events_come_out_in_order_with_all_they_hold) {
  EventQueue queue(4, EventLimits{});
  galago_event* made = queue.begin(GALAGO_EVENT_FINAL);
  made->begin_ns = 5;
  queue.set_text("turn on");
  CHECK(queue.add_word("turn", 1, 2, 0.5f));
  CHECK(queue.add_word("on", 3, 4, 0.25f));
  CHECK(queue.add_label("area", "kitchen", 0.75f));
  *queue.add_values(1) = 0.125f;
  queue.publish();
  galago_event event;
  CHECK(queue.take(&event));
  CHECK_EQ(std::string(event.text), "turn on");
  CHECK_EQ(event.begin_ns, 5);
  CHECK_EQ(event.num_words, 2u);
  CHECK_EQ(std::string(event.words[1].text), "on");
  CHECK_EQ(event.words[1].end_ns, 4);
  CHECK_EQ(std::string(event.labels[0].name), "area");
  CHECK_EQ(std::string(event.labels[0].value), "kitchen");
  CHECK_EQ(event.values[0], 0.125f);
  CHECK(!queue.take(&event));
  CHECK_EQ(std::string(event.text), "turn on");  // an empty take() frees nothing
}

TEST(an_event_is_valid_until_the_next_one_is_taken_however_many_are_published) {
  EventQueue queue(2, EventLimits{});
  publish(&queue, GALAGO_EVENT_FINAL, "held");
  galago_event event;
  CHECK(queue.take(&event));
  for (int i = 0; i < 100; ++i) publish(&queue, GALAGO_EVENT_FINAL, std::to_string(i));
  CHECK_EQ(std::string(event.text), "held");
  CHECK_EQ(take_all(&queue), "10098 10199 ");
}

// A long event late in the day is not the process's growth.
TEST(a_queue_that_is_emptied_in_time_needs_no_new_memory) {
  EventLimits limits;
  limits.text_bytes = 1 << 20;
  limits.num_words = 1 << 15;
  EventQueue queue(64, limits);
  galago_event event;
  for (int step = 0; step < 20; ++step) {
    for (int i = 0; i < 8; ++i) {
      queue.begin(GALAGO_EVENT_FINAL);
      queue.set_text("");
      CHECK(queue.add_word("", 0, 0, 1));
      queue.publish();
    }
    while (queue.take(&event)) {
      CHECK(is_resident(event.text, limits.text_bytes));
      CHECK(is_resident(reinterpret_cast<const char*>(event.words),
                        limits.num_words * sizeof(galago_word)));
    }
  }
}

TEST(a_full_queue_drops_the_oldest_partial_first) {
  EventQueue queue(3, EventLimits{});
  publish(&queue, GALAGO_EVENT_VOICE_START, "v");
  publish(&queue, GALAGO_EVENT_PARTIAL, "p");
  publish(&queue, GALAGO_EVENT_PARTIAL, "q");
  publish(&queue, GALAGO_EVENT_FINAL, "f");
  publish(&queue, GALAGO_EVENT_FINAL, "g");
  CHECK_EQ(take_all(&queue), "1v 4f 5g ");
  for (const char* text : {"a", "b", "c", "d"}) publish(&queue, GALAGO_EVENT_FINAL, text);
  CHECK_EQ(take_all(&queue), "7b 8c 9d ");
}

TEST(what_does_not_fit_is_left_out_at_whole_characters_and_words) {
  EventLimits limits;
  limits.text_bytes = 8;
  limits.num_words = 2;
  limits.num_labels = 1;
  EventQueue queue(2, limits);
  queue.begin(GALAGO_EVENT_FINAL);
  queue.set_text("abcdef\xC3\xA9");  // 8 bytes and a NUL: one too many
  CHECK(!queue.add_word("x", 0, 0, 1));
  queue.publish();
  queue.begin(GALAGO_EVENT_FINAL);
  queue.set_text("");
  CHECK(!queue.add_label("name", "value", 1));
  CHECK(queue.add_label("n", "v", 1));
  CHECK(!queue.add_label("n", "", 1));
  CHECK(queue.add_word("a", 0, 0, 1));
  CHECK(!queue.add_word("b", 0, 0, 1));
  queue.publish();
  galago_event event;
  CHECK(queue.take(&event));
  CHECK_EQ(std::string(event.text), "abcdef");
  CHECK(event.words == nullptr);
  CHECK(queue.take(&event));
  CHECK_EQ(event.num_labels, 1u);
  CHECK_EQ(event.num_words, 1u);
}

TEST(clear_begins_at_sequence_1) {
  EventQueue queue(2, EventLimits{});
  publish(&queue, GALAGO_EVENT_FINAL, "a");
  publish(&queue, GALAGO_EVENT_FINAL, "b");
  queue.clear();
  CHECK(queue.is_empty());
  publish(&queue, GALAGO_EVENT_FINAL, "c");
  CHECK_EQ(take_all(&queue), "1c ");
}
