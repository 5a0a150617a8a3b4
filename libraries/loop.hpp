#ifndef AGENTBOX_PRECOMPILED_LOOP
#define AGENTBOX_PRECOMPILED_LOOP

// As standard.hpp, for the rooms that live on the event loop.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "standard.hpp"

#endif
