// toml++ itself. Its own assertions, and the standard library's in it, are off, as in the shared library that
// distributions build: on some input they would end the program where the parser goes on to refuse it.
#undef _GLIBCXX_ASSERTIONS
#define NDEBUG
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
