/* never.h - stand-ins for functions that a runtime links but cannot reach. The linker's --wrap puts
 * __wrap_NAME where NAME is called; pointers and sizes are all one type in wasm32. */
#pragma clang diagnostic ignored "-Wc23-extensions"
#pragma clang diagnostic ignored "-Wunused-parameter"

#define NEVER_INT(name, ...)                                                                       \
    int __wrap_##name(__VA_ARGS__);                                                                \
    int __wrap_##name(__VA_ARGS__) {                                                               \
        __builtin_trap();                                                                          \
    }
#define NEVER(name, ...)                                                                           \
    void __wrap_##name(__VA_ARGS__);                                                               \
    void __wrap_##name(__VA_ARGS__) {                                                              \
        __builtin_trap();                                                                          \
    }
#define P2 void *, void *
#define P4 P2, P2
#define P8 P4, P4
