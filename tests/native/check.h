// A small test framework: TEST registers, CHECK reports and goes on, main runs all.
//
// Each tests/native/test_*.cc is a program of its own: include this once and write
//
//   TEST(a_promise_as_a_sentence) { CHECK_EQ(1 + 1, 2); }
//
// The program answers 0 only if at least one test ran and every check held. An argument runs only
// the tests whose name contains it.
#ifndef GALAGO_TESTS_NATIVE_CHECK_H_
#define GALAGO_TESTS_NATIVE_CHECK_H_

#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int& num_failures() {
  static int count = 0;
  return count;
}

struct Registration {
  Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

inline std::ostream& failure(const char* file, int line) {
  ++num_failures();
  return std::cerr << file << ":" << line << ": ";
}

template <typename A, typename B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
  if (!(a == b)) failure(file, line) << text << ": " << a << " != " << b << "\n";
}

inline void near(const char* file, int line, const char* text, double a, double b,
                 double tolerance) {
  const bool same_infinity = std::isinf(a) && a == b;
  if (!same_infinity && !(std::abs(a - b) <= tolerance))
    failure(file, line) << text << ": " << a << " and " << b << " differ by more than " << tolerance
                        << "\n";
}

}  // namespace check

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) check::failure(__FILE__, __LINE__) << "not true: " #condition "\n"; \
  } while (false)
#define CHECK_EQ(a, b) check::equal(__FILE__, __LINE__, #a " == " #b, a, b)
#define CHECK_NEAR(a, b, tolerance) check::near(__FILE__, __LINE__, #a " near " #b, a, b, tolerance)
// The statement throws an exception whose what() contains `part`.
#define CHECK_THROWS(statement, part)                                                       \
  do {                                                                                      \
    bool threw = false;                                                                     \
    try {                                                                                   \
      statement;                                                                            \
    } catch (const std::exception& error) {                                                 \
      threw = true;                                                                         \
      if (std::strstr(error.what(), part) == nullptr)                                       \
        check::failure(__FILE__, __LINE__) << #statement " said: " << error.what() << "\n"; \
    }                                                                                       \
    if (!threw) check::failure(__FILE__, __LINE__) << #statement " did not throw\n";        \
  } while (false)
#define TEST(name)                                                          \
  static void test_##name();                                                \
  static const check::Registration registration_##name(#name, test_##name); \
  static void test_##name()

int main(int argc, char** argv) {
  const char* wanted = argc > 1 ? argv[1] : "";
  int num_run = 0;
  for (const check::Test& test : check::tests()) {
    if (std::strstr(test.name, wanted) == nullptr) continue;
    const int failures_before = check::num_failures();
    try {
      test.run();
    } catch (const std::exception& error) {
      check::failure(test.name, 0) << "threw: " << error.what() << "\n";
    }
    ++num_run;
    std::printf("%s %s\n", check::num_failures() == failures_before ? "ok    " : "FAILED",
                test.name);
  }
  std::printf("%d tests, %d failures\n", num_run, check::num_failures());
  return num_run > 0 && check::num_failures() == 0 ? 0 : 1;
}

#endif  // GALAGO_TESTS_NATIVE_CHECK_H_
