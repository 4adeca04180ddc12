// One body, compiled for several instruction sets, chosen when the library is loaded.
#ifndef GALAGO_NATIVE_BASE_VECTOR_CLONES_H_
#define GALAGO_NATIVE_BASE_VECTOR_CLONES_H_

// The sanitizers run before the choice can be made, so they get the plain body.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define GALAGO_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define GALAGO_VECTOR_CLONES
#endif

// What clones call must be compiled into each of them.
#define GALAGO_INLINE inline __attribute__((always_inline))

#endif  // GALAGO_NATIVE_BASE_VECTOR_CLONES_H_
